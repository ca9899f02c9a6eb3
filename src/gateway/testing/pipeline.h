#pragma once
// The pipeline in process: real parts, scripted vendors, a clock that stands still.

#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "gateway/batching/memory_buffer.h"
#include "gateway/cache/semantic_tier.h"
#include "gateway/events/totals.h"
#include "gateway/http/errors.h"
#include "gateway/metrics.h"
#include "gateway/migrations/migrations.h"
#include "gateway/pipeline.h"
#include "gateway/routing/testing/models.h"
#include "gateway/testing/governance.h"
#include "gateway/testing/loop.h"
#include "gateway/testing/scripted_vendors.h"
#include "gateway/testing/temp_folder.h"
#include "gateway/tokens/optimiser.h"
#include "llm/tokens/counter.h"
#include "llm/wire/wire.h"
#include "net/sse/parser.h"
#include "storage/cache/memory_store.h"
#include "storage/sql/migrations.h"

namespace asahi::gateway::testing {

/// A reply with its stream read to the end.
struct Reply {
  int status = 0;
  http::Headers headers;
  std::string body;
  bool streamed = false;
  bool fast = false;            ///< answered by Pipeline::repeat
  std::optional<Error> broken;  ///< the stream ended without its closing chunk

  json::object object() const {
    auto parsed = parse_json(body);
    EXPECT_TRUE(parsed && parsed->is_object()) << body;
    return parsed && parsed->is_object() ? parsed->get_object() : json::object();
  }
  std::vector<sse::Event> events() const {
    sse::Parser parser;
    std::vector<sse::Event> found;
    EXPECT_TRUE(parser.feed(body, found));
    EXPECT_FALSE(parser.mid_event()) << "cut inside an event";
    return found;
  }
};

/// Takes a streamed body; refuses after `most` writes, as a client that left would.
class Reader final : public http::BodyWriter {
 public:
  explicit Reader(std::size_t most) : left_(most) {}
  Task<void> write(std::string bytes) override {
    if (left_ == 0) co_return fail(Errc::kCancelled, "the client went away");
    --left_;
    text += bytes;
    co_return Result<void>();
  }
  std::string text;

 private:
  std::size_t left_;
};

inline std::unique_ptr<sql::Database> open_migrated(const std::string& dir) {
  auto opened = sql::open_database({.url = "sqlite:///test.db", .data_dir = dir});
  EXPECT_TRUE(opened);
  EXPECT_TRUE(sql::Migrator(**opened, migrations()).upgrade());
  return std::move(*opened);
}

/// Four vendors with one model each, prices of every kind different on "small". No pauses.
class PipelineTest : public ::testing::Test {
 protected:
  PipelineTest() {
    ModelProfile small = testing_models::model("small", "north", 3.6, 100, 0.0009);
    small.input = TokenPrice::per_1k(0.001);
    small.output = TokenPrice::per_1k(0.002);
    small.cached_input = TokenPrice::per_1k(0.0001);
    small.cache_write = TokenPrice::per_1k(0.00125);
    small.cache_write_1h = TokenPrice::per_1k(0.003);
    small.audio_input = TokenPrice::per_1k(0.05);
    small.audio_output = TokenPrice::per_1k(0.07);
    small.supports = {Capability::kChat, Capability::kStreaming, Capability::kTools,
                      Capability::kStructured};
    small.vendor_model = "north-small-1";
    registry_ = std::make_unique<RegistryHolder>(
        testing_models::registry_of({small, testing_models::model("mid", "east", 4.0, 200, 0.002),
                                     testing_models::model("big", "south", 4.4, 250, 0.011),
                                     testing_models::model("best", "west", 4.8, 800, 0.020)}));
    config_.routing.fallback_model = "best";
    config_.app.mock = true;
    config_.cache.tier2.enabled = false;
    auto vendor_set = VendorSet::make({.vendors = {}, .mock = true}, clients_, clock_);
    EXPECT_TRUE(vendor_set);
    vendor_set_ = std::move(*vendor_set);
  }
  ~PipelineTest() override {
    if (batcher_ != nullptr) batcher_->stop();
    if (semantic_ != nullptr) {
      (void)loops_.wait_for([this]() -> Aw<bool> {
        co_await semantic_->cache->stop();
        co_return true;
      });
    }
    loops_.pool().stop();
  }

  /// Policy or profile of an organisation. Before its first request.
  void give(OrgPolicy policy) {
    const auto saved = loops_.wait_for([&] {
      return policies_.change(policy.org_id, "test",
                              [policy](const OrgPolicy*) -> Result<OrgPolicy> { return policy; });
    });
    ASSERT_TRUE(saved) << saved.error().message;
  }
  void give(ComplianceProfile profile) {
    const auto saved = loops_.wait_for([&] { return policies_.save(profile); });
    ASSERT_TRUE(saved) << saved.error().message;
  }

  /// Routing rules of an organisation. Before its first request.
  void give(const std::string& org, const RoutingRules& rules) {
    const auto saved = loops_.wait_for([&] {
      return routing_store_.change(org, "test",
                                   [rules](OrgRouting& routing) { routing.rules = rules; });
    });
    ASSERT_TRUE(saved) << saved.error().message;
  }

  /// Made at first use, so that a test may change `config_` before.
  Pipeline& pipeline() {
    if (pipeline_ != nullptr) return *pipeline_;
    router_ = std::make_unique<Router>(config_.routing, config_.tasks);
    advisor_ = std::make_unique<RouteAdvisor>(config_.routing, routing_store_, telemetry_,
                                              std::move(learned_));
    Governor::Options governing;
    governing.installation = installation_;
    governing.injection_action = *parse_injection_action(config_.security.injection_action);
    governor_ = std::make_unique<Governor>(
        governing, Governor::Parts{policies_, *injections_, borrowed_.budgets, *borrowed_.limiter});
    Dispatcher::Options dispatch;
    dispatch.retry = {.max_attempts = 2,
                      .base = std::chrono::milliseconds(0),
                      .cap = std::chrono::milliseconds(0)};
    dispatch.restart_partial = config_.streaming.restart_partial;
    dispatcher_ = std::make_unique<Dispatcher>(dispatch, vendors_, clock_, Dispatcher::Observer{});
    ExactCache::Options cache;
    cache.enabled = config_.cache.tier1.enabled;
    cache.ring = &ring_;
    cache_ = std::make_unique<ExactCache>(cache, store_, store_, clock_);
    auto recorder =
        EventRecorder::start({.dir = folder_.path(), .batch_wait = std::chrono::milliseconds(0)},
                             clock_, {[this](const InferenceEvent& event) {
                               totals_.add(event);
                               metrics_.observe(event);
                               const std::scoped_lock lock(events_mutex_);
                               events_.push_back(event);
                             }});
    EXPECT_TRUE(recorder);
    recorder_ = std::move(*recorder);
    optimiser_ = std::make_unique<TokenOptimiser>(optimiser_options(config_.optimization));
    if (config_.batching.enabled) {
      batcher_ = std::make_unique<Batcher>(
          config_.batching, "node_1",
          Batcher::Parts{batch_buffer_, *registry_, shared_caller(*dispatcher_, nullptr),
                         loops_.pool(), clock_, telemetry_});
      batcher_->start();
    }
    StepCache::Options steps{.store = cache};
    steps.store.enabled = tier3_;
    steps_ = std::make_unique<StepCache>(steps, store_, store_, clock_);
    auto tier =
        make_semantic_tier({config_, *vendor_set_, clients_, *database_, clock_, loops_.loop()});
    EXPECT_TRUE(tier);
    semantic_ = std::move(*tier);
    if (semantic_ != nullptr) semantic_->cache->start();
    pipeline_ = std::make_unique<Pipeline>(Pipeline::Parts{
        config_,        *registry_,      *vendor_set_, *dispatcher_,     *cache_,
        store_,         *recorder_,      *router_,     clock_,           loops_.pool(),
        *governor_,     borrowed_.audit, nullptr,      optimiser_.get(), &counter_,
        batcher_.get(), steps_.get(),    semantic(),   enricher_.get(),  advisor_.get(),
        &quality_,      tracer_.get()});
    return *pipeline_;
  }

  SemanticCache* semantic() const {
    return semantic_ != nullptr ? semantic_->cache.get() : nullptr;
  }

  struct Ask {
    std::vector<std::pair<std::string, std::string>> headers;
    std::size_t reads = 1'000'000;  ///< of a streamed body, before the client leaves
    bool may_repeat = true;         ///< the fast path is tried first, as the server does
    std::string request_id = "req_000000000001";
    std::shared_ptr<const identity::Principal> caller = {};  ///< null: authentication is off
  };
  std::unique_ptr<Pending<Reply>> start(const Pipeline::Endpoint& endpoint, std::string body,
                                        Ask ask) {
    return std::make_unique<Pending<Reply>>(
        loops_,
        [this, &endpoint, body = std::move(body), ask = std::move(ask),
         &pipeline = pipeline()](CancelSource& cancel) -> Aw<Reply> {
          http::Request request;
          request.method = http::Method::kPost;
          request.body = body;
          for (const auto& [name, value] : ask.headers) request.headers.add(name, value);
          http::Context context{.request = request,
                                .loop = loops_.loop(),
                                .cancel = cancel,
                                .deadline = clock_.steady_now() + std::chrono::seconds(120),
                                .received = std::chrono::steady_clock::now(),
                                .request_id = ask.request_id,
                                .client_request_id = {},
                                .path_params = {},
                                .route = "/tested",
                                .caller = ask.caller,
                                .reply_headers = {}};
          Reply reply;
          http::Response response;
          std::optional<http::Response> repeated;
          if (ask.may_repeat) repeated = pipeline.repeat(context, endpoint);
          if (repeated) {
            reply.fast = true;
            response = std::move(*repeated);
          } else {
            response = co_await pipeline.answer(context, endpoint);
          }
          reply.status = response.status;
          reply.headers = std::move(response.headers);
          reply.body = response.shared_body != nullptr ? *response.shared_body : response.body;
          if (response.stream) {
            reply.streamed = true;
            Reader reader(ask.reads);
            auto delivered = co_await response.stream(reader);
            if (!delivered) reply.broken = delivered.error();
            reply.body = std::move(reader.text);
          }
          co_return reply;
        });
  }
  Reply post(const Pipeline::Endpoint& endpoint, std::string body, Ask ask) {
    return start(endpoint, std::move(body), std::move(ask))->get();
  }
  Reply post(const Pipeline::Endpoint& endpoint, std::string body) {
    return post(endpoint, std::move(body), Ask());
  }
  Reply infer(std::string body) { return post(native_, std::move(body)); }

  /// Every event so far, in order.
  std::vector<InferenceEvent> events() {
    EXPECT_TRUE(recorder_->flush(std::chrono::seconds(10)));
    const std::scoped_lock lock(events_mutex_);
    return events_;
  }
  InferenceEvent last_event() {
    const auto all = events();
    EXPECT_FALSE(all.empty());
    return all.empty() ? InferenceEvent() : all.back();
  }
  std::size_t calls_of(const std::string& provider) { return vendors_[provider].calls().size(); }
  std::size_t cached_entries() {
    const auto stats = loops_.wait_for([this] { return store_.stats(); });
    return stats ? stats->entries : 0;
  }

  Loops loops_;
  ManualClock clock_;
  TempFolder folder_;
  GatewayConfig config_;
  ScriptedVendors vendors_;
  cache::MemoryStore store_{{}, clock_};
  Installation installation_;     ///< before the first call
  identity::Live<KeyRing> ring_;  ///< of encryption at rest; none yet
  Borrowed borrowed_{clock_};
  bool tier3_ = false;                      ///< before the first call
  std::unique_ptr<Enricher> enricher_;      ///< the same; null: no features
  std::unique_ptr<Tracer> tracer_;          ///< the same; null: nobody watches
  std::unique_ptr<Batcher> batcher_;        ///< with config_.batching.enabled
  std::unique_ptr<SemanticTier> semantic_;  ///< with config_.cache.tier2.enabled
  Totals totals_;
  telemetry::Registry telemetry_;
  EventMetrics metrics_{telemetry_};
  QualityMetrics quality_{telemetry_};
  /// Of the strategy `learned`; before the first call.
  std::unique_ptr<learned::LearnedRouter> learned_;
  std::unique_ptr<llm::ClientCodec> chat_codec_ = llm::make_openai_chat_client();
  std::unique_ptr<llm::ClientCodec> completions_codec_ = llm::make_openai_completions_client();
  std::unique_ptr<llm::ClientCodec> responses_codec_ = llm::make_openai_responses_client();
  std::unique_ptr<llm::ClientCodec> messages_codec_ = llm::make_anthropic_client();
  const Pipeline::Endpoint native_{nullptr, llm::Shape::kNative, native_error};
  const Pipeline::Endpoint chat_{chat_codec_.get(), llm::Shape::kOpenAiChat,
                                 vendor_errors(*chat_codec_)};
  const Pipeline::Endpoint completions_{completions_codec_.get(), llm::Shape::kOpenAiCompletions,
                                        vendor_errors(*completions_codec_)};
  const Pipeline::Endpoint responses_{responses_codec_.get(), llm::Shape::kOpenAiResponses,
                                      vendor_errors(*responses_codec_)};
  const Pipeline::Endpoint messages_{messages_codec_.get(), llm::Shape::kAnthropic,
                                     vendor_errors(*messages_codec_)};

 private:
  net::PerLoop<http::Client> clients_{
      loops_.pool(),
      [](net::Loop& loop) { return std::make_unique<http::Client>(loop, http::ClientOptions{}); }};
  std::mutex events_mutex_;
  std::vector<InferenceEvent> events_;
  std::unique_ptr<RegistryHolder> registry_;
  std::unique_ptr<VendorSet> vendor_set_;
  std::unique_ptr<Router> router_;
  std::unique_ptr<RouteAdvisor> advisor_;
  std::unique_ptr<sql::Database> database_ = open_migrated(folder_.path());
  PolicyStore policies_{{}, *database_, clock_};
  RoutingStore routing_store_{{}, *database_, clock_};
  std::unique_ptr<InjectionScreen> injections_ = std::move(*InjectionScreen::make({}));
  std::unique_ptr<Governor> governor_;
  std::unique_ptr<Dispatcher> dispatcher_;
  std::unique_ptr<ExactCache> cache_;
  std::unique_ptr<StepCache> steps_;
  MemoryBatchBuffer batch_buffer_{1'000, clock_};
  std::unique_ptr<EventRecorder> recorder_;
  std::unique_ptr<TokenOptimiser> optimiser_;
  llm::VocabularyCounter counter_{65'536};
  std::unique_ptr<Pipeline> pipeline_;
};

}  // namespace asahi::gateway::testing
