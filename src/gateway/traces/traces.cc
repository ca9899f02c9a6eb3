#include "gateway/traces/traces.h"

#include "base/ids.h"
#include "base/log_observer.h"
#include "gateway/traces/otlp_json.h"
#include "gateway/traces/otlp_settings.h"
#include "gateway/traces/trace_routes.h"

namespace asahi::gateway {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFlushTime{2'000};

/// No organisation keeps events for less.
constexpr std::chrono::hours kLongestKept{24};

/// OTLP's own figures for exporters.
constexpr RetryPolicy kRetry{
    .max_attempts = 5, .base = milliseconds(1'000), .cap = milliseconds(30'000)};

double draw() { return static_cast<double>(random_u64() >> 11) * 0x1p-53; }

Result<std::unique_ptr<Outbox>> make_exporter(const Traces::Parts& parts) {
  const TracesConfig& config = parts.config.traces;
  Outbox::Options options;
  options.name = "otlp";
  ASAHI_TRY(OtlpTarget target, otlp_target(config.otlp_endpoint, config.otlp_traces_endpoint));
  options.origin = std::move(target.origin);
  options.target = std::move(target.target);
  options.headers.add("Content-Type", "application/json");
  options.headers.add("User-Agent", "asahi/" ASAHI_VERSION);
  ASAHI_TRY(const auto headers, parse_pairs(config.otlp_headers.reveal()));
  for (const auto& [name, value] : headers) options.headers.set(name, value);
  options.max_items = config.otlp_max_queue;
  options.interval = milliseconds(config.otlp_interval_ms);
  options.timeout = milliseconds(config.otlp_timeout_ms);
  OtlpResource resource{.service_name = config.service_name,
                        .version = parts.config.app.version,
                        .environment = parts.config.app.environment,
                        .instance = parts.node,
                        .further = {}};
  ASAHI_TRY(resource.further, parse_pairs(config.resource_attributes));
  // The variable for the name alone wins over the one for everything.
  if (config.service_name != TracesConfig{}.service_name)
    std::erase_if(resource.further, [](const auto& pair) { return pair.first == "service.name"; });
  return std::make_unique<Outbox>(
      std::move(options),
      Outbox::Parts{
          .loop = parts.loops.at(0),
          .client = parts.clients.at(0),
          .metrics = parts.metrics,
          .compose = [resource = std::move(resource)](
                         std::vector<std::string> spans) { return otlp_body(resource, spans); },
          .judge = [](const Result<http::ClientResponse>& reply,
                      int attempt) { return judge_otlp(reply, attempt, kRetry, draw()); }});
}

}  // namespace

Result<std::unique_ptr<Traces>> Traces::make(Parts parts) {
  const TracesConfig& config = parts.config.traces;
  std::unique_ptr<Traces> made(new Traces);
  const auto sampler = telemetry::Sampler::make(config.trace_sampler, config.trace_sample_rate);
  if (!sampler) return fail(Errc::kInvalidArgument, "observability.trace_sampler is no sampler");
  made->tracer_ = std::make_unique<Tracer>(
      Tracer::Options{
          .live = config.live_traces, .exporting = config.exports(), .sampler = *sampler},
      parts.loops);
  if (config.live_traces) {
    made->store_ = std::make_unique<TraceStore>(TraceStore::Options{
        .kept_per_org = config.traces_kept, .max_bytes = config.traces_max_bytes});
  }
  std::function<void(std::string)> send;
  if (config.exports()) {
    ASAHI_TRY(made->spans_, make_exporter(parts));
    send = [raw = made->spans_.get()](std::string spans) { (void)raw->offer(std::move(spans)); };
  }
  made->hub_ = std::make_unique<TraceHub>(made->store_.get(), std::move(send));
  if (!config.sentry_dsn.empty()) {
    FaultReporter::Options options;
    ASAHI_TRY(options.dsn, parse_sentry_dsn(config.sentry_dsn.reveal()));
    options.sample_rate = config.sentry_sample_rate;
    options.settings = {
        .release = config.sentry_release.empty() ? "asahi@" + parts.config.app.version
                                                 : config.sentry_release,
        .environment = config.sentry_environment.empty() ? parts.config.app.environment
                                                         : config.sentry_environment,
        .server_name = parts.node};
    made->faults_ = std::make_unique<FaultReporter>(
        std::move(options), parts.loops.at(0), parts.clients.at(0), parts.metrics, parts.clock);
  }
  return made;
}

void Traces::add_routes(http::Router& router, const std::atomic<bool>& draining) const {
  add_trace_routes(router, {.store = store_.get(), .draining = draining});
}

void Traces::drop_old(Clock::Time now) const {
  if (store_ != nullptr) store_->drop_before(now - kLongestKept);
}

void Traces::start() {
  if (faults_ == nullptr) return;
  observe_log(LogLevel::kError,
              [raw = faults_.get()](LogLevel level, std::string_view logger,
                                    std::string_view message, std::span<const LogField> fields) {
                raw->report_line(level, logger, message, fields);
              });
}

void Traces::stop() {
  if (faults_ != nullptr) {
    observe_log(LogLevel::kError, {});
    faults_->stop(kFlushTime);
  }
  if (spans_ != nullptr) spans_->stop(kFlushTime);
}

}  // namespace asahi::gateway
