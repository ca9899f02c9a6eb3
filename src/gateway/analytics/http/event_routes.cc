#include <fmt/format.h>

#include "gateway/analytics/http/handlers.h"
#include "gateway/analytics/http/params.h"
#include "gateway/analytics/http/replies.h"

namespace asahi::gateway::analytics {
namespace {

constexpr std::size_t kMostText = 255, kMostWords = 200, kMostCursor = 200;
/// Pages are counted through, cursors are not.
constexpr std::int64_t kMostPaged = 10'000;
constexpr std::size_t kAtOnce = 500;

Result<EventsQuery> read_filters(const Params& params, const http::Context& context) {
  EventsQuery query;
  query.org_id = org_of(context);
  ASAHI_TRY(query.text, params.text("q", kMostWords));
  ASAHI_TRY(query.model, params.text("model", kMostText));
  ASAHI_TRY(query.task_type, params.text("task_type", kMostText));
  ASAHI_TRY(query.user_id, params.text("user", kMostText));
  ASAHI_TRY(query.api_key_prefix, params.text("api_key", kMostText));
  ASAHI_TRY(query.provider, params.text("provider", kMostText));
  ASAHI_TRY(query.cache_hit, params.flag("cache_hit"));
  ASAHI_TRY(query.cursor, params.text("cursor", kMostCursor));
  ASAHI_TRY(const std::int64_t tier, params.integer("tier", -1, 0, 3));
  if (tier >= 0) query.cache_tier = static_cast<int>(tier);
  ASAHI_TRY(const std::string error, params.text("error", kMostText));
  if (error == "true" || error == "false") {
    query.failed = error == "true";
  } else {
    query.error_code = error;
  }
  ASAHI_TRY(query.from, params.time("from"));
  ASAHI_TRY(query.to, params.time("to"));
  return query;
}

Result<void> check_range(const EventsQuery& query) {
  if (query.from && query.to && *query.from >= *query.to) {
    return fail_field("from", fmt::format("from is {}; it must be before to, which is {}",
                                          format_rfc3339(*query.from), format_rfc3339(*query.to)));
  }
  return {};
}

http::Response page_reply(EventsPage page, std::size_t limit, std::optional<std::int64_t> number) {
  json::array events;
  events.reserve(page.events.size());
  for (const InferenceEvent& event : page.events) events.push_back(event_json(event));
  const std::size_t count = events.size();
  const bool more = !page.next_cursor.empty();
  return data_reply(std::move(events),
                    {{"count", count},
                     {"limit", limit},
                     {"page", number ? json::value(*number) : json::value(nullptr)},
                     {"has_more", more},
                     {"next_cursor", more ? json::value(page.next_cursor) : json::value(nullptr)}});
}

}  // namespace

Task<http::Response> get_recent(const AnalyticsParts& parts, http::Context& context) {
  const Params params(context.request);
  ASAHI_CO_TRY(EventsQuery query, read_filters(params, context));
  ASAHI_CO_TRY(const std::int64_t limit, params.integer("limit", 50, 1, 500));
  if (auto sound = check_range(query); !sound) co_return std::unexpected(sound.error());
  query.limit = static_cast<std::size_t>(limit);
  const bool first = query.cursor.empty();
  ASAHI_CO_TRY(EventsPage page, co_await parts.store.events(std::move(query)));
  co_return page_reply(std::move(page), static_cast<std::size_t>(limit),
                       first ? std::optional<std::int64_t>(1) : std::nullopt);
}

Task<http::Response> get_requests(const AnalyticsParts& parts, http::Context& context) {
  const Params params(context.request);
  ASAHI_CO_TRY(EventsQuery query, read_filters(params, context));
  ASAHI_CO_TRY(const std::int64_t limit, params.integer("limit", 50, 1, 200));
  ASAHI_CO_TRY(const std::int64_t number, params.integer("page", 1, 1, kMostPaged));
  ASAHI_CO_TRY(const auto date_from, params.time_or_date("date_from", false));
  ASAHI_CO_TRY(const auto date_to, params.time_or_date("date_to", true));
  if (!query.from) query.from = date_from;
  if (!query.to) query.to = date_to;
  if (auto sound = check_range(query); !sound) co_return std::unexpected(sound.error());
  if (number * limit > kMostPaged) {
    co_return fail_field("page",
                         fmt::format("page is {}; pages of {} reach up to page {}, beyond it go on "
                                     "with cursor",
                                     number, limit, kMostPaged / limit));
  }
  const bool by_cursor = !query.cursor.empty();
  // The pages before are read and thrown away, in as few steps as can be.
  for (std::size_t skip = by_cursor ? 0 : static_cast<std::size_t>((number - 1) * limit);
       skip > 0;) {
    query.limit = std::min(skip, kAtOnce);
    ASAHI_CO_TRY(EventsPage skipped, co_await parts.store.events(query));
    skip -= query.limit;
    if (skipped.next_cursor.empty()) {
      co_return page_reply({}, static_cast<std::size_t>(limit), number);
    }
    query.cursor = std::move(skipped.next_cursor);
  }
  query.limit = static_cast<std::size_t>(limit);
  ASAHI_CO_TRY(EventsPage page, co_await parts.store.events(std::move(query)));
  co_return page_reply(std::move(page), static_cast<std::size_t>(limit),
                       by_cursor ? std::nullopt : std::optional(number));
}

Task<http::Response> get_event(const AnalyticsParts& parts, http::Context& context) {
  ASAHI_CO_TRY(
      InferenceEvent event,
      co_await parts.store.event(org_of(context), std::string(context.path_param("request_id"))));
  co_return data_reply(event_json(event));
}

}  // namespace asahi::gateway::analytics
