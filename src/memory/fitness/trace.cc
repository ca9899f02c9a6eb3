#include "memory/fitness/trace.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/ids.h"
#include "memory/ingest/times.h"
#include "memory/knowledge/arguments.h"

namespace asahi::memory::fitness {
namespace {

constexpr std::size_t kMostId = 128, kMostClass = 50, kMostSelector = 100, kMostMetadata = 4'096;
constexpr double kMostLatencyMs = 86'400'000;

bool is_class(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

}  // namespace

Result<Trace> parse_trace(const json::object& given, const Reach& reach, Clock::Time now,
                          Clock::Time oldest) {
  knowledge::Arguments arguments(given);
  Trace out;
  if (!arguments.has("system_id")) arguments.fault("system_id", "system_id is missing");
  out.system_id = arguments.system_within(reach);
  out.task_class = arguments.required("task_class", kMostClass);
  if (!is_class(out.task_class)) {
    arguments.fault("task_class", fmt::format("task_class is '{}': expected 1 to {} of A-Z, a-z, "
                                              "0-9, '_'",
                                              out.task_class, kMostClass));
  }
  out.selector = arguments.required("selector", kMostSelector);
  if (!arguments.has("latency_ms")) arguments.fault("latency_ms", "latency_ms is missing");
  const double latency_ms = arguments.number("latency_ms", 0, kMostLatencyMs).value_or(0);
  out.latency = std::chrono::round<std::chrono::microseconds>(
      std::chrono::duration<double, std::milli>(latency_ms));
  if (!arguments.has("outcome")) arguments.fault("outcome", "outcome is missing");
  out.failed = arguments.one_of("outcome", "success", {"success", "failure"}) == "failure";
  out.trace_id = arguments.text("trace_id", {}, kMostId);
  if (out.trace_id.empty()) out.trace_id = random_id("trc_", 24);
  out.started_at = std::chrono::floor<std::chrono::milliseconds>(
      arguments.time("started_at").value_or(now - out.latency));
  if (out.started_at > now + kClockSkew || out.started_at < oldest) {
    arguments.fault("started_at",
                    fmt::format("started_at is {}: expected {} to 5 minutes ahead",
                                format_rfc3339(out.started_at), format_rfc3339(oldest)));
  }
  out.metadata = arguments.object("metadata", kMostMetadata).value_or("{}");
  if (auto ok = arguments.done(); !ok) return std::unexpected(ok.error());
  return out;
}

json::object to_json(const Trace& trace) {
  auto metadata = parse_json(trace.metadata, 16);
  return {{"trace_id", trace.trace_id},
          {"system_id", trace.system_id},
          {"task_class", trace.task_class},
          {"selector", trace.selector},
          {"started_at", format_rfc3339(trace.started_at)},
          {"latency_ms", std::chrono::duration<double, std::milli>(trace.latency).count()},
          {"outcome", trace.failed ? "failure" : "success"},
          {"metadata", metadata ? std::move(*metadata) : json::value(json::object{})}};
}

}  // namespace asahi::memory::fitness
