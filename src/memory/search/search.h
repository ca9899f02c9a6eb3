#pragma once

#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "llm/embed/text_embedder.h"
#include "memory/model/store.h"
#include "memory/search/epochs.h"
#include "memory/search/frequent.h"
#include "memory/search/request.h"
#include "memory/search/tiers.h"
#include "storage/cache/store.h"

namespace asahi::memory {

struct SearchOptions {
  SearchLimits limits;
  std::chrono::milliseconds tier_timeout{5'000};  ///< AKOSHA_QUERY_SHARD_TIMEOUT
  /// Of the cold tier, whose files are read; the request's own may be less.
  std::chrono::milliseconds cold_timeout{60'000};
  HotFallback hot_fallback = HotFallback::kWarm;  ///< AKOSHA_HOT_FALLBACK
  float semantic_threshold = 0.7F;                ///< where a semantic search names none
  bool cache = true;
  std::chrono::seconds l1_ttl{300};
  std::chrono::seconds l2_ttl{3600};
};

/// What became of searches, for metrics: called once for each on its loop.
struct SearchObserver {
  virtual ~SearchObserver() = default;
  virtual void searched(std::string_view tenant, SearchMode mode, std::string_view cache, bool ok,
                        std::chrono::nanoseconds took) = 0;
  /// One that no cache answered: results on its page, tiers asked, tiers left out.
  virtual void found(SearchMode mode, std::size_t results, std::size_t asked,
                     std::size_t left_out) {
    static_cast<void>(mode), static_cast<void>(results);
    static_cast<void>(asked), static_cast<void>(left_out);
  }
};

/// Told which memories searches that somebody asked give back, on their loops; must not wait.
struct HitObserver {
  virtual ~HitObserver() = default;
  /// The page of an answer that was looked for; `answer` names it while a cache may keep it, empty:
  /// none does.
  virtual void returned(const std::string& answer, std::vector<Key> keys) = 0;
  /// The same answer out of a cache.
  virtual void returned_again(const std::string& answer) = 0;
};

/// Answers searches over the tiers (spec/memory §5): from a cache in this process, from one that is
/// shared, else by asking all wanted tiers at once. A tier that fails or is late is left out and
/// named (`partial`); when all of them do, the next colder one is asked in their place (tiers.h).
/// Any loop.
class Search {
 public:
  struct Parts {
    Store* hot = nullptr;  ///< null: no such tier here
    Store* warm = nullptr;
    Store* cold = nullptr;
    llm::TextEmbedder& embedder;
    cache::Store& l1;
    cache::Store* l2 = nullptr;
    /// Where this process keeps replies for GET /search/{query_id}: not among its cached searches,
    /// which each of them would push one out of. `l2` gets them, too, for the other processes.
    cache::Store& replies;
    Epochs& epochs;
    const Clock& clock;
    SearchObserver* observer = nullptr;
    HitObserver* hits = nullptr;  ///< null: nobody counts what is found
  };
  Search(Parts parts, SearchOptions options);

  /// The reply of POST /search as JSON. Errors: unavailable when no tier answered, timeout, those
  /// of the embedder in semantic mode (a hybrid search goes on without the vector, and says so).
  Task<std::string> search(Reach reach, SearchRequest request);
  /// The reply that had this id; not_found when it is forgotten, another tenant's, one made for
  /// another reach, or of before something was erased.
  Task<std::string> reply(Reach reach, std::string query_id);
  /// Sees to it that the caches have the answer of a search that was asked before, with the rights
  /// of who asked it (`filter.systems_allowed`); whether it had to be looked for. Counted as
  /// nobody's search. Errors: as `search`; invalid_argument where answers are not cached.
  Task<bool> refill(std::string tenant, SearchRequest request);
  /// What is asked most.
  FrequentSearches& frequent() { return frequent_; }
  /// Memories of the tenant were erased: no answer of before is given again, in any process. Where
  /// the shared cache is away, the others give theirs until they are forgotten.
  Aw<void> erased(std::string tenant);
  /// Drops everything that the caches hold of a tenant.
  Task<void> purge(std::string tenant);

  struct CacheCounts {
    std::uint64_t l1 = 0, l2 = 0, misses = 0;
  };
  CacheCounts cache_counts() const;
  SearchOptions options() const {
    const std::scoped_lock lock(options_mutex_);
    return options_;
  }
  /// From the next search on.
  void set_options(SearchOptions options) {
    const std::scoped_lock lock(options_mutex_);
    options_ = std::move(options);
  }

 private:
  /// How a search is found again.
  struct Name {
    std::string id;   ///< the same for requests that must have the same answer
    std::string key;  ///< of its answer in the caches, as things stand
  };

  /// `page`: gets the keys of the memories that somebody is given, where they are counted; null:
  /// nobody asks, and no observer is told.
  Task<std::string> answer(Reach reach, const SearchRequest& request, std::vector<Key>* page);
  Task<TierAnswers> ask_tiers(StoreQuery query, const SearchRequest& request,
                              std::chrono::steady_clock::time_point deadline);
  /// Takes out versions that a hotter tier has others of, be they found or not: what the hottest
  /// says counts. How many. Nobody can tell of the tiers that `failed`: the reply says that it is
  /// not whole.
  Aw<std::uint64_t> drop_superseded(std::vector<StoreHit>& hits, const std::vector<Tier>& failed);
  Aw<std::optional<std::string>> cached(const std::string& key, std::string_view& level);
  Aw<void> keep(const std::string& key, std::string body);
  /// Into the shared cache, once the answer is on its way.
  void share(std::string key, std::shared_ptr<const std::string> bytes);
  Aw<Name> name_of(const std::string& tenant, const SearchRequest& request);
  std::string wrap(const std::string& query_id, std::string_view level,
                   std::chrono::nanoseconds took, std::string_view body) const;

  Parts parts_;
  mutable std::mutex options_mutex_;
  SearchOptions options_;  ///< under its mutex
  std::atomic<std::uint64_t> l1_hits_{0}, l2_hits_{0}, misses_{0};
  /// Writes to the shared cache under way. Outlives the search with those.
  std::shared_ptr<std::atomic<std::size_t>> sharing_ = std::make_shared<std::atomic<std::size_t>>();
  FrequentSearches frequent_;
};

}  // namespace asahi::memory
