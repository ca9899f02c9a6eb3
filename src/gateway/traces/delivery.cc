#include "gateway/traces/delivery.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/json.h"
#include "llm/wire/common.h"

namespace asahi::gateway {
namespace {

using std::chrono::milliseconds;
using What = DeliveryVerdict::What;

// A collector that asks for more than this is not waited for: newer spans are worth more.
constexpr milliseconds kLongestPause{60'000};

bool is_success(int status) { return status >= 200 && status < 300; }

/// What a collector says it refused of a request that it took.
std::string partial_refusal(std::string_view body) {
  if (body.size() < 3) return {};
  const auto parsed = parse_json(body);
  if (!parsed || !parsed->is_object()) return {};
  const json::value* partial = parsed->get_object().if_contains("partialSuccess");
  if (partial == nullptr || !partial->is_object()) return {};
  const json::value* rejected = partial->get_object().if_contains("rejectedSpans");
  if (rejected == nullptr) return {};
  std::string count;
  if (rejected->is_string()) count = rejected->get_string();
  if (rejected->is_int64()) count = fmt::to_string(rejected->get_int64());
  return count.empty() || count == "0" ? std::string()
                                       : fmt::format("the collector refused {} spans", count);
}

std::string_view next_part(std::string_view& text, char mark) {
  const std::size_t at = std::min(text.find(mark), text.size());
  const std::string_view part = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return part;
}

}  // namespace

DeliveryVerdict judge_otlp(const Result<http::ClientResponse>& reply, int attempt,
                           const RetryPolicy& policy, double jitter) {
  Error error;
  if (reply) {
    if (is_success(reply->status))
      return {.what = What::kDelivered, .pause = {}, .why = partial_refusal(reply->body)};
    const int status = reply->status;
    error.message = fmt::format("the collector answered {}", status);
    if (status != 429 && status != 502 && status != 503 && status != 504)
      return {.what = What::kGiveUp, .pause = {}, .why = error.message};
    error.code = Errc::kUnavailable;
    error.retry_after = llm::wire::retry_after(reply->headers);
  } else {
    error = reply.error();
    if (error.code == Errc::kCancelled)
      return {.what = What::kGiveUp, .pause = {}, .why = "the gateway stops"};
    // Whatever broke on the way may be whole the next time.
    error.code = Errc::kUnavailable;
  }
  const auto pause = retry_delay(policy, attempt, error, jitter, kLongestPause);
  if (!pause) return {.what = What::kGiveUp, .pause = {}, .why = error.message};
  return {.what = What::kAgain, .pause = *pause, .why = error.message};
}

void SentryLimits::note(int status, const http::Headers& headers, Clock::Steady now) {
  const auto hold = [&](std::chrono::seconds time) {
    constexpr std::chrono::seconds kLongest{86'400};
    until_ = std::max(until_, now + std::min(time, kLongest));
  };
  std::string_view limits = headers.get("x-sentry-rate-limits");
  if (limits.empty()) {
    if (status != 429) return;
    const auto after = llm::wire::retry_after(headers);
    hold(after ? std::chrono::ceil<std::chrono::seconds>(*after) : std::chrono::seconds(60));
    return;
  }
  while (!limits.empty()) {
    std::string_view limit = next_part(limits, ',');
    while (limit.starts_with(' ')) limit.remove_prefix(1);
    const std::string_view time = next_part(limit, ':');
    std::string_view categories = next_part(limit, ':');
    // Fractions do not matter.
    std::int64_t seconds = 0;
    const auto [end, wrong] = std::from_chars(time.data(), time.data() + time.size(), seconds);
    if (wrong != std::errc{} || end == time.data() || seconds < 0) seconds = 60;
    bool ours = categories.empty();
    while (!categories.empty()) {
      const std::string_view category = next_part(categories, ';');
      ours = ours || category == "error" || category == "default";
    }
    if (ours) hold(std::chrono::seconds(seconds));
  }
}

DeliveryVerdict judge_sentry(const Result<http::ClientResponse>& reply) {
  if (!reply) return {.what = What::kGiveUp, .pause = {}, .why = reply.error().message};
  if (is_success(reply->status)) return {};
  return {.what = What::kGiveUp,
          .pause = {},
          .why = fmt::format("the error tracker answered {}", reply->status)};
}

}  // namespace asahi::gateway
