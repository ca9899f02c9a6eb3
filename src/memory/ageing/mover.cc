#include "memory/ageing/mover.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/log.h"
#include "net/blocking.h"

namespace asahi::memory::ageing {

struct Mover::Row {
  Key key;
  std::uint64_t bytes = 0;  ///< in the source
  Memory kept;              ///< what the target shall have
  Checked checked;
};

namespace {

constexpr std::size_t kLetGoAtOnce = 1'000;

std::uint64_t bytes_of(const Memory& memory) {
  return memory.content.size() + memory.metadata.size() + memory.embedding.size() * sizeof(float);
}

}  // namespace

void Moved::add(const Moved& other) {
  scanned += other.scanned;
  moved += other.moved;
  superseded += other.superseded;
  changed += other.changed;
  errors += other.errors;
  bytes += other.bytes;
  kept.insert(kept.end(), other.kept.begin(), other.kept.end());
  tenants.insert(other.tenants.begin(), other.tenants.end());
}

/// Takes those that stay out of `due`.
Task<std::vector<Key>> Mover::keep_back(std::vector<Eligible>& due, const Stays& stays) {
  std::vector<Key> kept;
  if (!stays) co_return kept;
  auto judged = co_await stays(due);
  if (!judged) {
    std::vector<Key> keys;
    for (const Eligible& one : due) keys.push_back(one.memory.key);
    (void)co_await end_marks(keys);
    co_return std::unexpected(std::move(judged.error()));
  }
  std::vector<std::pair<Key, Digest>> ending;
  std::vector<Eligible> going;
  for (std::size_t i = 0; i < due.size(); ++i) {
    if (!(*judged)[i]) {
      going.push_back(std::move(due[i]));
      continue;
    }
    kept.push_back(due[i].memory.key);
    // No row's digest: it stays, and stays marked, so that this run does not take it again.
    ending.emplace_back(due[i].memory.key, Digest{}).second.fill(0xff);
  }
  due = std::move(going);
  if (ending.empty()) co_return kept;
  auto ended = co_await source_.delete_migrated(std::move(ending));
  if (!ended) co_return std::unexpected(std::move(ended.error()));
  co_return kept;
}

Task<Moved> Mover::batch(ScanQuery wanted, Stays stays) {
  ASAHI_CO_TRY(std::vector<Eligible> due, co_await source_.scan_eligible(std::move(wanted)));
  const std::size_t scanned = due.size();
  ASAHI_CO_TRY(std::vector<Key> kept, co_await keep_back(due, stays));
  if (due.empty()) co_return Moved{.scanned = scanned, .kept = std::move(kept), .tenants = {}};
  const Tier tier = target_.tier();
  // Summaries cost some tens of microseconds each: not on a loop.
  std::vector<Row> rows = co_await net::run_blocking(work_, [due = std::move(due), tier]() mutable {
    std::vector<Row> made;
    made.reserve(due.size());
    for (Eligible& one : due) {
      Row& row = made.emplace_back();
      row.key = one.memory.key;
      row.bytes = bytes_of(one.memory);
      row.kept = kept_form(std::move(one.memory), tier);
      row.checked.scanned = one.checksum;
      row.checked.expected = row_checksum(row.kept);
    }
    return made;
  });
  auto moved = co_await move(rows);
  if (moved) {
    moved->scanned = scanned;
    moved->kept = std::move(kept);
    co_return moved;
  }
  std::vector<Key> keys;
  for (const Row& row : rows) keys.push_back(row.key);
  if (auto ended = co_await end_marks(keys); !ended) {
    Logger("memory.ageing")
        .warning("rows stay marked until their lease ends", {{"error", ended.error().message}});
  }
  co_return moved;
}

Task<void> Mover::let_go(std::vector<Key> kept) {
  for (std::size_t at = 0; at < kept.size(); at += kLetGoAtOnce) {
    const auto from = kept.begin() + static_cast<std::ptrdiff_t>(at);
    const auto to =
        kept.begin() + static_cast<std::ptrdiff_t>(std::min(at + kLetGoAtOnce, kept.size()));
    if (auto ok = co_await end_marks({from, to}); !ok) co_return ok;
  }
  co_return Result<void>{};
}

Task<Moved> Mover::move(std::vector<Row>& rows) {
  std::vector<std::size_t> all(rows.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  if (auto ok = co_await copy(rows, all); !ok) co_return std::unexpected(std::move(ok.error()));
  if (auto ok = co_await check(rows); !ok) co_return std::unexpected(std::move(ok.error()));
  if (auto ok = co_await renew(rows); !ok) co_return std::unexpected(std::move(ok.error()));

  Moved out;
  out.scanned = rows.size();
  std::vector<Key> outdated;
  std::vector<std::pair<Key, Digest>> ending;
  std::vector<Repeat> repeats;
  std::uint64_t going = 0;
  for (Row& row : rows) {
    Digest ends{};  // zeros: only the mark goes
    switch (judge(row.checked)) {
      case Verdict::kMoved:
        ++out.moved;
        break;
      case Verdict::kSuperseded:
        ++out.superseded;
        break;
      case Verdict::kChanged:
        ++out.changed;
        if (row.checked.outcome == UpsertOutcome::kStored ||
            row.checked.outcome == UpsertOutcome::kReplaced)
          outdated.push_back(row.key);
        break;
      case Verdict::kMismatch:
        ++out.errors;
        // No row's digest: it stays, and stays marked, so that this run does not take it again.
        ends.fill(0xff);
        Logger("memory.ageing")
            .error("a copy differs from what it should be; the memory stays where it is",
                   {{"system_id", row.key.system_id},
                    {"conversation_id", row.key.conversation_id},
                    {"tier", tier_name(target_.tier())}});
        break;
    }
    const Verdict verdict = judge(row.checked);
    if (verdict == Verdict::kMoved || verdict == Verdict::kSuperseded) {
      ends = row.checked.scanned;
      ++going;
      out.bytes += row.bytes;
      out.tenants.insert(row.key.tenant);
      if (originals_ != nullptr)
        std::ranges::move(repeats_of(row.kept), std::back_inserter(repeats));
    }
    ending.emplace_back(row.key, ends);
  }
  if (!outdated.empty()) {
    auto gone = co_await target_.delete_batch(std::move(outdated));
    if (!gone) co_return std::unexpected(std::move(gone.error()));
  }
  // First: until the row goes the source answers for its duplicates, from then on this.
  if (!repeats.empty()) {
    if (auto ok = co_await originals_->add(std::move(repeats)); !ok)
      co_return std::unexpected(std::move(ok.error()));
  }
  ASAHI_CO_TRY(const std::uint64_t gone, co_await source_.delete_migrated(std::move(ending)));
  // Changed in the last moment: their copies are older versions, which a search does not show.
  if (gone < going) {
    const std::uint64_t late = std::min(going - gone, out.moved);
    out.moved -= late;
    out.changed += late;
  }
  co_return out;
}

Task<void> Mover::copy(std::vector<Row>& rows, const std::vector<std::size_t>& which) {
  std::vector<Memory> memories;
  memories.reserve(which.size());
  for (const std::size_t i : which) memories.push_back(rows[i].kept);
  ASAHI_CO_TRY(const std::vector<UpsertOutcome> outcomes,
               co_await target_.upsert_batch(std::move(memories), {.deduplicate = false}));
  if (outcomes.size() != which.size())
    co_return fail(Errc::kCorrupt, "a store told of other rows than it was given");
  for (std::size_t i = 0; i < which.size(); ++i) rows[which[i]].checked.outcome = outcomes[i];
  co_return Result<void>{};
}

Task<void> Mover::check(std::vector<Row>& rows) {
  std::vector<Key> keys;
  keys.reserve(rows.size());
  for (const Row& row : rows) keys.push_back(row.key);
  ASAHI_CO_TRY(const auto below, co_await target_.checksum(keys));
  ASAHI_CO_TRY(const auto above, co_await source_.checksum(std::move(keys)));
  if (below.size() != rows.size() || above.size() != rows.size())
    co_return fail(Errc::kCorrupt, "a store told of other rows than it was asked");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i].checked.below = below[i];
    rows[i].checked.above = above[i];
  }
  co_return Result<void>{};
}

Task<void> Mover::renew(std::vector<Row>& rows) {
  // The content is what it was, but times or metadata are not: the copy of an earlier run that did
  // not get to its end, of a row that changed since. The source has the row, so nothing is lost.
  std::vector<std::size_t> which;
  std::vector<Key> keys;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (judge(rows[i].checked) != Verdict::kMismatch) continue;
    which.push_back(i);
    keys.push_back(rows[i].key);
  }
  if (which.empty()) co_return Result<void>{};
  auto gone = co_await target_.delete_batch(std::move(keys));
  if (!gone) co_return std::unexpected(std::move(gone.error()));
  if (auto ok = co_await copy(rows, which); !ok) co_return ok;
  co_return co_await check(rows);
}

Task<void> Mover::end_marks(const std::vector<Key>& keys) {
  std::vector<std::pair<Key, Digest>> ending;
  ending.reserve(keys.size());
  for (const Key& key : keys) ending.emplace_back(key, Digest{});
  auto ended = co_await source_.delete_migrated(std::move(ending));
  if (!ended) co_return std::unexpected(std::move(ended.error()));
  co_return Result<void>{};
}

}  // namespace asahi::memory::ageing
