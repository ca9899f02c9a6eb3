#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/utf8.h"
#include "llm/wire/common.h"

namespace asahi::llm::wire {
namespace {

constexpr std::size_t kMaxMessage = 300;
/// A wait longer than a day is a vendor's mistake.
constexpr std::chrono::milliseconds kMaxRetryAfter = std::chrono::hours(24);

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '*';
}

/// Keys of known vendors by their beginning, everything else by being long and mixed.
bool looks_like_key(std::string_view word) {
  constexpr auto kPrefixes = std::to_array<std::string_view>(
      {"sk-", "sk_", "pk-", "rk-", "AIza", "xai-", "gsk_", "pplx-", "hf_", "eyJ"});
  for (const std::string_view prefix : kPrefixes) {
    if (word.size() >= prefix.size() + 4 && word.starts_with(prefix)) return true;
  }
  if (word.size() < 32) return false;
  const bool digit = std::ranges::any_of(word, [](char c) { return c >= '0' && c <= '9'; });
  const bool letter =
      std::ranges::any_of(word, [](char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; });
  return digit && letter;
}

std::optional<std::int64_t> parse_int(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return number;
}

/// IMF-fixdate of RFC 9110 §5.6.7: "Wed, 21 Oct 2015 07:28:00 GMT". The two obsolete forms are not
/// read: no vendor sends them.
std::optional<std::chrono::sys_seconds> parse_http_date(std::string_view text) {
  constexpr auto kMonths = std::to_array<std::string_view>(
      {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"});
  if (text.size() != 29 || !text.ends_with(" GMT") || text[3] != ',') return {};
  const auto* month = std::ranges::find(kMonths, text.substr(8, 3));
  const auto day = parse_int(text.substr(5, 2));
  const auto year = parse_int(text.substr(12, 4));
  const auto hour = parse_int(text.substr(17, 2));
  const auto minute = parse_int(text.substr(20, 2));
  const auto second = parse_int(text.substr(23, 2));
  if (month == kMonths.end() || !day || !year || !hour || !minute || !second) return {};
  const std::chrono::year_month_day date(
      std::chrono::year(static_cast<int>(*year)),
      std::chrono::month(static_cast<unsigned>(month - kMonths.begin()) + 1),
      std::chrono::day(static_cast<unsigned>(*day)));
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return {};
  return std::chrono::sys_days(date) + std::chrono::hours(*hour) + std::chrono::minutes(*minute) +
         std::chrono::seconds(*second);
}

std::optional<std::chrono::milliseconds> seconds_text(std::string_view text) {
  // Vendors send "20" as well as "0.35".
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  if (!(number >= 0 && number < 86400)) {
    return number >= 86400 ? std::optional(kMaxRetryAfter) : std::nullopt;
  }
  return std::chrono::milliseconds(static_cast<std::int64_t>(number * 1000));
}

bool is_reason(std::string_view code) {
  return !code.empty() && code.size() <= 64 && std::ranges::all_of(code, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

/// The status that a vendor would have answered with, had the error come before the stream.
int status_of_type(std::string_view type) {
  using Row = std::pair<std::string_view, int>;
  static constexpr auto kRows = std::to_array<Row>({
      {"overloaded_error", 529},
      {"overloaded", 529},
      {"rate_limit_error", 429},
      {"rate_limit_exceeded", 429},
      {"too_many_requests", 429},
      {"insufficient_quota", 429},
      {"requests", 429},
      {"tokens", 429},
      {"api_error", 500},
      {"server_error", 500},
      {"internal_error", 500},
      {"internal_server_error", 500},
      {"service_unavailable", 503},
      {"service_unavailable_error", 503},
      {"timeout_error", 504},
      {"authentication_error", 401},
      {"invalid_api_key", 401},
      {"permission_error", 403},
      {"billing_error", 402},
      {"not_found_error", 404},
      {"model_not_found", 404},
      {"request_too_large", 413},
      {"invalid_request_error", 400},
      {"context_length_exceeded", 400},
  });
  const auto* row = std::ranges::find(kRows, type, &Row::first);
  return row == kRows.end() ? 0 : row->second;
}

}  // namespace

std::string safe_message(std::string_view message) {
  std::string out;
  std::size_t i = 0;
  while (i < message.size() && out.size() < kMaxMessage) {
    if (!is_word(message[i])) {
      const auto c = static_cast<unsigned char>(message[i++]);
      out += c < 0x20 || c == 0x7f ? ' ' : static_cast<char>(c);
      continue;
    }
    std::size_t end = i;
    while (end < message.size() && is_word(message[end])) ++end;
    const std::string_view word = message.substr(i, end - i);
    if (looks_like_key(word)) {
      out += "***";
    } else {
      out += word;
    }
    i = end;
  }
  if (out.size() > kMaxMessage || i < message.size()) {
    out.resize(utf8_prefix(out, kMaxMessage - 3).size());
    out += "...";
  }
  return out;
}

std::optional<std::chrono::milliseconds> retry_after(const http::Headers& headers) {
  if (const auto ms = parse_int(headers.get("retry-after-ms")); ms && *ms >= 0) {
    return std::min(std::chrono::milliseconds(*ms), kMaxRetryAfter);
  }
  const std::string_view text = headers.get("retry-after");
  if (text.empty()) return {};
  if (const auto wait = seconds_text(text)) return wait;
  const auto until = parse_http_date(text);
  const auto now = parse_http_date(headers.get("date"));
  if (!until || !now) return {};
  return std::clamp<std::chrono::milliseconds>(*until - *now, std::chrono::milliseconds(0),
                                               kMaxRetryAfter);
}

Error vendor_error(int status, const http::Headers& headers, std::string_view message,
                   std::string_view code) {
  Error error;
  error.upstream_status = status;
  error.code = Errc::kUpstream;
  std::string_view what = "refused the request";
  switch (status) {
    case 401:
    case 403:
      what = "refused the credentials";
      error.reason = "vendor_auth";
      break;
    case 402:
      what = "wants its bill paid";
      error.reason = "vendor_billing";
      break;
    case 408:
      error.code = Errc::kTimeout;
      what = "gave up waiting for the request";
      break;
    case 413:
      error.code = Errc::kTooLarge;
      what = "found the request too large";
      break;
    case 429:
      error.code = Errc::kRateLimited;
      what = "limits the rate";
      if (is_reason(code)) error.reason = code;
      break;
    default:
      if (status >= 500) {
        error.code = Errc::kUnavailable;
        what = "is unavailable";
        if (status == 529) error.reason = "overloaded";
      } else if (status >= 400) {
        error.code = Errc::kInvalidArgument;
        if (is_reason(code)) error.reason = code;
      } else {
        what = "gave an answer that is neither success nor error";
      }
  }
  if (status == 429 || status >= 500) error.retry_after = retry_after(headers);
  error.message = fmt::format("the vendor {} (status {})", what, status);
  if (const std::string words = safe_message(message); !words.empty()) {
    error.message += ": ";
    error.message += words;
  }
  return error;
}

Error vendor_error_of_type(std::string_view type, std::string_view message, std::string_view code) {
  int status = status_of_type(code);
  if (status == 0) status = status_of_type(type);
  if (status == 0) {
    // Mistral, Google and routers put the status itself there.
    const auto number = parse_int(code).value_or(parse_int(type).value_or(0));
    if (number >= 400 && number <= 599) status = static_cast<int>(number);
  }
  if (status != 0) return vendor_error(status, {}, message, code.empty() ? type : code);
  Error error;
  error.code = Errc::kUpstream;
  error.message = "the vendor reported an error";
  if (const std::string words = safe_message(message); !words.empty()) {
    error.message += ": ";
    error.message += words;
  }
  return error;
}

std::unexpected<Error> stream_cut(std::string_view vendor) {
  auto failure =
      fail(Errc::kUpstream, fmt::format("the answer of {} broke off before its end mark", vendor));
  failure.error().reason = "stream_cut";
  return failure;
}

std::unexpected<Error> garbage(std::string_view vendor, std::string_view what) {
  auto failure =
      fail(Errc::kUpstream, fmt::format("the answer of {} cannot be read: {}", vendor, what));
  failure.error().reason = "vendor_garbage";
  return failure;
}

}  // namespace asahi::llm::wire
