#include "gateway/traces/otlp_json.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json_out.h"
#include "gateway/traces/trace_json.h"

namespace asahi::gateway {
namespace {

using Index = CallTrace::Index;
using telemetry::SpanList;

// Span.SpanKind and Status.StatusCode
constexpr std::int64_t kInternal = 1, kServer = 2, kClient = 3;
constexpr std::int64_t kUnset = 0, kError = 2;
// SpanFlags: the lower eight bits are the W3C flags; these say where the parent is.
constexpr std::int64_t kParentKnown = 0x100, kParentRemote = 0x200;

void attribute(JsonOut& out, std::string_view name, const AttributeValue& value) {
  out.open_object().member("key", name);
  out.key("value").open_object();
  if (const auto* text = std::get_if<std::string_view>(&value)) {
    out.member("stringValue", *text);
  } else if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    // 64-bit numbers are texts in the JSON of Protocol Buffers.
    out.member("intValue", fmt::to_string(*integer));
  } else if (const auto* number = std::get_if<double>(&value)) {
    out.member("doubleValue", *number);
  } else {
    out.member("boolValue", std::get<bool>(value));
  }
  out.close_object().close_object();
}

std::int64_t status_of(const TraceRecord& record, Index index) {
  // A server's span is no error for what the client did wrong.
  constexpr int kServerError = 500;
  if (index == SpanList::kRoot)
    return record.failed() && record.event.http_status >= kServerError ? kError : kUnset;
  return span_failed(record, index) ? kError : kUnset;
}

void append_span(JsonOut& out, const TraceRecord& record, Index index) {
  const CallTrace& trace = record.trace();
  const SpanList::Span& span = trace.spans[index];
  const bool root = index == SpanList::kRoot;
  const std::uint64_t parent = root ? trace.parent_span : trace.span_id(span.parent);
  const std::int64_t began = record.started.time_since_epoch().count();
  const auto stage = static_cast<Stage>(span.what);
  out.open_object()
      .member("traceId", telemetry::trace_id_text(trace.context))
      .member("spanId", telemetry::span_id_text(trace.span_id(index)));
  if (parent != 0) out.member("parentSpanId", telemetry::span_id_text(parent));
  if (!trace.tracestate.empty()) out.member("traceState", trace.tracestate);
  out.member("flags", std::int64_t{1} | kParentKnown | (root && parent != 0 ? kParentRemote : 0))
      .member("name", span_name(record, index))
      .member("kind", stage == Stage::kRequest   ? kServer
                      : stage == Stage::kAttempt ? kClient
                                                 : kInternal)
      .member("startTimeUnixNano", fmt::to_string(began + span.begin_ns))
      .member("endTimeUnixNano", fmt::to_string(began + span.end_ns));
  out.key("attributes").open_array();
  each_attribute(record, index, [&](std::string_view name, const AttributeValue& value) {
    attribute(out, name, value);
  });
  out.close_array();
  out.key("status").open_object();
  if (const std::int64_t status = status_of(record, index); status != kUnset)
    out.member("code", status);
  out.close_object().close_object();
}

}  // namespace

std::string otlp_spans(const TraceRecord& record) {
  std::string text;
  constexpr std::size_t kUsualSpan = 400;
  text.reserve(record.trace().spans.size() * kUsualSpan + 1024);
  JsonOut out(text);
  for (Index index = 0; index < record.trace().spans.size(); ++index)
    append_span(out, record, index);
  return text;
}

std::string otlp_body(const OtlpResource& resource, const std::vector<std::string>& spans) {
  std::size_t size = 1024;
  for (const std::string& some : spans) size += some.size() + 1;
  std::string body;
  body.reserve(size);
  JsonOut out(body);
  out.open_object().key("resourceSpans").open_array().open_object();
  out.key("resource").open_object().key("attributes").open_array();
  const std::pair<std::string_view, std::string_view> own[] = {
      {"service.name", resource.service_name},
      {"service.version", resource.version},
      {"service.instance.id", resource.instance},
      {"deployment.environment.name", resource.environment},
      {"telemetry.sdk.name", "asahi"},
      {"telemetry.sdk.language", "cpp"},
      {"telemetry.sdk.version", resource.version}};
  for (const auto& [name, value] : own) {
    const bool replaced = std::ranges::any_of(
        resource.further, [&](const auto& other) { return other.first == name; });
    if (!value.empty() && !replaced) attribute(out, name, value);
  }
  for (const auto& [name, value] : resource.further) attribute(out, name, std::string_view(value));
  out.close_array().close_object();
  out.key("scopeSpans").open_array().open_object();
  out.key("scope")
      .open_object()
      .member("name", "asahi.gateway")
      .member("version", resource.version);
  out.close_object();
  out.key("spans").open_array();
  for (const std::string& some : spans) out.raw(some);
  out.close_array().close_object().close_array();
  out.close_object().close_array().close_object();
  return body;
}

}  // namespace asahi::gateway
