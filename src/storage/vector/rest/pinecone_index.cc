// Pinecone's REST API of 2025-04: https://docs.pinecone.io/reference/api
#include <fmt/format.h>

#include <mutex>

#include "base/hash.h"
#include "storage/vector/rest/rest_index.h"
#include "storage/vector/rules.h"

namespace asahi::vector {
namespace {

/// Pinecone's own limits.
constexpr std::size_t kMaxMetadata = 40 * 1024;
constexpr std::size_t kMaxMatches = 10'000;
constexpr std::chrono::milliseconds kPoll{500};

http::Headers headers_for(const RemoteOptions& options) {
  http::Headers headers;
  headers.add("Api-Key", options.api_key.reveal());
  headers.add("X-Pinecone-API-Version", "2025-04");
  return headers;
}

class PineconeIndex final : public RestIndex {
 public:
  PineconeIndex(RemoteOptions options, net::PerLoop<http::Client>& clients)
      : RestIndex("pinecone", options, headers_for(options), clients),
        tag_(to_hex(sha256(options.space.model).data(), 4)) {
    if (!options.control_plane) host_ = options.origin;
  }

 private:
  Task<bool> prepare(Deadline deadline) override;
  Task<void> put_batch(std::string tenant, std::vector<Item> items, Deadline deadline) override;
  Task<std::vector<Hit>> nearest(std::string tenant, Query query, Deadline deadline) override;
  Task<void> drop_ids(std::string tenant, std::vector<std::string> ids, Deadline deadline) override;
  Task<void> drop_where(std::string tenant, Metadata filter, Deadline deadline) override;
  Task<std::uint64_t> size_of(std::string tenant, Deadline deadline) override;
  Task<void> probe(Deadline deadline) override;
  std::size_t max_metadata() const override { return kMaxMetadata; }

  /// A namespace of vectors of one model; printable ASCII.
  std::string name_space(const std::string& tenant) const {
    return (options_.namespace_per_tenant ? http::percent_encode(tenant) : "all") + "~" + tag_;
  }
  http::Origin host() {
    const std::lock_guard lock(mutex_);
    return host_;
  }
  Result<bool> take_description(const json::value& about);
  void append_filter(JsonOut& out, const std::string& tenant, const Metadata& filter) const;
  Task<json::value> send(std::string target, std::string body, Deadline deadline) {
    return client_.call(http::Method::kPost, host(), std::move(target), std::move(body), deadline);
  }

  const std::string tag_;
  std::mutex mutex_;
  http::Origin host_;  ///< where the index is, once known
};

/// True when the index can be used.
Result<bool> PineconeIndex::take_description(const json::value& about) {
  const json::object* const object = about.if_object();
  const auto dimension = number_at(about, "dimension");
  if (object == nullptr || !dimension) return client_.strange("an index's dimension");
  if (static_cast<std::size_t>(*dimension) != options_.space.dimensions) {
    return fail_field("vector_db.index_name",
                      fmt::format("Pinecone's index '{}' holds vectors of {} numbers, the embedder "
                                  "makes {}; name another index, or use a matching embedder",
                                  options_.index_name, *dimension, options_.space.dimensions));
  }
  const std::string_view host = text_of(*object, "host");
  const json::object* const status = object_at(about, "status");
  const json::value* const ready = status == nullptr ? nullptr : find_member(*status, "ready");
  if (host.empty() || ready == nullptr || !ready->is_bool()) return client_.strange("a host");
  // An emulator's control plane without TLS has indexes without it, too.
  const std::string_view scheme = options_.origin.tls ? "https://" : "http://";
  ASAHI_TRY(http::Origin origin, http::Origin::parse(fmt::format("{}{}", scheme, host)));
  const std::lock_guard lock(mutex_);
  host_ = std::move(origin);
  return ready->get_bool();
}

Task<bool> PineconeIndex::prepare(Deadline deadline) {
  if (!options_.control_plane) {
    ASAHI_CO_TRY(const json::value stats, co_await send("/describe_index_stats", "{}", deadline));
    const auto dimension = number_at(stats, "dimension");
    if (!dimension) co_return client_.strange("an index's dimension");
    if (static_cast<std::size_t>(*dimension) == options_.space.dimensions) co_return true;
    co_return fail_field("vector_db.host",
                         fmt::format("Pinecone's index there holds vectors of {} numbers, the "
                                     "embedder makes {}; use another index or embedder",
                                     *dimension, options_.space.dimensions));
  }
  const std::string name = http::percent_encode(options_.index_name);
  auto about =
      co_await client_.call(http::Method::kGet, options_.origin, "/indexes/" + name, "", deadline);
  if (!about && about.error().code == Errc::kNotFound) {
    std::string body;
    JsonOut out(body);
    out.open_object()
        .member("name", options_.index_name)
        .member("dimension", static_cast<std::int64_t>(options_.space.dimensions))
        .member("metric", "cosine")
        .key("spec")
        .open_object()
        .key("serverless")
        .open_object()
        .member("cloud", "aws")
        .member("region", options_.region)
        .close_object()
        .close_object()
        .close_object();
    about = co_await client_.call(http::Method::kPost, options_.origin, "/indexes", std::move(body),
                                  deadline);
    // Another replica was faster.
    if (!about && about.error().code == Errc::kConflict) {
      about = co_await client_.call(http::Method::kGet, options_.origin, "/indexes/" + name, "",
                                    deadline);
    }
  }
  while (true) {
    if (!about) co_return std::unexpected(std::move(about.error()));
    ASAHI_CO_TRY(const bool ready, take_description(*about));
    if (ready) co_return true;
    if (std::chrono::steady_clock::now() + kPoll >= deadline) co_return false;
    co_await net::Loop::current()->sleep_for(kPoll);
    about = co_await client_.call(http::Method::kGet, options_.origin, "/indexes/" + name, "",
                                  deadline);
  }
}

void PineconeIndex::append_filter(JsonOut& out, const std::string& tenant,
                                  const Metadata& filter) const {
  Metadata all = filter;
  all.push_back({"asahi_tenant", tenant});
  out.open_object().key("$and").open_array();
  for (const Field& field : all) {
    out.open_object().key(std::string_view(field.name)).open_object();
    append_fields(out, {{"$eq", field.value}});
    out.close_object().close_object();
  }
  out.close_array().close_object();
}

Task<void> PineconeIndex::put_batch(std::string tenant, std::vector<Item> items,
                                    Deadline deadline) {
  std::string body;
  JsonOut out(body);
  out.open_object().key("vectors").open_array();
  for (const Item& item : items) {
    out.open_object().member("id", item_key(tenant, item.id)).key("values");
    append_floats(out, unit_vector(item.vector));
    out.key("metadata").open_object().member("asahi_tenant", tenant).member("asahi_id", item.id);
    append_fields(out, item.metadata);
    out.close_object().close_object();
  }
  out.close_array().member("namespace", name_space(tenant)).close_object();
  ASAHI_CO_TRY(const json::value answer,
               co_await send("/vectors/upsert", std::move(body), deadline));
  const auto count = number_at(answer, "upsertedCount");
  if (!count || static_cast<std::size_t>(*count) != items.size()) {
    co_return client_.strange("the number of items that were sent");
  }
  co_return Result<void>();
}

Task<std::vector<Hit>> PineconeIndex::nearest(std::string tenant, Query query, Deadline deadline) {
  std::string body;
  JsonOut out(body);
  out.open_object().member("namespace", name_space(tenant)).key("vector");
  append_floats(out, unit_vector(query.vector));
  out.member("topK", static_cast<std::int64_t>(query.top_k))
      .member("includeValues", false)
      .member("includeMetadata", true)
      .key("filter");
  append_filter(out, tenant, query.filter);
  out.close_object();
  ASAHI_CO_TRY(const json::value answer, co_await send("/query", std::move(body), deadline));
  const json::array* const matches = array_at(answer, "matches");
  if (matches == nullptr) co_return client_.strange("matches");
  std::vector<Hit> hits;
  for (const json::value& match : *matches) {
    const json::object* const metadata = object_at(match, "metadata");
    const auto score = number_at(match, "score");
    if (metadata == nullptr || !score) co_return client_.strange("a match's metadata");
    if (text_of(*metadata, "asahi_tenant") != tenant) continue;
    Hit hit{std::string(text_of(*metadata, "asahi_id")), clamp_score(*score), {}};
    if (query.with_metadata) hit.metadata = fields_of(*metadata);
    hits.push_back(std::move(hit));
  }
  co_return hits;
}

Task<void> PineconeIndex::drop_ids(std::string tenant, std::vector<std::string> ids,
                                   Deadline deadline) {
  std::string body;
  JsonOut out(body);
  out.open_object().key("ids").open_array();
  for (const std::string& id : ids) out.string(item_key(tenant, id));
  out.close_array().member("namespace", name_space(tenant)).close_object();
  const auto done = co_await send("/vectors/delete", std::move(body), deadline);
  // A namespace that nobody has written to does not exist.
  if (!done && done.error().code != Errc::kNotFound) co_return std::unexpected(done.error());
  co_return Result<void>();
}

Task<void> PineconeIndex::drop_where(std::string tenant, Metadata filter, Deadline deadline) {
  std::string body;
  JsonOut out(body);
  out.open_object();
  if (filter.empty() && options_.namespace_per_tenant) {
    out.member("deleteAll", true);
  } else {
    out.key("filter");
    append_filter(out, tenant, filter);
  }
  out.member("namespace", name_space(tenant)).close_object();
  const auto done = co_await send("/vectors/delete", std::move(body), deadline);
  if (!done && done.error().code != Errc::kNotFound) co_return std::unexpected(done.error());
  co_return Result<void>();
}

Task<std::uint64_t> PineconeIndex::size_of(std::string tenant, Deadline deadline) {
  if (!options_.namespace_per_tenant) {
    // Statistics know namespaces only; a query counts what it may return.
    std::vector<float> any(options_.space.dimensions);
    any[0] = 1;
    std::string body;
    JsonOut out(body);
    out.open_object().member("namespace", name_space(tenant)).key("vector");
    append_floats(out, any);
    out.member("topK", static_cast<std::int64_t>(kMaxMatches))
        .member("includeValues", false)
        .member("includeMetadata", false)
        .key("filter");
    append_filter(out, tenant, {});
    out.close_object();
    ASAHI_CO_TRY(const json::value answer, co_await send("/query", std::move(body), deadline));
    const json::array* const matches = array_at(answer, "matches");
    if (matches == nullptr) co_return client_.strange("matches");
    co_return matches->size();
  }
  ASAHI_CO_TRY(const json::value stats, co_await send("/describe_index_stats", "{}", deadline));
  const json::object* const spaces = object_at(stats, "namespaces");
  if (spaces == nullptr) co_return client_.strange("namespaces");
  const json::value* const own = find_member(*spaces, name_space(tenant));
  co_return own == nullptr ? 0
                           : static_cast<std::uint64_t>(number_at(*own, "vectorCount").value_or(0));
}

Task<void> PineconeIndex::probe(Deadline deadline) {
  const std::string name = "/indexes/" + http::percent_encode(options_.index_name);
  Result<json::value> done = json::value();
  if (options_.control_plane) {
    done = co_await client_.call(http::Method::kGet, options_.origin, name, "", deadline);
  } else {
    done = co_await send("/describe_index_stats", "{}", deadline);
  }
  // No index yet: it is made on first use.
  if (!done && done.error().code != Errc::kNotFound) co_return std::unexpected(done.error());
  co_return Result<void>();
}

}  // namespace

std::unique_ptr<Index> make_pinecone(RemoteOptions options, net::PerLoop<http::Client>& clients) {
  return std::make_unique<PineconeIndex>(std::move(options), clients);
}

}  // namespace asahi::vector
