#pragma once

#include <fmt/format.h>

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
#include "gateway/gateway.h"
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
#include "net/background.h"
#include "net/blocking.h"
#include "net/http/server.h"
#include "storage/stream/kafka_stream.h"

namespace asahi::gateway {

inline std::chrono::milliseconds ms_of_seconds(double seconds) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

/// One line of all faults.
std::string faults_text(const std::vector<config::Fault>& faults);

/// What a gateway is made of, and the work that needs several of its parts. gateway_make.cc makes
/// the parts, gateway_state.cc tells how they are, gateway.cc starts, stops and routes.
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

  telemetry::Gauge* active = nullptr;
  telemetry::Gauge* queue_depth = nullptr;
  std::mutex refreshing;
  std::uint64_t shown_stand_ins = 0;  ///< of its look-ups, in the exposition

  ServiceParts service_parts();

  analytics::TiersOn tiers_on() const;
  analytics::AnalyticsParts analytics_parts();
  /// Waits a moment for what was recorded to reach the table, so that whoever sees an answer sees
  /// it in the figures too. Not under load: there something is always on its way.
  Aw<void> settle(net::Loop& loop);
  /// Events per second, of late.
  double event_rate();
  struct {
    std::mutex mutex;
    Clock::Steady at{};
    std::uint64_t recorded = 0;
    double per_second = 0;
  } rate;

  /// Brings the series that follow from the state of now up to date.
  void refresh_metrics();
  std::string exposition() {
    refresh_metrics();
    return parts.metrics.expose();
  }
  /// With `refreshing` held.
  void show_embedder();

  Installation installation() const {
    return {.encryption_on = !parts.config.governance.encryption_key.empty(), .audit_on = true};
  }
  InstallationFacts facts() const;
  GovernanceParts governance_parts();

  RoutingParts routing_parts();
  /// Of a vendor without regard to anybody's own keys.
  VendorHealth health_of(const std::string& provider);

  Aw<void> read_rules(std::string org) { (void)co_await policies->get(std::move(org)); }

  /// The sums of GET /metrics go on where they stood when the last process ended.
  Result<void> restore_totals(Clock::Time first);

  /// Counts a request in `asahi_active_requests` until its reply is composed or its stream has
  /// ended.
  http::Handler counted(http::Handler handler);

  /// Repeats `work` on loop 0 until the gateway stops.
  void every(std::string what, std::chrono::milliseconds pause, std::function<Aw<void>()> work);

  Task<json::object> run_archive(LogRules rules, std::string open_file);

  SemanticCache* semantic_cache() const {
    return semantic != nullptr ? semantic->cache.get() : nullptr;
  }

  /// What alerts look at, beside counts of events.
  void fill(alerts::Facts& facts);

  Result<void> make_notifier();

  Result<void> make_event_stream();

  /// Who hears of every event, on the recorder's thread.
  std::vector<EventRecorder::Observer> observers();

  void make_batcher();

  /// A row is an ordinary call of its endpoint.
  RowEndpoint row_endpoint(std::string url, const Pipeline::Endpoint& endpoint);
  llm::VendorBatches* batches_of(const std::string& provider);
  void make_batch_api();

  Result<void> make_enricher();

  void reload_models();

  net::Background background{parts.loops.at(0)};
};

}  // namespace asahi::gateway
