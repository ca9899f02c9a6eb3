#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "gateway/events/event.h"
#include "gateway/traces/call_trace.h"

namespace asahi::gateway {

/// A call that has ended: what it was (the event) and where its time went (the event's trace, never
/// null here). Immutable once it is made, but for its place in a store.
struct TraceRecord {
  InferenceEvent event;
  Clock::Time started{};
  std::uint64_t position = 0;  ///< in its organisation's list, from 1

  const CallTrace& trace() const { return *event.trace; }
  std::chrono::nanoseconds duration() const {
    return std::chrono::nanoseconds(trace().spans[telemetry::SpanList::kRoot].end_ns);
  }
  double duration_ms() const {
    return std::chrono::duration<double, std::milli>(duration()).count();
  }
  bool failed() const { return !event.error_code.empty(); }
  /// About what it takes in memory.
  std::size_t bytes() const {
    return sizeof(TraceRecord) + sizeof(CallTrace) + event.routing_reason.capacity() +
           event.user_id.capacity() + event.task_id.capacity() + trace().tracestate.capacity() +
           trace().attempts.capacity() * (sizeof(CallTrace::Attempt) + 32) + 256;
  }
};
/// `event.trace` is not null.
std::shared_ptr<TraceRecord> make_record(const InferenceEvent& event);

}  // namespace asahi::gateway
