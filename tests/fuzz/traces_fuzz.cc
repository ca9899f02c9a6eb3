// What strangers say about traces, and what an operator pastes as a DSN or a list of headers.
// Whatever is taken is written back as it was meant; whatever is refused is refused without being
// repeated.
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>

#include "gateway/traces/delivery.h"
#include "gateway/traces/otlp_settings.h"
#include "gateway/traces/sentry_dsn.h"
#include "telemetry/trace_context.h"

namespace {

using namespace asahi;

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto context = telemetry::parse_traceparent(bytes)) {
    require(context->valid());
    const std::string again = telemetry::make_traceparent(*context);
    require(again.size() == 55 && again.substr(2, 51) == bytes.substr(2, 51));
    const auto same = telemetry::parse_traceparent(again);
    require(same && same->span == context->span && same->sampled == context->sampled);
    require(telemetry::parse_trace_id(telemetry::trace_id_text(*context)).has_value());
  }
  const std::string state = telemetry::clean_tracestate(bytes);
  require(state.size() <= 512 && telemetry::clean_tracestate(state) == state);
  if (const auto dsn = gateway::parse_sentry_dsn(bytes)) {
    require(!dsn->public_key.empty() && !dsn->project.empty() && !dsn->origin.host.empty());
    require(dsn->auth().find('\n') == std::string::npos);
  } else {
    // A message that repeated what it was given would be another one each time.
    static std::set<std::string> told;
    told.insert(dsn.error().message);
    require(told.size() <= 20);
  }
  if (const auto pairs = gateway::parse_pairs(bytes)) {
    for (const auto& [name, value] : *pairs)
      require(!name.empty() && (name + value).find_first_of("\r\n") == std::string::npos);
  }
  gateway::SentryLimits limits;
  http::Headers headers;
  headers.add("X-Sentry-Rate-Limits", std::string(bytes));
  headers.add("Retry-After", std::string(bytes));
  limits.note(429, headers, {});
  (void)limits.limited({});
  return 0;
}
