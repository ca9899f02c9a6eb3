#include "gateway/gateway.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <mutex>
#include <utility>

#include "base/ids.h"
#include "base/log.h"
#include "gateway/alerts/anomaly_findings.h"
#include "gateway/alerts/notifier.h"
#include "gateway/alerts/routes.h"
#include "gateway/analytics/export/routes.h"
#include "gateway/analytics/http/routes.h"
#include "gateway/archive/event_archive.h"
#include "gateway/batch_api/batch_routes.h"
#include "gateway/batching/batcher.h"
#include "gateway/batching/memory_buffer.h"
#include "gateway/batching/redis_buffer.h"
#include "gateway/cache/semantic_tier.h"
#include "gateway/events/loader.h"
#include "gateway/events/past_totals.h"
#include "gateway/features/enricher.h"
#include "gateway/features/http_stores.h"
#include "gateway/features/local_store.h"
#include "gateway/governance/retention.h"
#include "gateway/governance/routes.h"
#include "gateway/http/admin_routes.h"
#include "gateway/http/errors.h"
#include "gateway/metrics.h"
#include "gateway/pipeline.h"
#include "gateway/routing/http/routing_routes.h"
#include "gateway/tokens/optimiser.h"
#include "gateway/traces/request_log.h"
#include "gateway/traces/traces.h"
#include "llm/embed/text_embedder.h"
#include "llm/tokens/counter.h"
#include "llm/wire/wire.h"
#include "net/blocking.h"
#include "net/http/server.h"
#include "storage/stream/kafka_stream.h"

namespace asahi::gateway {
namespace {

using std::chrono::milliseconds;

milliseconds ms_of_seconds(double seconds) {
  return milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

/// This node's name among those that share a database: made once, kept in the data folder.
Result<std::string> read_node_id(const std::string& data_dir) {
  const std::string path = data_dir + "/node_id";
  std::string id;
  if (std::ifstream in(path); in >> id && !id.empty()) return id;
  id = random_id("node_", 16);
  std::ofstream out(path);
  out << id << '\n';
  out.flush();
  if (!out) return fail(Errc::kUnavailable, fmt::format("cannot write {}", path));
  return id;
}

Dispatcher::Options dispatch_options(const GatewayConfig& config) {
  Dispatcher::Options options;
  options.attempt_timeout = ms_of_seconds(config.providers.timeout_seconds);
  options.retry = {.max_attempts = config.providers.max_attempts,
                   .base = ms_of_seconds(config.providers.backoff_base_seconds),
                   .cap = ms_of_seconds(config.providers.backoff_cap_seconds)};
  options.breaker = {.failures = config.providers.breaker_failures,
                     .open_for = ms_of_seconds(config.providers.breaker_open_seconds),
                     .half_open_probes = config.providers.half_open_probes};
  options.restart_partial = config.streaming.restart_partial;
  return options;
}

std::string faults_text(const std::vector<config::Fault>& faults) {
  std::string text;
  for (const config::Fault& fault : faults) {
    text +=
        fmt::format("{}{}: {} {}", text.empty() ? "" : "; ", fault.origin, fault.path, fault.rule);
  }
  return text;
}

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

struct Gateway::Impl {
  explicit Impl(Parts given)
      : parts(given), event_metrics(given.metrics), quality_metrics(given.metrics) {}

  Parts parts;
  Logger logger{"gateway"};
  Clock::Steady started{};
  Clock::Time running_since{};
  std::atomic<bool> draining{false};

  EventMetrics event_metrics;
  QualityMetrics quality_metrics;
  Totals totals;
  std::unique_ptr<RegistryHolder> registry;
  std::unique_ptr<Router> router;
  std::unique_ptr<RoutingStore> routing_store;
  std::unique_ptr<RouteAdvisor> advisor;
  std::unique_ptr<VendorSet> vendors;
  std::unique_ptr<Dispatcher> dispatcher;
  std::unique_ptr<ExactCache> cache;
  std::unique_ptr<StepCache> steps;
  std::unique_ptr<SemanticTier> semantic;  ///< null: tier 2 is off
  std::unique_ptr<analytics::Store> analytics;
  /// Both outlive the recorder, whose thread feeds the one and wakes the other.
  std::unique_ptr<analytics::EventFeed> feed;
  // These outlive the recorder, whose thread tells them of events.
  std::unique_ptr<alerts::Notifier> notifier;
  std::unique_ptr<stream::MessageStream> stream;  ///< null: events go to the log only
  std::unique_ptr<EventLoader> loader;
  std::unique_ptr<Traces> traces;  ///< outlives the recorder, which shows it events
  std::unique_ptr<EventRecorder> events;
  std::unique_ptr<PolicyStore> policies;
  std::unique_ptr<InjectionScreen> injections;
  std::unique_ptr<Governor> governor;
  std::string node;
  boost::asio::thread_pool files{1};      ///< rewrites event files
  std::unique_ptr<EventArchive> archive;  ///< null: event files stay
  std::unique_ptr<TokenOptimiser> optimiser;
  std::unique_ptr<llm::TokenCounter> counter;
  std::unique_ptr<BatchBuffer> batch_buffer;
  std::unique_ptr<Batcher> batcher;
  LocalFeatureStore* feature_file = nullptr;  ///< of `enricher`; null: features are elsewhere
  std::unique_ptr<Enricher> enricher;
  std::unique_ptr<Pipeline> pipeline;
  std::unique_ptr<BatchStore> batch_store;
  std::unique_ptr<BatchRunner> batch_runner;  ///< null: there are no files and batches

  std::unique_ptr<llm::ClientCodec> chat = llm::make_openai_chat_client();
  std::unique_ptr<llm::ClientCodec> completions = llm::make_openai_completions_client();
  std::unique_ptr<llm::ClientCodec> responses = llm::make_openai_responses_client();
  std::unique_ptr<llm::ClientCodec> messages = llm::make_anthropic_client();
  Pipeline::Endpoint infer_endpoint{nullptr, llm::Shape::kNative, native_error};
  Pipeline::Endpoint chat_endpoint{chat.get(), llm::Shape::kOpenAiChat, vendor_errors(*chat)};
  Pipeline::Endpoint completions_endpoint{completions.get(), llm::Shape::kOpenAiCompletions,
                                          vendor_errors(*completions)};
  Pipeline::Endpoint responses_endpoint{responses.get(), llm::Shape::kOpenAiResponses,
                                        vendor_errors(*responses)};
  Pipeline::Endpoint messages_endpoint{messages.get(), llm::Shape::kAnthropic,
                                       vendor_errors(*messages)};

  /// Fired by stop(): every background coroutine ends. One per loop-0 life; touched on loop 0 only.
  CancelSource stopping;
  std::atomic<int> background{0};
  telemetry::Gauge* active = nullptr;
  telemetry::Gauge* queue_depth = nullptr;
  std::mutex refreshing;
  std::uint64_t shown_stand_ins = 0;  ///< of its look-ups, in the exposition

  ServiceParts service_parts() {
    return {parts.config,   *registry,
            *vendors,       *dispatcher,
            *cache,         *events,
            *loader,        totals,
            parts.database, [this] { return exposition(); },
            parts.clock,    draining,
            started,        parts.governance_healthy,
            parts.own_keys, *steps,
            batcher.get(),  enricher.get(),
            semantic.get(), parts.audit};
  }

  analytics::TiersOn tiers_on() const {
    const CacheConfig& config = parts.config.cache;
    return {false, config.tier1.enabled, semantic != nullptr, config.tier3.enabled};
  }
  analytics::AnalyticsParts analytics_parts() {
    return {*analytics,
            *policies,
            *feed,
            parts.clock,
            parts.config.tracking.baseline_model,
            tiers_on(),
            [this](net::Loop& loop) { return settle(loop); }};
  }
  /// Waits a moment for what was recorded to reach the table, so that whoever sees an answer sees
  /// it in the figures too. Not under load: there something is always on its way.
  Aw<void> settle(net::Loop& loop) {
    constexpr double kBusy = 200;  // events per second
    constexpr auto kStep = milliseconds(2);
    constexpr int kSteps = 25;
    const auto settled = [this] { return events->backlog() == 0 && loader->caught_up(); };
    if (settled() || !loader->healthy() || event_rate() > kBusy) co_return;
    loader->hurry();
    for (int i = 0; i < kSteps && !settled(); ++i) (void)co_await loop.sleep_for(kStep);
  }
  /// Events per second, of late.
  double event_rate() {
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
  struct {
    std::mutex mutex;
    Clock::Steady at{};
    std::uint64_t recorded = 0;
    double per_second = 0;
  } rate;

  /// Brings the series that follow from the state of now up to date.
  void refresh_metrics() {
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
    lost("asahi_audit_entries_dropped_total", "Audit entries that were lost",
         parts.audit.dropped());
    if (semantic != nullptr) show_embedder();
  }
  std::string exposition() {
    refresh_metrics();
    return parts.metrics.expose();
  }
  /// With `refreshing` held.
  void show_embedder() {
    const bool healthy =
        semantic->cache->embedder_state() == SemanticCache::EmbedderState::kHealthy;
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

  Installation installation() const {
    return {.encryption_on = !parts.config.governance.encryption_key.empty(), .audit_on = true};
  }
  InstallationFacts facts() const {
    const ApiConfig& api = parts.config.api;
    const bool edge = api.https_redirect == "on" || (api.https_redirect == "auto" &&
                                                     parts.config.app.environment != "development");
    return {.installation = installation(),
            .tls_on = edge || !api.tls_certificate_file.empty(),
            .encryption_detail = installation().encryption_on ? "AES-256-GCM" : "",
            .running_since = running_since};
  }
  GovernanceParts governance_parts() {
    return {*policies,
            parts.database,
            *analytics,
            parts.audit,
            parts.budgets,
            *registry,
            {parts.database, *cache, parts.cache, parts.audit, parts.accounts, parts.clock,
             &steps->entries(), semantic_cache(), traces->store()},
            [this] { return facts(); },
            parts.clock};
  }

  RoutingParts routing_parts() {
    return {*routing_store,
            *advisor,
            *router,
            *registry,
            *governor,
            parts.audit,
            [this](std::string_view name) { return health_of(std::string(name)); },
            parts.clock};
  }
  /// Of a vendor without regard to anybody's own keys.
  VendorHealth health_of(const std::string& provider) {
    if (!vendors->usable(provider)) return VendorHealth::kNoKey;
    if (dispatcher->breaker(provider).state(parts.clock.steady_now()) == Breaker::State::kOpen)
      return VendorHealth::kBreakerOpen;
    const bool away =
        vendors->unreachable_since(provider, parts.clock.now() - std::chrono::seconds(300));
    return away ? VendorHealth::kUnreachable : VendorHealth::kHealthy;
  }

  Aw<void> read_rules(std::string org) { (void)co_await policies->get(std::move(org)); }

  /// The sums of GET /metrics go on where they stood when the last process ended.
  Result<void> restore_totals(Clock::Time first) {
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

  /// Counts a request in `asahi_active_requests` until its reply is composed or its stream has
  /// ended.
  http::Handler counted(http::Handler handler) {
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

  /// Repeats `work` on loop 0 until the gateway stops.
  void every(std::string what, milliseconds pause, std::function<Aw<void>()> work) {
    ++background;
    parts.loops.at(0).spawn(
        what, [this, pause, work = std::move(work)]() -> Aw<void> { return repeat(pause, work); });
  }
  Aw<void> repeat(milliseconds pause, std::function<Aw<void>()> work) {
    net::Loop& loop = parts.loops.at(0);
    while (!stopping.cancelled()) {
      co_await work();
      if (!co_await loop.sleep_for(pause, &stopping)) break;
    }
    --background;
  }

  Task<json::object> run_archive(LogRules rules, std::string open_file) {
    ASAHI_CO_TRY(const ArchiveReport report,
                 co_await archive->run(std::move(rules), std::move(open_file)));
    co_return report_json(report);
  }

  SemanticCache* semantic_cache() const {
    return semantic != nullptr ? semantic->cache.get() : nullptr;
  }

  /// What alerts look at, beside counts of events.
  void fill(alerts::Facts& facts) {
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

  Result<void> make_notifier() {
    ASAHI_TRY(notifier, alerts::Notifier::make(
                            {parts.config.alerts,
                             {parts.config.app.name, parts.config.app.environment, node},
                             parts.loops,
                             parts.clients,
                             parts.database,
                             parts.metrics,
                             parts.clock,
                             [this](alerts::Facts& facts) { fill(facts); },
                             [this] {
                               constexpr std::size_t kMost = 1'000;
                               return alerts::anomaly_findings(
                                   *analytics, totals.organisations(kMost), parts.clock.now());
                             }}));
    return {};
  }

  Result<void> make_event_stream() {
    const EventStreamConfig& config = parts.config.event_stream;
    if (!config.enabled) return {};
    ASAHI_TRY(stream, stream::open_kafka({.bootstrap_servers = config.bootstrap_servers,
                                          .topic = config.topic,
                                          .max_messages = config.buffer_events,
                                          .max_kilobytes = config.buffer_kilobytes,
                                          .give_up = ms_of_seconds(config.give_up_seconds),
                                          .compression = config.compression,
                                          .security_protocol = config.security_protocol,
                                          .sasl_mechanism = config.sasl_mechanism,
                                          .sasl_username = config.sasl_username,
                                          .sasl_password = config.sasl_password,
                                          .ca_file = config.ca_file},
                                         parts.metrics));
    return {};
  }

  /// Who hears of every event, on the recorder's thread.
  std::vector<EventRecorder::Observer> observers() {
    std::vector<EventRecorder::Observer> all{
        [this](const InferenceEvent& event) { totals.add(event); },
        [this](const InferenceEvent& event) { event_metrics.observe(event); },
        [this](const InferenceEvent& event) { traces->observe(event); },
        [this](const InferenceEvent& event) { notifier->observe(event); },
        [this](const InferenceEvent& event) { feed->publish(event); }};
    if (stream != nullptr) {
      all.push_back([this, line = std::string()](const InferenceEvent& event) mutable {
        line.clear();
        append_json(line, event);
        (void)stream->offer(event.org_id, line);
      });
    }
    return all;
  }

  void make_batcher() {
    const BatchingConfig& config = parts.config.batching;
    if (!config.enabled) return;
    if (config.backend == "redis" && parts.redis != nullptr) {
      batch_buffer = std::make_unique<RedisBatchBuffer>(
          RedisBatchBuffer::Options{
              .worker = node,
              .max_items = config.max_queue,
              .expiry = std::chrono::seconds(60 + (config.max_wait_ms + config.grace_ms) / 1'000)},
          parts.redis);
    } else {
      batch_buffer = std::make_unique<MemoryBatchBuffer>(config.max_queue, parts.clock);
    }
    batcher = std::make_unique<Batcher>(
        config, node,
        Batcher::Parts{*batch_buffer, *registry, shared_caller(*dispatcher, parts.own_keys),
                       parts.loops, parts.clock, parts.metrics});
  }

  /// A row is an ordinary call of its endpoint.
  RowEndpoint row_endpoint(std::string url, const Pipeline::Endpoint& endpoint) {
    return {.url = std::move(url),
            .check = [&endpoint](std::shared_ptr<const JsonDocument> body) -> Result<void> {
              ASAHI_TRY(const RequestOptions options, read_options(body->root().get_object()));
              static_cast<void>(options);
              ASAHI_TRY(const llm::ChatRequest request, endpoint.codec->decode(std::move(body)));
              static_cast<void>(request);
              return {};
            },
            .answer = [this, &endpoint](
                          http::Context& context) { return pipeline->answer(context, endpoint); },
            .defer =
                [this, &endpoint](http::Context& context) {
                  return pipeline->defer(context, endpoint, parts.config.batch_api.vendor_price,
                                         [this](const std::string& provider) {
                                           llm::VendorBatches* vendor = batches_of(provider);
                                           return vendor == nullptr ? nullptr : &vendor->rows();
                                         });
                },
            .complete =
                [this, &endpoint](http::Context& context, std::string model,
                                  Reservation reservation, llm::ChatResponse response) {
                  return pipeline->complete(context, endpoint, parts.config.batch_api.vendor_price,
                                            std::move(model), std::move(reservation),
                                            std::move(response));
                }};
  }
  llm::VendorBatches* batches_of(const std::string& provider) {
    const std::vector<std::string>& wanted = parts.config.batch_api.vendors;
    return std::ranges::find(wanted, provider) == wanted.end() ? nullptr
                                                               : vendors->batches(provider);
  }
  void make_batch_api() {
    const BatchApiConfig& config = parts.config.batch_api;
    if (!config.enabled) return;
    batch_store = std::make_unique<BatchStore>(parts.database, parts.ring, parts.clock);
    std::vector<RowEndpoint> endpoints;
    endpoints.push_back(row_endpoint("/v1/chat/completions", chat_endpoint));
    endpoints.push_back(row_endpoint("/v1/completions", completions_endpoint));
    endpoints.push_back({.url = "/v1/embeddings",
                         .check = [](std::shared_ptr<const JsonDocument> body) -> Result<void> {
                           ASAHI_TRY(const auto call, llm::wire::decode_embedding_call(*body));
                           static_cast<void>(call);
                           return {};
                         },
                         .answer =
                             [this](http::Context& context) {
                               return pipeline->embed(context, chat_endpoint.errors);
                             }});
    if (config.vendors.empty() || vendors->mock()) {
      for (RowEndpoint& endpoint : endpoints) endpoint.defer = nullptr;
    }
    batch_runner = std::make_unique<BatchRunner>(BatchRunner::Parts{
        config, *batch_store, std::move(endpoints), parts.loops, parts.clock,
        [this](const std::string& provider) { return batches_of(provider); }, node});
  }

  Result<void> make_enricher() {
    const FeatureStoreConfig& config = parts.config.feature_store;
    if (!config.enabled) return {};
    std::unique_ptr<FeatureStore> store;
    if (config.provider == "local") {
      auto file = std::make_unique<LocalFeatureStore>(config.local_data_path, parts.clock);
      file->refresh();
      feature_file = file.get();
      store = std::move(file);
    } else {
      const std::string& url = config.provider == "feast"    ? config.feast.url
                               : config.provider == "tecton" ? config.tecton.url
                                                             : config.custom.url;
      ASAHI_TRY(http::Origin origin, http::Origin::parse(url));
      FeatureServer server{std::move(origin), {}, parts.clients, parts.clock};
      if (config.provider == "feast") {
        store = make_feast_store(std::move(server), config.feast.project);
      } else if (config.provider == "tecton") {
        server.api_key = config.tecton.api_key;
        store = make_tecton_store(std::move(server), config.tecton.workspace);
      } else {
        server.api_key = config.custom.api_key;
        store = make_custom_store(std::move(server));
      }
    }
    enricher = std::make_unique<Enricher>(config, std::move(store), parts.clock, parts.metrics);
    return {};
  }

  void reload_models() {
    const RegistryLoad load = registry->reload();
    for (const std::string& warning : load.warnings) logger.warning(warning);
    if (load.registry == nullptr) {
      logger.error("the models file has faults; the models in use stay",
                   {{"faults", faults_text(load.faults)}});
    } else {
      logger.info("models read", {{"models", load.registry->size()}});
    }
  }
};

Gateway::Gateway(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Gateway::~Gateway() = default;

Result<std::unique_ptr<Gateway>> Gateway::make(Parts parts) {
  auto impl = std::make_unique<Impl>(parts);
  const GatewayConfig& config = parts.config;
  impl->started = parts.clock.steady_now();
  impl->running_since = parts.clock.now();
  impl->active = &parts.metrics.gauge("asahi_active_requests",
                                      "Model calls being answered now, streams included");
  impl->queue_depth = &parts.metrics.gauge("asahi_request_queue_depth",
                                           "Answered requests whose event waits to be written");
  parts.metrics.gauge("asahi_max_active_requests", "api.max_active_requests: more are turned away")
      .set(static_cast<double>(config.api.max_active_requests));
  parts.metrics.gauge("asahi_config_warnings", "Warnings about settings at the start")
      .set(static_cast<double>(config.app.config_warnings));
  parts.metrics
      .gauge("asahi_build_info", "Always 1; the version is in the label",
             {{"version", config.app.version}})
      .set(1);

  if (!config.app.models_file.empty() && std::filesystem::exists(config.app.models_file)) {
    RegistryLoad load = load_registry(config.app.models_file);
    if (load.registry == nullptr) return fail(Errc::kInvalidArgument, faults_text(load.faults));
    for (const std::string& warning : load.warnings) impl->logger.warning(warning);
    impl->registry =
        std::make_unique<RegistryHolder>(std::move(load.registry), config.app.models_file);
  } else {
    impl->registry = std::make_unique<RegistryHolder>(default_registry());
  }
  if (const auto faults = check_models(config.routing, *impl->registry->get()); !faults.empty()) {
    return fail(Errc::kInvalidArgument, faults_text(faults));
  }
  impl->router = std::make_unique<Router>(config.routing, config.tasks);
  impl->routing_store = std::make_unique<RoutingStore>(
      RoutingStore::Options{.publish = parts.rules_changed}, parts.database, parts.clock);
  impl->advisor =
      std::make_unique<RouteAdvisor>(config.routing, *impl->routing_store, parts.metrics,
                                     load_learned(config.routing, *impl->registry->get()));
  ASAHI_TRY(impl->vendors,
            VendorSet::make({.vendors = vendor_settings(config.providers),
                             .mock = config.app.mock,
                             .mock_seed = static_cast<std::uint64_t>(config.app.mock_seed),
                             .mock_answers = config.app.mock_answers},
                            parts.clients, parts.clock));
  telemetry::Registry& metrics = parts.metrics;
  const auto count = [&metrics](std::string name, std::string help, std::string label) {
    return [&metrics, name = std::move(name), help = std::move(help), label = std::move(label)](
               const std::string& value) { metrics.counter(name, help, {{label, value}}).add(); };
  };
  Dispatcher::Observer observer;
  observer.failed =
      count("asahi_circuit_breaker_failures_total", "Vendor calls that failed", "provider");
  observer.retried = count("asahi_provider_retries_total", "Vendor calls made again", "provider");
  for (const std::string& vendor : impl->vendors->names()) {
    metrics.counter("asahi_circuit_breaker_failures_total", "Vendor calls that failed",
                    {{"provider", vendor}});
    metrics.counter("asahi_provider_retries_total", "Vendor calls made again",
                    {{"provider", vendor}});
  }
  observer.fell_back = [&metrics](const std::string& from, const std::string& to) {
    metrics
        .counter("asahi_fallbacks_total", "Requests that went on to another model",
                 {{"from", from}, {"to", to}})
        .add();
  };
  impl->dispatcher = std::make_unique<Dispatcher>(dispatch_options(config), *impl->vendors,
                                                  parts.clock, std::move(observer));
  ExactCache::Options cache_options;
  cache_options.enabled = config.cache.tier1.enabled;
  cache_options.prefix = config.redis.cache_prefix;
  cache_options.ring = parts.ring;
  impl->cache =
      std::make_unique<ExactCache>(cache_options, parts.cache, parts.local_cache, parts.clock);
  StepCache::Options step_options{.store = cache_options,
                                  .ttl = std::chrono::seconds(config.cache.tier3.ttl_seconds)};
  step_options.store.enabled = config.cache.tier3.enabled;
  impl->steps =
      std::make_unique<StepCache>(step_options, parts.cache, parts.local_cache, parts.clock);

  impl->analytics = std::make_unique<analytics::Store>(parts.database, parts.clock);
  impl->feed = std::make_unique<analytics::EventFeed>(analytics::EventFeed::Options{}, parts.clock);
  ASAHI_TRY(impl->node, read_node_id(config.app.data_dir));
  ASAHI_TRY(impl->traces, Traces::make({config, parts.loops, parts.clients, parts.metrics,
                                        parts.clock, impl->node}));
  if (auto made = impl->make_notifier(); !made) return std::unexpected(std::move(made.error()));
  if (auto made = impl->make_event_stream(); !made) return std::unexpected(std::move(made.error()));
  const std::string log_dir = config.tracking.log_dir;
  ASAHI_TRY(impl->events, EventRecorder::start({.dir = log_dir}, parts.clock, impl->observers()));
  impl->loader = std::make_unique<EventLoader>(
      EventLoader::Options{.dir = log_dir, .node_id = impl->node, .clock = &parts.clock},
      parts.database,
      [raw = impl.get(), first = parts.clock.now()] { return raw->restore_totals(first); });
  ASAHI_TRY(impl->archive, EventArchive::make({config.tracking.archive, parts.database, parts.clock,
                                               parts.metrics, log_dir, impl->node}));
  impl->events->on_written([raw = impl.get()] { raw->loader->wake(); });
  impl->policies = std::make_unique<PolicyStore>(
      PolicyStore::Options{.publish = parts.rules_changed}, parts.database, parts.clock);
  ASAHI_TRY(impl->injections, InjectionScreen::make(config.security.injection_patterns));
  Governor::Options governing;
  // One of the words that config.cc lets pass.
  governing.injection_action =
      parse_injection_action(config.security.injection_action).value_or(InjectionAction::kBlock);
  governing.installation = impl->installation();
  impl->governor = std::make_unique<Governor>(
      governing, Governor::Parts{*impl->policies, *impl->injections, parts.budgets, parts.limiter,
                                 &parts.metrics});
  impl->optimiser = std::make_unique<TokenOptimiser>(optimiser_options(config.optimization),
                                                     llm::make_local_embedder());
  impl->counter = std::make_unique<llm::VocabularyCounter>(config.optimization.exact_count_bytes);
  ASAHI_TRY(impl->semantic, make_semantic_tier({config, *impl->vendors, parts.clients,
                                                parts.database, parts.clock, parts.loops.at(0)}));
  impl->make_batcher();
  if (auto made = impl->make_enricher(); !made) return std::unexpected(std::move(made.error()));
  impl->pipeline = std::make_unique<Pipeline>(Pipeline::Parts{config,
                                                              *impl->registry,
                                                              *impl->vendors,
                                                              *impl->dispatcher,
                                                              *impl->cache,
                                                              parts.cache,
                                                              *impl->events,
                                                              *impl->router,
                                                              parts.clock,
                                                              parts.loops,
                                                              *impl->governor,
                                                              parts.audit,
                                                              parts.own_keys,
                                                              impl->optimiser.get(),
                                                              impl->counter.get(),
                                                              impl->batcher.get(),
                                                              impl->steps.get(),
                                                              impl->semantic_cache(),
                                                              impl->enricher.get(),
                                                              impl->advisor.get(),
                                                              &impl->quality_metrics,
                                                              &impl->traces->tracer()});
  impl->make_batch_api();
  return std::unique_ptr<Gateway>(new Gateway(std::move(impl)));
}

void Gateway::add_routes(http::Router& router) {
  Impl& impl = *impl_;
  const auto shaped = [&](const std::string& pattern, const Pipeline::Endpoint& endpoint) {
    router.add(
        {.method = http::Method::kPost,
         .pattern = pattern,
         .handler = impl.counted([&impl, &endpoint](http::Context& context) {
           return impl.pipeline->answer(context, endpoint);
         }),
         .fast = [&impl, &endpoint](
                     http::Context& context) { return impl.pipeline->repeat(context, endpoint); },
         .errors = endpoint.errors,
         .access = "infer"});
  };
  for (const char* path : {"/infer", "/api/v1/infer", "/api/v2/infer"})
    shaped(path, impl.infer_endpoint);
  shaped("/v1/chat/completions", impl.chat_endpoint);
  shaped("/v1/completions", impl.completions_endpoint);
  shaped("/v1/responses", impl.responses_endpoint);
  shaped("/v1/messages", impl.messages_endpoint);
  router.add({.method = http::Method::kPost,
              .pattern = "/v1/messages/count_tokens",
              .handler = impl.counted([&impl](http::Context& context) -> Aw<http::Response> {
                return impl.pipeline->count_tokens(context, impl.messages_endpoint);
              }),
              .errors = impl.messages_endpoint.errors,
              .access = "infer"});
  router.add({.method = http::Method::kPost,
              .pattern = "/v1/embeddings",
              .handler = impl.counted([&impl](http::Context& context) -> Aw<http::Response> {
                return impl.pipeline->embed(context, impl.chat_endpoint.errors);
              }),
              .errors = impl.chat_endpoint.errors,
              .access = "infer"});
  const ServiceParts service = impl.service_parts();
  add_service_routes(router, service);
  add_cache_routes(router, service);
  add_semantic_routes(router, service);
  add_governance_routes(router, impl.governance_parts());
  add_routing_routes(router, impl.routing_parts());
  add_export_routes(router, {impl.parts.database, impl.parts.audit, impl.parts.clock});
  analytics::add_analytics_routes(router, impl.analytics_parts());
  alerts::add_routes(router, {*impl.notifier, impl.parts.audit, impl.parts.clock});
  if (impl.batch_runner != nullptr) {
    add_batch_routes(router, {impl.parts.config.batch_api, *impl.batch_store, *impl.batch_runner,
                              *impl.governor, impl.parts.clock, impl.chat_endpoint.errors});
  }
  impl.traces->add_routes(router, impl.draining);
  if (impl.parts.config.api.docs_enabled) add_docs_routes(router);
  add_dashboard_routes(router);
}

http::ErrorWriter Gateway::errors_by_path() const {
  const Impl& impl = *impl_;
  return [&impl](const Error& error, const http::Context& context) {
    const std::string_view path = context.request.path;
    if (path.starts_with("/v1/messages")) return impl.messages_endpoint.errors(error, context);
    if (path.starts_with("/v1/")) return impl.chat_endpoint.errors(error, context);
    return gateway::native_error(error, context);
  };
}

void Gateway::start() {
  Impl& impl = *impl_;
  const GatewayConfig& config = impl.parts.config;
  impl.traces->start();
  impl.loader->start();
  impl.notifier->start();
  if (impl.batcher != nullptr) impl.batcher->start();
  if (impl.semantic != nullptr) impl.semantic->cache->start();
  // The rules of callers without a credential hold from the first request on, if the database lets
  // them.
  impl.parts.loops.at(0).spawn("rules of an organisation", [&impl]() -> Aw<void> {
    return impl.read_rules(std::string(identity::Principal::kDefaultOrg));
  });
  impl.every("cache sweep", std::chrono::seconds(config.cache.cleanup_interval_seconds),
             [&impl]() -> Aw<void> { (void)co_await impl.parts.local_cache.sweep(); });
  if (impl.cache->backend() == "redis") {
    impl.every("cache probe", std::chrono::seconds(1),
               [&impl]() -> Aw<void> { return impl.cache->probe(); });
  }
  if (config.providers.health_poll_seconds > 0 && !impl.vendors->mock()) {
    impl.every("vendor health", std::chrono::seconds(config.providers.health_poll_seconds),
               [&impl]() -> Aw<void> { return impl.vendors->poll(std::chrono::seconds(5)); });
  }
  if (impl.semantic != nullptr) {
    impl.every("thresholds of the semantic cache", std::chrono::seconds(30), [&impl]() -> Aw<void> {
      return read_thresholds(*impl.semantic, impl.parts.database);
    });
  }
  if (impl.batch_runner != nullptr) {
    impl.every("batches", ms_of_seconds(config.batch_api.poll_seconds),
               [&impl]() -> Aw<void> { return impl.batch_runner->look(); });
  }
  if (impl.feature_file != nullptr) {
    impl.every("feature file", std::chrono::seconds(2), [&impl]() -> Aw<void> {
      (void)co_await net::run_blocking(impl.files, [&impl] {
        impl.feature_file->refresh();
        return true;
      });
    });
  }
  impl.every("old traces", std::chrono::minutes(5), [&impl]() -> Aw<void> {
    impl.traces->drop_old(impl.parts.clock.now());
    co_return;
  });
  impl.every("models file", std::chrono::seconds(2), [&impl]() -> Aw<void> {
    // One small file; reading it on the loop costs less than a thread.
    if (impl.registry->file_changed()) impl.reload_models();
    co_return;
  });
}

void Gateway::begin_drain() {
  impl_->draining = true;
  impl_->feed->close();
  if (impl_->batcher != nullptr) impl_->batcher->drain();
  if (impl_->batch_runner != nullptr) impl_->batch_runner->drain();
}

void Gateway::stop() {
  Impl& impl = *impl_;
  if (impl.archive != nullptr) impl.archive->stop();
  impl.notifier->stop();
  if (impl.batch_runner != nullptr) impl.batch_runner->stop();
  if (impl.batcher != nullptr) impl.batcher->stop();
  if (impl.semantic != nullptr) {
    ++impl.background;
    impl.parts.loops.at(0).spawn("semantic cache", [&impl]() -> Aw<void> {
      co_await impl.semantic->cache->stop();
      --impl.background;
    });
  }
  impl.parts.loops.at(0).post([&impl] { impl.stopping.cancel(); });
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(6);
  while (impl.background > 0 && std::chrono::steady_clock::now() < give_up) {
    std::this_thread::sleep_for(milliseconds(2));
  }
  (void)impl.events->flush(std::chrono::seconds(5));
  impl.traces->stop();
  // What the database does not take now, it takes at the next start: the log keeps it.
  (void)impl.loader->catch_up(std::chrono::seconds(2));
}

Task<json::object> Gateway::run_retention() {
  Impl& impl = *impl_;
  const GatewayConfig& config = impl.parts.config;
  RetentionParts parts{*impl.policies,
                       impl.parts.database,
                       *impl.cache,
                       impl.parts.cache,
                       impl.parts.audit,
                       impl.files,
                       impl.parts.clock,
                       config.tracking.log_dir,
                       impl.node,
                       config.governance.compliance_default_retention_days,
                       365,
                       &impl.steps->entries(),
                       impl.semantic_cache()};
  if (impl.archive != nullptr) {
    parts.archive = [&impl](LogRules rules, std::string open_file) {
      return impl.run_archive(std::move(rules), std::move(open_file));
    };
  }
  ASAHI_CO_TRY(const RetentionReport report, co_await gateway::run_retention(std::move(parts)));
  co_return report_json(report);
}

Task<void> Gateway::send_digest() { return impl_->notifier->send_digest(); }

const std::string& Gateway::node_id() const { return impl_->node; }

void Gateway::forget_rules(std::string_view org) {
  impl_->policies->invalidate(org);
  impl_->routing_store->forget(org);
}

std::optional<std::optional<std::int64_t>> Gateway::try_requests_per_minute(
    const identity::Principal& caller) {
  return impl_->governor->try_requests_per_minute(caller);
}

Aw<std::optional<std::int64_t>> Gateway::requests_per_minute(std::string org) {
  // Without an answer the default holds: whoever cannot be looked up cannot be let off either.
  (void)co_await impl_->policies->get(org);
  co_return impl_->governor->requests_per_minute(org);
}

void Gateway::use_vendor_key(std::string_view name, const Secret& key) {
  for (const auto& [vendor, settings] : impl_->parts.config.providers.vendors) {
    if (settings.api_key_env == name) impl_->vendors->use_key(vendor, key);
  }
}

void Gateway::reload() { impl_->reload_models(); }

std::string Gateway::expose_metrics() { return impl_->exposition(); }

void Gateway::refresh_metrics() { impl_->refresh_metrics(); }

void Gateway::on_complete(const http::Context& context, int status, std::size_t bytes) {
  log_request(impl_->logger, context, status, bytes);
  if (FaultReporter* faults = impl_->traces->faults()) faults->report_request(context, status);
}

}  // namespace asahi::gateway
