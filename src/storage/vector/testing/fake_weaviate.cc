#include <algorithm>
#include <cctype>

#include "storage/vector/testing/fake_database.h"

namespace asahi::vector_testing {
namespace {

using http::Method;

/// A GraphQL selection: name, arguments as JSON values (enums as strings), children.
struct Selection {
  std::string name;
  json::object arguments;
  std::vector<Selection> children;
};

/// The part of GraphQL that Weaviate's queries are made of: https://spec.graphql.org
class GraphQl {
 public:
  explicit GraphQl(std::string_view text) : rest_(text) {}

  std::vector<Selection> selections() {
    expect('{');
    std::vector<Selection> out;
    while (!take('}')) {
      Selection each;
      each.name = name();
      if (take('(')) {
        while (!take(')')) {
          const std::string key = name();
          expect(':');
          each.arguments[key] = value();
          take(',');
        }
      }
      if (peek() == '{') each.children = selections();
      take(',');
      out.push_back(std::move(each));
    }
    return out;
  }

 private:
  void skip() {
    while (!rest_.empty() && std::isspace(static_cast<unsigned char>(rest_[0])) != 0) {
      rest_.remove_prefix(1);
    }
  }
  char peek() {
    skip();
    return rest_.empty() ? '\0' : rest_[0];
  }
  bool take(char c) {
    if (peek() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!take(c)) throw std::invalid_argument(std::string("GraphQL: expected ") + c);
  }
  std::string name() {
    skip();
    std::size_t end = 0;
    while (end < rest_.size() &&
           (std::isalnum(static_cast<unsigned char>(rest_[end])) != 0 || rest_[end] == '_')) {
      ++end;
    }
    if (end == 0) throw std::invalid_argument("GraphQL: expected a name");
    std::string out(rest_.substr(0, end));
    rest_.remove_prefix(end);
    return out;
  }
  json::value value() {
    if (take('{')) {
      json::object out;
      while (!take('}')) {
        const std::string key = name();
        expect(':');
        out[key] = value();
        take(',');
      }
      return out;
    }
    if (take('[')) {
      json::array out;
      while (!take(']')) {
        out.push_back(value());
        take(',');
      }
      return out;
    }
    if (peek() == '"') {
      std::size_t end = 1;
      for (; end < rest_.size() && rest_[end] != '"'; ++end) {
        if (rest_[end] == '\\') ++end;
      }
      return plain(end + 1);
    }
    if (std::isalpha(static_cast<unsigned char>(peek())) != 0) return json::string(name());
    return plain(rest_.find_first_of(" ,]})\n"));
  }
  json::value plain(std::size_t end) {
    auto parsed = parse_json(rest_.substr(0, end));
    if (!parsed) throw std::invalid_argument("GraphQL: value");
    rest_.remove_prefix(std::min(end, rest_.size()));
    return std::move(*parsed);
  }

  std::string_view rest_;
};

bool matches(const json::value& where, const std::string& id, const json::object& properties) {
  const json::string& op = where.at("operator").as_string();
  if (op == "And") {
    return std::ranges::all_of(where.at("operands").as_array(), [&](const json::value& part) {
      return matches(part, id, properties);
    });
  }
  const json::string& path = where.at("path").at(0).as_string();
  if (op == "ContainsAny" && path == "id") {
    return std::ranges::any_of(where.at("valueTextArray").as_array(),
                               [&](const json::value& each) { return each.as_string() == id; });
  }
  if (op != "Equal") throw std::invalid_argument("operator");
  const json::value* const have = properties.if_contains(path);
  return have != nullptr && *have == where.at("valueText");
}

class FakeWeaviate final : public FakeDatabase {
 public:
  FakeWeaviate() {
    require("Authorization", "Bearer " + std::string(kKey));
    on(Method::kGet, "/v1/meta",
       [](const http::Context&, const json::value&) { return json(200, {{"version", "1.27.0"}}); });
    on(Method::kGet, "/v1/schema/{class}",
       [this](const http::Context& context, const json::value&) {
         if (find(context.path_param("class")) == nullptr) return json(404, json::object());
         return json(200, {{"class", context.path_param("class")}, {"vectorizer", "none"}});
       });
    on(Method::kPost, "/v1/schema", [this](const http::Context&, const json::value& body) {
      const std::string name(body.at("class").as_string());
      if (std::isupper(static_cast<unsigned char>(name[0])) == 0 || find(name) != nullptr ||
          body.at("vectorIndexConfig").at("distance").as_string() != "cosine") {
        return json(422, {{"error", json::array()}});
      }
      collections_[name];
      return json(200, body);
    });
    on(Method::kPost, "/v1/batch/objects", [this](const http::Context&, const json::value& body) {
      json::array verdicts;
      for (const json::value& each : body.at("objects").as_array()) {
        Collection* const found = find(each.at("class").as_string());
        if (found == nullptr) return json(422, {{"error", json::array()}});
        Point point{floats(each.at("vector")), each.at("properties").as_object()};
        // The first vector settles the width.
        if (found->dimensions == 0) found->dimensions = point.vector.size();
        json::object verdict{{"id", each.at("id")}};
        const bool good = found->dimensions == point.vector.size();
        verdict["result"] = {{"status", good ? "SUCCESS" : "FAILED"}};
        if (good) found->points[std::string(each.at("id").as_string())] = std::move(point);
        verdicts.push_back(std::move(verdict));
      }
      return json(200, verdicts);
    });
    on(Method::kDelete, "/v1/batch/objects", [this](const http::Context&, const json::value& body) {
      const json::value& match = body.at("match");
      Collection* const found = find(match.at("class").as_string());
      if (found == nullptr) return json(422, {{"error", json::array()}});
      // As QUERY_MAXIMUM_RESULTS does, but smaller.
      constexpr std::size_t kAtOnce = 50;
      std::vector<std::string> ids;
      for (const auto& [id, point] : found->points) {
        if (matches(match.at("where"), id, point.properties)) ids.push_back(id);
      }
      const std::size_t most = std::min(ids.size(), kAtOnce);
      for (std::size_t i = 0; i < most; ++i) found->points.erase(ids[i]);
      return json(
          200,
          {{"results",
            {{"matches", ids.size()}, {"limit", kAtOnce}, {"successful", most}, {"failed", 0}}}});
    });
    on(Method::kPost, "/v1/graphql", [this](const http::Context&, const json::value& body) {
      const auto query = GraphQl(body.at("query").as_string()).selections();
      const Selection& what = query.at(0).children.at(0);
      const Collection* const found = find(what.name);
      if (found == nullptr) {
        return json(200, {{"errors", json::array{{{"message", "no such class"}}}}});
      }
      const json::value& where = what.arguments.at("where");
      const auto match = [&](const std::string& id, const Point& point) {
        return matches(where, id, point.properties);
      };
      json::array out;
      if (query[0].name == "Aggregate") {
        const auto count = std::ranges::count_if(
            found->points, [&](const auto& each) { return match(each.first, each.second); });
        out.push_back({{"meta", {{"count", count}}}});
      } else if (!found->points.empty()) {
        for (const Scored& each :
             nearest(*found, floats(what.arguments.at("nearVector").at("vector")),
                     what.arguments.at("limit").to_number<std::size_t>(), match)) {
          json::object row;
          for (const Selection& field : what.children) {
            if (field.name == "_additional") {
              row["_additional"] = {{"distance", 1 - each.cosine}};
            } else {
              const json::value* const value = each.point->properties.if_contains(field.name);
              row[field.name] = value == nullptr ? json::value() : *value;
            }
          }
          out.push_back(std::move(row));
        }
      }
      return json(200, {{"data", {{query[0].name, {{what.name, std::move(out)}}}}}});
    });
    start();
  }
};

}  // namespace

std::unique_ptr<FakeDatabase> fake_weaviate() { return std::make_unique<FakeWeaviate>(); }

}  // namespace asahi::vector_testing
