#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <span>

#include "gateway/analytics/event_rows.h"
#include "gateway/analytics/search_index.h"
#include "gateway/analytics/search_words.h"
#include "gateway/analytics/store.h"
#include "net/blocking.h"

namespace asahi::gateway::analytics {
namespace {

constexpr std::size_t kMostPerPage = 500;
constexpr std::size_t kScannedAtOnce = 2'000;
constexpr std::int64_t kMostUnindexed = 4 * kBlockEvents;

/// Where a page ended: its last event's time (milliseconds since 1970) and row.
struct Place {
  std::int64_t ms = 0, id = 0;
  auto operator<=>(const Place&) const = default;
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
  std::string_view before;  ///< stands in front of columns

  void add(std::string_view condition, sql::Value value) {
    sql += fmt::format(" AND {}", condition);
    params.push_back(std::move(value));
  }
  void equal(std::string_view column, const std::string& value) {
    if (!value.empty()) add(fmt::format("{}{} = ?", before, column), value);
  }
  /// Only what comes behind a place, newest first.
  void behind(const std::optional<Place>& place) {
    if (!place) return;
    add(fmt::format("{}timestamp <= ?", before), text_of(place->ms));
    sql += fmt::format(" AND ({}timestamp < ? OR id < ?)", before);
    params.emplace_back(text_of(place->ms));
    params.emplace_back(place->id);
  }
};

/// What the query names, as conditions; `before` stands in front of columns.
Conditions filters(const EventsQuery& query, std::string_view before = "") {
  Conditions all{fmt::format("{}org_id = ?", before), {query.org_id}};
  all.before = before;
  if (query.from) all.add(fmt::format("{}timestamp >= ?", before), format_rfc3339(*query.from));
  if (query.to) all.add(fmt::format("{}timestamp < ?", before), format_rfc3339(*query.to));
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

namespace {

/// What one call of `events` needs in all its steps.
struct Search {
  sql::Database& database;
  const EventsQuery& query;
  std::vector<std::string> words;
  std::size_t limit;
  std::optional<Place> after;
};
/// Found events in the order of the answer. One more than asked for tells that another page
/// follows.
using Found = std::vector<std::pair<Place, InferenceEvent>>;

/// Goes through rows, newest first. Without words the conditions leave only what is wanted.
Result<Found> scan(const Search& search) {
  const std::size_t at_once = search.words.empty() ? search.limit + 1 : kScannedAtOnce;
  std::optional<Place> after = search.after;
  Found found;
  for (;;) {
    Conditions some = filters(search.query);
    some.behind(after);
    ASAHI_TRY(const sql::Rows rows,
              search.database.query_blocking(
                  {fmt::format("SELECT {} FROM inference_events WHERE {} ORDER BY timestamp DESC, "
                               "id DESC LIMIT {}",
                               kEventColumns, some.sql, at_once),
                   std::move(some.params)}));
    for (std::size_t row = 0; row < rows.size(); ++row) {
      ASAHI_TRY(InferenceEvent event, event_of(rows, row));
      after = Place{ms_of(event.timestamp), rows.integer(row, "id")};
      if (!matches(event, search.words)) continue;
      found.emplace_back(*after, std::move(event));
      if (found.size() > search.limit) return found;
    }
    if (rows.size() < at_once) return found;
  }
}

/// The rows of `places` that (still) are what is looked for, newest first.
Result<Found> fetch(const Search& search, std::span<const FoundEvent> places) {
  Found found;
  if (places.empty()) return found;
  const sql::Dialect dialect = search.database.dialect();
  std::vector<std::int64_t> ids;
  for (const FoundEvent& place : places) ids.push_back(place.id);
  Conditions all = filters(search.query);
  all.params.insert(all.params.begin(), list_of_ids(dialect, ids));
  ASAHI_TRY(const sql::Rows rows,
            search.database.query_blocking(
                {fmt::format("WITH picked AS MATERIALIZED (SELECT {0} FROM inference_events WHERE "
                             "{1}) SELECT {0} FROM picked WHERE {2}",
                             kEventColumns, among_ids(dialect), all.sql),
                 std::move(all.params)}));
  for (std::size_t row = 0; row < rows.size(); ++row) {
    ASAHI_TRY(InferenceEvent event, event_of(rows, row));
    if (!matches(event, search.words)) continue;
    found.emplace_back(Place{ms_of(event.timestamp), rows.integer(row, "id")}, std::move(event));
  }
  std::ranges::sort(found, std::greater{}, &Found::value_type::first);
  return found;
}

/// Fetches places, which are the newest of all and in order, until a page is full.
Result<void> fetch_until_full(const Search& search, std::span<const FoundEvent> places,
                              Found& found) {
  while (!places.empty() && found.size() <= search.limit) {
    const auto some = places.first(std::min(places.size(), search.limit + 1));
    ASAHI_TRY(Found rows, fetch(search, some));
    found.insert(found.end(), std::make_move_iterator(rows.begin()),
                 std::make_move_iterator(rows.end()));
    places = places.subspan(some.size());
  }
  return {};
}

/// What is found among the newest rows, which no block of the index holds yet.
Result<Found> recent(const Search& search, std::int64_t indexed) {
  const bool sqlite = search.database.dialect() == sql::Dialect::kSqlite;
  // By the primary key in any case: an index by organisation or time would lead through all older
  // rows as well. A plus sign keeps SQLite from them; PostgreSQL knows how few rows there are.
  Conditions some = filters(search.query, sqlite ? "+" : "");
  some.behind(search.after);
  some.add("id >= ?", indexed);
  ASAHI_TRY(
      const sql::Rows rows,
      search.database.query_blocking(
          {fmt::format("WITH recent AS MATERIALIZED (SELECT {0} FROM inference_events WHERE "
                       "{1}) SELECT {0} FROM recent ORDER BY timestamp DESC, id DESC{2}",
                       kSearchedColumns, some.sql,
                       search.words.empty() ? fmt::format(" LIMIT {}", search.limit + 1) : ""),
           std::move(some.params)}));
  std::vector<FoundEvent> places;
  Matcher matcher(search.words);
  for (std::size_t row = 0; row < rows.size(); ++row) {
    if (!search.words.empty() && !matcher.matches(rows, row)) continue;
    ASAHI_TRY(const Clock::Time at, parse_rfc3339(rows.text(row, "timestamp")));
    places.push_back({ms_of(at), rows.integer(row, "id")});
    if (places.size() > search.limit) break;
  }
  Found found;
  if (auto fetched = fetch_until_full(search, places, found); !fetched)
    return std::unexpected(std::move(fetched.error()));
  return found;
}

/// By the index, block by block from the latest on, together with the rows that no block holds yet.
Result<Found> look_up(const Search& search, const std::vector<TermRange>& terms,
                      std::int64_t indexed) {
  constexpr std::int64_t kEver = std::numeric_limits<std::int64_t>::min();
  ASAHI_TRY(Found newest, recent(search, indexed));
  std::int64_t from = search.query.from ? ms_of(*search.query.from) : kEver;
  if (newest.size() > search.limit) from = std::max(from, newest.back().first.ms);
  std::int64_t to = search.query.to ? ms_of(*search.query.to) : -(kEver + 1);
  if (search.after) to = std::min(to, search.after->ms);
  ASAHI_TRY(const std::vector<Block> blocks,
            blocks_between(search.database, search.query.org_id, from, to));

  Found found;
  std::vector<FoundEvent> places;
  std::size_t next = 0, at_once = 4;
  while (found.size() <= search.limit && (next < blocks.size() || !places.empty())) {
    std::vector<std::int64_t> some;
    for (; next < blocks.size() && some.size() < at_once; ++next)
      some.push_back(blocks[next].number);
    at_once = std::min<std::size_t>(at_once * 4, 256);
    ASAHI_TRY(const std::vector<FoundEvent> more,
              find_in(search.database, search.query.org_id, some, terms));
    for (const FoundEvent& one : more) {
      const bool shown = search.after && Place{one.ms, one.id} >= *search.after;
      if (one.ms >= from && one.ms <= to && !shown) places.push_back(one);
    }
    std::ranges::sort(places, std::greater{});
    // Events that later blocks may still come before have to wait.
    const auto wait = next == blocks.size()
                          ? places.end()
                          : std::ranges::find_if(places, [&](const FoundEvent& one) {
                              return one.ms <= blocks[next].last_ms;
                            });
    if (auto fetched = fetch_until_full(search, std::span(places.begin(), wait), found); !fetched)
      return std::unexpected(std::move(fetched.error()));
    places.erase(places.begin(), wait);
  }
  found.insert(found.end(), std::make_move_iterator(newest.begin()),
               std::make_move_iterator(newest.end()));
  std::ranges::sort(found, std::greater{}, &Found::value_type::first);
  return found;
}

}  // namespace

Result<EventsPage> Store::read_events(const EventsQuery& query) const {
  Search search{.database = database_,
                .query = query,
                .words = {},
                .limit = std::clamp<std::size_t>(query.limit, 1, kMostPerPage),
                .after = {}};
  if (!query.cursor.empty()) {
    ASAHI_TRY(search.after, parse_cursor(query.cursor));
  }
  append_words(search.words, query.text);
  const std::vector<TermRange> terms = terms_of(query);
  // Where time is all there is to look for, the table has an index itself. A search index that is
  // still being made for an old table is no help either.
  bool by_index = !terms.empty();
  std::int64_t indexed = 0;
  if (by_index) {
    ASAHI_TRY(indexed, indexed_to(database_));
    ASAHI_TRY(const sql::Rows last,
              database_.query_blocking({"SELECT MAX(id) AS id FROM inference_events", {}}));
    by_index = last.integer(0, "id") - indexed < kMostUnindexed;
  }
  ASAHI_TRY(Found found, by_index ? look_up(search, terms, indexed) : scan(search));
  EventsPage page;
  if (found.size() > search.limit) {
    found.resize(search.limit);
    page.next_cursor = cursor_of(found.back().first);
  }
  for (auto& [place, event] : found) page.events.push_back(std::move(event));
  return page;
}

Task<InferenceEvent> Store::event(std::string org_id, std::string request_id) const {
  constexpr std::size_t kRowsAtOnce = 500;
  ASAHI_CO_TRY(const std::vector<std::int64_t> ids,
               co_await rows_of_request(database_, org_id, request_id));
  const sql::Dialect dialect = database_.dialect();
  for (std::span<const std::int64_t> left(ids); !left.empty();) {
    // The latest first.
    const auto some = left.last(std::min(left.size(), kRowsAtOnce));
    left = left.first(left.size() - some.size());
    sql::Statement statement{
        fmt::format("SELECT {} FROM inference_events WHERE {} AND org_id = ? AND request_id = ? "
                    "ORDER BY id DESC LIMIT 1",
                    kEventColumns, among_ids(dialect)),
        {list_of_ids(dialect, some), org_id, request_id}};
    ASAHI_CO_TRY(const sql::Rows rows, co_await database_.query(std::move(statement)));
    if (!rows.empty()) co_return event_of(rows, 0);
  }
  co_return fail(Errc::kNotFound, fmt::format("no inference has the request id '{}'; GET "
                                              "/analytics/recent-inferences lists them",
                                              request_id));
}

}  // namespace asahi::gateway::analytics
