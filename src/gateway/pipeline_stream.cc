#include "gateway/pipeline_call.h"
#include "net/http/server.h"

// Answers as server-sent events: relayed from the vendor, or told again from the cache.
namespace asahi::gateway {
namespace {

http::Response event_stream(http::BodyStream stream) {
  http::Response response;
  response.headers.add("Content-Type", "text/event-stream; charset=utf-8");
  response.headers.add("Cache-Control", "no-cache");
  response.headers.add("X-Accel-Buffering", "no");
  response.stream = std::move(stream);
  return response;
}

std::unique_ptr<llm::StreamEncoder> encoder_for(const Pipeline::Endpoint& endpoint,
                                                const llm::ChatRequest& request,
                                                const std::string& model, Clock::Time now) {
  if (endpoint.codec == nullptr) return make_native_stream_encoder();
  const auto created =
      std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  return endpoint.codec->stream_encoder(request, response_id(endpoint.shape), model, created);
}

}  // namespace

http::Response Pipeline::write_cached(http::Context& context, const std::shared_ptr<Call>& call,
                                      Outcome outcome) {
  if (!call->chat.stream) return write_reply(context, *call, outcome);
  outcome.lookup_ms = call->lookup_ms;
  if (outcome.tier != 1) outcome.similar = similarity_report(call->similar.get());
  auto shared = std::make_shared<Outcome>(std::move(outcome));
  return event_stream([this, call, shared](http::BodyWriter& writer) -> Task<void> {
    auto encoder =
        encoder_for(*call->endpoint, call->chat, shared->answer->model, parts_.clock.now());
    std::string bytes;
    const StageSpan replying(call->trace, Stage::kReply);
    for (const llm::StreamEvent& event : as_events(shared->answer->response))
      encoder->encode(event, bytes);
    shared->total_ms = ms_since(call->received);
    const std::string extras =
        call->endpoint->codec != nullptr
            ? asahi_object(*shared, call->request_id)
            : native_body(*shared, call->request_id, response_id(call->endpoint->shape),
                          format_rfc3339(parts_.clock.now()), "null");
    llm::ChatResponse whole = shared->answer->response;
    whole.model = shared->answer->model;
    encoder->finish(whole, extras, bytes);
    record(*call, *shared);
    co_return co_await writer.write(std::move(bytes));
  });
}

Task<http::Response> Pipeline::serve_stream(http::Context& context, std::shared_ptr<Call> call) {
  ASAHI_CO_TRY(Plan planned, co_await plan_and_reserve(call));
  DispatchCall dispatch = call->dispatch(std::move(planned), context.cancel);
  if (call->trace != nullptr) {
    // It ends with the stream: a vendor that breaks off is replaced on the way.
    call->trace->dispatch =
        call->trace->spans.begin(static_cast<std::uint8_t>(Stage::kDispatch), call->trace->under,
                                 std::chrono::steady_clock::now());
  }
  auto kept_plan = std::make_shared<const Plan>(dispatch.plan);
  DispatchReport report;
  auto opened = co_await parts_.dispatcher.open(std::move(dispatch), report);
  if (!opened) {
    record_failure(*call, opened.error(), &report);
    co_return std::unexpected(std::move(opened.error()));
  }
  std::shared_ptr<DispatchedStream> stream = std::move(*opened);
  co_return event_stream([this, call, stream, kept_plan](http::BodyWriter& writer) -> Task<void> {
    return relay(call, stream, kept_plan, writer);
  });
}

Task<void> Pipeline::relay(std::shared_ptr<Call> call, std::shared_ptr<DispatchedStream> stream,
                           std::shared_ptr<const Plan> plan, http::BodyWriter& writer) {
  auto encoder =
      encoder_for(*call->endpoint, call->chat, stream->report().model->name, parts_.clock.now());
  llm::StreamCollector collector;
  StageSpan relaying(call->trace, Stage::kStream);
  for (;;) {
    auto events = co_await stream->next();
    std::string bytes;
    if (!events) {
      Error error = std::move(events.error());
      record_failure(*call, error, &stream->report());
      if (error.code == Errc::kCancelled) co_return std::unexpected(std::move(error));
      // The status line is long gone; an error event is what the shape's SDKs raise. Then the body
      // ends properly, so that the event is not lost in a connection error.
      encoder->fail(error, call->request_id, bytes);
      co_return co_await writer.write(std::move(bytes));
    }
    if (events->empty()) break;
    for (const llm::StreamEvent& event : *events) {
      collector.add(event);
      encoder->encode(event, bytes);
    }
    if (bytes.empty()) continue;
    auto written = co_await writer.write(std::move(bytes));
    if (!written) {
      stream->abandon();
      record_failure(*call, written.error(), &stream->report());
      co_return std::unexpected(std::move(written.error()));
    }
  }
  relaying.end();
  if (call->trace != nullptr)
    call->trace->spans.end(call->trace->dispatch, std::chrono::steady_clock::now());
  StageSpan looking(call->trace, Stage::kQuality);
  const DispatchReport& report = stream->report();
  Outcome outcome;
  outcome.mode = plan->decision.mode;
  outcome.routing_reason = plan->decision.reason;
  outcome.task_type = plan->decision.task_type_detected;
  outcome.fallback_used = plan->decision.fallback_used || report.fallback;
  outcome.alternatives = plan->decision.alternatives;
  outcome.enriched = call->enriched;
  outcome.similar = similarity_report(call->similar.get());
  outcome.lookup_ms = call->lookup_ms;
  outcome.routing_ms = call->routing_ms;
  outcome.retries = report.retries;
  if (report.fallback || report.retries > 0) {
    for (const std::string& hop : report.hops) outcome.warnings.push_back("fallback: " + hop);
  }
  outcome.answer =
      price(*call, collector.response(), report, *plan, outcome.consumed, outcome.cost);
  outcome.baseline = outcome.answer->baseline;
  tell_trimming(*call, report.model != nullptr ? *report.model : *plan->decision.model, outcome);
  outcome.total_ms = ms_since(call->received);
  outcome.vendor_ms = outcome.total_ms - outcome.lookup_ms - outcome.routing_ms;
  // Its words are with the client already: what is left to decide is whether they are kept.
  const AnswerScreening screening = screen(*call, outcome.answer->response);
  tell(*call, screening, *plan, outcome);
  looking.end();
  StageSpan storing(call->trace, Stage::kStore);
  if (!screening.flagged()) keep(*call, outcome.answer);
  maybe_compare(call, outcome);
  storing.end();
  const StageSpan replying(call->trace, Stage::kReply);
  const std::string extras =
      call->endpoint->codec != nullptr
          ? asahi_object(outcome, call->request_id)
          : native_body(outcome, call->request_id, response_id(call->endpoint->shape),
                        format_rfc3339(parts_.clock.now()), "null");
  std::string bytes;
  llm::ChatResponse whole = outcome.answer->response;
  whole.model = outcome.answer->model;
  encoder->finish(whole, extras, bytes);
  record(*call, outcome);
  co_return co_await writer.write(std::move(bytes));
}

}  // namespace asahi::gateway
