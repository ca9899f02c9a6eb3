#pragma once

#include <cstddef>
#include <string>

#include "base/config/loader.h"
#include "base/secret.h"

namespace asahi::gateway {

/// Part of `observability`: traces of calls, and faults that are told to an error tracker. The
/// variables of OpenTelemetry and Sentry count as theirs do elsewhere.
struct TracesConfig {
  bool live_traces = true;                    ///< remember the last calls for GET /traces
  std::size_t traces_kept = 2'000;            ///< of one organisation, 10 to 100000
  std::size_t traces_max_bytes = 33'554'432;  ///< of all of them together, 1 MiB to 1 GiB

  /// Base URL of an OTLP/HTTP collector, /v1/traces is appended (OTEL_EXPORTER_OTLP_ENDPOINT).
  /// Empty: traces are not exported.
  std::string otlp_endpoint;
  std::string otlp_traces_endpoint;  ///< the whole URL instead (OTEL_EXPORTER_OTLP_TRACES_ENDPOINT)
  /// "name=value,name=value", values percent-encoded (OTEL_EXPORTER_OTLP_HEADERS); never in YAML.
  Secret otlp_headers;
  int otlp_timeout_ms = 10'000;  ///< of one export, 100 to 120000 (OTEL_EXPORTER_OTLP_TIMEOUT)
  int otlp_interval_ms = 5'000;  ///< longest wait for more to send, 50 to 60000
  std::size_t otlp_max_queue = 2'048;  ///< traces waiting to be sent; more are dropped and counted
  std::string service_name = "asahi";  ///< OTEL_SERVICE_NAME
  std::string resource_attributes;     ///< "name=value,…" (OTEL_RESOURCE_ATTRIBUTES)
  /// A sampler of OpenTelemetry by its name (OTEL_TRACES_SAMPLER).
  std::string trace_sampler = "parentbased_traceidratio";
  double trace_sample_rate = 0.1;  ///< of the ratio samplers, 0 to 1 (OTEL_TRACES_SAMPLER_ARG)

  Secret sentry_dsn;                ///< SENTRY_DSN; empty: nothing is reported; never in YAML
  double sentry_sample_rate = 0.1;  ///< share of faults reported, 0 to 1; lost data always is
  std::string sentry_environment;   ///< empty: app.environment (SENTRY_ENVIRONMENT)
  std::string sentry_release;       ///< empty: asahi@<version> (SENTRY_RELEASE)

  bool exports() const { return !otlp_endpoint.empty() || !otlp_traces_endpoint.empty(); }
};

/// Declares them below `observability`, with their faults.
void bind(config::Binder& binder, TracesConfig& config);

}  // namespace asahi::gateway
