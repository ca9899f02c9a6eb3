#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace asahi::telemetry {

/// Where a piece of work stands in a trace: W3C Trace Context
/// (https://www.w3.org/TR/trace-context).
struct TraceContext {
  std::uint64_t trace_high = 0, trace_low = 0;  ///< both 0: no trace
  std::uint64_t span = 0;                       ///< this piece, or the one that called
  bool sampled = false;                         ///< whoever began the trace records it

  bool valid() const { return (trace_high | trace_low) != 0 && span != 0; }
};

/// Reads the header `traceparent`; nothing for text that the recommendation calls invalid: then a
/// trace begins here. Versions after 00 are read as far as they are alike.
std::optional<TraceContext> parse_traceparent(std::string_view header);
/// "00-<trace id>-<span id>-01"
std::string make_traceparent(const TraceContext& context);

/// The header `tracestate` as it may be passed on: at most 32 members and 512 characters, those at
/// the end left out. Empty when it is malformed: half of it would mislead its owners.
std::string clean_tracestate(std::string_view header);

/// 32 and 16 lower-case hex digits.
std::string trace_id_text(const TraceContext& context);
std::string span_id_text(std::uint64_t span);
/// Reads what `trace_id_text` wrote; nothing for other text, and for the id that means none.
std::optional<TraceContext> parse_trace_id(std::string_view text);

/// Which traces are recorded for an exporter; the samplers of OpenTelemetry's OTEL_TRACES_SAMPLER.
class Sampler {
 public:
  /// always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off,
  /// parentbased_traceidratio. Nothing for other names. `ratio`: 0 to 1.
  static std::optional<Sampler> make(std::string_view name, double ratio);

  /// `parent`: of the caller; null: the trace begins here. All processes that see a trace decide
  /// alike.
  bool decide(const TraceContext* parent, std::uint64_t trace_low) const;

 private:
  bool parent_based_ = true;
  std::uint64_t below_ = 0;  ///< of the lower 63 bits of a trace id
};

}  // namespace asahi::telemetry
