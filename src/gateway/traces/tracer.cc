#include "gateway/traces/tracer.h"

#include "base/ids.h"

namespace asahi::gateway {

bool Tracer::Allowance::has(CallTrace::Time now, int most) const {
  return now - since >= std::chrono::seconds(1) || used < most;
}

bool Tracer::Allowance::take(CallTrace::Time now, int most) {
  if (now - since >= std::chrono::seconds(1)) {
    since = now;
    used = 0;
  }
  if (used >= most) return false;
  ++used;
  return true;
}

/// Where a call stands, before anything is made for it.
struct Tracer::Place {
  telemetry::TraceContext context;
  std::uint64_t parent_span = 0;
  bool exported = false;
};

Tracer::Tracer(Options options, net::LoopPool& loops)
    : options_(options), sides_(loops, [](net::Loop&) { return std::make_unique<Side>(); }) {}

Tracer::Place Tracer::place(const http::Context& context) const {
  Place place;
  const std::string_view header = context.request.headers.get("traceparent");
  const auto parent = header.empty() ? std::nullopt : telemetry::parse_traceparent(header);
  if (parent) {
    place.context = *parent;
    place.parent_span = parent->span;
  } else {
    place.context.trace_high = random_u64();
    place.context.trace_low = random_u64();
  }
  place.context.span = random_u64() | 1;  // 0 means none
  place.context.sampled = options_.exporting && options_.sampler.decide(parent ? &*parent : nullptr,
                                                                        place.context.trace_low);
  place.exported = place.context.sampled;
  return place;
}

std::shared_ptr<CallTrace> Tracer::make(const http::Context& context, const Place& place) {
  auto trace = std::make_shared<CallTrace>(context.received);
  trace->context = place.context;
  trace->parent_span = place.parent_span;
  trace->exported = place.exported;
  if (place.parent_span != 0) {
    const std::string_view state = context.request.headers.get("tracestate");
    if (!state.empty()) trace->tracestate = telemetry::clean_tracestate(state);
  }
  return trace;
}

std::shared_ptr<CallTrace> Tracer::begin(const http::Context& context) {
  if (idle()) return nullptr;
  const Place where = place(context);
  if (!options_.live && !where.exported) return nullptr;
  auto trace = make(context, where);
  const auto now = std::chrono::steady_clock::now();
  const auto received = trace->spans.begin(static_cast<std::uint8_t>(Stage::kReceive),
                                           telemetry::SpanList::kRoot, context.received);
  trace->spans.end(received, now);
  return trace;
}

std::shared_ptr<CallTrace> Tracer::begin_hit(const http::Context& context) {
  if (idle()) return nullptr;
  const bool room =
      options_.live && sides_.local().answered.has(context.received, options_.most_per_second);
  if (!room && !options_.exporting) return nullptr;
  const Place where = place(context);
  if (!room && !where.exported) return nullptr;
  return make(context, where);
}

bool Tracer::keep(CallTrace& trace, bool failed, CallTrace::Time now) {
  if (!trace.exported) {
    if (!options_.live) return false;
    Side& side = sides_.local();
    if (!(failed ? side.failed : side.answered).take(now, options_.most_per_second)) return false;
  }
  if (waiting_.fetch_add(1, std::memory_order_relaxed) < options_.most_waiting) {
    trace.ticket.hold(waiting_);
    return true;
  }
  waiting_.fetch_sub(1, std::memory_order_relaxed);
  return false;
}

}  // namespace asahi::gateway
