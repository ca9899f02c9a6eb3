#include <fmt/format.h>

#include <charconv>

#include "gateway/cache/semantic/context.h"
#include "gateway/http/admin_routes.h"
#include "gateway/http/errors.h"
#include "identity/principal.h"
#include "net/http/query_params.h"

namespace asahi::gateway {
namespace {

const std::string& org_of(const http::Context& context) {
  return identity::principal_of(context).org_id;
}

std::string removed_body(std::uint64_t tier_1, std::uint64_t tier_2, std::uint64_t tier_3) {
  return fmt::format(R"({{"removed":{{"tier_1":{},"tier_2":{},"tier_3":{}}},"total":{}}})", tier_1,
                     tier_2, tier_3, tier_1 + tier_2 + tier_3);
}

/// `tier` of the query: empty, 1, 2 or 3.
Result<std::optional<int>> tier_param(const http::Context& context) {
  const auto tier = context.request.query_param("tier");
  if (!tier || tier->empty()) return std::nullopt;
  if (*tier != "1" && *tier != "2" && *tier != "3") {
    return fail_field("tier", fmt::format("tier is '{}'; it must be 1, 2 or 3", *tier));
  }
  return (*tier)[0] - '0';
}

json::object entry_json(int tier, const cache::Entry& entry, const Answer& answer,
                        bool with_response) {
  json::object out{{"tier", tier},
                   {"key", entry.key},
                   {"query", answer.query},
                   {"model", answer.model},
                   {"cost", shown_dollars(answer.cost)},
                   {"task_type", answer.task_type},
                   {"created_at", format_rfc3339(answer.created)},
                   {"expires_at", format_rfc3339(answer.expires)},
                   {"hits", entry.hits ? json::value(*entry.hits) : json::value(nullptr)},
                   {"size_bytes", entry.value->size()}};
  if (with_response) out["response"] = answer.response.text();
  return out;
}

json::object row_json(const semantic::EntryRow& row, Clock::Time now, bool with_response) {
  const auto answer = parse_answer(row.answer);
  json::object out{{"tier", 2},
                   {"key", row.id},
                   {"query", row.query},
                   {"model", answer ? answer->model : ""},
                   {"cost", answer ? shown_dollars(answer->cost) : shown_dollars({})},
                   {"task_type", row.task},
                   {"created_at", format_rfc3339(row.created)},
                   {"expires_at", format_rfc3339(row.expires)},
                   {"hits", row.hits},
                   {"size_bytes", row.answer.size()},
                   {"ttl_seconds_left",
                    std::chrono::duration_cast<std::chrono::seconds>(row.expires - now).count()}};
  if (with_response && answer) out["response"] = answer->response.text();
  json::array earlier;
  for (const std::string_view turn : semantic::turns_of(row.earlier)) earlier.emplace_back(turn);
  if (!earlier.empty()) out["earlier"] = std::move(earlier);
  return out;
}

json::value semantic_json(const ServiceParts& parts, const std::string& org,
                          const OrgTotals& totals) {
  if (parts.semantic == nullptr) return nullptr;
  const SemanticCache::Stats stats = parts.semantic->cache->stats(org);
  const StandIn* const stand_in = parts.semantic->cache->stand_in();
  json::value standing = nullptr;
  if (stand_in != nullptr) {
    standing = {{"active", stand_in->active()},
                {"embedder", stand_in->traits().tag},
                {"lookups", stand_in->lookups()},
                {"entries", stand_in->entries()},
                {"bytes", stand_in->bytes()}};
  }
  return {{"hits", totals.hits_by_tier[2]},
          {"entries", stats.entries},
          {"questions", stats.questions},
          {"estimated_wrong", stats.estimated_wrong},
          {"error_bound", parts.config.cache.tier2.error_bound},
          {"checked", stats.explorations},
          {"dropped", stats.dropped},
          {"embedder", parts.semantic->embedder->traits().tag},
          {"index", parts.semantic->index.index->backend()},
          {"contextual", parts.config.cache.tier2.contextual},
          {"stand_in", std::move(standing)}};
}

}  // namespace

void add_cache_routes(http::Router& router, ServiceParts parts) {
  const http::Handler clear = [parts](http::Context& context) -> Aw<http::Response> {
    auto tier = tier_param(context);
    if (!tier) co_return native_error(tier.error(), context);
    std::uint64_t tier_1 = 0, tier_2 = 0, tier_3 = 0;
    if (!*tier || **tier == 1) {
      auto removed = co_await parts.cache.clear(org_of(context));
      if (!removed) co_return native_error(removed.error(), context);
      tier_1 = removed->tier_1;
    }
    if (!*tier || **tier == 3) {
      auto removed = co_await parts.steps.entries().clear(org_of(context));
      if (!removed) co_return native_error(removed.error(), context);
      tier_3 = removed->tier_1;
    }
    if (parts.semantic != nullptr && (!*tier || **tier == 2)) {
      auto removed = co_await parts.semantic->cache->clear(org_of(context));
      if (!removed) co_return native_error(removed.error(), context);
      tier_2 = static_cast<std::uint64_t>(*removed);
    }
    co_return http::Response::json(200, removed_body(tier_1, tier_2, tier_3));
  };
  add_both(router, http::Method::kDelete, "/cache/clear", "manage_policy", clear);
  add_both(router, http::Method::kDelete, "/cache", "manage_policy", clear);
  add_both(router, http::Method::kDelete, "/cache/expired", "manage_policy",
           [parts](http::Context& context) -> Aw<http::Response> {
             auto removed = co_await parts.cache.clear_expired();
             if (!removed) co_return native_error(removed.error(), context);
             std::uint64_t tier_2 = 0;
             if (parts.semantic != nullptr) {
               auto similar = co_await parts.semantic->cache->clear_expired(org_of(context));
               if (!similar) co_return native_error(similar.error(), context);
               tier_2 = static_cast<std::uint64_t>(*similar);
             }
             // Tiers 1 and 3 share stores: one sweep.
             co_return http::Response::json(200, removed_body(removed->tier_1, tier_2, 0));
           });
  add_both(router, http::Method::kDelete, "/cache/steps", "manage_policy",
           [parts](http::Context& context) -> Aw<http::Response> {
             const auto key = context.request.query_param("key");
             const auto document = context.request.query_param("document_id");
             if (key.has_value() == document.has_value() || key == "" || document == "") {
               const auto wrong =
                   fail_field("document_id", "name the steps to forget: either document_id or key");
               co_return native_error(wrong.error(), context);
             }
             Result<std::uint64_t> removed = std::uint64_t{0};
             if (document) {
               removed = co_await parts.steps.forget_document(org_of(context), *document);
             } else {
               removed = co_await parts.steps.forget_key(org_of(context), *key);
             }
             if (!removed) co_return native_error(removed.error(), context);
             co_return http::Response::json(200, removed_body(0, 0, *removed));
           });
  add_both(router, http::Method::kGet, "/cache/stats", "manage_policy",
           [parts](http::Context& context) -> Aw<http::Response> {
             auto stats = co_await parts.cache.stats();
             if (!stats) co_return native_error(stats.error(), context);
             const OrgTotals totals = parts.totals.of(org_of(context));
             const std::int64_t hits = totals.hits_by_tier[1];
             co_return http::Response::json(
                 200,
                 write_json(json::object{
                     {"backend", parts.cache.backend()},
                     {"degraded", parts.cache.degraded()},
                     {"entries", stats->entries},
                     {"bytes", stats->bytes},
                     {"evictions", stats->evictions},
                     {"exact", {{"hits", hits}, {"misses", totals.lookups - hits}}},
                     {"semantic", semantic_json(parts, org_of(context), totals)},
                     {"steps",
                      {{"hits", totals.hits_by_tier[3]},
                       {"step_hits", parts.steps.stats().step_hits},
                       {"step_misses", parts.steps.stats().step_misses}}},
                     {"hit_rate", totals.lookups == 0 ? 0.0
                                                      : static_cast<double>(totals.hits()) /
                                                            static_cast<double>(totals.lookups)}}));
           });
  add_both(router, http::Method::kGet, "/cache/entries", "manage_policy",
           [parts](http::Context& context) -> Aw<http::Response> {
             auto tier = tier_param(context);
             if (!tier) co_return native_error(tier.error(), context);
             auto limit = http::QueryParams(context.request).integer("limit", 50, 1, 500);
             if (!limit) co_return native_error(limit.error(), context);
             const auto most = static_cast<std::size_t>(*limit);
             json::array entries;
             for (const int listed_tier : {1, 3}) {
               if ((*tier && **tier != listed_tier) || entries.size() >= most) continue;
               ExactCache& cache = listed_tier == 1 ? parts.cache : parts.steps.entries();
               auto listed = co_await cache.each(org_of(context), [&](const cache::Entry& entry,
                                                                      const Answer& answer) {
                 json::object row = entry_json(listed_tier, entry, answer, false);
                 row["ttl_seconds_left"] =
                     entry.ttl_left
                         ? std::chrono::duration_cast<std::chrono::seconds>(*entry.ttl_left).count()
                         : -1;
                 entries.push_back(std::move(row));
                 return entries.size() < most;
               });
               if (!listed) co_return native_error(listed.error(), context);
             }
             if (parts.semantic != nullptr && (!*tier || **tier == 2) && entries.size() < most) {
               auto rows = co_await parts.semantic->cache->rows().list(org_of(context), "",
                                                                       most - entries.size());
               if (!rows) co_return native_error(rows.error(), context);
               for (const semantic::EntryRow& row : *rows)
                 entries.push_back(row_json(row, parts.clock.now(), false));
             }
             const std::size_t count = entries.size();
             co_return http::Response::json(
                 200, write_json(json::object{{"entries", std::move(entries)}, {"count", count}}));
           });
  add_both(router, http::Method::kGet, "/cache/export", "manage_policy",
           [parts](http::Context& context) -> Aw<http::Response> {
             const bool with_response = context.request.query_param("include_response") == "true";
             const auto format = context.request.query_param("format").value_or("json");
             if (format != "json" && format != "ndjson") {
               const auto wrong = fail_field(
                   "format", fmt::format("format is '{}'; it must be json or ndjson", format));
               co_return native_error(wrong.error(), context);
             }
             const std::string org = org_of(context);
             http::Response response;
             response.headers.add("Content-Type",
                                  format == "ndjson" ? "application/x-ndjson" : "application/json");
             response.headers.add("Content-Disposition",
                                  fmt::format("attachment; filename=\"asahi-cache.{}\"", format));
             response.stream = [parts, org, with_response, lines = format == "ndjson"](
                                   http::BodyWriter& writer) -> Task<void> {
               std::string chunk = lines ? "" : R"({"entries":[)";
               std::size_t count = 0;
               for (const int tier : {1, 3}) {
                 ExactCache& cache = tier == 1 ? parts.cache : parts.steps.entries();
                 auto listed =
                     co_await cache.each(org, [&](const cache::Entry& entry, const Answer& answer) {
                       if (!lines && count > 0) chunk += ',';
                       chunk += write_json(entry_json(tier, entry, answer, with_response));
                       if (lines) chunk += '\n';
                       ++count;
                       return true;
                     });
                 if (!listed) co_return std::unexpected(std::move(listed.error()));
               }
               for (std::string last; parts.semantic != nullptr;) {
                 constexpr std::size_t kPage = 100;
                 ASAHI_CO_TRY(const auto rows,
                              co_await parts.semantic->cache->rows().list(org, last, kPage));
                 for (const semantic::EntryRow& row : rows) {
                   if (!lines && count > 0) chunk += ',';
                   chunk += write_json(row_json(row, parts.clock.now(), with_response));
                   if (lines) chunk += '\n';
                   ++count;
                 }
                 if (rows.size() < kPage) break;
                 last = rows.back().id;
               }
               if (!lines) chunk += fmt::format("],\"count\":{}}}", count);
               constexpr std::size_t kPiece = 256 * 1024;
               for (std::size_t at = 0; at < chunk.size(); at += kPiece) {
                 auto written = co_await writer.write(chunk.substr(at, kPiece));
                 if (!written) co_return std::unexpected(std::move(written.error()));
               }
               co_return Result<void>{};
             };
             co_return response;
           });
}

}  // namespace asahi::gateway
