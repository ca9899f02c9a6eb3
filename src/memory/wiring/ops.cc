#include "memory/wiring/ops.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "base/ids.h"
#include "base/log.h"
#include "memory/alerts/watch.h"
#include "memory/fitness/questions.h"
#include "memory/http/alert_routes.h"
#include "memory/http/backup_routes.h"
#include "memory/http/live.h"
#include "memory/http/ops_routes.h"
#include "memory/http/replica_routes.h"
#include "memory/http/shutdown_route.h"
#include "memory/http/stats_json.h"
#include "memory/knowledge/knowledge.h"
#include "memory/knowledge/series_watch.h"
#include "memory/ops/cache_warmer.h"
#include "memory/ops/health.h"
#include "memory/ops/live_settings.h"
#include "memory/ops/sampler.h"
#include "memory/swap/mover.h"
#include "memory/wiring/backups.h"
#include "memory/wiring/tiers.h"
#include "net/background.h"

namespace asahi::memory {
namespace {

using net::Background;
using std::chrono::seconds;

constexpr seconds kSample{15};
constexpr seconds kWindow{60};
constexpr seconds kUpkeep{3600};
constexpr seconds kLongestStop{10};
constexpr seconds kStartPause{5};
constexpr int kStartTries = 12;

std::vector<Dependency> dependencies_of(const Ops::Parts& parts) {
  std::vector<Dependency> all;
  sql::Database& database = parts.database;
  all.push_back({"database", true, [&database] { return database.ping(); }});
  for (Store* store : stores_of(*parts.routes)) {
    all.push_back({std::string(tier_name(store->tier())), store->tier() == Tier::kHot,
                   [store]() -> Task<void> {
                     // Of nobody: whether it answers, not what it holds.
                     const auto stats = co_await store->stats("-");
                     if (!stats) co_return std::unexpected(stats.error());
                     co_return Result<void>{};
                   }});
  }
  // Searches go on; who moves the hot tier wants to know.
  if (swap::Mover* const mover = parts.routes->mover; mover != nullptr)
    all.push_back({"hot_move", false, [mover]() -> Task<void> { co_return mover->check(); }});
  // Searches go on without it.
  if (cache::Store* shared = parts.shared_cache; shared != nullptr)
    all.push_back({"redis", false, [shared] { return shared->ping(); }});
  if (WatchedStore* bucket = parts.bucket; bucket != nullptr) {
    // It is asked all the time: what became of that says more than one more question.
    all.push_back({"bucket", false, [bucket]() -> Task<void> {
                     if (bucket->stats().state == Breaker::State::kOpen)
                       co_return fail(Errc::kUnavailable, "the bucket failed often of late");
                     co_return Result<void>{};
                   }});
  }
  return all;
}

Alerts::Options alert_options(const MemoryConfig& config) {
  return {.repeat_window = seconds(config.alerts.repeat_window_seconds),
          .post_timeout = seconds(config.alerts.webhook_timeout_seconds),
          .allow_private = config.alerts.allow_private_webhooks,
          .operators_url = config.alerts.webhook_url};
}

}  // namespace

/// Members stand in the order they are built; they go in reverse.
struct Ops::Impl {
  explicit Impl(Ops::Parts given);

  const Ops::Parts parts;
  const Clock::Steady started;
  Logger logger{"memory.ops"};
  Hub hub;
  Health health;
  LiveSettings settings;
  AlertStore alert_store;
  Alerts alerts;
  SearchWatch watch;
  Sampler sampler;
  Live live;
  std::unique_ptr<Backups> backups;
  std::unique_ptr<knowledge::SeriesWatch> series;  ///< null: there are none here
  bool on = false;
  Background background;  ///< on loop 0

  Sampler::Parts sampler_parts();
  std::vector<std::pair<std::string, CircuitStats>> installation_circuits() const;
  void apply(const MemoryConfig& changed);
  void tell(const IngestEnd& end);
  Aw<void> measure();
  /// Tells those who listen what their numbers show.
  Aw<void> look_at_series();
  Aw<void> measure_forever(Background::Sleep sleep);
  /// In the background, one run at a time; of this tenant, or of all.
  void warm(std::optional<std::string> tenant, CacheWarmer::Trigger trigger);
  Aw<void> fill_caches(std::optional<std::string> tenant, CacheWarmer::Trigger trigger,
                       Background::Sleep sleep);
  /// Keeps what is asked most, and fills the caches of those whose searches are slow.
  Aw<void> look_at_searches();
};

Ops::Impl::Impl(Ops::Parts given)
    : parts(std::move(given)),
      started(parts.clock.steady_now()),
      hub(parts.clock),
      health(dependencies_of(parts), parts.clock),
      settings(parts.config, parts.settings, [this](const MemoryConfig& fresh) { apply(fresh); }),
      alert_store(parts.database),
      alerts({parts.loops.at(0), alert_store, hub, parts.metrics, parts.clock},
             alert_options(parts.config)),
      sampler(sampler_parts()),
      live({.hub = hub,
            .clock = parts.clock,
            .gate = parts.gate,
            .server = "akosha " + parts.version},
           {.auth_required = parts.auth_required}),
      background(parts.loops.at(0)) {
  parts.search_metrics.also_tell(&watch);
  parts.ingest_metrics.watch([this](const IngestEnd& end) { tell(end); });
}

Sampler::Parts Ops::Impl::sampler_parts() {
  return {.stores = stores_of(*parts.routes),
          .l1 = parts.l1,
          .l2 = parts.shared_cache,
          .hit_rates =
              [this] {
                const Search::CacheCounts counts = parts.routes->search.cache_counts();
                const auto all = static_cast<double>(counts.l1 + counts.l2 + counts.misses);
                const auto share = [all](std::uint64_t part) {
                  return all == 0 ? 0.0 : static_cast<double>(part) / all;
                };
                return std::pair(share(counts.l1), share(counts.l2));
              },
          .circuits = [this] { return installation_circuits(); },
          .engines = parts.engines,
          // Whoever keeps the warm tier tells of its disk.
          .warm_storage = parts.alone && parts.routes->warm != nullptr
                              ? [this] { return parts.routes->tiers->warm_storage(); }
                              : std::function<Task<WarmStorage>()>{},
          .data_path = parts.config.data_path,
          .metrics = parts.metrics,
          .clock = parts.clock};
}

std::vector<std::pair<std::string, CircuitStats>> Ops::Impl::installation_circuits() const {
  std::vector<std::pair<std::string, CircuitStats>> all;
  if (parts.bucket != nullptr) all.emplace_back("bucket", parts.bucket->stats());
  for (auto& [name, stats] : parts.outside.circuits()) all.emplace_back(name, stats);
  if (const fitness::Fitness* asked = parts.routes->fitness; asked != nullptr) {
    for (auto& [name, stats] : asked->analyzer.circuits()) all.emplace_back(name, stats);
  }
  if (backups != nullptr) all.emplace_back("backup", backups->circuit());
  for (auto& [name, stats] : alerts.circuits(std::string(Alerts::kInstallation)))
    all.emplace_back(name, stats);
  return all;
}

void Ops::Impl::apply(const MemoryConfig& changed) {
  SearchOptions options = parts.routes->search.options();
  options.limits.max_results = changed.query.max_results;
  options.limits.timeout = seconds(changed.query.timeout_seconds);
  options.tier_timeout = seconds(changed.query.shard_timeout_seconds);
  options.semantic_threshold = static_cast<float>(changed.query.semantic_threshold);
  options.cache = changed.cache.enabled;
  options.l1_ttl = seconds(changed.cache.local_ttl_seconds);
  options.l2_ttl = seconds(changed.cache.redis_ttl_seconds);
  parts.routes->search.set_options(options);
  alerts.set_repeat_window(seconds(changed.alerts.repeat_window_seconds));
}

/// What an upload or a push came to, for the security log.
void note_end(identity::SecurityLog& log, const IngestEnd& end) {
  using enum identity::SecurityEvent;
  const bool failed = end.status == "failed" || end.status == "error";
  const bool rejected = end.status == "rejected";
  log.note({.event = rejected ? kIngestionRejected
                     : failed ? kIngestionFailed
                              : kIngestionCompleted,
            .severity = rejected || failed ? identity::SecuritySeverity::kMedium
                                           : identity::SecuritySeverity::kInfo,
            .org_id = end.tenant,
            .resource = "system/" + end.system_id,
            .result = std::string(end.status),
            .details = {{"operation", std::string(end.operation)},
                        {"items", std::to_string(end.gained.items)},
                        {"errors", std::to_string(end.gained.errors)}}});
}

void Ops::Impl::tell(const IngestEnd& end) {
  if (parts.routes->security != nullptr) note_end(*parts.routes->security, end);
  constexpr const char* kChannel = "metrics";
  if (!hub.is_heard(end.tenant, kChannel)) return;
  hub.publish(end.tenant, kChannel, "aggregation.completed",
              {{"aggregation_id", random_id("agg_", 16)},
               {"aggregation_type", end.operation},
               {"record_count", end.gained.items},
               {"summary", json::object{{"system_id", end.system_id},
                                        {"status", end.status},
                                        {"stored", end.gained.stored},
                                        {"replaced", end.gained.replaced},
                                        {"unchanged", end.gained.unchanged},
                                        {"duplicates", end.gained.duplicates},
                                        {"near_duplicates", end.gained.near_duplicates},
                                        {"errors", end.gained.errors},
                                        {"bytes", end.gained.bytes}}}},
              {end.system_id});
}

Aw<void> Ops::Impl::measure() {
  co_await sampler.sample();
  parts.ingest_metrics.tell_throughput();
  if (const double used = sampler.disk_used(); used > 0) {
    alerts.observe(std::string(Alerts::kInstallation), {.type = series::AlertType::kStorageCapacity,
                                                        .value = used,
                                                        .message = {},
                                                        .about = {{"mount_point", "data"}}});
  }
}

Aw<void> Ops::Impl::look_at_series() {
  if (series == nullptr || hub.subscribers() == 0) co_return;
  const auto told = co_await parts.routes->knowledge->run([this] { return series->look(); });
  if (!told) logger.warning("nobody looked at the series", {{"error", told.error().message}});
}

void Ops::Impl::warm(std::optional<std::string> tenant, CacheWarmer::Trigger trigger) {
  background.run("filling caches",
                 [this, tenant = std::move(tenant), trigger](Background::Sleep sleep) {
                   return fill_caches(tenant, trigger, std::move(sleep));
                 });
}

Aw<void> Ops::Impl::fill_caches(std::optional<std::string> tenant, CacheWarmer::Trigger trigger,
                                Background::Sleep sleep) {
  CacheWarmer& warmer = parts.routes->warmer;
  const bool at_start = trigger == CacheWarmer::Trigger::kStart;
  if (at_start) {
    if (const auto loaded = co_await warmer.load(); !loaded) {
      logger.warning("nobody knows what was searched for often",
                     {{"error", loaded.error().message}});
    }
  }
  auto done = co_await warmer.warm(tenant, trigger);
  // Stores of other processes may begin later than this one.
  for (int i = 0; at_start && done && done->failed > 0 && i < kStartTries; ++i) {
    if (!co_await sleep(kStartPause)) break;
    done = co_await warmer.warm(tenant, trigger);
  }
  if (done && done->refilled + done->failed > 0) {
    logger.info("caches are filled", {{"at_start", at_start},
                                      {"refilled", done->refilled},
                                      {"cached", done->cached},
                                      {"failed", done->failed}});
  }
}

Aw<void> Ops::Impl::look_at_searches() {
  const std::map<std::string, double> slowest = watch.close_window(alerts);
  if (const auto saved = co_await parts.routes->warmer.save(); !saved)
    logger.warning("what is searched for often is not kept", {{"error", saved.error().message}});
  const auto& cache = parts.config.cache;
  if (cache.warm_above_ms == 0 || !parts.routes->search.options().cache) co_return;
  const auto slow =
      std::ranges::max_element(slowest, {}, [](const auto& one) { return one.second; });
  // The slowest first; the others have their turn in a minute, if they are still slow.
  if (slow != slowest.end() && slow->second >= cache.warm_above_ms)
    warm(slow->first, CacheWarmer::Trigger::kLatency);
}

Aw<void> Ops::Impl::measure_forever(Background::Sleep sleep) {
  Clock::Steady window = parts.clock.steady_now();
  Clock::Steady upkeep{};
  while (!background.stopping()) {
    co_await measure();
    const Clock::Steady now = parts.clock.steady_now();
    if (now - window >= kWindow) {
      window = now;
      co_await look_at_searches();
      co_await look_at_series();
    }
    if (upkeep == Clock::Steady{} || now - upkeep >= kUpkeep) {
      upkeep = now;
      const auto swept = co_await alert_store.sweep(parts.clock.now() - Alerts::Options().keep);
      if (!swept) logger.warning("old alerts stay", {{"error", swept.error().message}});
    }
    co_await sleep(kSample);
  }
}

Ops::Ops(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Ops::~Ops() { stop(); }

Result<std::unique_ptr<Ops>> Ops::make(Parts parts) {
  auto impl = std::make_unique<Impl>(std::move(parts));
  const Parts& given = impl->parts;
  ASAHI_TRY(impl->backups, Backups::open({.config = given.config,
                                          .stores = stores_of(*given.routes),
                                          .database = given.database,
                                          .loop = given.loops.at(0),
                                          .metrics = given.metrics,
                                          .clock = given.clock,
                                          .version = given.version}));
  if (knowledge::Knowledge* const known = given.routes->knowledge; known != nullptr) {
    impl->series = std::make_unique<knowledge::SeriesWatch>(known->series(), impl->hub, given.clock,
                                                            knowledge::SeriesWatch::Options());
  }
  return std::unique_ptr<Ops>(new Ops(std::move(impl)));
}

void Ops::add_routes(http::Router& router, const std::string& mount) {
  Impl& impl = *impl_;
  const RouteAdder routes(router, impl.parts.routes, mount);
  add_ops_routes(routes, {.shared = impl.parts.routes,
                          .health = impl.health,
                          .settings = impl.settings,
                          .metrics = impl.parts.metrics,
                          .circuits =
                              [&impl](const std::string& tenant) {
                                auto all = impl.installation_circuits();
                                if (tenant == Alerts::kInstallation) return all;
                                std::erase_if(all, [](const auto& one) {
                                  return one.first.starts_with("webhook:");
                                });
                                for (auto& one : impl.alerts.circuits(tenant))
                                  all.push_back(std::move(one));
                                return all;
                              },
                          .version = impl.parts.version,
                          .started = impl.started});
  add_alert_routes(routes, impl.parts.routes, impl.alert_store, impl.alerts);
  add_backup_routes(routes, impl.parts.routes, impl.backups->keeper());
  std::vector<ReplicaKeeper*> replicas;
  for (ReplicaKeeper* const keeper :
       {impl.parts.routes->tiers->replicas(), impl.backups->replicas()}) {
    if (keeper != nullptr) replicas.push_back(keeper);
  }
  add_replica_routes(routes, impl.parts.routes, std::move(replicas));
  if (impl.parts.shut_down) {
    add_shutdown_route(routes, {.shared = impl.parts.routes,
                                .begin = impl.parts.shut_down,
                                .token = impl.parts.shutdown_token,
                                .gate = impl.parts.gate,
                                .auth_required = impl.parts.auth_required});
  }
  impl.live.add_routes(router, mount);
}

void Ops::add_live_routes(http::Router& router) {
  impl_->live.add_routes(router, "");
  impl_->live.add_route(router, "/");
}

void Ops::start() {
  Impl& impl = *impl_;
  if (std::exchange(impl.on, true)) return;
  impl.alerts.start();
  if (impl.parts.alone) impl.backups->keeper().follow_schedule();
  impl.backups->start_replicas();
  impl.background.run("memory gauges", [&impl](Background::Sleep sleep) {
    return impl.measure_forever(std::move(sleep));
  });
  if (impl.parts.searches && impl.parts.routes->search.options().cache)
    impl.warm(std::nullopt, CacheWarmer::Trigger::kStart);
}

void Ops::stop() {
  Impl& impl = *impl_;
  if (!std::exchange(impl.on, false)) return;
  impl.parts.routes->warmer.stop();
  // What was asked since the last minute.
  impl.background.run("keeping frequent searches", [&impl](const Background::Sleep&) -> Aw<void> {
    (void)co_await impl.parts.routes->warmer.save();
  });
  if (!impl.background.stop(kLongestStop)) impl.logger.error("the gauges did not stop in time");
  impl.alerts.stop();
  impl.backups->stop();
}

HealthTools Ops::health_tools() {
  return {.readiness = [this]() -> Task<json::object> {
            const Health::Report report = co_await impl_->health.look();
            co_return health_json(report);
          },
          .metrics = [this](bool all) { return metrics_json(impl_->parts.metrics.collect(), all); },
          .services = impl_->parts.outside.services()};
}

Hub& Ops::hub() { return impl_->hub; }
AlertSink& Ops::alerts() { return impl_->alerts; }

std::vector<sql::Migration> ops_migrations() { return {alert_migration()}; }

}  // namespace asahi::memory
