// Control and data plane of one index on one address, as Pinecone's own emulator has them.
#include "storage/vector/testing/fake_database.h"

namespace asahi::vector_testing {
namespace {

using http::Method;

constexpr std::size_t kMaxVectors = 1000;
constexpr std::size_t kMaxBytes = 2 * 1024 * 1024;
constexpr std::size_t kMaxMetadata = 40 * 1024;

/// {"f": {"$eq": v}} and {"$and": […]}.
bool matches(const json::object& filter, const json::object& metadata) {
  for (const auto& [key, rule] : filter) {
    if (key == "$and") {
      for (const json::value& part : rule.as_array()) {
        if (!matches(part.as_object(), metadata)) return false;
      }
      continue;
    }
    if (rule.as_object().size() != 1) throw std::invalid_argument("one operator a field");
    const json::value* const have = metadata.if_contains(key);
    const json::value& want = rule.as_object().at("$eq");
    if (have == nullptr || have->is_string() != want.is_string()) return false;
    if (have->is_number() && want.is_number()) {
      if (have->to_number<double>() != want.to_number<double>()) return false;
    } else if (*have != want) {
      return false;
    }
  }
  return true;
}

/// Each namespace is a Collection; the index itself is `name_` and `dimensions_`.
class FakePinecone final : public FakeDatabase {
 public:
  FakePinecone() {
    require("Api-Key", std::string(kKey));
    on(Method::kGet, "/indexes/{name}", [this](const http::Context& context, const json::value&) {
      if (context.path_param("name") != name_) return json(404, {{"status", 404}});
      return json(200, about());
    });
    on(Method::kPost, "/indexes", [this](const http::Context&, const json::value& body) {
      const json::object& wanted = body.as_object();
      if (!name_.empty()) return json(409, {{"status", 409}});
      if (wanted.at("metric").as_string() != "cosine") return json(400, {{"status", 400}});
      region_ = wanted.at("spec").at("serverless").at("region").as_string();
      if (wanted.at("spec").at("serverless").at("cloud") != "aws") {
        return json(400, {{"status", 400}});
      }
      dimensions_ = wanted.at("dimension").to_number<std::size_t>();
      name_ = wanted.at("name").as_string();
      starting_ = 1;
      return json(201, about());
    });
    on(Method::kPost, "/vectors/upsert",
       [this](const http::Context& context, const json::value& body) {
         const json::array& vectors = body.at("vectors").as_array();
         if (vectors.size() > kMaxVectors || context.request.body.size() > kMaxBytes) {
           return json(400, {{"message", "too many vectors"}});
         }
         Collection& space = collections_[std::string(body.at("namespace").as_string())];
         space.dimensions = dimensions_;
         for (const json::value& each : vectors) {
           const std::string id(each.at("id").as_string());
           const auto ascii = [](char c) { return c > 0x20 && c < 0x7f; };
           if (!std::ranges::all_of(id, ascii) || id.size() > 512) {
             return json(400, {{"message", "bad id"}});
           }
           Point point{floats(each.at("values")), each.at("metadata").as_object()};
           if (point.vector.size() != dimensions_) return json(400, {{"message", "dimension"}});
           if (write_json(point.properties).size() > kMaxMetadata) {
             return json(400, {{"message", "metadata size"}});
           }
           space.points[id] = std::move(point);
         }
         return json(200, {{"upsertedCount", vectors.size()}});
       });
    on(Method::kPost, "/query", [this](const http::Context&, const json::value& body) {
      json::array found;
      const std::size_t k = body.at("topK").to_number<std::size_t>();
      if (k > 10'000) return json(400, {{"message", "topK"}});
      if (const Collection* space = find(body.at("namespace").as_string())) {
        const json::object& filter = body.at("filter").as_object();
        for (const Scored& each : nearest(*space, floats(body.at("vector")), k,
                                          [&](const std::string&, const Point& point) {
                                            return matches(filter, point.properties);
                                          })) {
          json::object match{{"id", *each.id}, {"score", each.cosine}, {"values", json::array()}};
          if (body.at("includeMetadata").as_bool()) match["metadata"] = each.point->properties;
          found.push_back(std::move(match));
        }
      }
      return json(200, {{"matches", std::move(found)},
                        {"namespace", body.at("namespace")},
                        {"usage", {{"readUnits", 5}}}});
    });
    on(Method::kPost, "/vectors/delete", [this](const http::Context&, const json::value& body) {
      Collection* const space = find(body.at("namespace").as_string());
      if (space == nullptr) return json(404, {{"code", 5}, {"message", "Namespace not found"}});
      if (const json::value* ids = body.as_object().if_contains("ids")) {
        for (const json::value& id : ids->as_array()) {
          space->points.erase(std::string(id.as_string()));
        }
      } else if (const json::value* filter = body.as_object().if_contains("filter")) {
        std::erase_if(space->points, [&](const auto& each) {
          return matches(filter->as_object(), each.second.properties);
        });
      } else if (body.at("deleteAll").as_bool()) {
        collections_.erase(std::string(body.at("namespace").as_string()));
      }
      return json(200, json::object());
    });
    on(Method::kPost, "/describe_index_stats", [this](const http::Context&, const json::value&) {
      json::object spaces;
      std::size_t total = 0;
      for (const auto& [name, space] : collections_) {
        spaces[name] = {{"vectorCount", space.points.size()}};
        total += space.points.size();
      }
      return json(200, {{"namespaces", std::move(spaces)},
                        {"dimension", dimensions_},
                        {"indexFullness", 0},
                        {"totalVectorCount", total}});
    });
    start();
  }

 private:
  json::value about() {
    const bool ready = starting_ == 0;
    if (starting_ > 0) --starting_;
    return {{"name", name_},
            {"dimension", dimensions_},
            {"metric", "cosine"},
            {"host", "127.0.0.1:" + std::to_string(port())},
            {"spec", {{"serverless", {{"cloud", "aws"}, {"region", region_}}}}},
            {"status", {{"ready", ready}, {"state", ready ? "Ready" : "Initializing"}}}};
  }

  std::string name_, region_;
  std::size_t dimensions_ = 0;
  int starting_ = 0;  ///< descriptions that still say that the index is being made
};

}  // namespace

std::unique_ptr<FakeDatabase> fake_pinecone() { return std::make_unique<FakePinecone>(); }

}  // namespace asahi::vector_testing
