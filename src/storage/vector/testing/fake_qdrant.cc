#include <algorithm>
#include <cctype>

#include "storage/vector/testing/fake_database.h"

namespace asahi::vector_testing {
namespace {

using http::Method;

bool is_uuid(std::string_view id) {
  if (id.size() != 36) return false;
  for (std::size_t i = 0; i < id.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? id[i] != '-' : std::isxdigit(static_cast<unsigned char>(id[i])) == 0) return false;
  }
  return true;
}

/// {"must": [{"key", "match": {"value"}} or {"key", "range": {"gte", "lte"}}]}
bool matches(const json::value& filter, const json::object& payload) {
  return std::ranges::all_of(filter.at("must").as_array(), [&](const json::value& rule) {
    const json::value* const have = payload.if_contains(rule.at("key").as_string());
    if (const json::value* range = rule.as_object().if_contains("range")) {
      if (have == nullptr || !have->is_number()) return false;
      const double number = have->to_number<double>();
      return number >= range->at("gte").to_number<double>() &&
             number <= range->at("lte").to_number<double>();
    }
    const json::value& want = rule.at("match").at("value");
    if (want.is_double()) throw std::invalid_argument("match takes no fractions");
    return have != nullptr && *have == want;
  });
}

class FakeQdrant final : public FakeDatabase {
 public:
  FakeQdrant() {
    require("api-key", std::string(kKey));
    on(Method::kGet, "/collections", [this](const http::Context&, const json::value&) {
      json::array names;
      for (const auto& [name, unused] : collections_) names.push_back({{"name", name}});
      return good({{"collections", std::move(names)}});
    });
    on(Method::kGet, "/collections/{name}",
       [this](const http::Context& context, const json::value&) {
         const Collection* const found = find(context.path_param("name"));
         if (found == nullptr) return missing();
         return good({{"status", "green"},
                      {"config",
                       {{"params",
                         {{"vectors", {{"size", found->dimensions}, {"distance", "Cosine"}}}}}}}});
       });
    on(Method::kPut, "/collections/{name}",
       [this](const http::Context& context, const json::value& body) {
         const json::value& vectors = body.at("vectors");
         if (vectors.at("distance").as_string() != "Cosine") return bad();
         if (find(context.path_param("name")) != nullptr) return json(409, {{"status", "exists"}});
         collections_[std::string(context.path_param("name"))].dimensions =
             vectors.at("size").to_number<std::size_t>();
         return good(true);
       });
    on(Method::kPut, "/collections/{name}/index",
       [this](const http::Context& context, const json::value& body) {
         if (find(context.path_param("name")) == nullptr) return missing();
         if (body.at("field_schema").at("type").as_string() != "keyword") return bad();
         return done();
       });
    on(Method::kPut, "/collections/{name}/points",
       [this](const http::Context& context, const json::value& body) {
         Collection* const collection = find(context.path_param("name"));
         if (collection == nullptr) return missing();
         for (const json::value& each : body.at("points").as_array()) {
           const std::string id(each.at("id").as_string());
           Point point{floats(each.at("vector")), each.at("payload").as_object()};
           if (!is_uuid(id) || point.vector.size() != collection->dimensions) return bad();
           collection->points[id] = std::move(point);
         }
         return done();
       });
    on(Method::kPost, "/collections/{name}/points/query",
       [this](const http::Context& context, const json::value& body) {
         const Collection* const collection = find(context.path_param("name"));
         if (collection == nullptr) return missing();
         json::array points;
         for (const Scored& each : nearest(*collection, floats(body.at("query")),
                                           body.at("limit").to_number<std::size_t>(),
                                           [&](const std::string&, const Point& point) {
                                             return matches(body.at("filter"), point.properties);
                                           })) {
           points.push_back({{"id", *each.id},
                             {"version", 1},
                             {"score", each.cosine},
                             {"payload", each.point->properties}});
         }
         return good({{"points", std::move(points)}});
       });
    on(Method::kPost, "/collections/{name}/points/delete",
       [this](const http::Context& context, const json::value& body) {
         Collection* const collection = find(context.path_param("name"));
         if (collection == nullptr) return missing();
         if (const json::value* ids = body.as_object().if_contains("points")) {
           for (const json::value& id : ids->as_array()) {
             collection->points.erase(std::string(id.as_string()));
           }
         } else {
           std::erase_if(collection->points, [&](const auto& each) {
             return matches(body.at("filter"), each.second.properties);
           });
         }
         return done();
       });
    on(Method::kPost, "/collections/{name}/points/count",
       [this](const http::Context& context, const json::value& body) {
         const Collection* const collection = find(context.path_param("name"));
         if (collection == nullptr) return missing();
         const auto count = std::ranges::count_if(collection->points, [&](const auto& each) {
           return matches(body.at("filter"), each.second.properties);
         });
         return good({{"count", count}});
       });
    start();
  }

 private:
  static http::Response good(json::value result) {
    return json(200, {{"result", std::move(result)}, {"status", "ok"}, {"time", 0.001}});
  }
  static http::Response done() { return good({{"operation_id", 1}, {"status", "completed"}}); }
  static http::Response bad() {
    return json(400, {{"status", {{"error", "Wrong input"}}}, {"time", 0.001}});
  }
  static http::Response missing() {
    return json(404, {{"status", {{"error", "Not found: Collection doesn't exist!"}}}});
  }
};

}  // namespace

std::unique_ptr<FakeDatabase> fake_qdrant() { return std::make_unique<FakeQdrant>(); }

}  // namespace asahi::vector_testing
