#include "memory/search/frequent_rows.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "base/hash.h"
#include "base/json.h"

namespace asahi::memory {
namespace {

constexpr std::string_view kUp = R"sql(
CREATE TABLE memory_frequent_searches (
  tenant TEXT NOT NULL,
  search_id TEXT NOT NULL,
  period BIGINT NOT NULL,
  asks BIGINT NOT NULL,
  request TEXT NOT NULL,
  PRIMARY KEY (tenant, search_id, period)
);
CREATE INDEX memory_frequent_searches_by_period ON memory_frequent_searches (period);
)sql";
constexpr std::string_view kDown = "DROP TABLE memory_frequent_searches;";

/// A request with a client's own vector of 4,096 numbers fits; a longer one is not worth it.
constexpr std::size_t kMostText = 32 * 1024;
constexpr std::size_t kMostLoaded = 20'000;
constexpr std::size_t kMostOfTenant = 1'000;
constexpr std::size_t kRowsAtOnce = 200;

json::array list_of(const std::vector<std::string>& texts) {
  json::array list;
  for (const std::string& text : texts) list.emplace_back(text);
  return list;
}

/// Members of a text that `search_text` wrote; what is missing stays as it is by default.
class Reader {
 public:
  explicit Reader(const json::object& object) : object_(object) {}
  bool whole() const { return whole_; }

  template <class T>
  void number(std::string_view name, T& to) {
    const json::value* value = object_.if_contains(name);
    if (value == nullptr) return;
    if (!value->is_number()) return void(whole_ = false);
    to = static_cast<T>(value->to_number<double>());
  }
  void flag(std::string_view name, bool& to) {
    const json::value* value = object_.if_contains(name);
    if (value == nullptr) return;
    if (!value->is_bool()) return void(whole_ = false);
    to = value->get_bool();
  }
  void text(std::string_view name, std::string& to) {
    const json::value* value = object_.if_contains(name);
    if (value == nullptr) return;
    if (!value->is_string()) return void(whole_ = false);
    to = std::string(value->get_string());
  }
  bool texts(std::string_view name, std::vector<std::string>& to) {
    const json::value* value = object_.if_contains(name);
    if (value == nullptr) return false;
    if (!value->is_array()) return whole_ = false;
    for (const json::value& item : value->get_array()) {
      if (!item.is_string()) return whole_ = false;
      to.emplace_back(item.get_string());
    }
    return true;
  }
  void time(std::string_view name, std::optional<Clock::Time>& to) {
    const json::value* value = object_.if_contains(name);
    if (value == nullptr) return;
    if (!value->is_int64()) return void(whole_ = false);
    to = Clock::Time(std::chrono::nanoseconds(value->get_int64()));
  }

 private:
  const json::object& object_;
  bool whole_ = true;
};

}  // namespace

std::string search_text(const SearchRequest& request) {
  json::object out{{"mode", static_cast<int>(request.mode)},
                   {"text", request.text},
                   {"limit", request.limit},
                   {"offset", request.offset},
                   {"hot", request.hot},
                   {"warm", request.warm},
                   {"cold", request.cold},
                   {"content", request.include_content},
                   {"facets", list_of(request.facets)},
                   {"systems", list_of(request.filter.system_ids)}};
  if (request.threshold) out["threshold"] = static_cast<double>(*request.threshold);
  // Exactly: a cached answer is found by the bytes of its vector.
  if (!request.embedding.empty()) {
    out["embedding"] = base64_encode({reinterpret_cast<const char*>(request.embedding.data()),
                                      request.embedding.size() * sizeof(float)});
  }
  // What its caller could see goes with it: asked again, it must not see more.
  out["allowed"] = nullptr;
  if (request.filter.systems_allowed) out["allowed"] = list_of(*request.filter.systems_allowed);
  if (request.filter.start) out["start"] = request.filter.start->time_since_epoch().count();
  if (request.filter.end) out["end"] = request.filter.end->time_since_epoch().count();
  json::array equalities;
  for (const auto& [name, value] : request.filter.metadata)
    equalities.emplace_back(json::array{name, value});
  out["metadata"] = std::move(equalities);
  return json::serialize(out);
}

Result<SearchRequest> parse_search_text(std::string_view text) {
  const auto broken = [] {
    return fail(Errc::kCorrupt, "a kept search cannot be read; it is passed over");
  };
  const auto parsed = parse_json(text);
  if (!parsed || !parsed->is_object()) return broken();
  const json::object& object = parsed->get_object();
  Reader read(object);
  SearchRequest request;
  int mode = 0;
  read.number("mode", mode);
  if (mode < 0 || mode > static_cast<int>(SearchMode::kHybrid)) return broken();
  request.mode = static_cast<SearchMode>(mode);
  read.text("text", request.text);
  read.number("limit", request.limit);
  read.number("offset", request.offset);
  read.flag("hot", request.hot);
  read.flag("warm", request.warm);
  read.flag("cold", request.cold);
  read.flag("content", request.include_content);
  (void)read.texts("facets", request.facets);
  (void)read.texts("systems", request.filter.system_ids);
  if (object.contains("threshold")) read.number("threshold", request.threshold.emplace());
  std::string vector;
  read.text("embedding", vector);
  const auto bytes = base64_decode(vector);
  if (!bytes || bytes->size() % sizeof(float) != 0) return broken();
  request.embedding.resize(bytes->size() / sizeof(float));
  // Of a search without a vector both ends are null, which memcpy must not be given.
  if (!bytes->empty()) std::memcpy(request.embedding.data(), bytes->data(), bytes->size());
  const json::value* const allowed = object.if_contains("allowed");
  if (allowed == nullptr) return broken();
  if (!allowed->is_null()) (void)read.texts("allowed", request.filter.systems_allowed.emplace());
  read.time("start", request.filter.start);
  read.time("end", request.filter.end);
  const json::value* const metadata = object.if_contains("metadata");
  if (metadata == nullptr || !metadata->is_array() || !read.whole()) return broken();
  for (const json::value& item : metadata->get_array()) {
    const json::array* pair = item.if_array();
    if (pair == nullptr || pair->size() != 2 || !(*pair)[0].is_string() || !(*pair)[1].is_string())
      return broken();
    request.filter.metadata.emplace_back((*pair)[0].get_string(), (*pair)[1].get_string());
  }
  if (request.limit == 0 || request.offset + request.limit > kMaxDepth) return broken();
  return request;
}

Task<void> FrequentRows::add(std::vector<FrequentSearch> asked, Clock::Time now) {
  const std::int64_t period = FrequentSearches::period_of(now);
  std::vector<sql::Statement> statements;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const FrequentSearch& one = asked[i];
    if (std::string text = search_text(one.request); text.size() <= kMostText) {
      statements.push_back(
          {"INSERT INTO memory_frequent_searches (tenant, search_id, period, asks, request) "
           "VALUES (?, ?, ?, ?, ?) ON CONFLICT (tenant, search_id, period) DO UPDATE SET "
           "asks = memory_frequent_searches.asks + excluded.asks",
           {one.tenant, one.id, period, static_cast<std::int64_t>(one.asks), std::move(text)}});
    }
    if (statements.empty() || (statements.size() < kRowsAtOnce && i + 1 < asked.size())) continue;
    ASAHI_CO_TRY([[maybe_unused]] const auto done,
                 co_await database_.batch(std::exchange(statements, {})));
  }
  co_return Result<void>{};
}

Task<std::vector<FrequentSearch>> FrequentRows::load(std::size_t of_tenant, Clock::Time now) {
  const std::int64_t oldest =
      FrequentSearches::period_of(now) - static_cast<std::int64_t>(FrequentSearches::kPeriods) + 1;
  ASAHI_CO_TRY(
      const sql::Rows rows,
      co_await database_.query(
          {"SELECT tenant, search_id, asked, request FROM (SELECT tenant, search_id, "
           "CAST(SUM(asks) AS BIGINT) AS asked, MAX(request) AS request, ROW_NUMBER() OVER "
           "(PARTITION BY tenant ORDER BY SUM(asks) DESC, search_id) AS place "
           "FROM memory_frequent_searches WHERE period >= ? GROUP BY tenant, search_id) AS ranked "
           "WHERE place <= ? ORDER BY asked DESC LIMIT ?",
           {oldest, static_cast<std::int64_t>(of_tenant),
            static_cast<std::int64_t>(kMostLoaded)}}));
  std::vector<FrequentSearch> kept;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    auto request = parse_search_text(rows.text(i, "request"));
    if (!request) continue;
    kept.push_back({rows.text(i, "tenant"), rows.text(i, "search_id"), std::move(*request),
                    static_cast<std::uint64_t>(rows.integer(i, "asked"))});
  }
  co_return kept;
}

Task<void> FrequentRows::sweep(Clock::Time now) {
  const std::int64_t oldest =
      FrequentSearches::period_of(now) - static_cast<std::int64_t>(FrequentSearches::kPeriods) + 1;
  std::vector<sql::Statement> statements;
  statements.push_back({"DELETE FROM memory_frequent_searches WHERE period < ?", {oldest}});
  statements.push_back(
      {fmt::format("DELETE FROM memory_frequent_searches WHERE (tenant, search_id) IN "
                   "(SELECT tenant, search_id FROM (SELECT tenant, search_id, ROW_NUMBER() OVER "
                   "(PARTITION BY tenant ORDER BY SUM(asks) DESC, search_id) AS place "
                   "FROM memory_frequent_searches GROUP BY tenant, search_id) AS ranked "
                   "WHERE place > {})",
                   kMostOfTenant),
       {}});
  ASAHI_CO_TRY([[maybe_unused]] const auto done, co_await database_.batch(std::move(statements)));
  co_return Result<void>{};
}

sql::Migration frequent_migration() {
  return {.version = 343,
          .name = "memory_frequent_searches",
          .up = {.sqlite = kUp, .postgres = kUp},
          .down = {.sqlite = kDown, .postgres = kDown}};
}

}  // namespace asahi::memory
