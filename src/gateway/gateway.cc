#include "gateway/gateway.h"

#include <utility>

#include "gateway/gateway_impl.h"

namespace asahi::gateway {

using std::chrono::milliseconds;

ServiceParts Gateway::Impl::service_parts() {
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

analytics::TiersOn Gateway::Impl::tiers_on() const {
  const CacheConfig& config = parts.config.cache;
  return {false, config.tier1.enabled, semantic != nullptr, config.tier3.enabled};
}

analytics::AnalyticsParts Gateway::Impl::analytics_parts() {
  return {*analytics,
          *policies,
          *feed,
          parts.clock,
          parts.config.tracking.baseline_model,
          tiers_on(),
          [this](net::Loop& loop) { return settle(loop); }};
}

GovernanceParts Gateway::Impl::governance_parts() {
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

RoutingParts Gateway::Impl::routing_parts() {
  return {*routing_store,
          *advisor,
          *router,
          *registry,
          *governor,
          parts.audit,
          [this](std::string_view name) { return health_of(std::string(name)); },
          parts.clock};
}

Gateway::Gateway(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Gateway::~Gateway() = default;

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
  impl.background.run("rules of an organisation", [&impl](const net::Background::Sleep&) {
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
    impl.background.run("semantic cache", [&impl](const net::Background::Sleep&) {
      return impl.semantic->cache->stop();
    });
  }
  impl.background.stop(std::chrono::seconds(6));
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
