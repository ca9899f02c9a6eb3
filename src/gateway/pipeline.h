#pragma once

#include <memory>
#include <optional>
#include <source_location>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/policy/breaker.h"
#include "gateway/batching/batcher.h"
#include "gateway/cache/exact_cache.h"
#include "gateway/cache/request_memo.h"
#include "gateway/cache/semantic_cache.h"
#include "gateway/cache/single_flight.h"
#include "gateway/cache/steps/step_cache.h"
#include "gateway/config.h"
#include "gateway/dispatch/dispatcher.h"
#include "gateway/dispatch/vendor_set.h"
#include "gateway/events/recorder.h"
#include "gateway/features/enricher.h"
#include "gateway/governance/governor.h"
#include "gateway/http/replies.h"
#include "gateway/pipeline_deferred.h"
#include "gateway/quality/answer_screen.h"
#include "gateway/quality/metrics.h"
#include "gateway/request.h"
#include "gateway/routing/pricing.h"
#include "gateway/routing/route_advisor.h"
#include "gateway/routing/router.h"
#include "gateway/traces/tracer.h"
#include "identity/audit/audit.h"
#include "identity/principal.h"
#include "llm/codec.h"
#include "llm/wire/embeddings_client.h"
#include "net/busy_meter.h"
#include "net/http/router.h"

namespace asahi::llm {
class TokenCounter;
}  // namespace asahi::llm

namespace asahi::gateway {

class TokenOptimiser;

/// The way of one model call through the gateway (spec §3.1): parse, govern, cache, route, reserve,
/// call, price, settle, record, cache. One pipeline serves every API shape; a shape is a
/// ClientCodec and a way to write errors. Callable from any loop.
class Pipeline {
 public:
  /// What the pipeline works with; all outlive it.
  struct Parts {
    const GatewayConfig& config;
    RegistryHolder& registry;
    VendorSet& vendors;
    Dispatcher& dispatcher;
    ExactCache& cache;
    cache::Store& idempotency;
    EventRecorder& events;
    const Router& router;
    const Clock& clock;
    net::LoopPool& loops;
    Governor& governor;
    identity::AuditLog& audit;
    identity::OwnKeys* own_keys = nullptr;       ///< null: no organisation has keys at vendors
    TokenOptimiser* optimiser = nullptr;         ///< null: prompts go out as they came
    const llm::TokenCounter* counter = nullptr;  ///< null: tokens are estimated
    Batcher* batcher = nullptr;                  ///< null: every request has a call of its own
    StepCache* steps = nullptr;                  ///< null: no tier 3
    SemanticCache* semantic = nullptr;           ///< null: no tier 2
    Enricher* enricher = nullptr;                ///< null: no features
    RouteAdvisor* advisor = nullptr;             ///< null: no rules, nothing learned
    QualityMetrics* quality = nullptr;           ///< null: nobody counts
    Tracer* tracer = nullptr;                    ///< null: nobody watches
  };
  explicit Pipeline(Parts parts);
  ~Pipeline();

  /// An API shape's entry. `codec` null: the native shape of POST /infer.
  struct Endpoint {
    const llm::ClientCodec* codec = nullptr;
    llm::Shape shape = llm::Shape::kNative;
    http::ErrorWriter errors;
  };

  /// Answers an exact repeat whose entry still stands, without suspending; otherwise nothing.
  std::optional<http::Response> repeat(http::Context& context, const Endpoint& endpoint);
  /// Answers any call of the shape.
  Aw<http::Response> answer(http::Context& context, const Endpoint& endpoint);
  /// POST /v1/messages/count_tokens: the estimate of llm::estimate_tokens.
  Aw<http::Response> count_tokens(http::Context& context, const Endpoint& endpoint);
  /// The codec in which a provider's batch API is spoken to; null: it has none.
  using DeferredCodec = std::function<const llm::VendorCodec*(const std::string& provider)>;
  /// A call as a row of its vendor's batch, reserved at the share `price` of its ordinary price.
  /// Empty: it has to be an ordinary call, because the answer is cached, the model's vendor has no
  /// batches, or it is refused, which `answer` tells.
  Aw<std::optional<DeferredCall>> defer(http::Context& context, const Endpoint& endpoint,
                                        double price, DeferredCodec codec_of);
  /// The reply to such a call now that the vendor has answered: priced, settled, recorded, cached.
  /// `reservation` empty: it went with its process, and the ledger counts its estimate.
  Aw<http::Response> complete(http::Context& context, const Endpoint& endpoint, double price,
                              std::string model, Reservation reservation,
                              llm::ChatResponse response);
  /// POST /v1/embeddings.
  Aw<http::Response> embed(http::Context& context, const http::ErrorWriter& errors);

 private:
  struct Call;
  /// `trace`: of the call from now on; may be null.
  Result<std::shared_ptr<Call>> read(http::Context& context, const Endpoint& endpoint,
                                     std::shared_ptr<CallTrace> trace = nullptr);
  /// The rules that hold for the whole call.
  Task<void> take_terms(Call& call);
  /// The caller's rules, the checks before the cache, and the screening of what the request says.
  Task<void> govern(Call& call);
  Task<void> govern_embedding(Call& call, const ModelProfile& model,
                              llm::wire::EmbeddingCall& request);
  static Result<void> take_organisation(Call& call);
  /// The caller's organisation's keys, before a vendor is chosen; false: ask the other.
  bool try_take_own_keys(Call& call) const;
  Task<void> take_own_keys(Call& call) const;
  bool may_use(const Terms& terms, const std::string& model_name) const;
  Digest128 body_digest(const Endpoint& endpoint, std::string_view org,
                        std::string_view body) const;
  /// What follows from the screened request: task, cache key.
  void derive(Call& call);
  /// `most`: what the call may cost at most.
  Task<void> reserve(Call& call, const ModelProfile& model, NanoUsd estimate, NanoUsd most,
                     std::int64_t input_tokens);
  Task<void> count_hit(Call& call);
  /// Where policy demands it: a durable entry before the answer goes out.
  Task<void> audit(const Call& call, std::string model);
  Task<http::Response> serve(http::Context& context, std::shared_ptr<Call> call);
  static Enricher::Request feature_request(const Call& call);
  /// Puts features before the prompt, if there are any.
  Task<void> enrich(Call& call);
  /// What tier 2 is asked for a call; empty: the call is none for it. `canonical`: as for tier 1.
  std::optional<SemanticCache::Question> semantic_question(const Call& call,
                                                           std::string_view canonical) const;
  /// Tier 2; empty: it has no answer that may serve.
  Task<std::optional<http::Response>> serve_similar(http::Context& context,
                                                    std::shared_ptr<Call> call);
  /// Puts a very similar answer into tier 1, for this wording of the question.
  void promote(const Call& call);
  struct Composed;
  /// Tier 3; empty: the request is not composed, or its steps do not help.
  Task<std::optional<http::Response>> serve_steps(http::Context& context,
                                                  std::shared_ptr<Call> call);
  /// Runs the steps that are not known. False: they cannot be had; what was spent stands in the
  /// call.
  Task<bool> run_steps(http::Context& context, std::shared_ptr<Call> call, Composed& composed);
  Task<http::Response> serve_miss(http::Context& context, std::shared_ptr<Call> call);
  Task<http::Response> serve_stream(http::Context& context, std::shared_ptr<Call> call);
  Task<void> relay(std::shared_ptr<Call> call, std::shared_ptr<DispatchedStream> stream,
                   std::shared_ptr<const Plan> plan, http::BodyWriter& writer);
  /// What routing is told of a call; its views point into the call.
  RouteRequest route_request(const Call& call) const;
  Result<Plan> plan(const Call& call) const;
  /// Rules and weights of the caller's organisation.
  Aw<void> take_advice(Call& call) const;
  /// Looks at an answer, where settings want it (spec §3.14).
  AnswerScreening screen(const Call& call, const llm::ChatResponse& response) const;
  /// The model to ask when the answer of `than` is found wanting; empty: none may be asked.
  std::optional<Plan> escalation(const Call& call, std::shared_ptr<const Registry> registry,
                                 const ModelProfile& than) const;
  /// Asks the next better model once; the better of the two answers stays, the other is paid for.
  Aw<void> escalate(std::shared_ptr<Call> call, std::shared_ptr<const Registry> registry,
                    CancelSource& cancel, llm::ChatResponse& response, DispatchReport& report,
                    AnswerScreening& screening, std::vector<std::string>& warnings);
  void tell(const Call& call, const AnswerScreening& screening, const Plan& plan,
            Outcome& outcome) const;
  /// Some answers are compared with the baseline model's, behind the reply.
  void maybe_compare(const std::shared_ptr<Call>& call, const Outcome& outcome);
  Aw<void> compare(std::shared_ptr<Call> call, std::shared_ptr<const Answer> answer);
  Task<Plan> plan_and_reserve(std::shared_ptr<Call> call);
  /// What rules, weights and records say to this call, where they are asked.
  Aw<void> advise(Call& call) const;
  /// Stage 9: says the prompt in fewer tokens. The cache key is the original request's already.
  Aw<void> trim(Call& call);
  bool may_trim(const Call& call) const;
  /// What the request's input will count at the model.
  std::int64_t count_input(const Call& call, const ModelProfile& model) const;
  /// What trimming has saved, for the reply and the event.
  static void tell_trimming(const Call& call, const ModelProfile& model, Outcome& outcome);
  /// The item under which the call may share a vendor call; empty: it goes alone.
  std::optional<BatchItem> batch_item(const Call& call, const Plan& plan) const;
  Task<llm::ChatResponse> call_vendor(std::shared_ptr<Call> call,
                                      std::shared_ptr<const Plan> planned, CancelSource& cancel,
                                      DispatchReport& report);
  std::shared_ptr<const Answer> price(const Call& call, llm::ChatResponse response,
                                      const DispatchReport& report, const Plan& plan,
                                      llm::Usage& consumed, NanoUsd& cost) const;
  void keep(const Call& call, std::shared_ptr<const Answer> answer);
  http::Response write_reply(http::Context& context, Call& call, Outcome& outcome);
  http::Response write_cached(http::Context& context, const std::shared_ptr<Call>& call,
                              Outcome outcome);
  void remember(const Call& call, std::string_view body,
                const std::shared_ptr<const Answer>& answer, const cache::Bytes& bytes);
  /// Also settles what the call has reserved.
  void record(Call& call, const Outcome& outcome);
  void record_failure(Call& call, const Error& error, const DispatchReport* report,
                      std::source_location where = std::source_location::current());
  std::shared_ptr<CallTrace> watch(const http::Context& context);
  /// Gives the call's trace and what the log of requests wants to know to where they belong.
  void hand_on(Call& call, InferenceEvent& event, const Error* error,
               std::source_location where = {});
  Aw<std::optional<http::Response>> replayed(http::Context& context, const Call& call);
  Aw<void> keep_reply(const http::Context& context, const Call& call, const std::string& reply);
  std::chrono::milliseconds ttl_of(const std::string& task_type,
                                   std::int64_t otherwise_seconds) const;
  HealthView health(const Call& call, bool heed_polls) const;

  Parts parts_;
  Logger logger_{"gateway"};
  BaselineRates baseline_;
  Breaker semantic_breaker_{{.failures = 3, .open_for = std::chrono::seconds(10)}};
  RoutingMode default_mode_;
  Digest128 memo_key_;
  net::PerLoop<RequestMemo> memos_;
  net::PerLoop<net::BusyMeter> busy_;
  struct Flown {
    std::shared_ptr<const Answer> answer;
    Outcome outcome;
  };
  SingleFlight<Flown> flights_;
};

/// How a batcher calls vendors: one attempt, with the organisation's own keys where it has any.
/// Both outlive what is returned; `own_keys` may be null.
Batcher::Caller shared_caller(Dispatcher& dispatcher, identity::OwnKeys* own_keys);

}  // namespace asahi::gateway
