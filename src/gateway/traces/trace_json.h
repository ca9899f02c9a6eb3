#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json_out.h"
#include "gateway/traces/trace_record.h"

namespace asahi::gateway {

using AttributeValue = std::variant<std::string_view, std::int64_t, double, bool>;
using AttributeSink = std::function<void(std::string_view name, const AttributeValue& value)>;

/// What a span says: names of OpenTelemetry's conventions where there are any (gen_ai.*, http.*,
/// error.type), else asahi.*. Bounded: at most 24 of them, texts of at most 256 bytes. Users are
/// not named.
void each_attribute(const TraceRecord& record, CallTrace::Index span, const AttributeSink& sink);
/// "POST /infer", "cache.exact", "chat gpt-4o-mini"
std::string span_name(const TraceRecord& record, CallTrace::Index span);
bool span_failed(const TraceRecord& record, CallTrace::Index span);

/// One row of GET /traces.
void append_summary(std::string& out, const TraceRecord& record);
/// The body of GET /traces/{id}. `same_trace`: request ids of other calls of the trace.
std::string trace_body(const TraceRecord& record, const std::vector<std::string>& same_trace);

}  // namespace asahi::gateway
