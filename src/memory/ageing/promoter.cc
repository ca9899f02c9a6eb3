#include "memory/ageing/promoter.h"

#include <algorithm>
#include <utility>

#include "base/hash.h"
#include "base/log.h"
#include "memory/ageing/older_below.h"

namespace asahi::memory::ageing {

struct Promoter::Row {
  Memory memory;      ///< as the warm tier has it
  Digest checksum{};  ///< of that
  UpsertOutcome outcome = UpsertOutcome::kStored;
  std::optional<Memory> above;  ///< what the hot tier has of it now
  bool unchanged = false;       ///< the warm tier's is what it was
};

namespace {

enum class Verdict { kPromoted, kSuperseded, kChanged, kMismatch };

Verdict judge(const Memory& memory, const Digest& checksum, UpsertOutcome outcome,
              const std::optional<Memory>& above, bool unchanged) {
  // Erased while nobody held it: nothing is to be kept.
  if (!above || !unchanged) return Verdict::kChanged;
  if (row_checksum(*above) == checksum) return Verdict::kPromoted;
  // Its key stands for another's content up there, or a newer version was told.
  if (outcome == UpsertOutcome::kOlder || outcome == UpsertOutcome::kDuplicate ||
      above->timestamp > memory.timestamp)
    return Verdict::kSuperseded;
  // The same, said again by somebody: the hot tier has noted whom. Or it was there already: on both
  // sides, after a move that did not get to its end.
  if (above->content == memory.content && above->timestamp == memory.timestamp &&
      (outcome == UpsertOutcome::kUnchanged || above->embedding == memory.embedding))
    return Verdict::kPromoted;
  return Verdict::kMismatch;
}

std::uint64_t bytes_of(const Memory& memory) {
  return memory.content.size() + memory.metadata.size() + memory.embedding.size() * sizeof(float);
}

}  // namespace

Task<Promoted> Promoter::batch(std::vector<Key> keys) {
  Promoted out;
  if (keys.empty()) co_return out;
  const std::size_t limit = keys.size();
  ASAHI_CO_TRY(std::vector<Eligible> there,
               co_await warm_.scan_eligible({.limit = limit, .keys = std::move(keys)}));
  std::vector<Row> rows;
  std::vector<Eligible> refused;
  for (Eligible& one : there) {
    if (sha256(one.memory.content) == one.memory.content_hash) {
      rows.push_back({.memory = std::move(one.memory), .checksum = one.checksum, .above = {}});
    } else {
      refused.push_back(std::move(one));
    }
  }
  if (!refused.empty()) {
    if (auto ok = co_await end_summaries(std::move(refused), out); !ok)
      co_return std::unexpected(std::move(ok.error()));
  }
  if (rows.empty()) co_return out;
  auto moved = co_await move(rows);
  if (!moved) {
    std::vector<std::pair<Key, Digest>> ending;
    for (const Row& row : rows) ending.emplace_back(row.memory.key, Digest{});
    if (auto ended = co_await warm_.delete_migrated(std::move(ending)); !ended) {
      Logger("memory.ageing")
          .warning("rows stay marked until their lease ends", {{"error", ended.error().message}});
    }
    co_return std::unexpected(std::move(moved.error()));
  }
  moved->refused += out.refused;
  moved->superseded += out.superseded;
  co_return std::move(*moved);
}

Task<void> Promoter::end_summaries(std::vector<Eligible> summaries, Promoted& out) {
  std::vector<Key> keys;
  for (const Eligible& one : summaries) keys.push_back(one.memory.key);
  ASAHI_CO_TRY(const auto above, co_await hot_.get(std::move(keys)));
  if (above.size() != summaries.size())
    co_return fail(Errc::kCorrupt, "a store told of other rows than it was asked");
  std::vector<std::pair<Key, Digest>> ending;
  for (std::size_t i = 0; i < summaries.size(); ++i) {
    const Memory& memory = summaries[i].memory;
    // A way down that was cut after the copy, and whose row then was to stay: hot has the whole.
    const bool both =
        above[i] && above[i]->timestamp >= memory.timestamp &&
        (above[i]->timestamp > memory.timestamp || above[i]->content_hash == memory.content_hash);
    ++(both ? out.superseded : out.refused);
    ending.emplace_back(memory.key, both ? summaries[i].checksum : Digest{});
  }
  ASAHI_CO_TRY([[maybe_unused]] const auto gone, co_await warm_.delete_migrated(std::move(ending)));
  co_return Result<void>{};
}

Task<std::uint64_t> Promoter::end_older(std::vector<Row>& rows) {
  if (cold_ == nullptr) co_return std::uint64_t{0};
  std::vector<RowVersion> versions;
  for (const Row& row : rows) versions.push_back({row.memory.key, row.memory.timestamp});
  ASAHI_CO_TRY(const std::vector<bool> may_stay,
               co_await end_older_below({cold_}, std::move(versions)));
  std::vector<std::pair<Key, Digest>> ending;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!may_stay[i]) ending.emplace_back(rows[i].memory.key, Digest{});
  }
  const std::uint64_t left = ending.size();
  if (left == 0) co_return left;
  ASAHI_CO_TRY([[maybe_unused]] const auto ended, co_await warm_.delete_migrated(ending));
  std::erase_if(rows, [&](const Row& row) {
    return std::ranges::find(ending, row.memory.key, &std::pair<Key, Digest>::first) !=
           ending.end();
  });
  co_return left;
}

Task<Promoted> Promoter::move(std::vector<Row>& rows) {
  Promoted out;
  // Before they are known as kept: what stays hot never meets what is below.
  ASAHI_CO_TRY(out.refused, co_await end_older(rows));
  if (rows.empty()) co_return out;
  // First: what is hot and not known as kept would go down again the next night.
  std::vector<Key> keys;
  for (const Row& row : rows) keys.push_back(row.memory.key);
  if (auto ok = co_await hits_.keep(std::move(keys), clock_.now()); !ok)
    co_return std::unexpected(std::move(ok.error()));
  if (auto ok = co_await copy(rows); !ok) co_return std::unexpected(std::move(ok.error()));
  if (auto ok = co_await check(rows); !ok) co_return std::unexpected(std::move(ok.error()));
  std::vector<std::pair<Key, Digest>> ending, wrong;
  for (const Row& row : rows) {
    Digest ends{};  // zeros: only the mark goes
    switch (judge(row.memory, row.checksum, row.outcome, row.above, row.unchanged)) {
      case Verdict::kPromoted:
        ++out.promoted;
        ends = row.checksum;
        break;
      case Verdict::kSuperseded:
        ++out.superseded;
        ends = row.checksum;
        break;
      case Verdict::kChanged:
        ++out.changed;
        if (row.above && row.outcome == UpsertOutcome::kStored)
          wrong.emplace_back(row.memory.key, row_checksum(*row.above));
        break;
      case Verdict::kMismatch:
        ++out.errors;
        if (row.outcome == UpsertOutcome::kStored)
          wrong.emplace_back(row.memory.key, row_checksum(*row.above));
        Logger("memory.ageing")
            .error("a copy differs from what it should be; the memory stays where it is",
                   {{"system_id", row.memory.key.system_id},
                    {"conversation_id", row.memory.key.conversation_id},
                    {"tier", tier_name(hot_.tier())}});
        break;
    }
    if (ends != Digest{}) {
      out.bytes += bytes_of(row.memory);
      out.tenants.insert(row.memory.key.tenant);
    }
    ending.emplace_back(row.memory.key, ends);
  }
  // Copies of this run's making, if they are still what was read.
  if (!wrong.empty()) {
    auto gone = co_await hot_.delete_migrated(std::move(wrong));
    if (!gone) co_return std::unexpected(std::move(gone.error()));
  }
  auto gone = co_await warm_.delete_migrated(std::move(ending));
  if (!gone) co_return std::unexpected(std::move(gone.error()));
  co_return out;
}

Task<void> Promoter::copy(std::vector<Row>& rows) {
  std::vector<Memory> memories;
  memories.reserve(rows.size());
  for (const Row& row : rows) memories.push_back(row.memory);
  ASAHI_CO_TRY(const std::vector<UpsertOutcome> outcomes,
               co_await hot_.upsert_batch(std::move(memories), {.deduplicate = false}));
  if (outcomes.size() != rows.size())
    co_return fail(Errc::kCorrupt, "a store told of other rows than it was given");
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i].outcome = outcomes[i];
  co_return Result<void>{};
}

Task<void> Promoter::check(std::vector<Row>& rows) {
  std::vector<Key> keys;
  keys.reserve(rows.size());
  for (const Row& row : rows) keys.push_back(row.memory.key);
  ASAHI_CO_TRY(auto above, co_await hot_.get(keys));
  ASAHI_CO_TRY(const auto below, co_await warm_.checksum(std::move(keys)));
  if (above.size() != rows.size() || below.size() != rows.size())
    co_return fail(Errc::kCorrupt, "a store told of other rows than it was asked");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i].above = std::move(above[i]);
    rows[i].unchanged = below[i] == rows[i].checksum;
  }
  co_return Result<void>{};
}

Task<std::vector<bool>> left_behind(Hits& hits, Store& hot, const std::vector<Eligible>& warm) {
  std::vector<bool> left(warm.size(), false);
  std::vector<Key> keys;
  for (const Eligible& one : warm) keys.push_back(one.memory.key);
  ASAHI_CO_TRY(const std::set<Key> kept, co_await hits.kept(keys));
  if (kept.empty()) co_return left;
  std::vector<std::size_t> places;
  std::vector<Key> asked;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!kept.contains(keys[i])) continue;
    places.push_back(i);
    asked.push_back(keys[i]);
  }
  ASAHI_CO_TRY(const auto above, co_await hot.get(std::move(asked)));
  if (above.size() != places.size())
    co_return fail(Errc::kCorrupt, "a store told of other rows than it was asked");
  for (std::size_t i = 0; i < places.size(); ++i) left[places[i]] = above[i].has_value();
  co_return left;
}

}  // namespace asahi::memory::ageing
