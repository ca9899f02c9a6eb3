#include "memory/search/request.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/hash.h"
#include "base/utf8.h"

namespace asahi::memory {
namespace {

constexpr std::size_t kMaxQueryCharacters = 1000;
constexpr std::size_t kMaxListed = 100;
constexpr std::size_t kMaxValueBytes = 1024;
constexpr std::array<std::string_view, 8> kFacets = {"system_id", "tier",     "date",    "source",
                                                     "tags",      "language", "project", "type"};
/// Filters that are equalities on a metadata field of the same name.
constexpr std::array<std::string_view, 5> kFieldFilters = {"source", "language", "project",
                                                           "user_id", "type"};
constexpr std::array<std::string_view, 22> kKnown = {
    "query", "embedding", "mode",      "limit",      "cursor",     "threshold", "timeout_ms",
    "tiers", "facets",    "source",    "language",   "project",    "user_id",   "type",
    "tags",  "metadata",  "system_id", "system_ids", "start_time", "end_time",  "include_content",
    "fresh"};

/// Members of the body by name, each with its rule.
class Body {
 public:
  explicit Body(const json::object& body) : body_(body) {}

  /// Null when absent or null.
  const json::value* find(std::string_view name) const {
    const json::value* value = body_.if_contains(name);
    return value == nullptr || value->is_null() ? nullptr : value;
  }
  Result<std::optional<std::string>> text(std::string_view name, std::size_t most) const {
    const json::value* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (!value->is_string())
      return fail_field(std::string(name), fmt::format("{} must be a text", name));
    const std::string_view text = value->get_string();
    if (text.empty() || text.size() > most || text.find('\0') != std::string_view::npos) {
      return fail_field(std::string(name),
                        fmt::format("{} must have 1 to {} bytes and no NUL; it has {} bytes", name,
                                    most, text.size()));
    }
    return std::string(text);
  }
  Result<std::vector<std::string>> texts(std::string_view name) const {
    std::vector<std::string> list;
    const json::value* value = find(name);
    if (value == nullptr) return list;
    if (!value->is_array() || value->get_array().size() > kMaxListed) {
      return fail_field(std::string(name),
                        fmt::format("{} must be a list of at most {} texts", name, kMaxListed));
    }
    for (const json::value& item : value->get_array()) {
      if (!item.is_string() || item.get_string().empty() ||
          item.get_string().size() > kMaxValueBytes) {
        return fail_field(
            std::string(name),
            fmt::format("{} must be a list of texts of 1 to {} bytes", name, kMaxValueBytes));
      }
      list.emplace_back(item.get_string());
    }
    return list;
  }
  Result<std::optional<double>> number(std::string_view name, double least, double most,
                                       bool whole) const {
    const json::value* value = find(name);
    if (value == nullptr) return std::nullopt;
    const double number = value->is_number() ? value->to_number<double>() : std::nan("");
    if (!(number >= least && number <= most) || (whole && std::trunc(number) != number)) {
      return fail_field(std::string(name),
                        fmt::format("{} = {} must be a{} number from {} to {}", name,
                                    json::serialize(*value), whole ? " whole" : "", least, most));
    }
    return number;
  }
  Result<bool> flag(std::string_view name, bool fallback) const {
    const json::value* value = find(name);
    if (value == nullptr) return fallback;
    if (!value->is_bool())
      return fail_field(std::string(name), fmt::format("{} must be true or false", name));
    return value->get_bool();
  }
  Result<void> known() const {
    for (const auto& member : body_) {
      if (std::ranges::find(kKnown, std::string_view(member.key())) == kKnown.end()) {
        return fail_field(std::string(member.key()),
                          fmt::format("{} is no parameter of a search", member.key()));
      }
    }
    return {};
  }

 private:
  const json::object& body_;
};

Result<void> read_query(const Body& body, const SearchLimits& limits, SearchRequest& request) {
  ASAHI_TRY(auto text, body.text("query", 4 * kMaxQueryCharacters));
  if (text && utf8_characters(*text) > kMaxQueryCharacters) {
    return fail_field("query", fmt::format("query must have at most {} characters; it has {}",
                                           kMaxQueryCharacters, utf8_characters(*text)));
  }
  if (text && !is_utf8(*text)) return fail_field("query", "query must be UTF-8");
  if (text) request.text = std::move(*text);
  const json::value* vector = body.find("embedding");
  if (vector == nullptr) return {};
  const auto refuse = [&] {
    return fail_field("embedding", fmt::format("embedding must be {} finite numbers that are not "
                                               "all zero",
                                               limits.dimensions));
  };
  if (!vector->is_array() || vector->get_array().size() != limits.dimensions) return refuse();
  double squares = 0;
  for (const json::value& item : vector->get_array()) {
    const double number = item.is_number() ? item.to_number<double>() : std::nan("");
    if (!std::isfinite(number) || std::abs(number) > 1e18) return refuse();
    squares += number * number;
    request.embedding.push_back(static_cast<float>(number));
  }
  // A zero vector asks for nothing: newest first, as without a query (spec §5.4).
  if (squares == 0) request.embedding.clear();
  for (float& number : request.embedding) number = static_cast<float>(number / std::sqrt(squares));
  return {};
}

Result<void> read_filter(const Body& body, Filter& filter) {
  ASAHI_TRY(filter.system_ids, body.texts("system_ids"));
  ASAHI_TRY(auto system, body.text("system_id", kMaxValueBytes));
  if (system) filter.system_ids.push_back(std::move(*system));
  for (const std::string& id : filter.system_ids) {
    if (auto ok = check_system_id(id); !ok) return ok;
  }
  for (const auto& [name, time] :
       {std::pair{"start_time", &filter.start}, std::pair{"end_time", &filter.end}}) {
    ASAHI_TRY(const auto text, body.text(name, kMaxValueBytes));
    if (!text) continue;
    ASAHI_TRY(*time, parse_instant(name, *text));
  }
  if (filter.start && filter.end && *filter.start >= *filter.end) {
    return fail_field("end_time",
                      fmt::format("end_time {} must be after start_time {}",
                                  format_rfc3339(*filter.end), format_rfc3339(*filter.start)));
  }
  for (const std::string_view name : kFieldFilters) {
    ASAHI_TRY(auto value, body.text(name, kMaxValueBytes));
    if (value) filter.metadata.emplace_back(name, std::move(*value));
  }
  ASAHI_TRY(auto tags, body.texts("tags"));
  for (std::string& tag : tags) filter.metadata.emplace_back("tags", std::move(tag));
  const json::value* metadata = body.find("metadata");
  if (metadata == nullptr) return {};
  if (!metadata->is_object() || metadata->get_object().size() > kMaxListed) {
    return fail_field(
        "metadata", fmt::format("metadata must be an object of at most {} equalities", kMaxListed));
  }
  for (const auto& member : metadata->get_object()) {
    const json::value& value = member.value();
    if (value.is_string()) {
      filter.metadata.emplace_back(member.key(), value.get_string());
    } else if (value.is_number() || value.is_bool()) {
      filter.metadata.emplace_back(member.key(), json::serialize(value));
    } else {
      return fail_field(fmt::format("metadata.{}", member.key()),
                        "an equality is with a text, a number or true or false");
    }
  }
  return {};
}

Result<void> read_tiers(const Body& body, SearchRequest& request) {
  ASAHI_TRY(const auto tiers, body.texts("tiers"));
  if (tiers.empty()) return {};
  request.hot = request.warm = request.cold = false;
  for (const std::string& tier : tiers) {
    if (tier == "hot") {
      request.hot = true;
    } else if (tier == "warm") {
      request.warm = true;
    } else if (tier == "cold") {
      request.cold = true;
    } else {
      return fail_field("tiers", fmt::format("'{}' is none of hot, warm, cold", tier));
    }
  }
  return {};
}

Result<void> read_facets(const Body& body, SearchRequest& request) {
  ASAHI_TRY(request.facets, body.texts("facets"));
  for (const std::string& facet : request.facets) {
    const std::string_view name = std::string_view(facet).substr(0, facet.find(':'));
    const std::string_view unit =
        std::string_view(facet).substr(std::min(name.size() + 1, facet.size()));
    const bool dated = name == "date" && (unit == "day" || unit == "week" || unit == "month");
    if (std::ranges::find(kFacets, name) != kFacets.end() && (facet == name || dated)) continue;
    return fail_field("facets",
                      fmt::format("'{}' is none of {}; date may be date:day, date:week or "
                                  "date:month",
                                  facet, fmt::join(kFacets, ", ")));
  }
  return {};
}

constexpr std::size_t kCursorDigest = 8;

/// Bytes of the search that a cursor belongs to.
std::string cursor_digest(const SearchRequest& request) {
  const Digest256 digest = sha256(request.canonical());
  return to_hex(digest.data(), kCursorDigest);
}

Result<std::size_t> read_cursor(const std::string& cursor, const SearchRequest& request) {
  const auto decoded = base64url_decode(cursor);
  const auto colon = decoded ? decoded->find(':') : std::string::npos;
  std::size_t offset = 0;
  if (colon == std::string::npos ||
      std::from_chars(decoded->data(), decoded->data() + colon, offset).ptr !=
          decoded->data() + colon) {
    return fail_field("cursor", "not a cursor of an earlier reply");
  }
  if (decoded->substr(colon + 1) != cursor_digest(request))
    return fail_field("cursor", "this cursor belongs to another search: send the same request");
  if (offset + request.limit > kMaxDepth) {
    return fail_field("cursor",
                      fmt::format("only the first {} results can be paged through", kMaxDepth));
  }
  return offset;
}

}  // namespace

Result<Clock::Time> parse_instant(std::string_view field, std::string_view text) {
  const bool date = text.size() == 10;
  auto time = parse_rfc3339(date ? std::string(text) + "T00:00:00Z" : std::string(text));
  if (time) return time;
  return fail_field(std::string(field), fmt::format("{} = '{}' must be a date or a time as in "
                                                    "2026-11-21T10:00:00Z",
                                                    field, text));
}

std::string SearchRequest::canonical() const {
  std::string out =
      fmt::format("{}|{}|{}{}{}|{}|", static_cast<int>(mode),
                  threshold ? fmt::format("{}", *threshold) : "", hot, warm, cold, include_content);
  const auto add = [&out](std::string_view text) {
    fmt::format_to(std::back_inserter(out), "{}:{}", text.size(), text);
  };
  const auto add_sorted = [&](std::vector<std::string> list) {
    std::ranges::sort(list);
    fmt::format_to(std::back_inserter(out), "[{}", list.size());
    for (const std::string& item : list) add(item);
  };
  add(text);
  // As bytes: in decimal, 384 numbers would cost as much as a part of the search.
  add({reinterpret_cast<const char*>(embedding.data()), embedding.size() * sizeof(float)});
  add_sorted(filter.system_ids);
  out += filter.systems_allowed ? 'a' : '*';
  if (filter.systems_allowed) add_sorted(*filter.systems_allowed);
  for (const auto& time : {filter.start, filter.end})
    out += time ? fmt::format("{}|", time->time_since_epoch().count()) : "-|";
  std::vector<std::string> equalities;
  for (const auto& [name, value] : filter.metadata)
    equalities.push_back(fmt::format("{}:{}{}", name.size(), name, value));
  add_sorted(std::move(equalities));
  add_sorted(facets);
  return out;
}

std::string make_cursor(const SearchRequest& request, std::size_t offset) {
  return base64url_encode(fmt::format("{}:{}", offset, cursor_digest(request)));
}

Result<SearchRequest> parse_search(const json::object& object, const SearchLimits& limits,
                                   const Reach& reach) {
  const Body body(object);
  SearchRequest request;
  if (auto ok = body.known(); !ok) return std::unexpected(ok.error());
  if (auto ok = read_query(body, limits, request); !ok) return std::unexpected(ok.error());
  ASAHI_TRY(const auto mode, body.text("mode", kMaxValueBytes));
  if (mode && *mode != "semantic" && *mode != "keyword" && *mode != "hybrid")
    return fail_field("mode", fmt::format("'{}' is none of semantic, keyword, hybrid", *mode));
  if (mode == "semantic") request.mode = SearchMode::kSemantic;
  if (mode == "keyword") request.mode = SearchMode::kKeyword;
  if (request.mode == SearchMode::kKeyword && request.text.empty() && !request.embedding.empty())
    return fail_field("mode", "a keyword search needs a query, not an embedding");
  const auto most = static_cast<double>(limits.max_results);
  ASAHI_TRY(const auto limit, body.number("limit", 1, most, true));
  if (limit) request.limit = static_cast<std::size_t>(*limit);
  request.limit = std::min(request.limit, limits.max_results);
  ASAHI_TRY(const auto threshold, body.number("threshold", -1, 1, false));
  if (threshold) request.threshold = static_cast<float>(*threshold);
  const auto longest = static_cast<double>(limits.timeout.count());
  ASAHI_TRY(const auto timeout, body.number("timeout_ms", 1, longest, true));
  request.timeout =
      timeout ? std::chrono::milliseconds(static_cast<std::int64_t>(*timeout)) : limits.timeout;
  if (auto ok = read_filter(body, request.filter); !ok) return std::unexpected(ok.error());
  // Before the cursor is looked at: it names the search as it is bounded.
  if (auto ok = reach.bound(request.filter); !ok) return std::unexpected(ok.error());
  if (auto ok = read_tiers(body, request); !ok) return std::unexpected(ok.error());
  if (auto ok = read_facets(body, request); !ok) return std::unexpected(ok.error());
  ASAHI_TRY(request.include_content, body.flag("include_content", true));
  ASAHI_TRY(request.fresh, body.flag("fresh", false));
  ASAHI_TRY(const auto cursor, body.text("cursor", kMaxValueBytes));
  if (cursor) {
    ASAHI_TRY(request.offset, read_cursor(*cursor, request));
  }
  return request;
}

}  // namespace asahi::memory
