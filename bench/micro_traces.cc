// What watching a call costs: on the call's own loop, and behind it on the event writer's thread.
#include <benchmark/benchmark.h>

#include <future>
#include <string>

#include "gateway/traces/otlp_json.h"
#include "gateway/traces/trace_hub.h"
#include "gateway/traces/trace_store.h"
#include "gateway/traces/tracer.h"

namespace asahi::gateway {
namespace {

using std::chrono::steady_clock;

constexpr int kUnlimited = 1 << 30;

struct Scene {
  explicit Scene(Tracer::Options options) : loops(1), tracer(options, loops) {
    request.headers.add("content-type", "application/json");
    request.headers.add("authorization", "Bearer ask_0123456789");
    loops.start();
  }

  /// Runs `body` on the loop: a tracer belongs to loops.
  template <class Body>
  void on_loop(Body body) {
    std::promise<void> done;
    loops.at(0).post([&] {
      body();
      done.set_value();
    });
    done.get_future().wait();
  }
  http::Context context() {
    return {.request = request,
            .loop = loops.at(0),
            .cancel = cancel,
            .deadline = {},
            .received = steady_clock::now()};
  }
  /// The stages of a miss with one vendor call.
  std::shared_ptr<CallTrace> miss() {
    const http::Context at = context();
    auto trace = tracer.begin(at);
    for (const Stage stage : {Stage::kParse, Stage::kPolicy, Stage::kScreen, Stage::kExact,
                              Stage::kSemantic, Stage::kTokens, Stage::kRouting, Stage::kBudget,
                              Stage::kQuality, Stage::kStore, Stage::kReply})
      StageSpan{trace, stage};
    {
      const DispatchSpan asking(trace);
      if (trace != nullptr) {
        const int attempt = trace->begin_attempt("openai", "gpt-4o-mini", steady_clock::now());
        trace->end_attempt(attempt, nullptr, steady_clock::now());
      }
    }
    if (trace != nullptr) {
      const auto now = steady_clock::now();
      if (tracer.keep(*trace, false, now)) trace->spans.end_all(now);
    }
    return trace;
  }

  http::Request request;
  CancelSource cancel;
  net::LoopPool loops;
  Tracer tracer;
};

Tracer::Options watched(int most_per_second) {
  return {.live = true,
          .exporting = false,
          .sampler = {},
          .most_per_second = most_per_second,
          .most_waiting = kUnlimited};
}

void trace_miss(benchmark::State& state) {
  Scene scene(state.range(0) != 0
                  ? watched(kUnlimited)
                  : Tracer::Options{.live = false, .exporting = false, .sampler = {}});
  scene.on_loop([&] {
    for (auto _ : state) benchmark::DoNotOptimize(scene.miss());
  });
}
BENCHMARK(trace_miss)->ArgName("watched")->Arg(0)->Arg(1)->UseRealTime();

void trace_repeat(benchmark::State& state) {
  Scene scene(watched(static_cast<int>(state.range(0))));
  scene.on_loop([&] {
    for (auto _ : state) {
      const http::Context at = scene.context();
      auto trace = scene.tracer.begin_hit(at);
      if (trace != nullptr) (void)scene.tracer.keep(*trace, false, at.received);
      benchmark::DoNotOptimize(trace);
    }
  });
}
BENCHMARK(trace_repeat)->ArgName("per_second")->Arg(250)->Arg(kUnlimited)->UseRealTime();

InferenceEvent told(Scene& scene) {
  InferenceEvent event;
  event.event_id = "01JD0000000000000000000000";
  event.request_id = "req_0123456789ab";
  event.org_id = "default";
  event.model_selected = "gpt-4o-mini";
  event.provider = "openai";
  event.routing_reason = "Autopilot: task faq, the cheapest model that holds quality 3.5";
  event.route = "/v1/chat/completions";
  scene.on_loop([&] { event.trace = scene.miss(); });
  return event;
}

void trace_remembered(benchmark::State& state) {
  Scene scene(watched(kUnlimited));
  const InferenceEvent event = told(scene);
  TraceStore store({});
  const TraceHub hub(&store, {});
  for (auto _ : state) hub.observe(event);
}
BENCHMARK(trace_remembered);

void trace_as_otlp(benchmark::State& state) {
  Scene scene(watched(kUnlimited));
  const auto record = make_record(told(scene));
  for (auto _ : state) benchmark::DoNotOptimize(otlp_spans(*record));
}
BENCHMARK(trace_as_otlp);

}  // namespace
}  // namespace asahi::gateway
