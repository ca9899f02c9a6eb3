#include <fmt/format.h>

#include <mutex>
#include <utility>

#include "gateway/gateway_impl.h"

namespace asahi::gateway {
namespace {

using std::chrono::milliseconds;

/// Counts one request for as long as it lives.
class InFlight {
 public:
  explicit InFlight(telemetry::Gauge& gauge) : gauge_(&gauge) { gauge_->add(1); }
  InFlight(InFlight&& other) noexcept : gauge_(std::exchange(other.gauge_, nullptr)) {}
  InFlight& operator=(InFlight&&) = delete;
  ~InFlight() {
    if (gauge_ != nullptr) gauge_->add(-1);
  }

 private:
  telemetry::Gauge* gauge_;
};

}  // namespace

std::string faults_text(const std::vector<config::Fault>& faults) {
  std::string text;
  for (const config::Fault& fault : faults) {
    text +=
        fmt::format("{}{}: {} {}", text.empty() ? "" : "; ", fault.origin, fault.path, fault.rule);
  }
  return text;
}

Aw<void> Gateway::Impl::settle(net::Loop& loop) {
  constexpr double kBusy = 200;  // events per second
  constexpr auto kStep = milliseconds(2);
  constexpr int kSteps = 25;
  const auto settled = [this] { return events->backlog() == 0 && loader->caught_up(); };
  if (settled() || !loader->healthy() || event_rate() > kBusy) co_return;
  loader->hurry();
  for (int i = 0; i < kSteps && !settled(); ++i) (void)co_await loop.sleep_for(kStep);
}

double Gateway::Impl::event_rate() {
  const std::scoped_lock lock(rate.mutex);
  const auto now = parts.clock.steady_now();
  const std::chrono::duration<double> since = now - rate.at;
  if (since.count() >= 1) {
    const std::uint64_t recorded = events->recorded();
    rate.per_second = static_cast<double>(recorded - rate.recorded) / since.count();
    rate.recorded = recorded;
    rate.at = now;
  }
  return rate.per_second;
}

void Gateway::Impl::refresh_metrics() {
  const std::scoped_lock lock(refreshing);  // a difference must not be added twice
  queue_depth->set(static_cast<double>(events->backlog()));
  parts.metrics.gauge("asahi_db_pool_in_use", "Database connections that work now")
      .set(static_cast<double>(parts.database.in_use()));
  for (const std::string& vendor : vendors->names()) {
    const auto state = dispatcher->breaker(vendor).state(parts.clock.steady_now());
    parts.metrics
        .gauge("asahi_circuit_breaker_state", "0 closed, 1 open, 2 half open",
               {{"provider", vendor}})
        .set(static_cast<double>(state));
  }
  const auto lost = [this](const char* name, const char* help, std::uint64_t total) {
    telemetry::Counter& shown = parts.metrics.counter(name, help);
    shown.add(static_cast<double>(total) - shown.value());
  };
  lost("asahi_events_dropped_total", "Events that were lost", events->dropped());
  lost("asahi_audit_entries_dropped_total", "Audit entries that were lost", parts.audit.dropped());
  if (semantic != nullptr) show_embedder();
}

void Gateway::Impl::show_embedder() {
  const bool healthy = semantic->cache->embedder_state() == SemanticCache::EmbedderState::kHealthy;
  parts.metrics.gauge("asahi_embedder_up", "1: it answers; 0: it failed and is left alone", {})
      .set(healthy ? 1 : 0);
  const StandIn* const stand_in = semantic->cache->stand_in();
  if (stand_in == nullptr) return;
  const std::uint64_t lookups = stand_in->lookups();
  parts.metrics
      .counter("asahi_embedder_stand_in_lookups_total",
               "Questions that the local embedder answered for while the other was away", {})
      .add(static_cast<double>(lookups - std::exchange(shown_stand_ins, lookups)));
  parts.metrics.gauge("asahi_embedder_stand_in_bytes", "Memory of the stand-in's index", {})
      .set(static_cast<double>(stand_in->bytes()));
}

InstallationFacts Gateway::Impl::facts() const {
  const ApiConfig& api = parts.config.api;
  const bool edge = api.https_redirect == "on" ||
                    (api.https_redirect == "auto" && parts.config.app.environment != "development");
  return {.installation = installation(),
          .tls_on = edge || !api.tls_certificate_file.empty(),
          .encryption_detail = installation().encryption_on ? "AES-256-GCM" : "",
          .running_since = running_since};
}

VendorHealth Gateway::Impl::health_of(const std::string& provider) {
  if (!vendors->usable(provider)) return VendorHealth::kNoKey;
  if (dispatcher->breaker(provider).state(parts.clock.steady_now()) == Breaker::State::kOpen)
    return VendorHealth::kBreakerOpen;
  const bool away =
      vendors->unreachable_since(provider, parts.clock.now() - std::chrono::seconds(300));
  return away ? VendorHealth::kUnreachable : VendorHealth::kHealthy;
}

Result<void> Gateway::Impl::restore_totals(Clock::Time first) {
  auto before = totals_before(parts.database, first);
  if (before) totals.restore(*before);
  if (!before && before.error().code == Errc::kUnavailable)
    return std::unexpected(std::move(before.error()));
  if (!before)
    logger.warning("GET /metrics counts from now on: the sums of before cannot be read",
                   {{"error", before.error().message}});
  totals.complete();
  return {};
}

http::Handler Gateway::Impl::counted(http::Handler handler) {
  return [this, handler = std::move(handler)](http::Context& context) -> Aw<http::Response> {
    InFlight request(*active);
    http::Response response = co_await handler(context);
    if (response.stream) {
      response.stream = [request = std::move(request), stream = std::move(response.stream)](
                            http::BodyWriter& writer) mutable -> Task<void> {
        return stream(writer);
      };
    }
    co_return response;
  };
}

void Gateway::Impl::every(std::string what, milliseconds pause, std::function<Aw<void>()> work) {
  background.run(std::move(what),
                 [this, pause, work = std::move(work)](net::Background::Sleep sleep) -> Aw<void> {
                   while (!background.stopping()) {
                     co_await work();
                     co_await sleep(pause);
                   }
                 });
}

Task<json::object> Gateway::Impl::run_archive(LogRules rules, std::string open_file) {
  ASAHI_CO_TRY(const ArchiveReport report,
               co_await archive->run(std::move(rules), std::move(open_file)));
  co_return report_json(report);
}

void Gateway::Impl::fill(alerts::Facts& facts) {
  facts.counts.events_lost = events->dropped();
  facts.counts.audit_lost = parts.audit.dropped();
  facts.events_written = events->healthy();
  if (stream != nullptr) {
    for (const char* reason : {"buffer_full", "timeout", "refused"}) {
      facts.counts.stream_lost += static_cast<std::uint64_t>(
          parts.metrics
              .counter("asahi_event_stream_dropped_total",
                       "Events that were not delivered to Kafka", {{"reason", reason}})
              .value());
    }
  }
  if (vendors->mock()) return;
  for (const std::string& name : vendors->names()) {
    // A keyless server nobody has seen yet is an offer, not a dependency.
    if (!vendors->usable(name) || (!vendors->needs_key(name) && !vendors->status(name).seen))
      continue;
    const auto state = dispatcher->breaker(name).state(parts.clock.steady_now());
    facts.vendors.push_back({.name = name,
                             .breaker_open = state != Breaker::State::kClosed,
                             .away = health_of(name) != VendorHealth::kHealthy});
  }
}

void Gateway::Impl::reload_models() {
  const RegistryLoad load = registry->reload();
  for (const std::string& warning : load.warnings) logger.warning(warning);
  if (load.registry == nullptr) {
    logger.error("the models file has faults; the models in use stay",
                 {{"faults", faults_text(load.faults)}});
  } else {
    logger.info("models read", {{"models", load.registry->size()}});
  }
}

}  // namespace asahi::gateway
