#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"
#include "base/task.h"
#include "gateway/routing/multifactor.h"
#include "gateway/routing/rules.h"
#include "storage/sql/database.h"

namespace asahi::gateway {

/// What an organisation says about routing: one row of `routing_rules`.
struct OrgRouting {
  RoutingRules rules;
  std::optional<ScoreWeights> weights;
  Clock::Time updated_at{};
  std::string updated_by;
  bool is_empty() const { return rules.empty() && !weights; }
};

/// What somebody thought of an answer. One per request: a later one replaces it.
struct Feedback {
  std::string org_id, request_id;
  std::string model, task_type;
  std::optional<bool> correct;
  std::optional<int> rating;  ///< 1 to 5
  /// 1: as good as can be, 0: useless.
  double value() const { return correct ? (*correct ? 1 : 0) : (rating.value_or(3) - 1) / 4.0; }
};

/// The part of an event that feedback is about.
struct FeedbackSubject {
  std::string model, task_type;
};

/// Rules, weights and feedback of all organisations, in SQL; rules and weights behind a cache in
/// the process. A change holds here at once, elsewhere after `forget`, at the latest after 60 s.
/// Thread-safe.
class RoutingStore {
 public:
  struct Options {
    std::chrono::milliseconds max_age{60'000};
    std::size_t max_orgs = 100'000;
    /// Tells the other replicas; may be null. Called on the loop that saved; must not block.
    std::function<void(const std::string& org)> publish;
  };
  /// `database` and `clock` outlive the store.
  RoutingStore(Options options, sql::Database& database, const Clock& clock);

  /// From memory; null: not known or too old, use `get`. One short lock.
  std::shared_ptr<const OrgRouting> try_get(std::string_view org) const;
  /// From memory or the database; while the database is away the last known hold on. An
  /// organisation without rules has empty ones. Errors: unavailable, timeout.
  Task<std::shared_ptr<const OrgRouting>> get(std::string org);

  struct Saved {
    OrgRouting now;
    std::optional<OrgRouting> before;
  };
  /// Reads, changes and writes in one transaction; `change` runs on a database thread, perhaps more
  /// than once. Durable, and in force in this process, when it returns.
  Task<Saved> change(std::string org, std::string by, std::function<void(OrgRouting&)> change);
  /// Forgets an organisation's, or all when `org` is empty.
  void forget(std::string_view org);

  /// The answered request that feedback is about; empty: there is none of this organisation.
  Task<std::optional<FeedbackSubject>> subject(std::string org, std::string request_id);
  Task<void> keep(Feedback feedback);

 private:
  struct Entry {
    std::shared_ptr<const OrgRouting> routing;
    Clock::Steady good_until;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };

  Options options_;
  sql::Database& database_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Entry, Hash, std::equal_to<>> entries_;
  std::uint64_t changes_ = 0;  ///< a slower read must not bring old rules back
};

}  // namespace asahi::gateway
