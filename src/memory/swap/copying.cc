#include "memory/swap/copying.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/ids.h"
#include "memory/model/metadata.h"

namespace asahi::memory::swap {
namespace {

using Row = knowledge::MemoryFeed::Row;

/// No estimate of likeness reaches it: links stay as they are.
constexpr double kNeverNear = 2;
constexpr UpsertOptions kOwnRow{.deduplicate = false, .near_duplicate_threshold = kNeverNear};
constexpr UpsertOptions kRepeats{.deduplicate = true, .near_duplicate_threshold = kNeverNear};

bool says_the_same(const Memory& sent, const Memory& there) {
  return there.content == sent.content && there.content_hash == sent.content_hash &&
         there.timestamp == sent.timestamp && there.uploaded_at == sent.uploaded_at &&
         same_metadata(sent.metadata, there.metadata);
}

bool has_the_same_links(const Memory& sent, const Memory& there) {
  return there.fingerprint == sent.fingerprint && there.near_duplicate_of == sent.near_duplicate_of;
}

bool is_same(const Row& row, const Memory& there) {
  const Memory& sent = row.memory;
  if (!says_the_same(sent, there)) return false;
  // A duplicate's vector and links are its owner's.
  return row.duplicate || (has_the_same_links(sent, there) && there.embedding == sent.embedding &&
                           there.embedding_model == sent.embedding_model);
}

/// One writing of rows of one kind, looked at afterwards.
struct Written {
  std::vector<Row> wrong;  ///< that are not there as they should be
};

Task<Written> write(Store& to, std::vector<Row> rows, bool duplicates) {
  std::vector<Memory> memories;
  std::vector<Key> keys;
  for (const Row& row : rows) {
    memories.push_back(row.memory);
    keys.push_back(row.memory.key);
  }
  const UpsertOptions options = duplicates ? kRepeats : kOwnRow;
  ASAHI_CO_TRY(const std::vector<UpsertOutcome> outcomes,
               co_await to.upsert_batch(std::move(memories), options));
  ASAHI_CO_TRY(const std::vector<std::optional<Memory>> there, co_await to.get(std::move(keys)));
  if (outcomes.size() != rows.size() || there.size() != rows.size())
    co_return fail(Errc::kUpstream, "the store answered for another number of rows");
  Written written;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const bool kind = (outcomes[i] == UpsertOutcome::kDuplicate) == duplicates;
    if (!kind || !there[i] || !is_same(rows[i], *there[i]))
      written.wrong.push_back(std::move(rows[i]));
  }
  co_return written;
}

Task<void> erase(Store& to, const std::vector<Row>& rows) {
  std::vector<Key> keys;
  for (const Row& row : rows) keys.push_back(row.memory.key);
  ASAHI_CO_TRY([[maybe_unused]] const std::uint64_t gone,
               co_await to.delete_batch(std::move(keys)));
  co_return Result<void>{};
}

/// Rows of which only the vector is another (a new model): so what repeats them stays with them.
Task<std::vector<Row>> renew_vectors(Store& to, std::vector<Row> wrong) {
  std::vector<Key> keys;
  for (const Row& row : wrong) keys.push_back(row.memory.key);
  ASAHI_CO_TRY(const auto there, co_await to.get(std::move(keys)));
  std::vector<NewVector> vectors;
  for (std::size_t i = 0; i < wrong.size(); ++i) {
    const Memory& sent = wrong[i].memory;
    if (!there[i] || !says_the_same(sent, *there[i]) || !has_the_same_links(sent, *there[i]))
      continue;
    vectors.push_back({.key = sent.key,
                       .checksum = row_checksum(*there[i]),
                       .embedding = sent.embedding,
                       .model = sent.embedding_model});
  }
  if (vectors.empty()) co_return wrong;
  ASAHI_CO_TRY([[maybe_unused]] const auto replaced,
               co_await to.replace_vectors(std::move(vectors)));
  ASAHI_CO_TRY(Written again, co_await write(to, std::move(wrong), false));
  co_return std::move(again.wrong);
}

/// What the row of a key was before stands in the way of what it is now: it goes first.
Task<std::vector<Row>> renew(Store& to, std::vector<Row> wrong, bool duplicates) {
  if (auto gone = co_await erase(to, wrong); !gone) co_return std::unexpected(gone.error());
  ASAHI_CO_TRY(Written again, co_await write(to, std::move(wrong), duplicates));
  co_return std::move(again.wrong);
}

}  // namespace

Task<Applied> apply(Store& to, std::vector<Row> rows) {
  Applied done{.rows = rows.size()};
  std::vector<Row> own, repeats;
  for (Row& row : rows) (row.duplicate ? repeats : own).push_back(std::move(row));
  // What is repeated comes before what repeats it.
  for (const bool duplicates : {false, true}) {
    std::vector<Row>& part = duplicates ? repeats : own;
    if (part.empty()) continue;
    ASAHI_CO_TRY(Written first, co_await write(to, std::move(part), duplicates));
    if (first.wrong.empty()) continue;
    const std::size_t wrong = first.wrong.size();
    if (!duplicates) {
      ASAHI_CO_TRY(first.wrong, co_await renew_vectors(to, std::move(first.wrong)));
    }
    std::vector<Row> left;
    if (!first.wrong.empty()) {
      ASAHI_CO_TRY(left, co_await renew(to, std::move(first.wrong), duplicates));
    }
    done.repaired += wrong - left.size();
    if (left.empty()) continue;
    if (!duplicates) {
      co_return fail(Errc::kCorrupt,
                     fmt::format("{} rows are not what was written, also after they were made "
                                 "anew; the first is '{}' of the system '{}'",
                                 left.size(), left.front().memory.key.conversation_id,
                                 left.front().memory.key.system_id));
    }
    // What they repeat was written again behind them.
    if (auto gone = co_await erase(to, left); !gone) co_return std::unexpected(gone.error());
    done.early += left.size();
  }
  co_return done;
}

Task<std::vector<Key>> missing(Store& store, std::vector<Key> keys) {
  ASAHI_CO_TRY(const auto there, co_await store.checksum(keys));
  std::vector<Key> out;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!there[i]) out.push_back(std::move(keys[i]));
  }
  co_return out;
}

Task<void> probe(Store& store, std::size_t dimensions, const Clock& clock) {
  Memory sent;
  sent.key = {kProbeTenant, "probe", entity_id("probe_", clock.now())};
  sent.content = "Is this store able to keep a memory? " + sent.key.conversation_id;
  sent.content_hash = sha256(sent.content);
  sent.embedding.assign(std::max<std::size_t>(dimensions, 1), 0.0F);
  sent.embedding.front() = 1;
  sent.embedding_model = "probe";
  sent.timestamp = sent.uploaded_at = std::chrono::floor<std::chrono::milliseconds>(clock.now());
  const std::vector<Key> keys{sent.key};
  std::vector<Memory> memories{sent};
  ASAHI_CO_TRY([[maybe_unused]] const auto outcome,
               co_await store.upsert_batch(std::move(memories), kOwnRow));
  ASAHI_CO_TRY(const auto read, co_await store.get(keys));
  StoreQuery query;
  query.tenant = kProbeTenant;
  query.limit = 10;
  query.filter.system_ids = {sent.key.system_id};
  ASAHI_CO_TRY(const StorePage page, co_await store.search(std::move(query)));
  ASAHI_CO_TRY(const std::uint64_t gone, co_await store.delete_batch(keys));
  ASAHI_CO_TRY(const auto after, co_await store.get(keys));
  const Row row{.memory = sent, .duplicate = false};
  if (read.size() != 1 || !read.front() || !is_same(row, *read.front()))
    co_return fail(Errc::kUpstream, "the backend does not give back the row that it was given");
  if (std::ranges::find(page.hits, sent.key, &StoreHit::key) == page.hits.end())
    co_return fail(Errc::kUpstream, "the backend does not find the row that it was given");
  if (gone != 1 || after.size() != 1 || after.front())
    co_return fail(Errc::kUpstream, "the backend keeps a row that was erased");
  co_return Result<void>{};
}

}  // namespace asahi::memory::swap
