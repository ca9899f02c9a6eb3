#include <algorithm>

#include "storage/vector/testing/fake_database.h"

namespace asahi::vector_testing {
namespace {

using http::Method;

/// The part of Milvus' expressions that the adapter writes: comparisons joined by `and`, with
/// `field == value`, `field["key"] == value` and `field in [values]`.
class Expression {
 public:
  explicit Expression(std::string_view text) : rest_(text) {
    do {
      rules_.push_back(read_rule());
    } while (take("and"));
    skip();
    if (!rest_.empty()) throw std::invalid_argument("expression");
  }

  bool matches(const json::object& row) const {
    return std::ranges::all_of(rules_, [&](const Rule& rule) {
      const json::value* have = row.if_contains(rule.field);
      if (have != nullptr && !rule.key.empty()) have = have->as_object().if_contains(rule.key);
      if (have == nullptr) return false;
      return std::ranges::any_of(rule.values, [&](const json::value& want) {
        if (have->is_number() && want.is_number()) {
          return have->to_number<double>() == want.to_number<double>();
        }
        return *have == want;
      });
    });
  }

 private:
  struct Rule {
    std::string field, key;
    std::vector<json::value> values;
  };

  void skip() { rest_.remove_prefix(std::min(rest_.find_first_not_of(' '), rest_.size())); }
  bool take(std::string_view word) {
    skip();
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }
  json::value read_value() {
    skip();
    // The shortest beginning that is a value: strings end at their quote, the rest at a border.
    std::size_t end = 0;
    if (rest_.starts_with('"')) {
      for (end = 1; end < rest_.size() && rest_[end] != '"'; ++end) {
        if (rest_[end] == '\\') ++end;
      }
      ++end;
    } else {
      end = std::min(rest_.find_first_of(" ,]"), rest_.size());
    }
    auto value = parse_json(rest_.substr(0, end));
    if (!value) throw std::invalid_argument("expression: value");
    rest_.remove_prefix(std::min(end, rest_.size()));
    return std::move(*value);
  }
  Rule read_rule() {
    skip();
    Rule rule;
    const std::size_t end = std::min(rest_.find_first_of(" ["), rest_.size());
    rule.field = rest_.substr(0, end);
    rest_.remove_prefix(end);
    if (take("[")) {
      rule.key = read_value().as_string();
      if (!take("]")) throw std::invalid_argument("expression: ]");
    }
    if (take("==")) {
      rule.values.push_back(read_value());
      return rule;
    }
    if (!take("in") || !take("[")) throw std::invalid_argument("expression: operator");
    do {
      rule.values.push_back(read_value());
    } while (take(","));
    if (!take("]")) throw std::invalid_argument("expression: ]");
    return rule;
  }

  std::string_view rest_;
  std::vector<Rule> rules_;
};

class FakeMilvus final : public FakeDatabase {
 public:
  FakeMilvus() {
    require("Authorization", "Bearer " + std::string(kKey));
    on(Method::kPost, "/v2/vectordb/collections/list",
       [this](const http::Context&, const json::value&) {
         json::array names;
         for (const auto& [name, unused] : collections_) names.emplace_back(name);
         return good(std::move(names));
       });
    on(Method::kPost, "/v2/vectordb/collections/has",
       [this](const http::Context&, const json::value& body) {
         return good({{"has", collection(body) != nullptr}});
       });
    on(Method::kPost, "/v2/vectordb/collections/create",
       [this](const http::Context&, const json::value& body) {
         for (const json::value& field : body.at("schema").at("fields").as_array()) {
           if (field.at("dataType").as_string() != "FloatVector") continue;
           collections_[std::string(body.at("collectionName").as_string())].dimensions =
               std::stoul(std::string(field.at("elementTypeParams").at("dim").as_string()));
         }
         if (body.at("indexParams").at(0).at("metricType").as_string() != "COSINE") {
           return bad(1100, "metric");
         }
         return good(json::object());
       });
    on(Method::kPost, "/v2/vectordb/entities/upsert",
       [this](const http::Context&, const json::value& body) {
         Collection* const collection = this->collection(body);
         if (collection == nullptr) return bad(100, "collection not found");
         json::array ids;
         for (const json::value& each : body.at("data").as_array()) {
           json::object row = each.as_object();
           Point point{floats(row.at("vector")), {}};
           row.erase("vector");
           if (point.vector.size() != collection->dimensions) return bad(1100, "dimension");
           row.at("metadata").as_object();
           ids.push_back(row.at("asahi_key"));
           const std::string key(row.at("asahi_key").as_string());
           point.properties = std::move(row);
           collection->points[key] = std::move(point);
         }
         return good({{"upsertCount", ids.size()}, {"upsertIds", ids}});
       });
    on(Method::kPost, "/v2/vectordb/entities/search",
       [this](const http::Context&, const json::value& body) {
         const Collection* const collection = this->collection(body);
         if (collection == nullptr) return bad(100, "collection not found");
         const Expression filter(body.at("filter").as_string());
         json::array found;
         for (const Scored& each : nearest(*collection, floats(body.at("data").at(0)),
                                           body.at("limit").to_number<std::size_t>(),
                                           [&](const std::string&, const Point& point) {
                                             return filter.matches(point.properties);
                                           })) {
           json::object row = chosen(*each.point, body);
           row["distance"] = each.cosine;
           found.push_back(std::move(row));
         }
         return good(std::move(found));
       });
    on(Method::kPost, "/v2/vectordb/entities/delete",
       [this](const http::Context&, const json::value& body) {
         Collection* const collection = this->collection(body);
         if (collection == nullptr) return bad(100, "collection not found");
         const Expression filter(body.at("filter").as_string());
         std::erase_if(collection->points,
                       [&](const auto& each) { return filter.matches(each.second.properties); });
         return good(json::object());
       });
    on(Method::kPost, "/v2/vectordb/entities/query",
       [this](const http::Context&, const json::value& body) {
         const Collection* const collection = this->collection(body);
         if (collection == nullptr) return bad(100, "collection not found");
         const Expression filter(body.at("filter").as_string());
         const auto count = std::ranges::count_if(collection->points, [&](const auto& each) {
           return filter.matches(each.second.properties);
         });
         return good(json::array{json::object{{"count(*)", count}}});
       });
    start();
  }

 private:
  Collection* collection(const json::value& body) {
    return find(body.at("collectionName").as_string());
  }
  static json::object chosen(const Point& point, const json::value& body) {
    json::object row;
    for (const json::value& name : body.at("outputFields").as_array()) {
      row[name.as_string()] = point.properties.at(name.as_string());
    }
    return row;
  }
  static http::Response good(json::value data) {
    return json(200, {{"code", 0}, {"cost", 0}, {"data", std::move(data)}});
  }
  static http::Response bad(int code, std::string_view message) {
    return json(200, {{"code", code}, {"message", message}});
  }
};

}  // namespace

std::unique_ptr<FakeDatabase> fake_milvus() { return std::make_unique<FakeMilvus>(); }

}  // namespace asahi::vector_testing
