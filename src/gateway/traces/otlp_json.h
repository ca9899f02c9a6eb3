#pragma once

#include <string>
#include <utility>
#include <vector>

#include "gateway/traces/trace_record.h"

namespace asahi::gateway {

/// The spans of a call in OTLP's JSON encoding (opentelemetry-proto, trace/v1), as members of an
/// array, without its brackets.
std::string otlp_spans(const TraceRecord& record);

/// The process that sends spans.
struct OtlpResource {
  std::string service_name, version, environment, instance;
  std::vector<std::pair<std::string, std::string>> further;  ///< win over those above
};
/// An ExportTraceServiceRequest; `spans`: what `otlp_spans` made.
std::string otlp_body(const OtlpResource& resource, const std::vector<std::string>& spans);

}  // namespace asahi::gateway
