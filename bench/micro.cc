// The steps of a request that cost CPU time, one by one: reading, key, routing, vendor call, reply,
// record.
#include <benchmark/benchmark.h>

#include <string>

#include "base/hash.h"
#include "base/json.h"
#include "gateway/cache/exact_cache.h"
#include "gateway/config.h"
#include "gateway/events/event.h"
#include "gateway/routing/model_registry.h"
#include "gateway/routing/router.h"
#include "gateway/routing/task_detector.h"
#include "llm/wire/wire.h"

namespace asahi::gateway {
namespace {

constexpr std::string_view kRequest =
    R"({"model":"gpt-4o-mini","temperature":0.7,"max_tokens":256,"messages":[{"role":"system","content":)"
    R"("You answer questions of our software engineers, briefly and with an example."},{"role":"user","content":)"
    R"("Our service opens a new connection for each call to a language model and asks the same questions again and again. )"
    R"(Which three changes would you make first to bring down latency and cost, in what order, and how would you measure )"
    R"(that they worked?"}]})";

constexpr std::string_view kAnswer =
    R"({"id":"chatcmpl-1","object":"chat.completion","created":1760000000,"model":"gpt-4o-mini-2024-07-18","choices":)"
    R"([{"index":0,"message":{"role":"assistant","content":"Keep connections open, answer from memory what was answered )"
    R"(before, and measure before you change anything.","refusal":null,"annotations":[]},"logprobs":null,)"
    R"("finish_reason":"stop"}],"usage":{"prompt_tokens":82,"completion_tokens":21,"total_tokens":103,)"
    R"("prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}})";

std::shared_ptr<const JsonDocument> parsed() { return JsonDocument::parse(kRequest).value(); }

void parse_json(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(JsonDocument::parse(kRequest));
}
BENCHMARK(parse_json);

void body_digest(benchmark::State& state) {
  const Digest128 key{};
  for (auto _ : state) benchmark::DoNotOptimize(keyed_digest(key, {kRequest}));
}
BENCHMARK(body_digest);

void cache_key(benchmark::State& state) {
  const auto document = parsed();
  const Digest128 key{};
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        keyed_digest(key, {"default", canonical_request(document->root().get_object())}));
  }
}
BENCHMARK(cache_key);

void decode_chat(benchmark::State& state) {
  const auto codec = llm::make_openai_chat_client();
  const auto document = parsed();
  for (auto _ : state) benchmark::DoNotOptimize(codec->decode(document));
}
BENCHMARK(decode_chat);

void detect_task_of_prompt(benchmark::State& state) {
  const std::string prompt(kRequest.substr(200));
  for (auto _ : state) benchmark::DoNotOptimize(detect_task(prompt));
}
BENCHMARK(detect_task_of_prompt);

void routing_decision(benchmark::State& state, RoutingMode mode) {
  const Router router(RoutingConfig{}, default_tasks());
  const auto registry = default_registry();
  RouteRequest request;
  request.mode = mode;
  if (mode == RoutingMode::kExplicit) request.model = "gpt-4o-mini";
  request.task = {.task_type = "general", .confidence = 0.6, .intent = ""};
  request.input_tokens = 82;
  request.max_tokens = 256;
  for (auto _ : state) benchmark::DoNotOptimize(router.plan(registry, request, {}));
}
BENCHMARK_CAPTURE(routing_decision, autopilot, RoutingMode::kAutopilot);
BENCHMARK_CAPTURE(routing_decision, explicit_model, RoutingMode::kExplicit);

void encode_vendor_call(benchmark::State& state) {
  const auto request = llm::make_openai_chat_client()->decode(parsed()).value();
  const auto vendor = llm::make_openai_chat_codec();
  for (auto _ : state) benchmark::DoNotOptimize(vendor->encode(request, "gpt-4o-mini"));
}
BENCHMARK(encode_vendor_call);

void decode_vendor_answer(benchmark::State& state) {
  const auto vendor = llm::make_openai_chat_codec();
  for (auto _ : state) benchmark::DoNotOptimize(vendor->decode(kAnswer));
}
BENCHMARK(decode_vendor_answer);

void encode_reply(benchmark::State& state) {
  const auto client = llm::make_openai_chat_client();
  const auto request = client->decode(parsed()).value();
  const auto response = llm::make_openai_chat_codec()->decode(kAnswer).value();
  const std::string extras = R"({"cost":0.000025,"cache_hit":false,"provider":"openai"})";
  for (auto _ : state)
    benchmark::DoNotOptimize(client->encode(request, response, extras, 1'760'000'000));
}
BENCHMARK(encode_reply);

void write_event(benchmark::State& state) {
  InferenceEvent event;
  event.event_id = "01JZZZZZZZZZZZZZZZZZZZZZZZ";
  event.request_id = "req_0123456789ab";
  event.org_id = "default";
  event.task_type = "general";
  event.model_selected = "gpt-4o-mini";
  event.provider = "openai";
  event.routing_mode = "explicit";
  event.routing_reason = "named by the caller";
  event.input_tokens = 82;
  event.output_tokens = 21;
  event.latency_ms = 0.123;
  event.route = "/v1/chat/completions";
  std::string line;
  for (auto _ : state) {
    line.clear();
    append_json(line, event);
    benchmark::DoNotOptimize(line.data());
  }
}
BENCHMARK(write_event);

}  // namespace
}  // namespace asahi::gateway
