// Nobody sees or changes more of the memory than their credential names (claim `systems`,
// spec/memory §9.4): every route and every tool is asked by a caller of the system alpha, in a
// memory that holds alpha's and beta's. A route or tool that has no line in the tables below fails
// the test: whoever adds one says here how it is asked for beta's.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <thread>

#include "base/ids.h"
#include "identity/principal.h"
#include "identity/testing/fakes.h"
#include "jobs/queue.h"
#include "memory/module.h"
#include "net/blocking.h"
#include "net/http/server.h"
#include "storage/sql/testing/test_database.h"

namespace asahi::memory {
namespace {

using Systems = std::optional<std::vector<std::string>>;

/// What stands in beta's memories and points, and nowhere else.
constexpr std::string_view kBetasWords[] = {"zanzibar", "projectomega", "beta_metric",
                                            "secretconv"};

struct Reply {
  int status = 0;
  std::string body;
};

class ReachWalk : public ::testing::Test {
 protected:
  void SetUp() override {
    place_ = sql::testing::TestDatabase::make(sql::testing::Engine::kSqliteFile).value();
    database_ = sql::open_database(place_->options()).value();
    auto tables = migrations();
    for (const sql::Migration& one : jobs::migrations()) tables.push_back(one);
    ASSERT_TRUE(sql::Migrator(*database_, tables).upgrade());
    config_.data_path = folder_;
    config_.hot.path = config_.warm.path = ":memory:";
    config_.cold.enabled = false;
    config_.instance_id = "walk";
    config_.backup.bucket = "file://" + folder_ + "/backups";
    loops_.start();
    auto made = MemoryModule::make({.config = config_,
                                    .loops = loops_,
                                    .database = *database_,
                                    .metrics = metrics_,
                                    .clock = system_clock(),
                                    .audit = audit_,
                                    .version = "0.0.0"});
    ASSERT_TRUE(made) << made.error().message;
    memory_ = std::move(*made);
    memory_->add_routes(router_, "/memory");
    memory_->start();
    fill();
  }
  void TearDown() override {
    if (memory_ != nullptr) memory_->stop();
    memory_.reset();
    loops_.stop();
    database_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  Reply call(const Systems& systems, http::Method method, const std::string& target,
             const std::string& body = {}) {
    http::Request request{
        .method = method, .path = target.substr(0, target.find('?')), .body = body};
    if (target.contains('?')) request.query = target.substr(target.find('?') + 1);
    const http::Router::Match match = router_.match(method, request.path);
    EXPECT_NE(match.route, nullptr) << target;
    if (match.route == nullptr) return {};
    auto caller = std::make_shared<identity::Principal>();
    caller->org_id = "acme";
    caller->user_id = "walker";
    caller->permissions = *identity::builtin_role("operator");
    caller->systems = systems;
    CancelSource cancel;
    http::Context context{.request = request,
                          .loop = loops_.at(0),
                          .cancel = cancel,
                          .deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30),
                          .path_params = match.params,
                          .route = match.route->pattern};
    context.caller = caller;
    const auto response =
        net::run_sync<http::Response>(loops_.at(0), [&] { return match.route->handler(context); });
    return {response.status, response.body};
  }
  Reply whole(http::Method method, const std::string& target, const std::string& body = {}) {
    return call(std::nullopt, method, target, body);
  }
  Reply alphas(http::Method method, const std::string& target, const std::string& body = {}) {
    return call(std::vector<std::string>{"alpha"}, method, target, body);
  }
  static json::value parsed(const Reply& reply) {
    auto value = parse_json(reply.body);
    EXPECT_TRUE(value) << reply.body;
    return value ? std::move(*value) : json::value();
  }

  void fill() {
    using enum http::Method;
    const std::string now = format_rfc3339(system_clock().now());
    const Reply pushed = whole(kPost, "/memory/memories/batch", R"({"memories":[
      {"memory_id":"ours","system_id":"alpha","text":"The lantern festival is in Kyoto. Ben works on it.",
       "metadata":{"project":"lantern","user_id":"ben"}},
      {"memory_id":"secretconv","system_id":"beta","text":"The zanzibar contract ends in May. Ann works on it.",
       "metadata":{"project":"projectomega","user_id":"ann"}}]})");
    ASSERT_EQ(pushed.status, 200) << pushed.body;
    upload_ = std::string(parsed(pushed).at("upload_id").as_string());
    std::string points;
    for (int i = 0; i < 12; ++i) {
      const std::string at = format_rfc3339(system_clock().now() - std::chrono::hours(1 + i));
      for (const char* point :
           {R"("alpha_metric","system_id":"alpha")", R"("beta_metric","system_id":"beta")",
            R"("both","system_id":"alpha")", R"("both","system_id":"beta")"}) {
        points += fmt::format(R"({}{{"metric_name":{},"value":{},"timestamp":"{}"}})",
                              points.empty() ? "" : ",", point, i * 7 % 5, at);
      }
    }
    const Reply sent = whole(kPost, "/memory/analytics/metrics", "{\"points\":[" + points + "]}");
    ASSERT_EQ(sent.status, 200) << sent.body;
    const Reply traced = whole(kPost, "/memory/traces", R"({"system_id":"beta","task_class":"quick",
      "selector":"zanzibar","latency_ms":12,"outcome":"failure","trace_id":"t1"})");
    ASSERT_EQ(traced.status, 200) << traced.body;
    const Reply found = whole(kPost, "/memory/search", R"({"query":"zanzibar"})");
    ASSERT_NE(found.body.find("zanzibar"), std::string::npos) << found.body;
    query_ = std::string(parsed(found).at("query_id").as_string());
    wait_for_what_is_derived();
  }

  /// Facts and profiles are derived behind the writing.
  void wait_for_what_is_derived() {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (std::chrono::steady_clock::now() < until) {
      const Reply told =
          whole(http::Method::kGet, "/memory/graph/entities/project:projectomega?facts=10");
      if (told.status == 200) {
        for (const json::value& fact : parsed(told).at("facts").as_array())
          fact_ = std::to_string(fact.at("fact_id").to_number<std::int64_t>());
      }
      const json::value system = parsed(whole(http::Method::kGet, "/memory/systems/beta"));
      if (!fact_.empty() && !system.at("profile").at("hours").as_array().empty()) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    FAIL() << "no fact of beta's memory, or no hours in its profile";
  }

  std::string all_of_beta() {
    using enum http::Method;
    std::string all;
    for (const char* target :
         {"/memory/memories/beta/secretconv", "/memory/systems/beta",
          "/memory/uploads?system_id=beta", "/memory/graph/entities/project:projectomega",
          "/memory/analytics/timeseries?metric_name=beta_metric&interval=1h",
          "/memory/traces?system_id=beta"}) {
      const Reply told = whole(kGet, target);
      EXPECT_EQ(told.status, 200) << target << told.body;
      json::value value = parsed(told);
      for (const char* moving : {"start", "end"}) value.as_object().erase(moving);
      all += json::serialize(value) + "\n";
    }
    return all + whole(kGet, "/memory/graph/facts/" + fact_).body;
  }

  /// A path with what is beta's in its places.
  std::string filled(std::string pattern) const {
    const std::pair<std::string_view, std::string> places[] = {
        {"{system_id}", "beta"},  {"{conversation_id}", "secretconv"}, {"{upload_id}", upload_},
        {"{query_id}", query_},   {"{id}", "project:projectomega"},    {"{fact_id}", fact_},
        {"{webhook_id}", "whk_1"}};
    for (const auto& [name, value] : places) {
      if (const auto at = pattern.find(name); at != std::string::npos)
        pattern.replace(at, name.size(), value);
    }
    EXPECT_FALSE(pattern.contains('{')) << pattern << ": say what beta's is in ReachWalk::filled";
    return pattern;
  }

  void expect_nothing_of_beta(const std::string& what, const std::string& asked,
                              const Reply& reply) {
    for (const std::string_view word : kBetasWords) {
      // What the caller named itself may stand in what it is told.
      if (asked.contains(word)) continue;
      EXPECT_FALSE(reply.body.contains(word)) << what << " " << asked << "\n" << reply.body;
    }
    if (!asked.contains("beta"))
      EXPECT_FALSE(reply.body.contains("beta")) << what << " " << asked << "\n" << reply.body;
  }

  std::string folder_ =
      (std::filesystem::temp_directory_path() / random_id("asahi-reach-", 12)).string();
  std::unique_ptr<sql::testing::TestDatabase> place_;
  std::unique_ptr<sql::Database> database_;
  MemoryConfig config_;
  net::LoopPool loops_{1};
  telemetry::Registry metrics_;
  identity::testing::AuditFake audit_;
  std::unique_ptr<MemoryModule> memory_;
  http::Router router_;
  std::string upload_, query_, fact_;
};

/// How one is asked. `refused`: 403 or 404 is the only right answer.
struct Asked {
  std::string target_or_name;  ///< "?…" behind the path; of tools unused
  std::string body;
  bool refused = false;
};
using Table = std::map<std::string, std::vector<Asked>, std::less<>>;

/// By method and pattern below the mount.
const Table& routes_table() {
  static const Table table = {
      {"POST /search",
       {{"", R"({"query":"zanzibar contract"})"},
        {"", R"({"facets":["system_id","project","tags"],"limit":100})"},
        {"", R"({"query":"x","system_id":"beta"})", true},
        {"", R"({"query":"x","system_ids":["alpha","beta"]})", true}}},
      {"POST /query/search", {{"", R"({"query":"zanzibar contract","fresh":true})"}}},
      {"GET /search/{query_id}", {{"", "", true}}},
      {"POST /embeddings", {{"", R"({"text":"x"})"}}},
      {"POST /cache/warm", {{"", ""}}},
      {"GET /cache/stats", {{"", ""}}},
      {"DELETE /cache", {{"", ""}}},
      {"GET /memories/{system_id}/{conversation_id}", {{"", "", true}}},
      {"DELETE /memories/{system_id}/{conversation_id}", {{"", "", true}}},
      {"DELETE /systems/{system_id}", {{"", "", true}}},
      {"GET /storage/status", {{"", ""}}},
      {"POST /ingest/upload",
       {{"", R"({"system_id":"beta","content":"written by alpha"})", true},
        {"", R"({"system_id":"beta","manifest":{},"conversations":[]})", true}}},
      {"POST /memories",
       {{"", R"({"memory_id":"secretconv","system_id":"beta","text":"written by alpha"})", true}}},
      {"POST /memories/batch",
       {{"", R"({"memories":[{"memory_id":"secretconv","system_id":"beta","text":"by alpha"}]})"}}},
      {"GET /uploads", {{"", ""}, {"?system_id=beta", "", true}}},
      {"GET /uploads/{system_id}/{upload_id}", {{"", "", true}}},
      {"POST /uploads/{system_id}/{upload_id}/retry", {{"", "", true}}},
      {"POST /ingestion/trigger", {{"", "", true}, {"", R"({"source_system":"beta"})", true}}},
      {"GET /ingestion/status", {{"", ""}}},
      {"POST /analytics/metrics",
       {{"", R"({"metric_name":"beta_metric","value":99,"system_id":"beta"})", true},
        {"", R"({"points":[{"metric_name":"beta_metric","value":99,"system_id":"beta"}]})", true}}},
      {"GET /analytics/metrics", {{"", ""}}},
      {"GET /analytics/trends",
       {{"?metric_name=both", ""}, {"?metric_name=both&system_id=beta", "", true}}},
      {"GET /analytics/anomalies",
       {{"?metric_name=both&threshold_std=1", ""}, {"?metric_name=both&system_id=beta", "", true}}},
      {"GET /analytics/correlations", {{"?metric_name=both", ""}}},
      {"GET /analytics/changepoints",
       {{"?metric_name=both", ""}, {"?metric_name=both&entity_id=beta", "", true}}},
      {"GET /analytics/timeseries",
       {{"?metric_name=both", ""}, {"?metric_name=both&system_id=beta", "", true}}},
      {"POST /traces",
       {{"",
         R"({"system_id":"beta","task_class":"quick","selector":"x","latency_ms":1,"outcome":"success"})",
         true},
        {"",
         R"({"traces":[{"system_id":"beta","task_class":"quick","selector":"x","latency_ms":1,"outcome":"success"}]})",
         true}}},
      {"GET /traces", {{"?system_id=alpha", ""}, {"?system_id=beta", "", true}}},
      {"GET /analytics/fitness", {{"", "", true}}},
      {"POST /graph/query",
       {{"", R"({"entity_id":"user:ann"})"},
        {"", R"({"entity_id":"user:ann","system_id":"beta"})", true}}},
      {"GET /graph/entities", {{"", ""}, {"?q=o", ""}, {"?system_id=beta", "", true}}},
      {"GET /graph/entities/{id}", {{"", "", true}}},
      {"GET /graph/entities/{id}/neighbors", {{"", ""}}},
      {"GET /graph/path", {{"?source_id=user:ann&target_id=project:projectomega", ""}}},
      {"GET /graph/statistics", {{"", ""}, {"?system_id=beta", "", true}}},
      {"GET /graph/communities", {{"", ""}}},
      {"GET /graph/centrality", {{"", ""}}},
      {"GET /graph/components", {{"", ""}}},
      {"GET /graph/facts/{fact_id}", {{"", "", true}}},
      {"PATCH /graph/facts/{fact_id}", {{"", R"({"weight":9})", true}}},
      {"DELETE /graph/facts/{fact_id}", {{"", "", true}}},
      {"POST /graph/facts/{fact_id}/supersede", {{"", R"({"by":1})", true}}},
      {"POST /graph/facts/{fact_id}/contradict", {{"", "", true}}},
      {"POST /storage/migrations", {{"", R"({"source_tier":"hot","target_tier":"warm"})", true}}},
      {"GET /storage/migrations", {{"", "", true}}},
      {"GET /storage/migrations/{id}", {{"", "", true}}},
      {"GET /embeddings/reembed", {{"", "", true}}},
      {"POST /embeddings/reembed", {{"", "{}", true}}},
      {"POST /storage/retention", {{"", R"({"dry_run":true})", true}, {"", "", true}}},
      {"POST /storage/hot/backend", {{"", R"({"backend":"pgvector"})", true}}},
      {"GET /storage/hot/backend", {{"", "", true}}},
      {"POST /storage/hot/backend/revert", {{"", "", true}}},
      {"POST /storage/hot/backend/finish", {{"", "", true}}},
      {"GET /health/warm", {{"", ""}}},
      {"GET /health", {{"", ""}}},
      {"GET /healthz", {{"", ""}}},
      {"GET /ready", {{"", ""}}},
      {"GET /status", {{"", ""}}},
      {"GET /metrics", {{"", ""}}},
      {"GET /systems", {{"", ""}}},
      {"GET /systems/{system_id}", {{"", "", true}}},
      {"GET /settings", {{"", ""}}},
      {"PATCH /settings", {{"", R"({"memory.query.max_results":50})", true}}},
      {"GET /circuit-breakers", {{"", ""}}},
      {"GET /alerts/thresholds", {{"", "", true}}},
      {"PUT /alerts/thresholds", {{"", R"({"high_latency":1})", true}}},
      {"GET /alerts/webhooks", {{"", "", true}}},
      {"POST /alerts/webhooks", {{"", R"({"url":"https://example.com/x"})", true}}},
      {"DELETE /alerts/webhooks", {{"?webhook_id=whk_1", "", true}}},
      {"DELETE /alerts/webhooks/{webhook_id}", {{"", "", true}}},
      {"GET /alerts", {{"", "", true}}},
      {"GET /backups", {{"", "", true}}},
      {"POST /backups", {{"", "", true}}},
      {"GET /storage/replicas", {{"", "", true}}},
      {"POST /storage/replicas", {{"", "", true}}},
      {"POST /backups/verify", {{"", "", true}}},
      {"POST /mcp", {{"", R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})"}}},
  };
  return table;
}

TEST_F(ReachWalk, NoRouteTellsOrChangesWhatIsNotTheCallers) {
  const std::string before = all_of_beta();
  std::size_t walked = 0;
  for (const http::Route* route : router_.routes()) {
    constexpr std::string_view kMount = "/memory";
    if (!route->pattern.starts_with(kMount) || !route->handler) continue;  // aliases; WebSocket
    const std::string_view pattern = std::string_view(route->pattern).substr(kMount.size());
    const std::string name = fmt::format("{} {}", http::to_string(route->method), pattern);
    const auto line = routes_table().find(name);
    ASSERT_NE(line, routes_table().end()) << name << " has no line in the table above";
    for (const Asked& asked : line->second) {
      const Reply reply =
          alphas(route->method, filled(route->pattern) + asked.target_or_name, asked.body);
      ++walked;
      if (asked.refused)
        EXPECT_TRUE(reply.status == 403 || reply.status == 404)
            << name << asked.target_or_name << " " << asked.body << " " << reply.status
            << reply.body;
      EXPECT_LT(reply.status, 500) << name << reply.body;
      expect_nothing_of_beta(name, filled(std::string(pattern)) + asked.target_or_name + asked.body,
                             reply);
    }
  }
  EXPECT_GE(walked, routes_table().size());
  EXPECT_EQ(all_of_beta(), before) << "nothing of beta's was changed";
}

TEST_F(ReachWalk, TheRefusalNamesFieldValueAndRule) {
  const Reply reply = alphas(http::Method::kPost, "/memory/search", R"({"system_id":"beta"})");
  EXPECT_EQ(reply.status, 403);
  EXPECT_TRUE(reply.body.contains("\"field\":\"system_id\"")) << reply.body;
  EXPECT_TRUE(reply.body.contains("'beta'")) << reply.body;
  EXPECT_TRUE(reply.body.contains("systems of this credential")) << reply.body;
}

TEST_F(ReachWalk, WhatIsTheCallersIsThere) {
  using enum http::Method;
  EXPECT_EQ(alphas(kGet, "/memory/memories/alpha/ours").status, 200);
  EXPECT_TRUE(alphas(kPost, "/memory/search", R"({"query":"lantern"})").body.contains("Kyoto"));
  EXPECT_TRUE(alphas(kGet, "/memory/systems").body.contains("\"alpha\""));
  EXPECT_EQ(parsed(alphas(kGet, "/memory/storage/status")).at("tiers").at("hot").at("records"), 1);
  EXPECT_TRUE(alphas(kGet, "/memory/analytics/metrics").body.contains("alpha_metric"));
  EXPECT_EQ(alphas(kGet, "/memory/graph/entities/project:lantern").status, 200);
  EXPECT_EQ(alphas(kPost, "/memory/memories",
                   R"({"memory_id":"new","system_id":"alpha","text":"one more"})")
                .status,
            200);
  // A reply is for those who see as much as who it was made for.
  const json::value mine = parsed(alphas(kPost, "/memory/search", R"({"query":"lantern"})"));
  const std::string page = "/memory/search/" + std::string(mine.at("query_id").as_string());
  EXPECT_EQ(alphas(kGet, page).status, 200);
  EXPECT_EQ(call(std::vector<std::string>{"beta"}, kGet, page).status, 404);
  // Nobody at all is an empty list, not a missing one.
  EXPECT_FALSE(call(std::vector<std::string>{}, kPost, "/memory/search", R"({"query":"lantern"})")
                   .body.contains("Kyoto"));
}

/// By name; a tool without arguments that name beta has the ones that would find it.
const Table& tools_table() {
  static const Table table = {
      {"search_all_systems",
       {{"", R"({"query":"zanzibar contract"})"},
        {"", R"({"query":"x","system_id":"beta"})", true}}},
      {"store_memory",
       {{"", R"({"memory_id":"secretconv","text":"by alpha","system_id":"beta"})", true}}},
      {"batch_store_memories",
       {{"", R"({"memories":[{"memory_id":"secretconv","text":"by alpha","system_id":"beta"}]})"}}},
      {"generate_embedding", {{"", R"({"text":"x"})"}}},
      {"generate_batch_embeddings", {{"", R"({"texts":["x"]})"}}},
      {"get_storage_status", {{"", "{}"}}},
      {"akosha_start_ingestion", {{"", "{}", true}, {"", R"({"source_system":"beta"})", true}}},
      {"get_liveness", {{"", "{}"}}},
      {"get_readiness", {{"", "{}"}}},
      {"akosha_health_check", {{"", "{}"}}},
      {"akosha_get_metrics", {{"", "{}"}}},
      {"health_check_service", {{"", R"({"service_name":"nobody"})"}}},
      {"health_check_all", {{"", "{}"}}},
      {"wait_for_dependency", {{"", R"({"service_name":"nobody","timeout":1})"}}},
      {"wait_for_all_dependencies", {{"", R"({"timeout":1})"}}},
      {"discover_tools", {{"", "{}"}}},
      {"get_system_metrics", {{"", "{}"}}},
      {"analyze_trends",
       {{"", R"({"metric_name":"both"})"},
        {"", R"({"metric_name":"both","system_id":"beta"})", true}}},
      {"detect_anomalies",
       {{"", R"({"metric_name":"both","threshold_std":1})"},
        {"", R"({"metric_name":"both","system_id":"beta"})", true}}},
      {"correlate_systems", {{"", R"({"metric_name":"both"})"}}},
      {"analyze_changepoints",
       {{"", R"({"metric_name":"both"})"},
        {"", R"({"metric_name":"both","entity_id":"beta"})", true}}},
      {"query_knowledge_graph",
       {{"", R"({"entity_id":"user:ann","facts":100})"},
        {"", R"({"entity_id":"user:ann","system_id":"beta"})", true}}},
      {"find_path", {{"", R"({"source_id":"user:ann","target_id":"user:ben","max_hops":10})"}}},
      {"get_graph_statistics", {{"", "{}"}}},
      {"record_trace",
       {{"",
         R"({"system_id":"beta","task_class":"quick","selector":"x","latency_ms":1,"outcome":"success"})",
         true}}},
      {"query_local_traces",
       {{"", R"({"system_id":"alpha"})"}, {"", R"({"system_id":"beta"})", true}}},
      {"run_fitness_analysis", {{"", "{}", true}}},
      {"get_fitness_analyzer_status", {{"", "{}", true}}},
      {"detect_communities", {{"", "{}"}}},
      {"calculate_centrality", {{"", "{}"}}},
  };
  return table;
}

TEST_F(ReachWalk, NoToolTellsOrChangesWhatIsNotTheCallers) {
  const std::string before = all_of_beta();
  const auto ask = [&](const std::string& method, const json::object& params) {
    return alphas(http::Method::kPost, "/memory/mcp",
                  json::serialize(json::object{
                      {"jsonrpc", "2.0"}, {"id", 1}, {"method", method}, {"params", params}}));
  };
  const json::value told = parsed(ask("tools/list", {}));
  const json::array& tools = told.at("result").at("tools").as_array();
  ASSERT_GE(tools.size(), 20U);
  for (const json::value& tool : tools) {
    const std::string name(tool.at("name").as_string());
    const auto line = tools_table().find(name);
    ASSERT_NE(line, tools_table().end()) << name << " has no line in the table above";
    for (const Asked& asked : line->second) {
      const Reply reply =
          ask("tools/call", {{"name", name}, {"arguments", json::parse(asked.body)}});
      const json::value answer = parsed(reply);
      const json::value* result = answer.as_object().if_contains("result");
      ASSERT_NE(result, nullptr) << name << reply.body;
      if (asked.refused) {
        EXPECT_TRUE(result->at("isError").as_bool()) << name << asked.body << reply.body;
        EXPECT_TRUE(reply.body.contains("forbidden")) << name << reply.body;
      }
      expect_nothing_of_beta(name, asked.body, reply);
    }
  }
  EXPECT_EQ(all_of_beta(), before);
}

}  // namespace
}  // namespace asahi::memory
