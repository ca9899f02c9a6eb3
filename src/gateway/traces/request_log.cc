#include "gateway/traces/request_log.h"

#include <chrono>

#include "gateway/traces/request_notes.h"
#include "identity/principal.h"
#include "telemetry/trace_context.h"

namespace asahi::gateway {

void log_request(const Logger& logger, const http::Context& context, int status,
                 std::size_t bytes) {
  constexpr int kServerError = 500;
  const LogLevel level = status >= kServerError ? LogLevel::kWarning : LogLevel::kDebug;
  if (!logger.enabled(level)) return;
  const double latency_ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - context.received)
          .count();
  const auto* caller = dynamic_cast<const identity::Principal*>(context.caller.get());
  const std::string_view method = http::to_string(context.request.method);
  if (const auto* notes = dynamic_cast<const RequestNotes*>(context.notes.get())) {
    const InferenceEvent& event = notes->event;
    const bool traced = (event.trace_high | event.trace_low) != 0;
    const std::string trace_id =
        traced ? telemetry::trace_id_text({event.trace_high, event.trace_low, 0, false})
               : std::string();
    logger.write(level, "request",
                 {{"request_id", context.request_id},
                  {"trace_id", trace_id},
                  {"org_id", event.org_id},
                  {"user_id", event.user_id},
                  {"key_prefix", event.api_key_prefix},
                  {"method", method},
                  {"path", context.request.path},
                  {"status", status},
                  {"bytes", bytes},
                  {"latency_ms", latency_ms},
                  {"cache_hit", event.cache_hit},
                  {"cache_tier", event.cache_tier},
                  {"model_used", event.model_selected},
                  {"provider", event.provider},
                  {"routing_mode", event.routing_mode},
                  {"cost", event.cost.dollars()},
                  {"task_type", event.task_type},
                  {"error", event.error_code},
                  {"retry", event.retries},
                  // Who it was that failed, where it was somebody else.
                  {"dependency", event.error_code.empty() ? std::string() : event.provider}});
    return;
  }
  const auto parent = telemetry::parse_traceparent(context.request.headers.get("traceparent"));
  const std::string trace_id = parent ? telemetry::trace_id_text(*parent) : std::string();
  logger.write(level, "request",
               {{"request_id", context.request_id},
                {"trace_id", trace_id},
                {"org_id", caller != nullptr ? std::string_view(caller->org_id) : ""},
                {"user_id", caller != nullptr ? std::string_view(caller->user_id) : ""},
                {"key_prefix", caller != nullptr ? std::string_view(caller->key_prefix) : ""},
                {"method", method},
                {"path", context.request.path},
                {"status", status},
                {"bytes", bytes},
                {"latency_ms", latency_ms}});
}

}  // namespace asahi::gateway
