#include "net/http/query_params.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/utf8.h"

namespace asahi::http {
namespace {

std::string shown(std::string_view value) { return mended_utf8(value, 60); }

template <class T>
Result<T> read_number(std::string_view name, const std::string& text, T least, T most,
                      std::string_view kind) {
  T value{};
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  // Written so that "nan" fails too.
  if (error != std::errc{} || at != end || !(value >= least && value <= most)) {
    return fail_field(std::string(name), fmt::format("{} is '{}'; it must be {} from {} to {}",
                                                     name, shown(text), kind, least, most));
  }
  return value;
}

}  // namespace

std::optional<std::string> QueryParams::get(std::string_view name) const {
  auto value = request_.query_param(name);
  if (value && value->empty()) return std::nullopt;
  return value;
}

Result<std::int64_t> QueryParams::integer(std::string_view name, std::int64_t fallback,
                                          std::int64_t least, std::int64_t most) const {
  const auto text = get(name);
  if (!text) return fallback;
  return read_number<std::int64_t>(name, *text, least, most, "a whole number");
}

Result<double> QueryParams::number(std::string_view name, double fallback, double least,
                                   double most) const {
  const auto text = get(name);
  if (!text) return fallback;
  return read_number<double>(name, *text, least, most, "a number");
}

Result<std::string> QueryParams::word(std::string_view name, std::string_view fallback,
                                      std::initializer_list<std::string_view> allowed) const {
  auto value = get(name);
  if (!value) return std::string(fallback);
  if (std::ranges::find(allowed, *value) != allowed.end()) return *std::move(value);
  return fail_field(std::string(name), fmt::format("{} is '{}'; it must be one of {}", name,
                                                   shown(*value), fmt::join(allowed, ", ")));
}

Result<std::string> QueryParams::text(std::string_view name, std::size_t most) const {
  auto value = get(name);
  if (!value) return std::string();
  const bool control =
      std::ranges::any_of(*value, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  if (value->size() > most || control || !is_utf8(*value)) {
    return fail_field(std::string(name),
                      fmt::format("{} is '{}'; it must be text of at most {} bytes (UTF-8, no "
                                  "control characters)",
                                  name, control ? "…" : shown(*value), most));
  }
  return *std::move(value);
}

Result<std::optional<bool>> QueryParams::flag(std::string_view name) const {
  const auto value = get(name);
  if (!value) return std::nullopt;
  if (*value == "true" || *value == "1") return true;
  if (*value == "false" || *value == "0") return false;
  return fail_field(std::string(name),
                    fmt::format("{} is '{}'; it must be true or false", name, shown(*value)));
}

Result<std::optional<Clock::Time>> QueryParams::time(std::string_view name) const {
  const auto value = get(name);
  if (!value) return std::nullopt;
  auto time = parse_rfc3339(*value);
  if (!time) {
    // A plus sign that nobody encoded arrives as a blank.
    std::string mended = *value;
    std::ranges::replace(mended, ' ', '+');
    time = parse_rfc3339(mended);
  }
  if (!time) {
    return fail_field(std::string(name),
                      fmt::format("{} is '{}'; it must be a time as in 2026-11-22T10:00:00Z "
                                  "(RFC 3339)",
                                  name, shown(*value)));
  }
  return *time;
}

Result<std::optional<Clock::Time>> QueryParams::time_or_date(std::string_view name,
                                                             bool end) const {
  constexpr std::size_t kDate = 10;
  const auto value = get(name);
  if (value && value->size() == kDate) {
    const auto day = parse_rfc3339(*value + "T00:00:00Z");
    if (day) return *day + (end ? std::chrono::days(1) : std::chrono::days(0));
    return fail_field(std::string(name),
                      fmt::format("{} is '{}'; it must be a date as in 2026-11-22 or a time as in "
                                  "2026-11-22T10:00:00Z",
                                  name, shown(*value)));
  }
  return time(name);
}

}  // namespace asahi::http
