#pragma once
// Feast's, Tecton's and a custom feature server over HTTP: their documented forms, with faults.

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/json.h"
#include "gateway/features/feature_store.h"
#include "net/http/server.h"

namespace asahi::gateway::testing {

class FeatureServers {
 public:
  enum class Fault { kNone, kSlow, kError, kNonsense, kShort, kRefused };

  explicit FeatureServers(net::LoopPool& loops) {
    http::Router router;
    router.post("/get-online-features", [this](http::Context& context) -> Aw<http::Response> {
      return answer(context, &FeatureServers::feast);
    });
    router.post("/api/v1/feature-service/get-features",
                [this](http::Context& context) -> Aw<http::Response> {
                  return answer(context, &FeatureServers::tecton);
                });
    router.post("/api/v1/feature-service/metadata",
                [this](http::Context& context) -> Aw<http::Response> {
                  return answer(context, [](FeatureServers&, const json::object&) {
                    return json::object{{"featureServiceType", "DEFAULT"}};
                  });
                });
    router.post("/features", [this](http::Context& context) -> Aw<http::Response> {
      return answer(context, &FeatureServers::custom);
    });
    router.get("/health", [this](http::Context&) -> Aw<http::Response> {
      co_return http::Response::text(fault_ == Fault::kNone ? 200 : 503, "");
    });
    http::ServerOptions options;
    options.host = "127.0.0.1";
    options.port = 0;
    options.errors = http::native_error;
    auto bound = http::Server::bind(loops, std::move(options), std::move(router));
    EXPECT_TRUE(bound);
    server_ = std::move(*bound);
    server_->start();
  }
  ~FeatureServers() { server_->drain(std::chrono::milliseconds(100)); }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(server_->port()); }
  void fault(Fault fault) { fault_ = fault; }
  void put(const std::string& org, EntityType type, const std::string& id, const std::string& name,
           json::value value, std::string updated) {
    const std::scoped_lock lock(mutex_);
    rows_[key(org, std::string(to_string(type)), id)][name] = {std::move(value),
                                                               std::move(updated)};
  }
  /// Bodies of the look-ups so far.
  std::vector<std::string> asked() {
    const std::scoped_lock lock(mutex_);
    return asked_;
  }
  std::string authorization() {
    const std::scoped_lock lock(mutex_);
    return authorization_;
  }

 private:
  struct Cell {
    json::value value;
    std::string updated;
  };
  using Row = std::map<std::string, Cell>;

  static std::string key(const std::string& org, const std::string& type, const std::string& id) {
    return org + '\n' + type + '\n' + (type == "organization" ? "" : id);
  }
  static std::string text(const json::value& value) { return std::string(value.as_string()); }

  template <class Make>
  Aw<http::Response> answer(http::Context& context, Make make) {
    {
      const std::scoped_lock lock(mutex_);
      asked_.push_back(context.request.body);
      authorization_ = std::string(context.request.headers.get("authorization"));
    }
    switch (fault_.load()) {
      case Fault::kSlow:
        co_await context.loop.sleep_for(std::chrono::seconds(5), &context.cancel);
        break;
      case Fault::kError:
        co_return http::Response::json(500, R"({"detail":"broken"})");
      case Fault::kNonsense:
        co_return http::Response::json(200, "<html>");
      case Fault::kShort:
        co_return http::Response::json(
            200, R"({"metadata":{"feature_names":["tier"],"features":[{"name":"v.tier"}]},)"
                 R"("results":[],"result":{"features":[]},"entities":7})");
      case Fault::kRefused:
        co_return http::Response::json(404, R"({"detail":"no such feature view"})");
      case Fault::kNone:
        break;
    }
    const auto parsed = parse_json(context.request.body);
    const std::scoped_lock lock(mutex_);
    const json::object made = std::invoke(make, *this, parsed->as_object());
    co_return http::Response::json(200, json::serialize(made));
  }

  json::object feast(const json::object& body) {
    const json::object& entities = body.at("entities").as_object();
    const json::array& orgs = entities.at("organization_id").as_array();
    json::array names, results;
    for (const auto& [join_key, ids] : entities) {
      names.emplace_back(join_key);
      json::array statuses, times;
      for (std::size_t i = 0; i < orgs.size(); ++i) {
        statuses.emplace_back("PRESENT");
        times.emplace_back("1970-01-01T00:00:00Z");
      }
      results.push_back(
          json::object{{"values", ids}, {"statuses", statuses}, {"event_timestamps", times}});
    }
    for (const json::value& reference : body.at("features").as_array()) {
      const std::string full = text(reference);  // "asahi_user:tier"
      const std::string view = full.substr(0, full.find(':')), name = full.substr(view.size() + 1);
      const std::string type = view.substr(view.rfind('_') + 1);
      json::array values, statuses, times;
      for (std::size_t i = 0; i < orgs.size(); ++i) {
        const std::string id =
            type == "organization" ? "" : text(entities.at(type + "_id").as_array()[i]);
        const auto row = rows_.find(key(text(orgs[i]), type, id));
        const bool present = row != rows_.end() && row->second.contains(name);
        values.push_back(present ? row->second[name].value : json::value(nullptr));
        statuses.emplace_back(present ? "PRESENT" : "NOT_FOUND");
        times.emplace_back(present ? row->second[name].updated : "1970-01-01T00:00:00Z");
      }
      names.emplace_back(name);
      results.push_back(
          json::object{{"values", values}, {"statuses", statuses}, {"event_timestamps", times}});
    }
    return {{"metadata", {{"feature_names", names}}}, {"results", results}};
  }

  json::object tecton(const json::object& body) {
    const json::object& params = body.at("params").as_object();
    std::string type = text(params.at("feature_service_name"));
    type = type.substr(0, type.find('_'));
    const json::object& keys = params.at("join_key_map").as_object();
    const std::string id = type == "organization" ? "" : text(keys.at(type + "_id"));
    json::array values, columns;
    const auto column = [&](const std::string& name, const Cell* cell) {
      values.push_back(cell != nullptr ? cell->value : json::value(nullptr));
      json::object made{{"name", type + "_view." + name},
                        {"status", cell != nullptr ? "PRESENT" : "MISSING_DATA"}};
      if (cell != nullptr) made["effectiveTime"] = cell->updated;
      columns.push_back(std::move(made));
    };
    const auto row = rows_.find(key(text(keys.at("organization_id")), type, id));
    if (row != rows_.end()) {
      for (const auto& [name, cell] : row->second) column(name, &cell);
    }
    column("never_computed", nullptr);
    return {{"result", {{"features", values}}}, {"metadata", {{"features", columns}}}};
  }

  json::object custom(const json::object& body) {
    json::object entities;
    for (const json::value& id : body.at("entity_ids").as_array()) {
      const auto row =
          rows_.find(key(text(body.at("organization_id")), text(body.at("entity_type")), text(id)));
      if (row == rows_.end()) continue;
      json::object features;
      for (const auto& [name, cell] : row->second)
        features[name] = {{"value", cell.value}, {"updated_at", cell.updated}};
      entities[text(id)] = std::move(features);
    }
    return {{"entities", entities}};
  }

  std::mutex mutex_;
  std::map<std::string, Row> rows_;
  std::vector<std::string> asked_;
  std::string authorization_;
  std::atomic<Fault> fault_{Fault::kNone};
  std::unique_ptr<http::Server> server_;
};

}  // namespace asahi::gateway::testing
