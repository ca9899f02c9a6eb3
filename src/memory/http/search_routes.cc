#include <fmt/format.h>

#include "base/json_out.h"
#include "memory/embedding/choice.h"
#include "memory/http/routes.h"
#include "memory/ops/cache_warmer.h"

namespace asahi::memory {
namespace {

constexpr std::size_t kMaxTexts = 1000;
constexpr std::size_t kMaxTextBytes = 40'000;  // 10,000 characters of up to four bytes

Task<http::Response> post_search(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const json::object body, body_of(context.request));
  const Reach reach = reach_of(context);
  ASAHI_CO_TRY(SearchRequest request, parse_search(body, parts.search.options().limits, reach));
  // Code is a legitimate question: what looks like an attack is told, and searched for (C-42).
  if (parts.security != nullptr) parts.security->inspect(context, "query", request.text);
  ASAHI_CO_TRY(std::string reply, co_await parts.search.search(reach, std::move(request)));
  co_return http::Response::json(200, std::move(reply));
}

Task<http::Response> get_search(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(
      std::string reply,
      co_await parts.search.reply(reach_of(context), std::string(context.path_param("query_id"))));
  co_return http::Response::json(200, std::move(reply));
}

/// `text` or `texts`.
Result<std::vector<std::string>> texts_of(const json::object& body) {
  std::vector<std::string> texts;
  const auto take = [&](const json::value& value, std::string field) -> Result<void> {
    if (!value.is_string() || value.get_string().empty() ||
        value.get_string().size() > kMaxTextBytes ||
        value.get_string().find('\0') != std::string_view::npos) {
      return fail_field(std::move(field),
                        fmt::format("a text has 1 to {} bytes and no NUL", kMaxTextBytes));
    }
    texts.emplace_back(value.get_string());
    return {};
  };
  const json::value* one = body.if_contains("text");
  const json::value* many = body.if_contains("texts");
  if ((one == nullptr) == (many == nullptr)) return fail_field("text", "give either text or texts");
  if (one != nullptr) {
    if (auto ok = take(*one, "text"); !ok) return std::unexpected(ok.error());
    return texts;
  }
  if (!many->is_array() || many->get_array().empty() || many->get_array().size() > kMaxTexts)
    return fail_field("texts", fmt::format("texts must be a list of 1 to {} texts", kMaxTexts));
  for (std::size_t i = 0; i < many->get_array().size(); ++i) {
    if (auto ok = take(many->get_array()[i], fmt::format("texts[{}]", i)); !ok)
      return std::unexpected(ok.error());
  }
  return texts;
}

Task<http::Response> post_embeddings(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const json::object body, body_of(context.request));
  ASAHI_CO_TRY(std::vector<std::string> texts, texts_of(body));
  const bool single = body.contains("text");
  ASAHI_CO_TRY(const auto made,
               co_await parts.embedder.embed(std::move(texts), llm::EmbedPurpose::kDocument,
                                             {.deadline = context.deadline}));
  std::string text;
  JsonOut out(text);
  out.open_object();
  out.member("embedding_dim", static_cast<std::int64_t>(parts.embedder.traits().width));
  out.member("mode", embedding_mode(made.front().traits->tag));
  out.member("model", made.front().traits->tag);
  if (!single) out.member("count", static_cast<std::int64_t>(made.size()));
  if (!single) out.key("embeddings").open_array();
  for (const llm::Embedded& one : made) {
    if (single) out.key("embedding");
    out.open_array();
    for (const float number : *one.vector) out.number(static_cast<double>(number));
    out.close_array();
  }
  if (!single) out.close_array();
  out.close_object();
  co_return http::Response::json(200, std::move(text));
}

Task<http::Response> warm_cache(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(
      const CacheWarmer::Warmed done,
      co_await parts.warmer.warm(reach_of(context).tenant(), CacheWarmer::Trigger::kDemand));
  co_return json_reply(200, {{"warmed", done.refilled + done.cached},
                             {"refilled", done.refilled},
                             {"cached", done.cached},
                             {"failed", done.failed}});
}

Task<http::Response> cache_stats(const RouteParts& parts, http::Context&) {
  const Search::CacheCounts counts = parts.search.cache_counts();
  const double all = static_cast<double>(counts.l1 + counts.l2 + counts.misses);
  const auto rate = [&](std::uint64_t part) {
    return all == 0 ? 0.0 : static_cast<double>(part) / all;
  };
  const SearchOptions options = parts.search.options();
  co_return json_reply(200, {{"enabled", options.cache},
                             {"l1", json::object{{"hits", counts.l1},
                                                 {"hit_rate", rate(counts.l1)},
                                                 {"ttl_seconds", options.l1_ttl.count()}}},
                             {"l2", json::object{{"hits", counts.l2},
                                                 {"hit_rate", rate(counts.l2)},
                                                 {"ttl_seconds", options.l2_ttl.count()}}},
                             {"misses", counts.misses}});
}

Task<http::Response> purge_cache(const RouteParts& parts, http::Context& context) {
  const std::string tenant = reach_of(context).tenant();
  auto purged = co_await parts.search.purge(tenant);
  if (!purged) co_return std::unexpected(purged.error());
  co_await note(parts, context, "memory.cache.purge", "memory/cache");
  co_return json_reply(200, {{"purged", true}});
}

}  // namespace

void add_search_routes(const RouteAdder& routes) {
  using enum http::Method;
  for (const char* path : {"/search", "/query/search"})
    routes.add(kPost, path, "query:search", post_search);
  routes.add(kGet, "/search/{query_id}", "query:search", get_search);
  routes.add(kPost, "/embeddings", "query:search", post_embeddings);
  routes.add(kPost, "/cache/warm", "admin:settings", warm_cache);
  routes.add(kGet, "/cache/stats", "admin:settings", cache_stats);
  routes.add(kDelete, "/cache", "admin:settings", purge_cache);
}

}  // namespace asahi::memory
