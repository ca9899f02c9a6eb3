#include "memory/cold/store.h"

#include <algorithm>

namespace asahi::memory::cold {

namespace {

constexpr std::uint64_t kKeptAnswers = 8ULL << 20;  ///< bytes

/// All of them, or the first error.
Result<std::vector<std::optional<Memory>>> together(
    std::vector<Result<std::optional<Memory>>> results) {
  std::vector<std::optional<Memory>> out;
  for (auto& result : results) {
    if (!result) return std::unexpected(std::move(result.error()));
    out.push_back(*std::move(result));
  }
  return out;
}

/// Of two processes that change the catalogue at a time one begins again.
template <class Change>
auto with_retries(Change change) {
  constexpr int kTries = 5;
  auto done = change();
  for (int i = 1; i < kTries && !done && done.error().code == Errc::kConflict; ++i) done = change();
  return done;
}

}  // namespace

ColdStore::ColdStore(ColdTier& tier, unsigned threads, std::size_t max_waiting)
    : tier_(tier),
      most_(threads + max_waiting),
      shared_(kKeptAnswers),
      searches_(threads),
      lookups_(threads),
      changes_(threads) {}

ColdStore::~ColdStore() {
  for (Turns* const turns : {&searches_, &lookups_, &changes_}) turns->pool.join();
}

Task<std::vector<UpsertOutcome>> ColdStore::upsert_batch(std::vector<Memory> memories,
                                                         UpsertOptions /*options*/) {
  auto work = [this, memories = std::move(memories)]() mutable {
    return tier_.upsert(std::move(memories));
  };
  co_return co_await run(changes_, std::move(work));
}

Task<std::vector<std::optional<Memory>>> ColdStore::get(std::vector<Key> keys) {
  auto work = [this, keys = std::move(keys)]() -> Result<std::vector<std::optional<Memory>>> {
    if (auto known = tier_.refresh(); !known) return std::unexpected(std::move(known.error()));
    return together(tier_.get(keys));
  };
  co_return co_await run(lookups_, std::move(work));
}

Task<std::uint64_t> ColdStore::delete_batch(std::vector<Key> keys) {
  auto work = [this, keys = std::move(keys)] {
    return with_retries([&] { return tier_.erase(keys); });
  };
  co_return co_await run(changes_, std::move(work));
}

Task<std::uint64_t> ColdStore::delete_system(std::string tenant, std::string system_id) {
  auto work = [this, tenant = std::move(tenant), system_id = std::move(system_id)] {
    return with_retries([&] { return tier_.erase_system(tenant, system_id); });
  };
  co_return co_await run(changes_, std::move(work));
}

Task<ColdPage> ColdStore::search_all(StoreQuery query) {
  auto patience = tier_.options().search_budget;
  if (query.patience) patience = std::min(patience, *query.patience);
  const auto deadline = tier_.clock().steady_now() + patience;
  auto known = co_await run(lookups_, [this] { return tier_.refresh(); });
  if (!known) co_return std::unexpected(std::move(known.error()));
  std::string key = search_key(query, tier_.version(query.tenant));
  const auto answer =
      co_await shared_.ask(std::move(key), [this, &query, deadline]() -> Task<ColdPage> {
        auto work = [this, asks = query, deadline]() mutable {
          return tier_.search(std::move(asks), deadline);
        };
        co_return co_await run(searches_, std::move(work));
      });
  co_return *answer;
}

Task<StorePage> ColdStore::search(StoreQuery query) {
  ASAHI_CO_TRY(ColdPage found, co_await search_all(std::move(query)));
  found.page.partial = !found.complete;
  for (const Unread& unread : found.unread)
    found.page.unread.push_back(unread.key + ": " + unread.error.message);
  co_return std::move(found.page);
}

Task<std::vector<Eligible>> ColdStore::scan_eligible(ScanQuery /*wanted*/) {
  co_return std::vector<Eligible>{};
}

Task<std::uint64_t> ColdStore::replace_vectors(std::vector<NewVector> /*rows*/) {
  co_return fail(Errc::kUnavailable, "memories of the cold tier keep the vectors they have");
}

Task<std::map<std::string, std::uint64_t>> ColdStore::models(std::string /*tenant*/) {
  co_return fail(Errc::kUnavailable, "the models of cold files are not counted");
}

Task<std::uint64_t> ColdStore::delete_migrated(std::vector<std::pair<Key, Digest>> rows) {
  auto work = [this, rows = std::move(rows)]() -> Result<std::uint64_t> {
    std::vector<Key> keys;
    for (const auto& [key, digest] : rows) keys.push_back(key);
    ASAHI_TRY(const auto memories, together(tier_.get(keys)));
    std::vector<Key> same;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (memories[i] && row_checksum(*memories[i]) == rows[i].second) same.push_back(keys[i]);
    }
    return with_retries([&] { return tier_.erase(same); });
  };
  co_return co_await run(changes_, std::move(work));
}

Task<std::vector<std::optional<Digest>>> ColdStore::checksum(std::vector<Key> keys) {
  auto work = [this, keys = std::move(keys)]() -> Result<std::vector<std::optional<Digest>>> {
    ASAHI_TRY(const auto memories, together(tier_.get(keys)));
    std::vector<std::optional<Digest>> out;
    for (const auto& memory : memories) {
      out.push_back(memory ? std::optional(row_checksum(*memory)) : std::nullopt);
    }
    return out;
  };
  co_return co_await run(lookups_, std::move(work));
}

Task<TierStats> ColdStore::stats(std::string tenant) {
  auto work = [this, tenant = std::move(tenant)]() -> Result<TierStats> {
    if (auto known = tier_.refresh(); !known) return std::unexpected(std::move(known.error()));
    return tier_.stats(tenant);
  };
  co_return co_await run(lookups_, std::move(work));
}

Task<std::vector<HeldFile>> ColdStore::snapshot(std::string folder, HeldSums held) {
  auto work = [this, folder = std::move(folder), held = std::move(held)] {
    return tier_.snapshot(folder, held);
  };
  co_return co_await run(changes_, std::move(work));
}

Task<Compacted> ColdStore::compact(std::chrono::milliseconds budget) {
  auto work = [this, budget] {
    return with_retries([&] { return tier_.compact(tier_.clock().steady_now() + budget); });
  };
  co_return co_await run(changes_, std::move(work));
}

Task<Compacted> ColdStore::tidy(std::chrono::milliseconds budget) {
  auto work = [this, budget] {
    return with_retries([&] { return tier_.tidy(tier_.clock().steady_now() + budget); });
  };
  co_return co_await run(changes_, std::move(work));
}

Task<Expired> ColdStore::expire(std::string tenant, Clock::Time before, bool only_count) {
  auto work = [this, tenant = std::move(tenant), before, only_count] {
    return with_retries([&] { return tier_.expire(tenant, before, only_count); });
  };
  co_return co_await run(changes_, std::move(work));
}

}  // namespace asahi::memory::cold
