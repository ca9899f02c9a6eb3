#include "gateway/traces/trace_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/utf8.h"

namespace asahi::gateway {
namespace {

constexpr std::size_t kMostText = 256;
using Index = CallTrace::Index;
using telemetry::SpanList;

std::string_view operation(const InferenceEvent& event) {
  return event.event_type == "embedding" || event.route == "/v1/embeddings" ? "embeddings" : "chat";
}

double ms(std::int64_t ns) { return std::round(static_cast<double>(ns) / 1e3) / 1e3; }

Stage stage_of(const SpanList::Span& span) { return static_cast<Stage>(span.what); }

const CallTrace::Attempt* attempt_of(const CallTrace& trace, Index span) {
  const auto found = std::ranges::find(trace.attempts, span, &CallTrace::Attempt::span);
  return found == trace.attempts.end() ? nullptr : &*found;
}

/// Says what is there: empty texts are left out.
class Sayer {
 public:
  explicit Sayer(const AttributeSink& sink) : sink_(sink) {}
  void text(std::string_view name, std::string_view value) const {
    if (value.empty()) return;
    if (value.size() <= kMostText && is_utf8(value)) {
      sink_(name, value);
    } else {
      const std::string mended = mended_utf8(value, kMostText);
      sink_(name, std::string_view(mended));
    }
  }
  void integer(std::string_view name, std::int64_t value) const { sink_(name, value); }
  void number(std::string_view name, double value) const {
    if (std::isfinite(value)) sink_(name, value);
  }
  void flag(std::string_view name, bool value) const { sink_(name, value); }

 private:
  const AttributeSink& sink_;
};

void say_call(const TraceRecord& record, const Sayer& say) {
  const InferenceEvent& event = record.event;
  say.text("http.request.method", "POST");
  say.text("http.route", event.route);
  say.integer("http.response.status_code", event.http_status);
  say.text("error.type", event.error_code);
  say.text("gen_ai.operation.name", operation(event));
  if (event.model_selected != "none") say.text("gen_ai.response.model", event.model_selected);
  say.text("gen_ai.provider.name", event.provider);
  say.integer("gen_ai.usage.input_tokens", event.input_tokens);
  say.integer("gen_ai.usage.output_tokens", event.output_tokens);
  say.text("asahi.request_id", event.request_id);
  say.text("asahi.org_id", event.org_id);
  say.text("asahi.task_type", event.task_type);
  say.text("asahi.routing.mode", event.routing_mode);
  say.text("asahi.routing.reason", event.routing_reason);
  say.flag("asahi.cache.hit", event.cache_hit);
  say.integer("asahi.cache.tier", event.cache_tier);
  say.number("asahi.cost_usd", event.cost.dollars());
  say.number("asahi.baseline_cost_usd", event.baseline_cost.dollars());
  say.number("asahi.savings_usd", event.savings().dollars());
  say.integer("asahi.tokens_saved", event.tokens_saved);
  say.integer("asahi.retries", event.retries);
  say.flag("asahi.fallback", event.fallback_used);
  say.flag("asahi.stream", event.streamed);
}

void say_attempt(const TraceRecord& record, Index span, const Sayer& say) {
  const CallTrace& trace = record.trace();
  say.text("gen_ai.operation.name", operation(record.event));
  const CallTrace::Attempt* attempt = attempt_of(trace, span);
  if (attempt == nullptr) return;
  say.text("gen_ai.provider.name", attempt->provider);
  say.text("gen_ai.request.model", attempt->model);
  say.text("error.type", attempt->error);
  if (attempt->status > 0) say.integer("http.response.status_code", attempt->status);
  if (attempt->first_ms >= 0)
    say.number("asahi.time_to_first_event_ms", std::round(attempt->first_ms * 1e3) / 1e3);
  say.integer("asahi.attempt", attempt - trace.attempts.data() + 1);
}

void append_span(JsonOut& out, const TraceRecord& record, Index index) {
  const CallTrace& trace = record.trace();
  const SpanList::Span& span = trace.spans[index];
  const Stage stage = stage_of(span);
  out.open_object()
      .member("span_id", telemetry::span_id_text(trace.span_id(index)))
      .member("name", span_name(record, index))
      .member("stage", to_string(stage))
      .member("kind", stage == Stage::kRequest   ? "server"
                      : stage == Stage::kAttempt ? "client"
                                                 : "internal")
      .member("offset_ms", ms(span.begin_ns))
      .member("duration_ms", ms(span.end_ns - span.begin_ns))
      .member("status", span_failed(record, index) ? "error" : "ok");
  out.key("attributes").open_object();
  each_attribute(record, index, [&](std::string_view name, const AttributeValue& value) {
    out.key(name);
    std::visit(
        [&](auto held) {
          using T = decltype(held);
          if constexpr (std::is_same_v<T, std::string_view>) {
            out.string(held);
          } else if constexpr (std::is_same_v<T, std::int64_t>) {
            out.integer(held);
          } else if constexpr (std::is_same_v<T, double>) {
            out.number(held);
          } else {
            out.boolean(held);
          }
        },
        value);
  });
  out.close_object();
  out.key("children").open_array();
  for (Index child = 1; child < trace.spans.size(); ++child) {
    if (trace.spans[child].parent == index) append_span(out, record, child);
  }
  out.close_array().close_object();
}

void write_summary(JsonOut& out, const TraceRecord& record) {
  const InferenceEvent& event = record.event;
  const CallTrace& trace = record.trace();
  out.member("trace_id", telemetry::trace_id_text(trace.context))
      .member("request_id", event.request_id)
      .member("started_at", format_rfc3339(record.started))
      .member("duration_ms", ms(record.duration().count()))
      .member("status", record.failed() ? "error" : "ok")
      .member("http_status", std::int64_t{event.http_status});
  if (record.failed()) out.member("error", event.error_code);
  out.member("route", event.route)
      .member("operation", operation(event))
      .member("model", event.model_selected)
      .member("provider", event.provider)
      .member("task_type", event.task_type)
      .member("routing_mode", event.routing_mode)
      .member("routing_reason", event.routing_reason)
      .member("cache_hit", event.cache_hit)
      .member("cache_tier", std::int64_t{event.cache_tier});
  if (event.cache_similarity > 0) out.member("cache_similarity", event.cache_similarity);
  out.member("streamed", event.streamed)
      .member("input_tokens", event.input_tokens)
      .member("output_tokens", event.output_tokens)
      .member("tokens_saved", event.tokens_saved)
      .member("cost", shown_dollars(event.cost))
      .member("baseline_cost", shown_dollars(event.baseline_cost))
      .member("savings", shown_dollars(event.savings()))
      .member("retries", std::int64_t{event.retries})
      .member("fallback_used", event.fallback_used)
      .member("user_id", event.user_id)
      .member("api_key_prefix", event.api_key_prefix)
      .member("span_count", std::int64_t{trace.spans.size()})
      .member("exported", trace.exported);
}

}  // namespace

std::shared_ptr<TraceRecord> make_record(const InferenceEvent& event) {
  auto record = std::make_shared<TraceRecord>();
  record->event = event;
  record->started = event.timestamp - record->duration();
  return record;
}

void each_attribute(const TraceRecord& record, Index index, const AttributeSink& sink) {
  const Sayer say(sink);
  const CallTrace& trace = record.trace();
  const InferenceEvent& event = record.event;
  const SpanList::Span& span = trace.spans[index];
  switch (stage_of(span)) {
    case Stage::kRequest:
      say_call(record, say);
      break;
    case Stage::kAttempt:
      say_attempt(record, index, say);
      break;
    case Stage::kSemantic:
      if (trace.similarity > 0) {
        say.number("asahi.cache.similarity", trace.similarity);
        say.number("asahi.cache.threshold", trace.threshold);
        say.text("asahi.cache.verdict", trace.verdict);
        if (!trace.cache_entry.empty()) say.text("asahi.cache.entry_id", trace.cache_entry);
      }
      break;
    case Stage::kTokens:
      say.integer("asahi.tokens_saved", event.cache_hit ? 0 : event.tokens_saved);
      break;
    case Stage::kRouting:
      say.text("asahi.routing.mode", event.routing_mode);
      say.text("asahi.routing.reason", event.routing_reason);
      if (event.model_selected != "none") say.text("gen_ai.request.model", event.model_selected);
      break;
    case Stage::kDispatch:
      say.integer("asahi.retries", event.retries);
      break;
    case Stage::kStore:
      say.number("asahi.cost_usd", event.cost.dollars());
      break;
    default:
      break;
  }
  say.text("asahi.outcome", to_string(static_cast<Mark>(span.mark)));
}

std::string span_name(const TraceRecord& record, Index index) {
  const Stage stage = stage_of(record.trace().spans[index]);
  if (stage == Stage::kRequest) return "POST " + record.event.route;
  if (stage == Stage::kAttempt) {
    if (const CallTrace::Attempt* attempt = attempt_of(record.trace(), index))
      return fmt::format("{} {}", operation(record.event), attempt->model);
  }
  return std::string(to_string(stage));
}

bool span_failed(const TraceRecord& record, Index index) {
  if (index == SpanList::kRoot) return record.failed();
  return static_cast<Mark>(record.trace().spans[index].mark) == Mark::kFailed;
}

void append_summary(std::string& out, const TraceRecord& record) {
  JsonOut json(out);
  json.open_object();
  write_summary(json, record);
  json.close_object();
}

std::string trace_body(const TraceRecord& record, const std::vector<std::string>& same_trace) {
  std::string body;
  JsonOut json(body);
  json.open_object();
  write_summary(json, record);
  json.key("parent_span_id");
  if (record.trace().parent_span != 0) {
    json.string(telemetry::span_id_text(record.trace().parent_span));
  } else {
    json.null();
  }
  json.key("same_trace").open_array();
  for (const std::string& id : same_trace) json.string(id);
  json.close_array();
  json.key("root");
  append_span(json, record, SpanList::kRoot);
  json.close_object();
  return body;
}

}  // namespace asahi::gateway
