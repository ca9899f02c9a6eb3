#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <utility>

#include "base/ids.h"
#include "gateway/gateway_impl.h"

namespace asahi::gateway {
namespace {

using std::chrono::milliseconds;

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

}  // namespace

Result<void> Gateway::Impl::make_notifier() {
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

Result<void> Gateway::Impl::make_event_stream() {
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

std::vector<EventRecorder::Observer> Gateway::Impl::observers() {
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

void Gateway::Impl::make_batcher() {
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

RowEndpoint Gateway::Impl::row_endpoint(std::string url, const Pipeline::Endpoint& endpoint) {
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
              [this, &endpoint](http::Context& context, std::string model, Reservation reservation,
                                llm::ChatResponse response) {
                return pipeline->complete(context, endpoint, parts.config.batch_api.vendor_price,
                                          std::move(model), std::move(reservation),
                                          std::move(response));
              }};
}

llm::VendorBatches* Gateway::Impl::batches_of(const std::string& provider) {
  const std::vector<std::string>& wanted = parts.config.batch_api.vendors;
  return std::ranges::find(wanted, provider) == wanted.end() ? nullptr : vendors->batches(provider);
}

void Gateway::Impl::make_batch_api() {
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

Result<void> Gateway::Impl::make_enricher() {
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

}  // namespace asahi::gateway
