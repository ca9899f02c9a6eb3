#pragma once

#include <boost/asio/thread_pool.hpp>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "gateway/analytics/sums.h"
#include "storage/sql/database.h"

namespace asahi::gateway::analytics {

/// What sums are told apart by. Each is kept as rollups of its own, so that a busy installation of
/// many users does not multiply with its models and tasks.
enum class Dimension {
  kNone,  ///< one sum
  kModel,
  kTaskType,
  kUser,
  kApiKey,
  kTier,  ///< "0" (miss) to "3"
  kProvider,
  kModelTask,  ///< "model\x1ftask"
  kErrorCode,
  kMode,  ///< routing mode
};

/// Minutes are kept for two days, hours for 100 days, days until retention. Users and API keys are
/// told apart by hours (kept for eight days) and days only. `from` and `to` are therefore rounded
/// down to the finest that is kept at their time; a `to` within the current minute (hour, for users
/// and keys) takes all of it in. What is wider than `step` counts in the bucket in which it starts.
/// Latency histograms are left out (empty) of users, API keys, model-tasks and error codes.
struct SumsQuery {
  std::string org_id;
  Clock::Time from, to;  ///< [from, to)
  Dimension by = Dimension::kNone;
  /// Only this key of `by` (a model, a user …); by must not be kNone.
  std::optional<std::string> key;
  /// Width of the buckets answered, a whole number of minutes; 0: one bucket. The grain of the
  /// rollups read is the widest that divides it and meets `from` and `to`.
  std::chrono::seconds step{0};
  /// At most so many keys (the dearest of users and API keys are found without adding up all the
  /// others, which are then everything but these), those with the highest cost (then by name); the
  /// rest is summed as the key "other".
  std::size_t max_keys = 1'000;
};

struct Bucket {
  Clock::Time start;
  std::string key;  ///< empty for kNone, and for events that lack one
  Sums sums;
};

/// How many requests there were, and what they cost.
struct Use {
  std::int64_t requests = 0;
  NanoUsd cost;
  bool operator==(const Use&) const = default;
};
using UseByError = std::map<std::string, Use>;  ///< by error code; empty: answered

/// One row of `inference_events`, newest first.
struct EventsQuery {
  std::string org_id;
  std::optional<Clock::Time> from, to;  ///< [from, to)
  std::string model, task_type, user_id, api_key_prefix, provider, error_code,
      request_id;  ///< exact; empty: any
  std::optional<bool> cache_hit;
  std::optional<int> cache_tier;
  std::optional<bool> failed;
  /// Words that all occur (each as a prefix) in request id, user, model, task, provider, routing
  /// reason or error code.
  std::string text;
  std::size_t limit = 50;  ///< 1 to 500
  std::string cursor;      ///< of the page before; empty: the first
};
struct EventsPage {
  std::vector<InferenceEvent> events;
  std::string next_cursor;  ///< empty: nothing follows
};

/// Reads what the event loader wrote. Every answer is of one organisation. Thread-safe. Errors:
/// those of the database; invalid_argument for a cursor that is not one.
class Store {
 public:
  explicit Store(sql::Database& database, const Clock& clock)
      : database_(database), clock_(clock) {}
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  /// Buckets by start, then key; those without events are left out.
  Task<std::vector<Bucket>> sums(SumsQuery query) const;
  /// What an organisation used from `from` on, to the event. Rows are read only of the hour (of the
  /// last two days: minute) that `from` cuts, and while rollups still lack old rows. Sums stay when
  /// their rows go (erasure of a user).
  Task<UseByError> use_since(std::string org_id, Clock::Time from) const;
  Task<EventsPage> events(EventsQuery query) const;
  /// One event. Errors: not_found.
  Task<InferenceEvent> event(std::string org_id, std::string request_id) const;

 private:
  Result<std::vector<Bucket>> read_sums(const SumsQuery& query, Clock::Time now) const;
  Result<UseByError> read_use(const std::string& org_id, Clock::Time from) const;
  Result<EventsPage> read_events(const EventsQuery& query) const;

  sql::Database& database_;
  const Clock& clock_;
  /// Thousands of rollups are added up beside the loops, not on them.
  mutable boost::asio::thread_pool threads_{2};
};

}  // namespace asahi::gateway::analytics
