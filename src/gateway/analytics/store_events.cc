#include <fmt/format.h>

#include <charconv>

#include "gateway/analytics/event_rows.h"
#include "gateway/analytics/search_words.h"
#include "gateway/analytics/store.h"
#include "net/blocking.h"

namespace asahi::gateway::analytics {
namespace {

constexpr std::size_t kMostPerPage = 500;
constexpr std::size_t kScannedAtOnce = 2'000;

/// Where a page ended: its last event's time (milliseconds since 1970) and row.
struct Place {
  std::int64_t ms = 0, id = 0;
};

std::string cursor_of(Place place) { return fmt::format("{}-{}", place.ms, place.id); }

Result<Place> parse_cursor(const std::string& cursor) {
  Place place;
  const char* const end = cursor.data() + cursor.size();
  const auto ms = std::from_chars(cursor.data(), end, place.ms);
  if (ms.ec == std::errc{} && ms.ptr != end && *ms.ptr == '-') {
    const auto id = std::from_chars(ms.ptr + 1, end, place.id);
    if (id.ec == std::errc{} && id.ptr == end) return place;
  }
  return fail_field("cursor",
                    "'cursor' is not one that this endpoint gave; leave it out for the "
                    "first page");
}

std::int64_t ms_of(Clock::Time time) {
  return std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count();
}
std::string text_of(std::int64_t ms) {
  return format_rfc3339(Clock::Time{std::chrono::milliseconds(ms)});
}

/// Conditions of a WHERE with their parameters.
struct Conditions {
  std::string sql;
  std::vector<sql::Value> params;

  void add(std::string_view condition, sql::Value value) {
    sql += fmt::format(" AND {}", condition);
    params.push_back(std::move(value));
  }
  void equal(std::string_view column, const std::string& value) {
    if (!value.empty()) add(fmt::format("{} = ?", column), value);
  }
};

Conditions filters(const EventsQuery& query) {
  Conditions all{"org_id = ?", {query.org_id}};
  if (query.from) all.add("timestamp >= ?", format_rfc3339(*query.from));
  if (query.to) all.add("timestamp < ?", format_rfc3339(*query.to));
  all.equal("model_selected", query.model);
  all.equal("task_type", query.task_type);
  all.equal("user_id", query.user_id);
  all.equal("api_key_prefix", query.api_key_prefix);
  all.equal("provider", query.provider);
  all.equal("error_code", query.error_code);
  all.equal("request_id", query.request_id);
  if (query.cache_hit) all.add("cache_hit = ?", std::int64_t{*query.cache_hit});
  if (query.cache_tier) all.add("cache_tier = ?", std::int64_t{*query.cache_tier});
  if (query.failed)
    all.sql += *query.failed ? " AND error_code IS NOT NULL" : " AND error_code IS NULL";
  return all;
}

}  // namespace

Task<EventsPage> Store::events(EventsQuery query) const {
  auto work = [this, query = std::move(query)] { return read_events(query); };
  co_return co_await net::run_blocking(threads_, std::move(work));
}

Result<EventsPage> Store::read_events(const EventsQuery& query) const {
  std::optional<Place> after;
  if (!query.cursor.empty()) {
    ASAHI_TRY(after, parse_cursor(query.cursor));
  }
  std::vector<std::string> asked;
  append_words(asked, query.text);
  const std::size_t limit = std::clamp<std::size_t>(query.limit, 1, kMostPerPage);
  const Conditions all = filters(query);
  // One more than asked for tells whether another page follows.
  const std::size_t at_once = asked.empty() ? limit + 1 : kScannedAtOnce;
  EventsPage page;
  std::vector<Place> places;
  for (;;) {
    Conditions some = all;
    if (after) {
      some.add("timestamp <= ?", text_of(after->ms));
      some.sql += " AND (timestamp < ? OR id < ?)";
      some.params.emplace_back(text_of(after->ms));
      some.params.emplace_back(after->id);
    }
    ASAHI_TRY(const sql::Rows rows,
              database_.query_blocking(
                  {fmt::format("SELECT {} FROM inference_events WHERE {} ORDER BY timestamp DESC, "
                               "id DESC LIMIT {}",
                               kEventColumns, some.sql, at_once),
                   some.params}));
    for (std::size_t row = 0; row < rows.size(); ++row) {
      ASAHI_TRY(InferenceEvent event, event_of(rows, row));
      after = Place{ms_of(event.timestamp), rows.integer(row, "id")};
      if (!matches(event, asked)) continue;
      if (page.events.size() == limit) {
        page.next_cursor = cursor_of(places.back());
        return page;
      }
      places.push_back(*after);
      page.events.push_back(std::move(event));
    }
    if (rows.size() < at_once) return page;
  }
}

Task<InferenceEvent> Store::event(std::string org_id, std::string request_id) const {
  sql::Statement statement{
      fmt::format("SELECT {} FROM inference_events WHERE org_id = ? AND request_id = ? ORDER BY id "
                  "DESC LIMIT 1",
                  kEventColumns),
      {org_id, request_id}};
  ASAHI_CO_TRY(const sql::Rows rows, co_await database_.query(std::move(statement)));
  if (rows.empty()) {
    co_return fail(Errc::kNotFound, fmt::format("no inference has the request id '{}'; GET "
                                                "/analytics/recent-inferences lists them",
                                                request_id));
  }
  co_return event_of(rows, 0);
}

}  // namespace asahi::gateway::analytics
