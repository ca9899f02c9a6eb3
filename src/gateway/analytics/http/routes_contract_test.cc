// Every analytics route on every engine: its numbers are those of a count over the same events.
#include "gateway/analytics/http/routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <thread>

#include "base/ids.h"
#include "gateway/analytics/http/params.h"
#include "gateway/analytics/testing/events.h"
#include "gateway/events/loader.h"
#include "gateway/migrations/migrations.h"
#include "gateway/testing/loop.h"
#include "gateway/testing/temp_folder.h"
#include "identity/principal.h"
#include "storage/sql/migrations.h"
#include "storage/sql/testing/database_test.h"

namespace asahi::gateway::analytics {
namespace {

using namespace std::chrono_literals;
using sql::testing::Engine;
using ::testing::HasSubstr;

const Clock::Time kNow = testing::at("2026-11-22T10:20:30Z");

struct Reply {
  int status = 0;
  std::string body;

  json::object object() const {
    const auto parsed = parse_json(body);
    EXPECT_TRUE(parsed && parsed->is_object()) << body;
    return parsed && parsed->is_object() ? parsed->as_object() : json::object();
  }
  json::object data() const {
    EXPECT_EQ(status, 200) << body;
    const json::object whole = object();
    const json::value* data = whole.if_contains("data");
    EXPECT_TRUE(data != nullptr && data->is_object()) << body;
    return data != nullptr && data->is_object() ? data->get_object() : json::object();
  }
  json::array list() const {
    EXPECT_EQ(status, 200) << body;
    const json::object whole = object();
    const json::value* data = whole.if_contains("data");
    EXPECT_TRUE(data != nullptr && data->is_array()) << body;
    return data != nullptr && data->is_array() ? data->get_array() : json::array();
  }
  std::string field() const {
    const json::object whole = object();
    const json::value* details = whole.if_contains("details");
    if (details == nullptr || !details->is_object()) return "";
    const json::value* field = details->get_object().if_contains("field");
    return field == nullptr ? "" : std::string(field->as_string());
  }
};

double number(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  EXPECT_TRUE(value != nullptr && value->is_number()) << name;
  return value != nullptr && value->is_number() ? value->to_number<double>() : -1;
}

class AnalyticsRoutesContract : public sql::testing::DatabaseTest {
 protected:
  void SetUp() override {
    if (!open_database(migrations())) return;
    store_ = std::make_unique<Store>(*db_, clock_);
    policies_ = std::make_unique<PolicyStore>(PolicyStore::Options{}, *db_, clock_);
    caller_->org_id = "acme";
    caller_->permissions = identity::PermissionSet::organisation();
    add_analytics_routes(router_, {.store = *store_,
                                   .policies = *policies_,
                                   .feed = feed_,
                                   .clock = clock_,
                                   .baseline_model = "gpt-4-turbo",
                                   .tiers = {false, true, true, false},
                                   .settle = nullptr});
  }

  Reply call(const std::string& target) {
    return loops_.wait_for([&]() -> Aw<Reply> {
      http::Request request;
      request.target = target;
      const std::size_t question = target.find('?');
      request.path = target.substr(0, question);
      if (question != std::string::npos) request.query = target.substr(question + 1);
      CancelSource cancel;
      const auto match = router_.match(http::Method::kGet, request.path);
      if (match.route == nullptr) co_return Reply{.status = 404, .body = "no route"};
      http::Context context{.request = request,
                            .loop = loops_.loop(),
                            .cancel = cancel,
                            .deadline = std::chrono::steady_clock::time_point::max(),
                            .received = {},
                            .request_id = "req_1",
                            .client_request_id = {},
                            .path_params = match.params,
                            .route = match.route->pattern,
                            .caller = caller_,
                            .reply_headers = {}};
      http::Response response = co_await match.route->handler(context);
      co_return Reply{.status = response.status, .body = std::move(response.body)};
    });
  }

  /// Of all kinds, `back` before now.
  InferenceEvent any(std::chrono::seconds back, const std::string& org = "acme") {
    const auto pick = [&](auto... of) {
      const std::array<std::string, sizeof...(of)> all{of...};
      return all[random_() % all.size()];
    };
    InferenceEvent event = testing::answered(kNow - back);
    event.event_id = make_ulid(event.timestamp);
    event.request_id = random_id("req_", 12);
    event.org_id = org;
    event.model_selected = pick("gpt-4o", "gpt-4o-mini", "claude-3-haiku", "модель");
    event.task_type = pick("faq", "coding", "");
    event.user_id = pick("ann", "Ёлка Иванова", "");
    event.api_key_prefix = pick("ask_12345678", "");
    event.cost = {static_cast<std::int64_t>(random_() % 90'000'000)};
    event.baseline_cost = {event.cost.nanos + static_cast<std::int64_t>(random_() % 90'000'000)};
    event.latency_ms = static_cast<double>(1 + random_() % 4'000);
    event.input_tokens = static_cast<std::int64_t>(random_() % 2'000);
    if (random_() % 2 == 0) event.hallucination = random_() % 3 == 0;
    if (random_() % 3 == 0) {
      event.hallucination.reset();
      event.cache_hit = true;
      event.cache_tier = 1 + static_cast<int>(random_() % 2);
      event.cost = {};
      event.input_tokens = event.output_tokens = 0;
    } else if (random_() % 10 == 0) {
      event.error_code = "timeout";
      event.event_type = "error";
      event.cost = event.baseline_cost = {};
    }
    return event;
  }
  /// `count` of them over `span`, and as many of another organisation.
  void fill(int count, std::chrono::seconds span) {
    for (int i = 0; i < count; ++i) {
      const std::chrono::seconds back(
          static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(span.count())));
      events_.push_back(any(back));
      others_.push_back(any(back, "globex"));
    }
    load();
  }
  void load() {
    std::string lines;
    for (const auto* all : {&events_, &others_}) {
      for (const InferenceEvent& event : *all) {
        append_json(lines, event);
        lines += '\n';
      }
    }
    {
      auto log = EventLog::open(folder_.path(), clock_);
      ASSERT_TRUE(log);
      ASSERT_TRUE(log->append(lines));
    }
    EventLoader loader({.dir = folder_.path(), .node_id = "node_1", .clock = &clock_}, *db_);
    loader.start();
    ASSERT_TRUE(loader.catch_up(60s));
    while (!loader.rollups_complete()) std::this_thread::sleep_for(1ms);
  }

  /// Those that lie in a reply's window.
  std::vector<InferenceEvent> inside(const json::object& window) {
    const auto from = testing::at(window.at("from").as_string());
    const auto to = testing::at(window.at("to").as_string());
    std::vector<InferenceEvent> found;
    for (const InferenceEvent& event : events_) {
      if (event.timestamp >= from && event.timestamp < to) found.push_back(event);
    }
    EXPECT_FALSE(found.empty());
    return found;
  }
  static double cost_of(const std::vector<InferenceEvent>& events) {
    NanoUsd sum;
    for (const InferenceEvent& event : events) sum += event.cost;
    return shown_dollars(sum);
  }
  static std::int64_t hits_of(const std::vector<InferenceEvent>& events) {
    return std::ranges::count(events, true, &InferenceEvent::cache_hit);
  }

  ManualClock clock_{kNow};
  gateway::testing::TempFolder folder_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<PolicyStore> policies_;
  EventFeed feed_{{}, clock_};
  gateway::testing::Loops loops_;
  std::shared_ptr<identity::Principal> caller_ = std::make_shared<identity::Principal>();
  http::Router router_;
  std::mt19937 random_{7};
  std::vector<InferenceEvent> events_, others_;
};

INSTANTIATE_TEST_SUITE_P(Engines, AnalyticsRoutesContract,
                         ::testing::Values(Engine::kSqliteFile, Engine::kPostgres),
                         sql::testing::engine_name);

constexpr const char* kPaths[] = {"cost-breakdown",
                                  "trends",
                                  "forecast",
                                  "anomalies",
                                  "recommendations",
                                  "cache-performance",
                                  "latency-percentiles",
                                  "cost-summary",
                                  "recent-inferences",
                                  "requests",
                                  "baseline",
                                  "top-cost-drivers",
                                  "overview",
                                  "savings",
                                  "models",
                                  "leaderboard",
                                  "cache",
                                  "latency"};

TEST_P(AnalyticsRoutesContract, AnEmptySystemAnswersEveryRouteWithZeros) {
  for (const std::string path : kPaths) {
    for (const std::string prefix : {"/analytics/", "/api/v1/analytics/"}) {
      const Reply reply = call(prefix + path);
      EXPECT_EQ(reply.status, 200) << path << reply.body;
      EXPECT_TRUE(reply.object().contains("data")) << path;
    }
  }
  EXPECT_EQ(number(call("/analytics/cost-breakdown").data(), "total_cost"), 0);
  EXPECT_TRUE(call("/analytics/anomalies").list().empty());
  EXPECT_TRUE(call("/analytics/recent-inferences").list().empty());
  const json::object forecast = call("/analytics/forecast").data();
  EXPECT_EQ(forecast.at("trend"), "stable");
  EXPECT_TRUE(forecast.at("warning").is_string());
  EXPECT_TRUE(forecast.at("budget_risk").is_null());
  EXPECT_EQ(number(call("/analytics/latency-percentiles").data(), "p99"), 0);
}

TEST_P(AnalyticsRoutesContract, OnePointIsEnoughForEveryRoute) {
  events_.push_back(any(10min));
  load();
  for (const std::string path : kPaths) {
    const Reply reply = call("/analytics/" + path);
    EXPECT_EQ(reply.status, 200) << path << reply.body;
  }
  EXPECT_EQ(
      number(call("/analytics/overview?period=7d").data().at("current").as_object(), "requests"),
      1);
}

TEST_P(AnalyticsRoutesContract, CostsByEveryKeyAddUpToTheEvents) {
  fill(400, 29 * 24h);
  const std::map<std::string, std::function<std::string(const InferenceEvent&)>> keys = {
      {"model", [](const InferenceEvent& event) { return event.model_selected; }},
      {"task_type", [](const InferenceEvent& event) { return event.task_type; }},
      {"user", [](const InferenceEvent& event) { return event.user_id; }},
      {"tier", [](const InferenceEvent& event) { return std::to_string(event.cache_tier); }},
      {"api_key", [](const InferenceEvent& event) { return event.api_key_prefix; }}};
  for (const auto& [group, key_of] : keys) {
    for (const std::string period : {"day", "week", "month"}) {
      const json::object data =
          call("/analytics/cost-breakdown?group_by=" + group + "&period=" + period).data();
      std::map<std::string, NanoUsd> expected;
      const auto events = inside(data);
      for (const InferenceEvent& event : events) {
        const std::string key = key_of(event);
        expected[key.empty() ? "unknown" : key] += event.cost;
      }
      const json::object costs = data.at("breakdown").as_object();
      EXPECT_EQ(costs.size(), expected.size()) << group << period;
      double before = 1e9;
      for (const auto& item : data.at("items").as_array()) {
        const std::string key(item.as_object().at("key").as_string());
        const double cost = number(item.as_object(), "cost");
        EXPECT_EQ(cost, shown_dollars(expected[key])) << group << " " << key;
        EXPECT_EQ(cost, number(costs, key));
        EXPECT_LE(cost, before);
        before = cost;
      }
      EXPECT_EQ(number(data, "total_cost"), cost_of(events));
      EXPECT_EQ(number(data, "total_requests"), static_cast<double>(events.size()));
    }
  }
}

TEST_P(AnalyticsRoutesContract, TrendsCountEachBucket) {
  fill(300, 6 * 24h);
  for (const std::string query : {"period=day&intervals=24", "period=day&intervals=7",
                                  "period=hour&intervals=1000", "period=week&intervals=30"}) {
    const json::object data = call("/analytics/trends?metric=requests&" + query).data();
    const json::array points = data.at("points").as_array();
    const auto to = testing::at(data.at("to").as_string());
    std::vector<Clock::Time> starts;
    for (const auto& point : points)
      starts.push_back(testing::at(point.as_object().at("timestamp").as_string()));
    starts.push_back(to);
    // A bucket holds the minutes (hours) that begin in it.
    const auto unit =
        query.starts_with("period=week") ? std::chrono::seconds(1h) : std::chrono::seconds(1min);
    for (std::size_t i = 0; i < points.size(); ++i) {
      const auto expected = std::ranges::count_if(events_, [&](const InferenceEvent& event) {
        const auto begins = floor_to(event.timestamp, unit);
        return begins >= starts[i] && begins < starts[i + 1];
      });
      EXPECT_EQ(number(points[i].as_object(), "value"), static_cast<double>(expected))
          << query << " " << i;
    }
  }
}

TEST_P(AnalyticsRoutesContract, TrendsByKeyAreLinesThatAddUp) {
  fill(200, 20h);
  const json::object data =
      call("/analytics/trends?metric=cost&intervals=12&group_by=model").data();
  const json::array whole = data.at("points").as_array();
  std::vector<double> sums(whole.size());
  for (const auto& line : data.at("series").as_array()) {
    const json::array points = line.as_object().at("points").as_array();
    ASSERT_EQ(points.size(), whole.size());
    for (std::size_t i = 0; i < points.size(); ++i)
      sums[i] += number(points[i].as_object(), "value");
  }
  for (std::size_t i = 0; i < whole.size(); ++i)
    EXPECT_NEAR(sums[i], number(whole[i].as_object(), "value"), 1e-5);
}

TEST_P(AnalyticsRoutesContract, FiguresOfTheCacheLatencyAndSavingsAreThoseOfTheEvents) {
  fill(300, 20h);
  const json::object cache = call("/analytics/cache-performance?period=day").data();
  const auto events = inside(cache);
  EXPECT_EQ(number(cache, "hits"), static_cast<double>(hits_of(events)));
  const auto lookups = std::ranges::count_if(
      events, [](const InferenceEvent& event) { return event.error_code.empty(); });
  EXPECT_EQ(number(cache, "lookups"), static_cast<double>(lookups));
  const auto of_tier = [&](int tier) {
    return std::ranges::count(events, tier, &InferenceEvent::cache_tier);
  };
  const json::object first = cache.at("tier_1").as_object();
  EXPECT_EQ(number(first, "hits"), static_cast<double>(of_tier(1)));
  EXPECT_EQ(number(first, "misses"), static_cast<double>(lookups - of_tier(1)));
  EXPECT_EQ(number(cache.at("tier_2").as_object(), "misses"),
            static_cast<double>(lookups - of_tier(1) - of_tier(2)));
  EXPECT_EQ(number(cache.at("tier_3").as_object(), "misses"), 0) << "tier 3 is off";

  std::vector<double> latencies;
  for (const InferenceEvent& event : events) {
    if (event.error_code.empty()) latencies.push_back(event.latency_ms);
  }
  std::ranges::sort(latencies);
  const json::object latency = call("/analytics/latency-percentiles?period=day").data();
  for (const auto& [name, p] : {std::pair("p50", 50), std::pair("p75", 75), std::pair("p90", 90),
                                std::pair("p95", 95), std::pair("p99", 99)}) {
    const auto rank =
        static_cast<std::size_t>(std::ceil(p / 100.0 * static_cast<double>(latencies.size())));
    const double expected = latencies[rank - 1];
    EXPECT_NEAR(number(latency, name), expected, 0.01 * expected + 0.02) << name;
  }

  const json::object savings = call("/analytics/savings?period=24h").data();
  NanoUsd baseline, actual;
  for (const InferenceEvent& event : inside(savings)) {
    baseline += event.baseline_cost;
    actual += event.cost;
  }
  EXPECT_EQ(number(savings, "baseline_cost"), shown_dollars(baseline));
  EXPECT_EQ(number(savings, "actual_cost"), shown_dollars(actual));
  double saved = 0;
  for (const auto& member : savings.at("by_technique").as_object())
    saved += member.value().to_number<double>();
  EXPECT_NEAR(saved, number(savings, "total_savings"), 1e-5);
  double over_time = 0;
  for (const auto& point : savings.at("series").as_array())
    over_time += number(point.as_object(), "savings");
  EXPECT_NEAR(over_time, number(savings, "total_savings"), 1e-4);
}

TEST_P(AnalyticsRoutesContract, TheOverviewComparesWithTheTimeBefore) {
  fill(300, 13 * 24h);
  const json::object data = call("/analytics/overview?period=7d").data();
  const auto now = inside(data);
  const auto from = testing::at(data.at("from").as_string());
  std::vector<InferenceEvent> earlier;
  for (const InferenceEvent& event : events_) {
    if (event.timestamp < from && event.timestamp >= from - 7 * 24h) earlier.push_back(event);
  }
  const json::object current = data.at("current").as_object();
  const json::object previous = data.at("previous").as_object();
  EXPECT_EQ(number(current, "total_cost"), cost_of(now));
  EXPECT_EQ(number(previous, "total_cost"), cost_of(earlier));
  EXPECT_EQ(number(previous, "requests"), static_cast<double>(earlier.size()));
  EXPECT_NEAR(number(data.at("delta_pct").as_object(), "total_cost"),
              100 * (cost_of(now) - cost_of(earlier)) / cost_of(earlier), 0.01);
  double requests = 0;
  for (const auto& point : data.at("series").as_array())
    requests += number(point.as_object(), "requests");
  EXPECT_EQ(requests, static_cast<double>(now.size()));
}

TEST_P(AnalyticsRoutesContract, ModelsAreRankedAndDriversArePairs) {
  fill(300, 20 * 24h);
  const Reply reply = call("/analytics/leaderboard?sort_by=cost&period=30d");
  const auto events = inside(reply.object());
  std::map<std::string, NanoUsd> costs;
  std::map<std::string, std::pair<int, int>> screened;
  for (const InferenceEvent& event : events) {
    costs[event.model_selected] += event.cost;
    if (!event.hallucination || !event.error_code.empty()) continue;
    auto& [looked_at, invented] = screened[event.model_selected];
    ++looked_at;
    if (*event.hallucination) ++invented;
  }
  const json::array models = reply.list();
  ASSERT_EQ(models.size(), costs.size());
  int rank = 0;
  for (const auto& model : models) {
    EXPECT_EQ(number(model.as_object(), "rank"), ++rank);
    EXPECT_EQ(number(model.as_object(), "total_cost"),
              shown_dollars(costs[std::string(model.as_object().at("model").as_string())]));
    const auto [looked_at, invented] = screened[std::string(model.at("model").as_string())];
    EXPECT_NEAR(number(model.as_object(), "hallucination_rate"),
                static_cast<double>(invented) / looked_at, 0.00005);
  }
  const json::array drivers = call("/analytics/top-cost-drivers?limit=3").list();
  ASSERT_EQ(drivers.size(), 3U);
  std::map<std::pair<std::string, std::string>, NanoUsd> pairs;
  for (const InferenceEvent& event : events) {
    pairs[{event.model_selected, event.task_type.empty() ? "unknown" : event.task_type}] +=
        event.cost;
  }
  NanoUsd most;
  for (const auto& [pair, cost] : pairs) most = std::max(most, cost);
  EXPECT_EQ(number(drivers[0].as_object(), "total_cost"), shown_dollars(most));
}

TEST_P(AnalyticsRoutesContract, ForecastsFromWholeDays) {
  for (int day = 0; day < 10; ++day) {
    InferenceEvent event = any(std::chrono::hours(24 * day) + 1h);
    event.error_code.clear();
    event.event_type = "inference";
    event.cost = nano_usd_from_dollars(day == 0 ? 99 : 2);
    events_.push_back(event);
  }
  load();
  const json::object data = call("/analytics/forecast?horizon_days=7&confidence=0.9").data();
  EXPECT_EQ(number(data, "predicted_cost"), 14) << "today is not over";
  EXPECT_EQ(data.at("history").as_array().size(), 9U);
  EXPECT_EQ(data.at("daily").as_array().size(), 7U);
  EXPECT_EQ(data.at("daily").as_array()[0].as_object().at("date"), "2026-11-22");
  EXPECT_EQ(number(data, "confidence"), 0.9);
  EXPECT_EQ(data.at("method"), "ema");
  EXPECT_EQ(number(data.at("budget").as_object(), "last_30_days"), 117);
  const json::object risky = call("/analytics/forecast?monthly_budget=50").data();
  EXPECT_EQ(risky.at("budget").as_object().at("source"), "parameter");
  EXPECT_THAT(std::string(risky.at("budget_risk").as_string()), HasSubstr("$10.00 more"));
}

TEST_P(AnalyticsRoutesContract, WithoutABudgetThePolicysTighterCapIsIt) {
  EXPECT_EQ(call("/analytics/forecast").data().at("budget").as_object().at("source"), "none");
  const auto budget_with = [&](std::optional<double> day, std::optional<double> month) {
    const auto saved = loops_.wait_for([&] {
      return policies_->change("acme", "u1", [&](const OrgPolicy*) -> Result<OrgPolicy> {
        OrgPolicy policy;
        policy.org_id = "acme";
        if (day) policy.max_cost_per_day = nano_usd_from_dollars(*day);
        if (month) policy.max_cost_per_month = nano_usd_from_dollars(*month);
        return policy;
      });
    });
    EXPECT_TRUE(saved) << saved.error().message;
    const json::object budget = call("/analytics/forecast").data().at("budget").as_object();
    EXPECT_EQ(budget.at("source"), "policy");
    return number(budget, "monthly_budget");
  };
  EXPECT_EQ(budget_with(2.5, {}), 75) << "30 days";
  EXPECT_EQ(budget_with(2.5, 40), 40);
  EXPECT_EQ(budget_with(1, 40), 30);
  EXPECT_EQ(budget_with({}, 40), 40);
}

TEST_P(AnalyticsRoutesContract, AnAnomalyLeadsToTheRequestsBehindIt) {
  const auto at = [&](InferenceEvent event) {
    event.event_id = make_ulid(event.timestamp);
    event.request_id = random_id("req_", 12);
    events_.push_back(std::move(event));
  };
  for (int i = 0; i < 300; ++i) at(testing::answered(kNow - 70min - i * 4min));
  for (int i = 0; i < 40; ++i) {
    const Clock::Time when = kNow - i * 1min;
    at(i % 2 == 0 ? testing::failed(when) : testing::answered(when));
  }
  at(testing::failed(kNow - 2h));  // fails as well, but not now
  load();
  const json::array found = call("/analytics/anomalies").list();
  ASSERT_EQ(found.size(), 1U);
  const json::object& anomaly = found[0].as_object();
  EXPECT_EQ(anomaly.at("anomaly_type"), "error_rate");
  std::string query;
  for (const auto& member : anomaly.at("filter").as_object()) {
    query += query.empty() ? "?" : "&";
    query += std::string(member.key()) + "=";
    query += member.value().is_string() ? std::string(member.value().as_string())
                                        : write_json(member.value());
  }
  for (const std::string path : {"requests", "recent-inferences"}) {
    const json::array behind = call("/analytics/" + path + query + "&limit=200").list();
    EXPECT_EQ(behind.size(), 20U) << query;
    for (const json::value& event : behind) EXPECT_EQ(event.at("error"), "service_unavailable");
  }
}

TEST_P(AnalyticsRoutesContract, EventsAreFilteredSearchedAndPaged) {
  fill(130, 40h);
  std::ranges::sort(events_, std::greater{}, &InferenceEvent::timestamp);
  const auto count = [&](const std::string& query, auto matches) {
    const auto expected = std::ranges::count_if(events_, matches);
    EXPECT_EQ(std::ssize(call("/analytics/recent-inferences?limit=500&" + query).list()), expected)
        << query;
  };
  count("", [](const InferenceEvent&) { return true; });
  count("model=gpt-4o", [](auto& event) { return event.model_selected == "gpt-4o"; });
  count("model=%D0%BC%D0%BE%D0%B4%D0%B5%D0%BB%D1%8C",
        [](auto& event) { return event.model_selected == "модель"; });
  count("task_type=faq&cache_hit=true",
        [](auto& event) { return event.task_type == "faq" && event.cache_hit; });
  count("user=ann", [](auto& event) { return event.user_id == "ann"; });
  count("api_key=ask_12345678", [](auto& event) { return !event.api_key_prefix.empty(); });
  count("tier=2", [](auto& event) { return event.cache_tier == 2; });
  count("tier=0", [](auto& event) { return event.cache_tier == 0; });
  count("error=true", [](auto& event) { return !event.error_code.empty(); });
  count("error=false", [](auto& event) { return event.error_code.empty(); });
  count("error=timeout", [](auto& event) { return event.error_code == "timeout"; });
  count("q=claude+cod", [](auto& event) {
    return event.model_selected == "claude-3-haiku" && event.task_type == "coding";
  });
  count("from=2026-11-22T00:00:00Z&to=2026-11-22T06:00:00Z", [](auto& event) {
    return event.timestamp >= testing::at("2026-11-22T00:00:00Z") &&
           event.timestamp < testing::at("2026-11-22T06:00:00Z");
  });

  std::vector<std::string> by_page, by_cursor;
  for (int page = 1; page <= 4; ++page) {
    const Reply reply = call("/analytics/requests?limit=40&page=" + std::to_string(page));
    for (const auto& event : reply.list())
      by_page.emplace_back(event.as_object().at("request_id").as_string());
    EXPECT_EQ(reply.object().at("has_more"), page < 4);
  }
  std::string cursor;
  do {
    const Reply reply = call("/analytics/requests?limit=40&cursor=" + cursor);
    for (const auto& event : reply.list())
      by_cursor.emplace_back(event.as_object().at("request_id").as_string());
    const json::value next = reply.object().at("next_cursor");
    cursor = next.is_string() ? std::string(next.as_string()) : "";
  } while (!cursor.empty());
  EXPECT_EQ(by_page.size(), 130U);
  EXPECT_EQ(by_page, by_cursor);
  EXPECT_TRUE(call("/analytics/requests?limit=40&page=5").list().empty());
  EXPECT_EQ(
      std::ssize(
          call("/analytics/requests?limit=200&date_from=2026-11-21&date_to=2026-11-21").list()),
      std::ranges::count_if(events_, [](const InferenceEvent& event) {
        return format_date(event.timestamp) == "2026-11-21";
      }));
}

TEST_P(AnalyticsRoutesContract, NothingOfAnotherOrganisationIsSeen) {
  fill(50, 20h);
  const std::string foreign = others_.front().request_id;
  EXPECT_EQ(call("/analytics/events/" + foreign).status, 404);
  EXPECT_EQ(call("/analytics/events/" + events_.front().request_id).data().at("request_id"),
            json::value(events_.front().request_id));
  caller_->org_id = "initech";
  for (const std::string path : kPaths) {
    const Reply reply = call("/analytics/" + path + "?org_id=acme");
    EXPECT_EQ(reply.status, 200) << path;
    EXPECT_THAT(reply.body, ::testing::Not(HasSubstr("gpt-4o-mini"))) << path;
  }
  EXPECT_EQ(number(call("/analytics/cost-breakdown").data(), "total_requests"), 0);
}

TEST_P(AnalyticsRoutesContract, EventsFromAClockThatIsAheadAreShownAndCountedLater) {
  events_.push_back(any(-3h));
  load();
  EXPECT_EQ(call("/analytics/recent-inferences").list().size(), 1U);
  EXPECT_EQ(number(call("/analytics/cost-breakdown").data(), "total_requests"), 0);
  clock_.advance(4h);
  EXPECT_EQ(number(call("/analytics/cost-breakdown").data(), "total_requests"), 1);
}

TEST_P(AnalyticsRoutesContract, WrongParametersNameTheField) {
  const std::pair<const char*, const char*> wrong[] = {
      {"cost-breakdown?period=year", "period"},
      {"cost-breakdown?group_by=colour", "group_by"},
      {"cost-breakdown?limit=0", "limit"},
      {"trends?metric=speed", "metric"},
      {"trends?intervals=0", "intervals"},
      {"trends?intervals=1001", "intervals"},
      {"trends?intervals=3.5", "intervals"},
      {"trends?metric=latency_p95&group_by=user", "metric"},
      {"trends?from=yesterday", "from"},
      {"trends?from=2026-11-22T00:00:00Z&to=2026-11-21T00:00:00Z", "from"},
      {"forecast?horizon_days=366", "horizon_days"},
      {"forecast?monthly_budget=-1", "monthly_budget"},
      {"forecast?monthly_budget=nan", "monthly_budget"},
      {"forecast?confidence=2", "confidence"},
      {"latency-percentiles?group_by=user", "group_by"},
      {"recent-inferences?limit=501", "limit"},
      {"recent-inferences?cursor=nonsense", "cursor"},
      {"recent-inferences?cache_hit=maybe", "cache_hit"},
      {"recent-inferences?tier=4", "tier"},
      {"recent-inferences?q=%FF", "q"},
      {"requests?limit=201", "limit"},
      {"requests?page=0", "page"},
      {"requests?page=1000", "page"},
      {"requests?date_from=2026-13-01", "date_from"},
      {"overview?granularity=minute", "granularity"},
      {"overview?granularity=hour&from=2026-01-01T00:00:00Z", "granularity"},
      {"leaderboard?sort_by=beauty", "sort_by"},
      {"stream?aggregate=10", "aggregate"},
      {"stream?sample=0", "sample"}};
  for (const auto& [target, field] : wrong) {
    const Reply reply = call(std::string("/analytics/") + target);
    EXPECT_EQ(reply.status, 400) << target << reply.body;
    EXPECT_EQ(reply.field(), field) << reply.body;
  }
}

TEST_P(AnalyticsRoutesContract, CostsNeedTheirOwnPermission) {
  for (const auto& [path, access] :
       {std::pair("cost-breakdown", "view_cost"), std::pair("forecast", "view_cost"),
        std::pair("cost-summary", "view_cost"), std::pair("baseline", "view_cost"),
        std::pair("top-cost-drivers", "view_cost"), std::pair("savings", "view_cost"),
        std::pair("trends", "view_metrics"), std::pair("overview", "view_metrics"),
        std::pair("anomalies", "view_metrics"), std::pair("requests", "view_metrics"),
        std::pair("stream", "view_metrics")}) {
    const auto match = router_.match(http::Method::kGet, std::string("/analytics/") + path);
    ASSERT_NE(match.route, nullptr) << path;
    EXPECT_EQ(match.route->access, access) << path;
  }
  caller_->permissions = {identity::Permission::kViewMetrics};
  EXPECT_EQ(call("/analytics/trends?metric=cost").status, 403);
  EXPECT_EQ(call("/analytics/trends?metric=latency").status, 200);
}

}  // namespace
}  // namespace asahi::gateway::analytics
