#include "gateway/traces/call_trace.h"

#include "base/utf8.h"

namespace asahi::gateway {
namespace {

constexpr std::size_t kMostName = 128;

constexpr std::array<std::string_view, static_cast<std::size_t>(Stage::kCount)> kStages = {
    "request",          "receive",     "parse",          "policy",      "screen",
    "cache.idempotent", "cache.exact", "cache.semantic", "cache.steps", "features",
    "tokens",           "routing",     "budget",         "dispatch",    "attempt",
    "quality",          "store",       "reply",          "stream"};

}  // namespace

std::string_view to_string(Stage stage) { return kStages[static_cast<std::size_t>(stage)]; }

std::string_view to_string(Mark mark) {
  switch (mark) {
    case Mark::kNone:
      break;
    case Mark::kHit:
      return "hit";
    case Mark::kMiss:
      return "miss";
    case Mark::kSkipped:
      return "skipped";
    case Mark::kRefused:
      return "refused";
    case Mark::kFailed:
      return "failed";
    case Mark::kJoined:
      return "joined";
    case Mark::kShared:
      return "shared";
  }
  return "";
}

std::uint64_t CallTrace::span_id(Index index) const {
  if (index == telemetry::SpanList::kRoot) return context.span;
  // SplitMix64 (https://prng.di.unimi.it/splitmix64.c): one to one, so ids of a call differ.
  std::uint64_t z = context.span + index * 0x9E3779B97F4A7C15U;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  z ^= z >> 31;
  return z != 0 ? z : 1;
}

int CallTrace::begin_attempt(std::string_view provider, std::string_view model, Time now) {
  if (attempts.size() == kMostAttempts) return -1;
  const Index inside = dispatch != telemetry::SpanList::kNone ? dispatch : under;
  const Index span = spans.begin(static_cast<std::uint8_t>(Stage::kAttempt), inside, now);
  if (span == telemetry::SpanList::kNone) return -1;
  Attempt& attempt = attempts.emplace_back();
  attempt.span = span;
  attempt.provider = mended_utf8(provider.substr(0, kMostName));
  attempt.model = mended_utf8(model.substr(0, kMostName));
  return last_attempt();
}

void CallTrace::end_attempt(int number, const Error* error, Time now) {
  if (number < 0) return;
  Attempt& attempt = attempts[static_cast<std::size_t>(number)];
  if (spans[attempt.span].end_ns >= 0) return;
  if (error != nullptr) {
    // Its code only: what vendors say may repeat what they were sent.
    attempt.error = error->reason.empty() ? std::string(to_string(error->code)) : error->reason;
    attempt.status = error->upstream_status;
    spans.mark(attempt.span, static_cast<std::uint8_t>(Mark::kFailed));
  }
  spans.end(attempt.span, now);
}

void CallTrace::first_events(int number, Time now) {
  if (number < 0) return;
  Attempt& attempt = attempts[static_cast<std::size_t>(number)];
  const auto begun = spans.start() + std::chrono::nanoseconds(spans[attempt.span].begin_ns);
  attempt.first_ms = std::chrono::duration<double, std::milli>(now - begun).count();
}

std::string CallTrace::traceparent(int number) const {
  telemetry::TraceContext place = context;
  if (number >= 0) place.span = span_id(attempts[static_cast<std::size_t>(number)].span);
  return telemetry::make_traceparent(place);
}

}  // namespace asahi::gateway
