#include "gateway/traces/config.h"

#include "gateway/traces/otlp_settings.h"
#include "gateway/traces/sentry_dsn.h"

namespace asahi::gateway {

void bind(config::Binder& binder, TracesConfig& c) {
  const auto fault = [&](std::string path, std::string value, std::string rule) {
    binder.fault({.path = std::move(path),
                  .value = std::move(value),
                  .rule = std::move(rule),
                  .origin = ""});
  };
  auto section = binder.section("observability");
  section.value("live_traces", c.live_traces, {.help = "remember the last calls for GET /traces"});
  section.value("traces_kept", c.traces_kept,
                {.min = 10, .max = 1e5, .help = "calls remembered of one organisation"});
  section.value("traces_max_bytes", c.traces_max_bytes,
                {.min = 1 << 20, .max = 1 << 30, .help = "of all remembered calls"});
  section.value("otlp_endpoint", c.otlp_endpoint,
                {.env = {"OTEL_EXPORTER_OTLP_ENDPOINT"},
                 .help = "OTLP/HTTP collector, without /v1/traces; empty: no export"});
  section.value("otlp_traces_endpoint", c.otlp_traces_endpoint,
                {.env = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"}, .help = "the whole URL instead"});
  section.value("otlp_headers", c.otlp_headers,
                {.env = {"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"},
                 .help = "name=value,… sent with spans"});
  section.value("otlp_timeout_ms", c.otlp_timeout_ms,
                {.min = 100,
                 .max = 120'000,
                 .env = {"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"},
                 .help = "limit of one export"});
  section.value("otlp_interval_ms", c.otlp_interval_ms,
                {.min = 50, .max = 60'000, .help = "longest wait for more to send"});
  section.value("otlp_max_queue", c.otlp_max_queue,
                {.min = 16, .max = 1e5, .help = "traces waiting to be sent"});
  section.value(
      "service_name", c.service_name,
      {.min = 1, .max = 255, .env = {"OTEL_SERVICE_NAME"}, .help = "service.name of spans"});
  section.value("resource_attributes", c.resource_attributes,
                {.max = 4096,
                 .env = {"OTEL_RESOURCE_ATTRIBUTES"},
                 .help = "name=value,… of the process that sends spans"});
  section.value("trace_sampler", c.trace_sampler,
                {.one_of = {"always_on", "always_off", "traceidratio", "parentbased_always_on",
                            "parentbased_always_off", "parentbased_traceidratio"},
                 .env = {"OTEL_TRACES_SAMPLER"},
                 .help = "which traces are exported"});
  section.value("trace_sample_rate", c.trace_sample_rate,
                {.min = 0,
                 .max = 1,
                 .env = {"OTEL_TRACES_SAMPLER_ARG"},
                 .help = "share of traces that a ratio sampler takes"});
  section.value("sentry_dsn", c.sentry_dsn,
                {.env = {"SENTRY_DSN"}, .help = "where faults are reported; empty: nowhere"});
  section.value("sentry_sample_rate", c.sentry_sample_rate,
                {.min = 0, .max = 1, .help = "share of faults that are reported"});
  section.value("sentry_environment", c.sentry_environment,
                {.max = 64, .env = {"SENTRY_ENVIRONMENT"}, .help = "empty: app.environment"});
  section.value("sentry_release", c.sentry_release,
                {.max = 200, .env = {"SENTRY_RELEASE"}, .help = "empty: asahi@ and the version"});

  if (c.exports()) {
    if (auto target = otlp_target(c.otlp_endpoint, c.otlp_traces_endpoint); !target) {
      const bool whole = !c.otlp_traces_endpoint.empty();
      fault(whole ? "observability.otlp_traces_endpoint" : "observability.otlp_endpoint",
            whole ? c.otlp_traces_endpoint : c.otlp_endpoint, target.error().message);
    }
  }
  if (auto headers = parse_pairs(c.otlp_headers.reveal()); !headers)
    fault("observability.otlp_headers", "***", headers.error().message);
  if (auto attributes = parse_pairs(c.resource_attributes); !attributes)
    fault("observability.resource_attributes", c.resource_attributes, attributes.error().message);
  if (!c.sentry_dsn.empty()) {
    if (auto dsn = parse_sentry_dsn(c.sentry_dsn.reveal()); !dsn)
      fault("observability.sentry_dsn", "***", dsn.error().message);
  }
}

}  // namespace asahi::gateway
