// Qdrant's REST API of 1.10 and later: https://api.qdrant.tech/api-reference
#include <fmt/format.h>

#include "storage/vector/rest/rest_index.h"
#include "storage/vector/rules.h"

namespace asahi::vector {
namespace {

constexpr std::size_t kMaxMetadata = 1024 * 1024;

http::Headers headers_for(const RemoteOptions& options) {
  http::Headers headers;
  if (!options.api_key.empty()) headers.add("api-key", options.api_key.reveal());
  return headers;
}

class QdrantIndex final : public RestIndex {
 public:
  QdrantIndex(RemoteOptions options, net::PerLoop<http::Client>& clients)
      : RestIndex("qdrant", options, headers_for(options), clients),
        path_("/collections/" + collection_name(options.index_name, options.space)) {}

 private:
  Task<bool> prepare(Deadline deadline) override;
  Task<void> put_batch(std::string tenant, std::vector<Item> items, Deadline deadline) override;
  Task<std::vector<Hit>> nearest(std::string tenant, Query query, Deadline deadline) override;
  Task<void> drop_ids(std::string tenant, std::vector<std::string> ids, Deadline deadline) override;
  Task<void> drop_where(std::string tenant, Metadata filter, Deadline deadline) override;
  Task<std::uint64_t> size_of(std::string tenant, Deadline deadline) override;
  Task<void> probe(Deadline deadline) override;
  std::size_t max_metadata() const override { return kMaxMetadata; }

  Task<json::value> put(std::string target, std::string body, Deadline deadline) {
    return client_.call(http::Method::kPut, options_.origin, std::move(target), std::move(body),
                        deadline);
  }

  const std::string path_;
};

void append_filter(JsonOut& out, const std::string& tenant, const Metadata& filter) {
  out.key("filter").open_object().key("must").open_array();
  Metadata all = filter;
  all.push_back({"asahi_tenant", tenant});
  for (const Field& field : all) {
    out.open_object().member("key", field.name);
    // `match` takes no fractions.
    if (const auto* number = std::get_if<double>(&field.value)) {
      out.key("range").open_object().member("gte", *number).member("lte", *number).close_object();
    } else {
      out.key("match").open_object();
      append_fields(out, {{"value", field.value}});
      out.close_object();
    }
    out.close_object();
  }
  out.close_array().close_object();
}

Task<bool> QdrantIndex::prepare(Deadline deadline) {
  auto about = co_await client_.call(http::Method::kGet, options_.origin, path_, "", deadline);
  if (about) co_return true;
  if (about.error().code != Errc::kNotFound) co_return std::unexpected(std::move(about.error()));
  std::string body;
  JsonOut out(body);
  out.open_object()
      .key("vectors")
      .open_object()
      .member("size", static_cast<std::int64_t>(options_.space.dimensions))
      .member("distance", "Cosine")
      .close_object()
      .close_object();
  auto made = co_await put(path_, std::move(body), deadline);
  // Another replica was faster.
  if (!made && made.error().code != Errc::kConflict) {
    co_return std::unexpected(std::move(made.error()));
  }
  std::string field;
  JsonOut(field)
      .open_object()
      .member("field_name", "asahi_tenant")
      .key("field_schema")
      .open_object()
      .member("type", "keyword")
      .member("is_tenant", true)
      .close_object()
      .close_object();
  ASAHI_CO_TRY(const json::value indexed,
               co_await put(path_ + "/index?wait=true", std::move(field), deadline));
  co_return true;
}

Task<void> QdrantIndex::put_batch(std::string tenant, std::vector<Item> items, Deadline deadline) {
  std::string body;
  JsonOut out(body);
  out.open_object().key("points").open_array();
  for (const Item& item : items) {
    out.open_object().member("id", item_uuid(tenant, item.id)).key("vector");
    append_floats(out, unit_vector(item.vector));
    out.key("payload").open_object().member("asahi_tenant", tenant).member("asahi_id", item.id);
    append_fields(out, item.metadata);
    out.close_object().close_object();
  }
  out.close_array().close_object();
  ASAHI_CO_TRY(const json::value answer,
               co_await put(path_ + "/points?wait=true", std::move(body), deadline));
  if (object_at(answer, "result") == nullptr) co_return client_.strange("a result");
  co_return Result<void>();
}

Task<std::vector<Hit>> QdrantIndex::nearest(std::string tenant, Query query, Deadline deadline) {
  std::string body;
  JsonOut out(body);
  out.open_object().key("query");
  append_floats(out, unit_vector(query.vector));
  out.member("limit", static_cast<std::int64_t>(query.top_k)).member("with_payload", true);
  append_filter(out, tenant, query.filter);
  out.close_object();
  ASAHI_CO_TRY(const json::value answer,
               co_await post(path_ + "/points/query", std::move(body), deadline));
  const json::object* const result = object_at(answer, "result");
  const json::array* const points = result == nullptr ? nullptr : array_at(*result, "points");
  if (points == nullptr) co_return client_.strange("points");
  std::vector<Hit> hits;
  for (const json::value& point : *points) {
    const json::object* const payload = object_at(point, "payload");
    const auto score = number_at(point, "score");
    if (payload == nullptr || !score) co_return client_.strange("a point's payload");
    if (text_of(*payload, "asahi_tenant") != tenant) continue;
    Hit hit{std::string(text_of(*payload, "asahi_id")), clamp_score(*score), {}};
    if (query.with_metadata) hit.metadata = fields_of(*payload);
    hits.push_back(std::move(hit));
  }
  co_return hits;
}

Task<void> QdrantIndex::drop_ids(std::string tenant, std::vector<std::string> ids,
                                 Deadline deadline) {
  std::string body;
  JsonOut out(body);
  out.open_object().key("points").open_array();
  for (const std::string& id : ids) out.string(item_uuid(tenant, id));
  out.close_array().close_object();
  ASAHI_CO_TRY(const json::value answer,
               co_await post(path_ + "/points/delete?wait=true", std::move(body), deadline));
  co_return Result<void>();
}

Task<void> QdrantIndex::drop_where(std::string tenant, Metadata filter, Deadline deadline) {
  std::string body;
  JsonOut out(body);
  out.open_object();
  append_filter(out, tenant, filter);
  out.close_object();
  ASAHI_CO_TRY(const json::value answer,
               co_await post(path_ + "/points/delete?wait=true", std::move(body), deadline));
  co_return Result<void>();
}

Task<std::uint64_t> QdrantIndex::size_of(std::string tenant, Deadline deadline) {
  std::string body;
  JsonOut out(body);
  out.open_object().member("exact", true);
  append_filter(out, tenant, {});
  out.close_object();
  ASAHI_CO_TRY(const json::value answer,
               co_await post(path_ + "/points/count", std::move(body), deadline));
  const json::object* const result = object_at(answer, "result");
  const auto count = result == nullptr ? std::nullopt : number_at(*result, "count");
  if (!count) co_return client_.strange("a count");
  co_return static_cast<std::uint64_t>(*count);
}

Task<void> QdrantIndex::probe(Deadline deadline) {
  ASAHI_CO_TRY(const json::value answer, co_await client_.call(http::Method::kGet, options_.origin,
                                                               "/collections", "", deadline));
  co_return Result<void>();
}

}  // namespace

std::unique_ptr<Index> make_qdrant(RemoteOptions options, net::PerLoop<http::Client>& clients) {
  return std::make_unique<QdrantIndex>(std::move(options), clients);
}

}  // namespace asahi::vector
