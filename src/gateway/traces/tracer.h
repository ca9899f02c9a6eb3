#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "gateway/traces/call_trace.h"
#include "net/http/context.h"
#include "net/loop.h"

namespace asahi::gateway {

/// Decides which calls are watched. What is exported is chosen when a call begins, by the sampler;
/// what GET /traces remembers is everything, up to so many calls a second and loop: a call costs
/// about a microsecond more, and a thousand times as many would tell no more.
class Tracer {
 public:
  struct Options {
    bool live = true;        ///< GET /traces remembers calls
    bool exporting = false;  ///< there is a collector
    telemetry::Sampler sampler;
    /// Calls remembered per second and loop beyond those that are exported; failed ones have as
    /// many again.
    int most_per_second = 250;
    /// Watched calls whose events have not been looked at yet; more are not watched.
    int most_waiting = 10'000;
  };
  Tracer(Options options, net::LoopPool& loops);

  bool idle() const { return !options_.live && !options_.exporting; }

  /// A call begins: null where nobody will look at it. Loop thread.
  std::shared_ptr<CallTrace> begin(const http::Context& context);
  /// The same for an answer that is there already: there is nothing to watch but that it was.
  std::shared_ptr<CallTrace> begin_hit(const http::Context& context);
  /// A call has ended: true when its trace goes on with its event; then it holds a ticket, which
  /// who takes it from there gives back. Loop thread.
  bool keep(CallTrace& trace, bool failed, CallTrace::Time now);

 private:
  /// So many in each second.
  struct Allowance {
    CallTrace::Time since{};
    int used = 0;
    bool take(CallTrace::Time now, int most);
    bool has(CallTrace::Time now, int most) const;
  };
  struct Side {
    Allowance answered, failed;
  };
  struct Place;
  Place place(const http::Context& context) const;
  static std::shared_ptr<CallTrace> make(const http::Context& context, const Place& place);

  const Options options_;
  net::PerLoop<Side> sides_;
  std::atomic<int> waiting_{0};
};

}  // namespace asahi::gateway
