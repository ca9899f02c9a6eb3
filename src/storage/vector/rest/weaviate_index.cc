// Weaviate's REST and GraphQL API of 1.24 and later: https://docs.weaviate.io/weaviate/api
#include <fmt/format.h>

#include "storage/vector/rest/rest_index.h"
#include "storage/vector/rules.h"

namespace asahi::vector {
namespace {

constexpr std::size_t kMaxMetadata = 1024 * 1024;
/// Deletions go in rounds of what Weaviate deletes at once (10,000 unless set otherwise).
constexpr int kMaxRounds = 1'000;

http::Headers headers_for(const RemoteOptions& options) {
  http::Headers headers;
  if (!options.api_key.empty()) {
    headers.add("Authorization", "Bearer " + options.api_key.reveal());
  }
  return headers;
}

/// GraphQL wants a class to begin with a capital.
std::string class_name(const RemoteOptions& options) {
  std::string name = collection_name(options.index_name, options.space);
  if (name[0] >= 'a' && name[0] <= 'z') name[0] = static_cast<char>(name[0] - 'a' + 'A');
  return name;
}

/// All kinds of values as texts that meet only where the values do: properties are of one kind.
std::string filter_text(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return "t" + *text;
  if (const auto* number = std::get_if<double>(&value)) {
    std::string out = "n";
    append_json_number(out, *number);
    return out;
  }
  return std::get<bool>(value) ? "true" : "false";
}

/// Items keep their metadata as one text; fields to filter on stand beside it as asahi_f_<name>.
class WeaviateIndex final : public RestIndex {
 public:
  WeaviateIndex(RemoteOptions options, net::PerLoop<http::Client>& clients)
      : RestIndex("weaviate", options, headers_for(options), clients),
        class_(class_name(options)) {}

 private:
  Task<bool> prepare(Deadline deadline) override;
  Task<void> put_batch(std::string tenant, std::vector<Item> items, Deadline deadline) override;
  Task<std::vector<Hit>> nearest(std::string tenant, Query query, Deadline deadline) override;
  Task<void> drop_ids(std::string tenant, std::vector<std::string> ids, Deadline deadline) override;
  Task<void> drop_where(std::string tenant, Metadata filter, Deadline deadline) override;
  Task<std::uint64_t> size_of(std::string tenant, Deadline deadline) override;
  Task<void> probe(Deadline deadline) override;
  std::size_t max_metadata() const override { return kMaxMetadata; }

  Task<void> drop(std::string where, Deadline deadline);
  /// A GraphQL query's `data`.
  Task<json::value> ask(std::string query, std::string_view part, Deadline deadline);

  const std::string class_;
};

struct Condition {
  std::string property;
  std::string text;
};

std::vector<Condition> conditions(const std::string& tenant, const Metadata& filter) {
  std::vector<Condition> out{{"asahi_tenant", tenant}};
  for (const Field& field : filter) {
    out.push_back({"asahi_f_" + field.name, filter_text(field.value)});
  }
  return out;
}

/// A where filter in JSON for REST, or as a GraphQL value: keys bare, the operator an enum.
std::string where_of(const std::string& tenant, const Metadata& filter, bool graphql) {
  const auto key = [&](std::string_view name) {
    return graphql ? std::string(name) : fmt::format("\"{}\"", name);
  };
  std::string out = fmt::format("{{{}:{},{}:[", key("operator"), key("And"), key("operands"));
  for (const Condition& each : conditions(tenant, filter)) {
    out += fmt::format("{{{}:[\"{}\"],{}:{},{}:", key("path"), each.property, key("operator"),
                       key("Equal"), key("valueText"));
    append_json_string(out, each.text);
    out += "},";
  }
  out.back() = ']';
  return out + "}";
}

Task<bool> WeaviateIndex::prepare(Deadline deadline) {
  auto about = co_await client_.call(http::Method::kGet, options_.origin, "/v1/schema/" + class_,
                                     "", deadline);
  if (about) co_return true;
  if (about.error().code != Errc::kNotFound) co_return std::unexpected(std::move(about.error()));
  std::string body;
  JsonOut out(body);
  out.open_object()
      .member("class", class_)
      .member("description", "Vectors kept by Asahi: " + options_.space.model)
      .member("vectorizer", "none")
      .key("vectorIndexConfig")
      .open_object()
      .member("distance", "cosine")
      .close_object()
      .key("properties")
      .open_array();
  const auto property = [&](std::string name, bool filterable) {
    out.open_object()
        .member("name", name)
        .key("dataType")
        .open_array()
        .string("text")
        .close_array()
        .member("tokenization", "field")
        .member("indexFilterable", filterable)
        .member("indexSearchable", false)
        .close_object();
  };
  property("asahi_tenant", true);
  property("asahi_id", false);
  property("asahi_metadata", false);
  for (const std::string& name : options_.space.filter_fields) property("asahi_f_" + name, true);
  out.close_array().close_object();
  auto made = co_await post("/v1/schema", std::move(body), deadline);
  // Weaviate says 422 where the class exists: another replica was faster.
  if (!made && made.error().code == Errc::kInvalidArgument) {
    made = co_await client_.call(http::Method::kGet, options_.origin, "/v1/schema/" + class_, "",
                                 deadline);
  }
  if (!made) co_return std::unexpected(std::move(made.error()));
  co_return true;
}

Task<void> WeaviateIndex::put_batch(std::string tenant, std::vector<Item> items,
                                    Deadline deadline) {
  std::string body;
  JsonOut out(body);
  out.open_object().key("objects").open_array();
  for (const Item& item : items) {
    std::string metadata;
    JsonOut fields(metadata);
    fields.open_object();
    append_fields(fields, item.metadata);
    fields.close_object();
    out.open_object()
        .member("class", class_)
        .member("id", item_uuid(tenant, item.id))
        .key("properties")
        .open_object()
        .member("asahi_tenant", tenant)
        .member("asahi_id", item.id)
        .member("asahi_metadata", metadata);
    for (const std::string& name : options_.space.filter_fields) {
      for (const Field& field : item.metadata) {
        if (field.name == name) out.member("asahi_f_" + name, filter_text(field.value));
      }
    }
    out.close_object().key("vector");
    append_floats(out, unit_vector(item.vector));
    out.close_object();
  }
  out.close_array().close_object();
  ASAHI_CO_TRY(const json::value answer,
               co_await post("/v1/batch/objects", std::move(body), deadline));
  // Each object has a verdict of its own, under a good status.
  const json::array* const verdicts = answer.if_array();
  if (verdicts == nullptr || verdicts->size() != items.size()) {
    co_return client_.strange("a verdict on each object");
  }
  for (const json::value& verdict : *verdicts) {
    const json::object* const result = object_at(verdict, "result");
    if (result != nullptr && text_of(*result, "status") == "SUCCESS") continue;
    co_return fail(Errc::kUpstream, "weaviate did not store every object of a batch");
  }
  co_return Result<void>();
}

Task<json::value> WeaviateIndex::ask(std::string query, std::string_view part, Deadline deadline) {
  std::string body;
  JsonOut(body).open_object().member("query", query).close_object();
  ASAHI_CO_TRY(const json::value answer, co_await post("/v1/graphql", std::move(body), deadline));
  if (array_at(answer, "errors") != nullptr) {
    co_return fail(Errc::kUpstream,
                   "weaviate answered a GraphQL query with errors; its log tells "
                   "which");
  }
  const json::object* const data = object_at(answer, "data");
  const json::object* const inner = data == nullptr ? nullptr : object_at(*data, part);
  const json::array* const found = inner == nullptr ? nullptr : array_at(*inner, class_);
  if (found == nullptr) co_return client_.strange("data");
  co_return json::value(*found);
}

Task<std::vector<Hit>> WeaviateIndex::nearest(std::string tenant, Query query, Deadline deadline) {
  std::string vector;
  JsonOut out(vector);
  append_floats(out, unit_vector(query.vector));
  const std::string where = where_of(tenant, query.filter, true);
  ASAHI_CO_TRY(
      const json::value found,
      co_await ask(
          fmt::format("{{Get{{{}(nearVector:{{vector:{}}},limit:{},where:{}){{asahi_tenant "
                      "asahi_id asahi_metadata _additional{{distance}}}}}}}}",
                      class_, vector, query.top_k, where),
          "Get", deadline));
  std::vector<Hit> hits;
  for (const json::value& each : found.get_array()) {
    const json::object* const object = each.if_object();
    const json::object* const additional = object_at(each, "_additional");
    const auto distance = additional == nullptr ? std::nullopt : number_at(*additional, "distance");
    if (object == nullptr || !distance) co_return client_.strange("an object's distance");
    if (text_of(*object, "asahi_tenant") != tenant) continue;
    Hit hit{std::string(text_of(*object, "asahi_id")), clamp_score(1 - *distance), {}};
    if (query.with_metadata) {
      ASAHI_CO_TRY(const json::value metadata, parse_json(text_of(*object, "asahi_metadata")));
      if (const auto* fields = metadata.if_object()) hit.metadata = fields_of(*fields);
    }
    hits.push_back(std::move(hit));
  }
  co_return hits;
}

Task<void> WeaviateIndex::drop(std::string where, Deadline deadline) {
  const std::string body =
      fmt::format(R"({{"match":{{"class":"{}","where":{}}},"output":"minimal"}})", class_, where);
  for (int round = 0; round < kMaxRounds; ++round) {
    ASAHI_CO_TRY(const json::value answer,
                 co_await client_.call(http::Method::kDelete, options_.origin, "/v1/batch/objects",
                                       body, deadline));
    const json::object* const results = object_at(answer, "results");
    if (results == nullptr) co_return client_.strange("results");
    const double matches = number_at(*results, "matches").value_or(0);
    const double successful = number_at(*results, "successful").value_or(0);
    if (matches == 0) co_return Result<void>();
    if (successful == 0) break;
  }
  co_return fail(Errc::kUpstream, "weaviate did not delete every object that matched");
}

Task<void> WeaviateIndex::drop_ids(std::string tenant, std::vector<std::string> ids,
                                   Deadline deadline) {
  std::string list;
  JsonOut out(list);
  out.open_array();
  for (const std::string& id : ids) out.string(item_uuid(tenant, id));
  out.close_array();
  co_return co_await drop(
      fmt::format(R"({{"path":["id"],"operator":"ContainsAny","valueTextArray":{}}})", list),
      deadline);
}

Task<void> WeaviateIndex::drop_where(std::string tenant, Metadata filter, Deadline deadline) {
  co_return co_await drop(where_of(tenant, filter, false), deadline);
}

Task<std::uint64_t> WeaviateIndex::size_of(std::string tenant, Deadline deadline) {
  ASAHI_CO_TRY(const json::value found,
               co_await ask(fmt::format("{{Aggregate{{{}(where:{}){{meta{{count}}}}}}}}", class_,
                                        where_of(tenant, {}, true)),
                            "Aggregate", deadline));
  const json::array& groups = found.get_array();
  const json::object* const meta = groups.empty() ? nullptr : object_at(groups[0], "meta");
  const auto count = meta == nullptr ? std::nullopt : number_at(*meta, "count");
  if (!count) co_return client_.strange("a count");
  co_return static_cast<std::uint64_t>(*count);
}

Task<void> WeaviateIndex::probe(Deadline deadline) {
  // It wants the key, which the readiness page does not.
  ASAHI_CO_TRY(const json::value answer, co_await client_.call(http::Method::kGet, options_.origin,
                                                               "/v1/meta", "", deadline));
  co_return Result<void>();
}

}  // namespace

std::unique_ptr<Index> make_weaviate(RemoteOptions options, net::PerLoop<http::Client>& clients) {
  return std::make_unique<WeaviateIndex>(std::move(options), clients);
}

}  // namespace asahi::vector
