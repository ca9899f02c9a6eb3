#include "gateway/routing/routing_store.h"

#include <fmt/format.h>

#include <algorithm>

#include "gateway/analytics/search_index.h"

namespace asahi::gateway {
namespace {

sql::Statement select(const std::string& org) {
  return {
      "SELECT org_id, rules, weights, updated_at, updated_by FROM routing_rules WHERE org_id = ?",
      {org}};
}

sql::Statement upsert(const std::string& org, const OrgRouting& routing) {
  return {
      "INSERT INTO routing_rules (org_id, rules, weights, updated_at, updated_by) "
      "VALUES (?, ?, ?, ?, ?) ON CONFLICT (org_id) DO UPDATE SET rules = excluded.rules, "
      "weights = excluded.weights, updated_at = excluded.updated_at, "
      "updated_by = excluded.updated_by",
      {org, json::serialize(rules_json(routing.rules)),
       routing.weights ? sql::Value{json::serialize(weights_json(*routing.weights))} : sql::Value{},
       format_rfc3339(routing.updated_at), routing.updated_by}};
}

/// Empty: the organisation has no row.
Result<std::optional<OrgRouting>> routing_of(const sql::Rows& rows) {
  if (rows.empty()) return std::optional<OrgRouting>();
  const auto unreadable = [&](std::string_view what) {
    return fail(Errc::kCorrupt, fmt::format("the row of '{}' in routing_rules cannot be read: {}",
                                            rows.text(0, "org_id"), what));
  };
  OrgRouting routing;
  auto list = parse_json(rows.text(0, "rules"));
  if (!list) return unreadable(list.error().message);
  // Models come and go: names are looked up when rules are applied.
  RulesReading reading = read_rules(json::object{{"rules", std::move(*list)}}, nullptr);
  if (!reading.faults.empty()) return unreadable(reading.faults.front().message);
  routing.rules = std::move(reading.rules);
  if (!rows.is_null(0, "weights")) {
    auto stored = parse_json(rows.text(0, "weights"));
    if (!stored) return unreadable(stored.error().message);
    auto weights = read_weights(*stored);
    if (!weights) return unreadable(weights.error().message);
    routing.weights = *weights;
  }
  if (auto time = parse_rfc3339(rows.text(0, "updated_at"))) routing.updated_at = *time;
  routing.updated_by = rows.text(0, "updated_by");
  return std::optional(std::move(routing));
}

}  // namespace

RoutingStore::RoutingStore(Options options, sql::Database& database, const Clock& clock)
    : options_(std::move(options)), database_(database), clock_(clock) {}

std::shared_ptr<const OrgRouting> RoutingStore::try_get(std::string_view org) const {
  const auto now = clock_.steady_now();
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(org);
  return found == entries_.end() || now >= found->second.good_until ? nullptr
                                                                    : found->second.routing;
}

Task<std::shared_ptr<const OrgRouting>> RoutingStore::get(std::string org) {
  if (auto known = try_get(org)) co_return known;
  std::uint64_t changes = 0;
  {
    const std::scoped_lock lock(mutex_);
    changes = changes_;
  }
  auto rows = co_await database_.query(select(org));
  if (!rows) {
    // What is known holds a little longer, so that calls do not wait for the database one after the
    // other.
    constexpr auto kLonger = std::chrono::seconds(5);
    const std::scoped_lock lock(mutex_);
    const auto found = entries_.find(org);
    if (found == entries_.end()) co_return std::unexpected(std::move(rows.error()));
    found->second.good_until = clock_.steady_now() + kLonger;
    co_return found->second.routing;
  }
  ASAHI_CO_TRY(auto stored, routing_of(*rows));
  auto routing = std::make_shared<const OrgRouting>(stored ? std::move(*stored) : OrgRouting());
  const std::scoped_lock lock(mutex_);
  // Rules that changed while they were read are for this call only.
  if (changes_ == changes) {
    if (entries_.size() >= options_.max_orgs && !entries_.contains(org)) {
      entries_.erase(entries_.begin());
    }
    entries_[org] = {routing, clock_.steady_now() + options_.max_age};
  }
  co_return std::shared_ptr<const OrgRouting>(std::move(routing));
}

Task<RoutingStore::Saved> RoutingStore::change(std::string org, std::string by,
                                               std::function<void(OrgRouting&)> change) {
  auto saved = std::make_shared<Saved>();
  const Clock::Time now = clock_.now();
  auto done = co_await database_.transaction(
      [saved, org, by = std::move(by), now,
       change = std::move(change)](sql::Session& session) -> Result<void> {
        ASAHI_TRY(const sql::Rows rows, session.query(select(org)));
        ASAHI_TRY(saved->before, routing_of(rows));
        saved->now = saved->before.value_or(OrgRouting());
        change(saved->now);
        saved->now.updated_at = now;
        saved->now.updated_by = by;
        auto written = session.query(upsert(org, saved->now));
        if (!written) return std::unexpected(std::move(written.error()));
        return {};
      });
  if (!done) co_return std::unexpected(std::move(done.error()));
  forget(org);
  if (options_.publish) options_.publish(org);
  co_return std::move(*saved);
}

void RoutingStore::forget(std::string_view org) {
  const std::scoped_lock lock(mutex_);
  ++changes_;
  // Kept for a database that is away, but read again first.
  if (const auto found = entries_.find(org); found != entries_.end())
    found->second.good_until = Clock::Steady{};
  if (!org.empty()) return;
  for (auto& [name, entry] : entries_) entry.good_until = Clock::Steady{};
}

Task<std::optional<FeedbackSubject>> RoutingStore::subject(std::string org,
                                                           std::string request_id) {
  ASAHI_CO_TRY(const std::vector<std::int64_t> ids,
               co_await analytics::rows_of_request(database_, org, request_id));
  if (ids.empty()) co_return std::optional<FeedbackSubject>();
  sql::Statement latest{
      fmt::format("SELECT model_selected, task_type FROM inference_events WHERE {} AND org_id = ? "
                  "AND request_id = ? AND event_type = 'inference' ORDER BY timestamp DESC LIMIT 1",
                  analytics::among_ids(database_.dialect())),
      {analytics::list_of_ids(database_.dialect(), ids), org, request_id}};
  ASAHI_CO_TRY(const sql::Rows rows, co_await database_.query(std::move(latest)));
  if (rows.empty()) co_return std::optional<FeedbackSubject>();
  co_return std::optional(FeedbackSubject{.model = rows.text(0, "model_selected"),
                                          .task_type = rows.text(0, "task_type")});
}

Task<void> RoutingStore::keep(Feedback feedback) {
  auto done = co_await database_.query(
      {"INSERT INTO routing_feedback (org_id, request_id, model, task_type, correct, rating, "
       "created_at) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (org_id, request_id) DO UPDATE SET "
       "correct = excluded.correct, rating = excluded.rating, created_at = excluded.created_at",
       {feedback.org_id, feedback.request_id, feedback.model, feedback.task_type,
        feedback.correct ? sql::Value{static_cast<std::int64_t>(*feedback.correct)} : sql::Value{},
        feedback.rating ? sql::Value{static_cast<std::int64_t>(*feedback.rating)} : sql::Value{},
        format_rfc3339(clock_.now())}});
  if (!done) co_return std::unexpected(std::move(done.error()));
  co_return Result<void>{};
}

}  // namespace asahi::gateway
