// Milvus' REST API v2 (2.4 and later; Zilliz Cloud speaks it too):
// https://milvus.io/api-reference/restful/v2.4.x/About.md
#include <fmt/format.h>

#include "storage/vector/rest/rest_index.h"
#include "storage/vector/rules.h"

namespace asahi::vector {
namespace {

/// A JSON field's limit.
constexpr std::size_t kMaxMetadata = 60 * 1024;
/// Milvus' own codes (pkg/util/merr and its proxy).
constexpr std::int64_t kNoCollection = 100;
constexpr std::int64_t kUnauthorised = 1800;
constexpr std::int64_t kRateLimited = 1807;

http::Headers headers_for(const RemoteOptions& options) {
  http::Headers headers;
  if (!options.api_key.empty()) {
    headers.add("Authorization", "Bearer " + options.api_key.reveal());
  }
  return headers;
}

class MilvusIndex final : public RestIndex {
 public:
  MilvusIndex(RemoteOptions options, net::PerLoop<http::Client>& clients)
      : RestIndex("milvus", options, headers_for(options), clients),
        collection_(collection_name(options.index_name, options.space)) {}

 private:
  Task<bool> prepare(Deadline deadline) override;
  Task<void> put_batch(std::string tenant, std::vector<Item> items, Deadline deadline) override;
  Task<std::vector<Hit>> nearest(std::string tenant, Query query, Deadline deadline) override;
  Task<void> drop_ids(std::string tenant, std::vector<std::string> ids, Deadline deadline) override;
  Task<void> drop_where(std::string tenant, Metadata filter, Deadline deadline) override;
  Task<std::uint64_t> size_of(std::string tenant, Deadline deadline) override;
  Task<void> probe(Deadline deadline) override;
  std::size_t max_metadata() const override { return kMaxMetadata; }

  /// The answer's `data`. Milvus says 200 to everything and tells more in `code`.
  Task<json::value> ask(std::string verb, std::string body, Deadline deadline);

  const std::string collection_;
};

std::string quoted(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

/// https://milvus.io/docs/boolean.md
std::string expression(const std::string& tenant, const Metadata& filter) {
  std::string out = "asahi_tenant == " + quoted(tenant);
  for (const Field& field : filter) {
    out += fmt::format(" and metadata[\"{}\"] == ", field.name);
    if (const auto* text = std::get_if<std::string>(&field.value)) {
      out += quoted(*text);
    } else if (const auto* number = std::get_if<double>(&field.value)) {
      append_json_number(out, *number);
    } else {
      out += std::get<bool>(field.value) ? "true" : "false";
    }
  }
  return out;
}

Task<json::value> MilvusIndex::ask(std::string verb, std::string body, Deadline deadline) {
  auto judge = [verb](const json::value& answer) -> Result<void> {
    const double code = number_at(answer, "code").value_or(-1);
    // 200 stood for success before 2.4.
    if (code == 0 || code == 200) return {};
    const auto number = static_cast<std::int64_t>(code);
    Errc kind = Errc::kUpstream;
    if (number == kNoCollection) kind = Errc::kNotFound;
    if (number == kUnauthorised) kind = Errc::kUnauthenticated;
    if (number == kRateLimited) kind = Errc::kRateLimited;
    return fail(kind, fmt::format("milvus answered code {} to {}", number, verb));
  };
  ASAHI_CO_TRY(json::value answer,
               co_await post("/v2/vectordb/" + verb, std::move(body), deadline, std::move(judge)));
  json::object* const object = answer.if_object();
  if (object == nullptr) co_return client_.strange("a code");
  const auto data = object->find("data");
  co_return data == object->end() ? json::value() : std::move(data->value());
}

Task<bool> MilvusIndex::prepare(Deadline deadline) {
  ASAHI_CO_TRY(const json::value known,
               co_await ask("collections/has",
                            fmt::format(R"({{"collectionName":"{}"}})", collection_), deadline));
  const json::object* const object = known.if_object();
  const json::value* const has = object == nullptr ? nullptr : find_member(*object, "has");
  if (has == nullptr || !has->is_bool()) co_return client_.strange("whether a collection exists");
  if (has->get_bool()) co_return true;
  std::string body;
  JsonOut out(body);
  out.open_object()
      .member("collectionName", collection_)
      .key("schema")
      .open_object()
      .member("autoId", false)
      .member("enableDynamicField", false)
      .key("fields")
      .open_array();
  const auto text = [&](std::string_view name, std::string_view length, std::string_view role) {
    out.open_object().member("fieldName", name).member("dataType", "VarChar");
    if (!role.empty()) out.key(role).boolean(true);
    out.key("elementTypeParams").open_object().member("max_length", length).close_object();
    out.close_object();
  };
  text("asahi_key", "64", "isPrimary");
  text("asahi_tenant", "1024", "isPartitionKey");
  text("asahi_id", "1024", "");
  out.open_object()
      .member("fieldName", "metadata")
      .member("dataType", "JSON")
      .close_object()
      .open_object()
      .member("fieldName", "vector")
      .member("dataType", "FloatVector")
      .key("elementTypeParams")
      .open_object()
      .member("dim", std::to_string(options_.space.dimensions))
      .close_object()
      .close_object()
      .close_array()
      .close_object()
      .key("indexParams")
      .open_array()
      .open_object()
      .member("fieldName", "vector")
      .member("indexName", "vector")
      .member("metricType", "COSINE")
      .member("indexType", "AUTOINDEX")
      .close_object()
      .close_array()
      .key("params")
      .open_object()
      .member("consistencyLevel", "Strong")
      .close_object()
      .close_object();
  ASAHI_CO_TRY(const json::value made,
               co_await ask("collections/create", std::move(body), deadline));
  co_return true;
}

Task<void> MilvusIndex::put_batch(std::string tenant, std::vector<Item> items, Deadline deadline) {
  std::string body;
  JsonOut out(body);
  out.open_object().member("collectionName", collection_).key("data").open_array();
  for (const Item& item : items) {
    out.open_object()
        .member("asahi_key", item_key(tenant, item.id))
        .member("asahi_tenant", tenant)
        .member("asahi_id", item.id)
        .key("metadata")
        .open_object();
    append_fields(out, item.metadata);
    out.close_object().key("vector");
    append_floats(out, unit_vector(item.vector));
    out.close_object();
  }
  out.close_array().close_object();
  ASAHI_CO_TRY(const json::value data, co_await ask("entities/upsert", std::move(body), deadline));
  const auto count = number_at(data, "upsertCount");
  if (!count || static_cast<std::size_t>(*count) != items.size()) {
    co_return client_.strange("the number of items that were sent");
  }
  co_return Result<void>();
}

Task<std::vector<Hit>> MilvusIndex::nearest(std::string tenant, Query query, Deadline deadline) {
  std::string body;
  JsonOut out(body);
  out.open_object().member("collectionName", collection_).key("data").open_array();
  append_floats(out, unit_vector(query.vector));
  out.close_array()
      .member("annsField", "vector")
      .member("limit", static_cast<std::int64_t>(query.top_k))
      .member("filter", expression(tenant, query.filter))
      .key("outputFields")
      .open_array()
      .string("asahi_tenant")
      .string("asahi_id")
      .string("metadata")
      .close_array()
      .close_object();
  ASAHI_CO_TRY(const json::value data, co_await ask("entities/search", std::move(body), deadline));
  const json::array* const found = data.if_array();
  if (found == nullptr) co_return client_.strange("hits");
  std::vector<Hit> hits;
  for (const json::value& each : *found) {
    const json::object* const object = each.if_object();
    const auto score = number_at(each, "distance");
    if (object == nullptr || !score) co_return client_.strange("a hit's distance");
    if (text_of(*object, "asahi_tenant") != tenant) continue;
    Hit hit{std::string(text_of(*object, "asahi_id")), clamp_score(*score), {}};
    if (query.with_metadata) {
      // A JSON field comes as an object or, from some versions, as its text.
      if (const auto* fields = object_at(*object, "metadata")) {
        hit.metadata = fields_of(*fields);
      } else {
        ASAHI_CO_TRY(const json::value metadata, parse_json(text_of(*object, "metadata")));
        if (const auto* read = metadata.if_object()) hit.metadata = fields_of(*read);
      }
    }
    hits.push_back(std::move(hit));
  }
  co_return hits;
}

Task<void> MilvusIndex::drop_ids(std::string tenant, std::vector<std::string> ids,
                                 Deadline deadline) {
  std::string keys;
  for (const std::string& id : ids) keys += fmt::format("\"{}\",", item_key(tenant, id));
  if (keys.empty()) co_return Result<void>();
  keys.pop_back();
  std::string body;
  JsonOut(body)
      .open_object()
      .member("collectionName", collection_)
      .member("filter", fmt::format("asahi_key in [{}]", keys))
      .close_object();
  ASAHI_CO_TRY(const json::value data, co_await ask("entities/delete", std::move(body), deadline));
  co_return Result<void>();
}

Task<void> MilvusIndex::drop_where(std::string tenant, Metadata filter, Deadline deadline) {
  std::string body;
  JsonOut(body)
      .open_object()
      .member("collectionName", collection_)
      .member("filter", expression(tenant, filter))
      .close_object();
  ASAHI_CO_TRY(const json::value data, co_await ask("entities/delete", std::move(body), deadline));
  co_return Result<void>();
}

Task<std::uint64_t> MilvusIndex::size_of(std::string tenant, Deadline deadline) {
  std::string body;
  JsonOut(body)
      .open_object()
      .member("collectionName", collection_)
      .member("filter", expression(tenant, {}))
      .key("outputFields")
      .open_array()
      .string("count(*)")
      .close_array()
      .close_object();
  ASAHI_CO_TRY(const json::value data, co_await ask("entities/query", std::move(body), deadline));
  const json::array* const rows = data.if_array();
  const auto count =
      rows == nullptr || rows->empty() ? std::nullopt : number_at(rows->front(), "count(*)");
  if (!count) co_return client_.strange("a count");
  co_return static_cast<std::uint64_t>(*count);
}

Task<void> MilvusIndex::probe(Deadline deadline) {
  ASAHI_CO_TRY(const json::value data, co_await ask("collections/list", "{}", deadline));
  co_return Result<void>();
}

}  // namespace

std::unique_ptr<Index> make_milvus(RemoteOptions options, net::PerLoop<http::Client>& clients) {
  return std::make_unique<MilvusIndex>(std::move(options), clients);
}

}  // namespace asahi::vector
