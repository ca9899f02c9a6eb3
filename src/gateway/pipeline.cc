#include "base/utf8.h"
#include "gateway/pipeline_call.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/ids.h"
#include "gateway/http/errors.h"
#include "gateway/traces/request_notes.h"
#include "llm/tokens/counter.h"
#include "llm/vendor.h"
#include "llm/wire/embeddings_client.h"
#include "net/http/server.h"

namespace asahi::gateway {
namespace {

std::string last_user_text(const llm::ChatRequest& request) {
  for (auto message = request.messages.rbegin(); message != request.messages.rend(); ++message) {
    if (message->role == llm::Role::kUser) return message->text();
  }
  return {};
}

Capabilities needs_of(const llm::ChatRequest& request) {
  Capabilities needs{Capability::kChat};
  if (!request.tools.empty()) needs.add(Capability::kTools);
  if (request.format.kind == llm::ResponseFormat::Kind::kJsonSchema)
    needs.add(Capability::kStructured);
  if (request.stream) needs.add(Capability::kStreaming);
  for (const llm::Message& message : request.messages) {
    for (const llm::Part& part : message.parts) {
      if (std::holds_alternative<llm::ImagePart>(part)) needs.add(Capability::kImages);
      if (std::holds_alternative<llm::AudioPart>(part)) needs.add(Capability::kAudio);
      if (std::holds_alternative<llm::FilePart>(part)) needs.add(Capability::kFiles);
    }
  }
  return needs;
}

/// Fields that change what a streamed and an unstreamed answer carry beyond their common meaning.
bool depends_on_delivery(const json::object& body) {
  return std::ranges::any_of(
      std::initializer_list<std::string_view>{"logprobs", "top_logprobs", "audio", "modalities"},
      [&](std::string_view key) { return body.if_contains(key) != nullptr; });
}

bool is_plain_text(const llm::ChatResponse& response) {
  return std::ranges::all_of(response.parts, [](const llm::Part& part) {
    return std::holds_alternative<llm::TextPart>(part);
  });
}

bool worth_keeping(const llm::ChatResponse& response) {
  if (response.finish != llm::FinishReason::kStop &&
      response.finish != llm::FinishReason::kToolCalls)
    return false;
  return std::ranges::any_of(response.parts, [](const llm::Part& part) {
    if (const auto* text = std::get_if<llm::TextPart>(&part)) return !text->text.empty();
    return std::holds_alternative<llm::ToolCallPart>(part);
  });
}

}  // namespace

bool is_all_text(const llm::ChatRequest& request) {
  return request.tools.empty() && request.format.schema.is_null() &&
         std::ranges::all_of(request.messages, [](const llm::Message& message) {
           return std::ranges::all_of(message.parts, [](const llm::Part& part) {
             return std::holds_alternative<llm::TextPart>(part);
           });
         });
}

Pipeline::Pipeline(Parts parts)
    : parts_(parts),
      baseline_{TokenPrice::per_1k(parts.config.tracking.baseline_input_rate),
                TokenPrice::per_1k(parts.config.tracking.baseline_output_rate)},
      // The settings were checked when they were read.
      default_mode_(
          parse_routing_mode(parts.config.routing.default_mode).value_or(RoutingMode::kAutopilot)),
      memos_(parts.loops,
             [](net::Loop&) { return std::make_unique<RequestMemo>(RequestMemo::Limits{}); }),
      busy_(parts.loops, [](net::Loop&) { return std::make_unique<net::BusyMeter>(); }) {
  random_bytes(memo_key_.data(), memo_key_.size());
}

Pipeline::~Pipeline() = default;

// ---- the fast path

std::optional<http::Response> Pipeline::repeat(http::Context& context, const Endpoint& endpoint) {
  if (context.request.body.empty()) return std::nullopt;
  RequestMemo& memo = memos_.local();
  if (!memo.knows_length(context.request.body.size())) return std::nullopt;
  const identity::Principal& caller = identity::principal_of(context);
  KnownRequest* known = memo.find(body_digest(endpoint, caller.org_id, context.request.body));
  if (known == nullptr || context.request.headers.has("idempotency-key")) return std::nullopt;
  const auto stored = parts_.cache.peek(known->cache_key);
  if (!stored || !*stored || known->bytes.lock() != **stored) return std::nullopt;
  const auto terms = parts_.governor.try_terms(identity::shared_principal_of(context));
  // The rules have changed, or want more than can be done here: the long way finds out.
  if (!terms || terms->audit_required()) return std::nullopt;
  if (terms->rules != known->rules) {
    if (!same_rules(*terms->rules, *known->rules)) return std::nullopt;
    known->rules = terms->rules;  // read again, and the same as before
  }
  if (!may_use(*terms, known->answer->model)) return std::nullopt;
  if (auto refused = parts_.governor.admit(*terms, nullptr); !refused) return std::nullopt;
  const auto counted = parts_.governor.try_count_hit(*terms);
  if (!counted || !*counted) return std::nullopt;

  Call call(context, &endpoint);
  if (parts_.tracer != nullptr && !parts_.tracer->idle()) {
    if ((call.trace = parts_.tracer->begin_hit(context)) != nullptr) {
      const auto looked = call.trace->spans.begin(static_cast<std::uint8_t>(Stage::kExact),
                                                  telemetry::SpanList::kRoot, context.received);
      call.trace->spans.mark(looked, static_cast<std::uint8_t>(Mark::kHit));
    }
  }
  call.options.user_id = known->user_id;
  call.options.task_id = known->task_id;
  Outcome outcome;
  outcome.answer = known->answer;
  outcome.hit = true;
  outcome.tier = 1;
  outcome.mode = known->routing_mode;
  outcome.routing_reason = "exact cache hit";
  outcome.task_type = known->task_type;
  outcome.baseline = known->answer->baseline;
  outcome.total_ms = outcome.lookup_ms = call.tier_ms[1] = ms_since(context.received);
  std::string body;
  if (endpoint.codec == nullptr) {
    body = native_body(outcome, context.request_id, response_id(endpoint.shape),
                       format_rfc3339(parts_.clock.now()), known->reply.middle);
  } else {
    const std::string extras = asahi_object(outcome, context.request_id);
    body.reserve(known->reply.head.size() + known->reply.middle.size() + known->reply.tail.size() +
                 extras.size() + 40);
    body += known->reply.head;
    body += response_id(endpoint.shape);
    body += known->reply.middle;
    body += extras;
    body += known->reply.tail;
  }
  record(call, outcome);
  return http::Response::json(200, std::move(body));
}

void Pipeline::remember(const Call& call, std::string_view body,
                        const std::shared_ptr<const Answer>& answer, const cache::Bytes& bytes) {
  if (!call.memorable) return;
  KnownRequest known;
  known.body_bytes = body.size();
  known.cache_key = call.cache_key;
  known.user_id = call.options.user_id;
  known.task_id = call.options.task_id;
  known.task_type = call.task.task_type;
  known.routing_mode = call.options.mode;
  known.rules = call.terms.rules;
  known.bytes = bytes;
  known.answer = answer;
  if (call.endpoint->codec == nullptr) {
    append_json_string(known.reply.middle, answer->response.text());
  } else {
    const auto created =
        std::chrono::duration_cast<std::chrono::seconds>(answer->created.time_since_epoch())
            .count();
    known.reply = make_template(*call.endpoint->codec, call.chat, *answer, created);
    if (known.reply.head.empty()) return;
  }
  memos_.local().put(body_digest(*call.endpoint, call.org, body), std::move(known));
}

// ---- reading

std::shared_ptr<CallTrace> Pipeline::watch(const http::Context& context) {
  return parts_.tracer != nullptr ? parts_.tracer->begin(context) : nullptr;
}

Result<std::shared_ptr<Pipeline::Call>> Pipeline::read(http::Context& context,
                                                       const Endpoint& endpoint,
                                                       std::shared_ptr<CallTrace> trace) {
  auto call = std::make_shared<Call>(context, &endpoint);
  call->trace = std::move(trace);
  const StageSpan parsing(call->trace, Stage::kParse);
  const std::string_view type = context.request.headers.get("content-type");
  if (!type.empty() && !type.starts_with("application/json")) {
    auto wrong =
        fail(Errc::kInvalidArgument,
             fmt::format("the content type is '{}'; send application/json", utf8_prefix(type, 80)));
    wrong.error().reason = "unsupported_media_type";
    wrong.error().field = "content-type";
    return wrong;
  }
  ASAHI_TRY(auto document, JsonDocument::parse(context.request.body));
  if (!document->root().is_object())
    return fail(Errc::kInvalidArgument, "the body must be a JSON object");
  const json::object& body = document->root().get_object();
  if (endpoint.codec == nullptr) {
    ASAHI_TRY(NativeRequest native,
              read_native(document, default_mode_, parts_.config.security.max_prompt_chars));
    call->chat = std::move(native.chat);
    call->options = std::move(native.options);
  } else {
    ASAHI_TRY(call->options, read_options(body, default_mode_));
    ASAHI_TRY(call->chat, endpoint.codec->decode(document));
    const json::value* mode = body.if_contains("routing_mode");
    apply_model_field(call->options, call->chat.model, mode != nullptr && mode->is_string());
    if (call->options.user_id.empty()) call->options.user_id = call->chat.user;
    if (strip_control_characters(call->chat)) call->chat.messages_changed = true;
  }
  if (auto named = take_organisation(*call); !named)
    return std::unexpected(std::move(named.error()));
  if (call->options.user_id.empty()) call->options.user_id = call->caller->user_id;
  call->document = std::move(document);
  call->idempotency_key = call->options.request_id;
  if (call->idempotency_key.empty())
    call->idempotency_key = std::string(context.request.headers.get("idempotency-key"));
  if (call->idempotency_key.size() > 255) {
    return fail_field("Idempotency-Key", "an idempotency key has at most 255 characters");
  }
  return call;
}

void Pipeline::derive(Call& call) {
  call.query = last_user_text(call.chat);
  const std::string_view hint =
      parts_.router.task_hint(call.options.task_type, call.options.task_id);
  call.task = hint.empty() ? detect_task(call.query) : hinted_task(hint, call.query);
  if (parts_.enricher != nullptr) {
    const auto scope = parts_.enricher->scope(feature_request(call));
    call.enrichable = scope != Enricher::Scope::kNone;
    call.personal = scope == Enricher::Scope::kUser;
  }
  const bool nondeterministic = !call.chat.temperature || *call.chat.temperature > 0;
  if (!call.store_allowed || call.options.bypass_cache || !call.options.provider_api_key.empty())
    return;
  if (!parts_.config.cache.cache_nondeterministic && nondeterministic) return;
  const json::object& body = call.document->root().get_object();
  std::string canonical = canonical_request(body);
  if (call.chat.stream && depends_on_delivery(body)) canonical += "+stream";
  if (call.personal) canonical += "+user:" + call.options.user_id;
  call.cache_key = parts_.cache.key(call.org, to_string(call.endpoint->shape), canonical);
  call.question = semantic_question(call, canonical);
  // What a warning says belongs to this request, and a memo has no place for it.
  call.memorable = !call.chat.stream && call.idempotency_key.empty() &&
                   call.options.organization_id.empty() && call.warnings.empty() &&
                   !call.encrypt_stored &&  // a memo holds plain text
                   !call.personal;          // the body alone does not say whose answer it is
}

Digest128 Pipeline::body_digest(const Endpoint& endpoint, std::string_view org,
                                std::string_view body) const {
  const char shape = static_cast<char>(endpoint.shape);
  return keyed_digest(memo_key_, {std::string_view(&shape, 1), org, body});
}

// ---- the whole way

Aw<http::Response> Pipeline::answer(http::Context& context, const Endpoint& endpoint) {
  std::shared_ptr<CallTrace> trace = watch(context);
  auto call = read(context, endpoint, trace);
  if (!call) {
    Call unread(context, &endpoint);
    unread.trace = std::move(trace);
    record_failure(unread, call.error(), nullptr);
    co_return endpoint.errors(call.error(), context);
  }
  trace.reset();
  if (auto governed = co_await govern(**call); !governed) {
    record_failure(**call, governed.error(), nullptr);
    co_return endpoint.errors(governed.error(), context);
  }
  derive(**call);
  if (!(*call)->idempotency_key.empty() && !(*call)->chat.stream) {
    StageSpan replaying((*call)->trace, Stage::kReplay);
    auto earlier = co_await replayed(context, **call);
    if (earlier) co_return std::move(*earlier);
    replaying.mark(Mark::kMiss);
  }
  auto response = co_await serve(context, *call);
  if (!response) co_return endpoint.errors(response.error(), context);
  if (!(*call)->idempotency_key.empty() && response->status == 200 && !response->stream)
    co_await keep_reply(context, **call, response->body);
  co_return std::move(*response);
}

Aw<void> Pipeline::keep_reply(const http::Context& context, const Call& call,
                              const std::string& reply) {
  if (!call.store_allowed) co_return;
  std::string key = fmt::format("asahi:idem:{}:{}", call.org, call.idempotency_key);
  std::string entry = to_hex(sha256(context.request.body)) + reply;
  if (call.encrypt_stored) {
    auto closed = parts_.cache.seal().close(entry, key);
    if (!closed) co_return;
    entry = *std::move(closed);
  }
  (void)co_await parts_.idempotency.set(std::move(key),
                                        std::make_shared<const std::string>(std::move(entry)),
                                        std::chrono::hours(24));
}

Aw<std::optional<http::Response>> Pipeline::replayed(http::Context& context, const Call& call) {
  const std::string key = fmt::format("asahi:idem:{}:{}", call.org, call.idempotency_key);
  auto stored = co_await parts_.idempotency.get(key);
  if (!stored || !*stored) co_return std::nullopt;
  constexpr std::size_t kDigestSize = 64;
  std::string entry = ***stored;
  if (Seal::is_sealed(entry)) entry = parts_.cache.seal().open(entry, key).value_or("");
  if (entry.size() < kDigestSize) co_return std::nullopt;
  if (std::string_view(entry).substr(0, kDigestSize) != to_hex(sha256(context.request.body))) {
    auto conflict =
        fail(Errc::kConflict,
             fmt::format("'{}' was used for another request within 24 hours; a new request "
                         "needs a new key",
                         utf8_prefix(call.idempotency_key, 64)));
    conflict.error().field = call.options.request_id.empty() ? "Idempotency-Key" : "request_id";
    co_return call.endpoint->errors(conflict.error(), context);
  }
  http::Response response = http::Response::json(200, entry.substr(kDigestSize));
  response.headers.set("Idempotent-Replayed", "true");
  co_return response;
}

Task<http::Response> Pipeline::serve(http::Context& context, std::shared_ptr<Call> call) {
  const auto lookup_started = std::chrono::steady_clock::now();
  if (!call->cache_key.empty()) {
    StageSpan looking(call->trace, Stage::kExact);
    auto hit = co_await parts_.cache.get(call->cache_key);
    call->lookup_ms = call->tier_ms[1] = ms_since(lookup_started);
    looking.mark(hit ? Mark::kHit : Mark::kMiss);
    looking.end();
    if (hit && (!call->chat.stream || is_streamable(hit->answer->response)) &&
        may_use(call->terms, hit->answer->model)) {
      auto let = co_await count_hit(*call);
      if (let) let = co_await audit(*call, hit->answer->model);
      if (!let) {
        record_failure(*call, let.error(), nullptr);
        co_return std::unexpected(std::move(let.error()));
      }
      if (!call->chat.stream) remember(*call, context.request.body, hit->answer, hit->bytes);
      Outcome outcome;
      outcome.answer = std::move(hit->answer);
      outcome.hit = true;
      outcome.tier = 1;
      outcome.mode = call->options.mode;
      outcome.routing_reason = "exact cache hit";
      outcome.task_type = call->task.task_type;
      outcome.baseline = outcome.answer->baseline;
      co_return write_cached(context, call, std::move(outcome));
    }
  }
  if (call->question) {
    ASAHI_CO_TRY(auto similar, co_await serve_similar(context, call));
    if (similar) co_return std::move(*similar);
  }
  // Steps come into the store by being run, here or by another worker.
  const bool steps_may_be_known =
      parts_.steps != nullptr && parts_.steps->enabled() && !call->cache_key.empty() &&
      (parts_.config.cache.tier3.execute_steps || parts_.steps->entries().backend() != "memory");
  if (steps_may_be_known) {
    ASAHI_CO_TRY(auto composed, co_await serve_steps(context, call));
    if (composed) co_return std::move(*composed);
  }
  if (call->enrichable) {
    const StageSpan enriching(call->trace, Stage::kFeatures);
    if (auto known = co_await enrich(*call); !known) {
      record_failure(*call, known.error(), nullptr);
      co_return std::unexpected(std::move(known.error()));
    }
  }
  if (call->chat.stream) co_return co_await serve_stream(context, std::move(call));
  co_return co_await serve_miss(context, std::move(call));
}

HealthView Pipeline::health(const Call& call, bool heed_polls) const {
  return [this, keys = call.own_keys, heed_polls](std::string_view name) {
    const std::string provider(name);
    if (!parts_.vendors.usable(provider) && own_key(keys.get(), provider) == nullptr)
      return VendorHealth::kNoKey;
    if (parts_.dispatcher.breaker(provider).state(parts_.clock.steady_now()) ==
        Breaker::State::kOpen) {
      return VendorHealth::kBreakerOpen;
    }
    if (!heed_polls) return VendorHealth::kHealthy;
    // An old verdict says nothing about now (spec §3.13).
    const bool away =
        parts_.vendors.unreachable_since(provider, parts_.clock.now() - std::chrono::seconds(300));
    return away ? VendorHealth::kUnreachable : VendorHealth::kHealthy;
  };
}

RouteRequest Pipeline::route_request(const Call& call) const {
  RouteRequest request;
  request.mode = call.options.mode;
  request.model = call.options.model;
  request.task = call.task;
  request.input_tokens = llm::estimate_tokens(call.chat);
  request.max_tokens = call.chat.max_tokens.value_or(parts_.config.providers.max_tokens_default);
  request.quality_threshold = call.options.quality_threshold;
  request.latency_budget_ms = call.options.latency_budget_ms;
  request.cost_budget = call.options.cost_budget;
  request.quality_preference = call.options.quality_preference;
  request.latency_preference = call.options.latency_preference;
  request.filter.required = needs_of(call.chat);
  if (call.terms.rules->has_policy) {
    request.filter.allowed_models = call.terms.rules->policy.allowed_models;
    const OrgPolicy& policy = call.terms.rules->policy;
    request.filter.blocked_models = policy.blocked_models;
    // What a policy has where nothing was said leaves it to the configuration.
    if (policy.default_quality_threshold != OrgPolicy::kUnsaidQualityThreshold)
      request.default_quality_threshold = policy.default_quality_threshold;
    if (policy.default_latency_budget_ms != OrgPolicy::kUnsaidLatencyBudgetMs)
      request.default_latency_budget_ms = policy.default_latency_budget_ms;
  }
  request.filter.key_models = call.caller->allowed_models;
  request.filter.region = call.terms.rules->residency;
  request.allow_fallback = call.options.allow_fallback;
  request.fallback_models = call.options.fallback_models;
  request.caller_has_key = !call.options.provider_api_key.empty();
  request.list_alternatives =
      call.endpoint->codec == nullptr;  // vendors' shapes have no place for them
  request.now = parts_.clock.now();
  request.step = static_cast<int>(
      std::ranges::count(call.chat.messages, llm::Role::kUser, &llm::Message::role));
  if (parts_.advisor != nullptr) {
    parts_.advisor->advise(request, call.advice, call.org, call.options.agent_id, call.query);
  }
  return request;
}

Result<Plan> Pipeline::plan(const Call& call) const {
  const RouteRequest request = route_request(call);
  if (request.caller_has_key && request.mode != RoutingMode::kExplicit) {
    return fail_field("provider_api_key",
                      "provider_api_key is the key of one vendor: name the model to call with it");
  }
  auto planned = parts_.router.plan(parts_.registry.get(), request, health(call, true));
  if (!planned && planned.error().code == Errc::kUnavailable) {
    // A failed poll says who is worth asking first, not that the last one left may not be asked.
    planned = parts_.router.plan(parts_.registry.get(), request, health(call, false));
  }
  if (planned && request.caller_has_key) {
    // The key is nobody else's business than the vendor's it belongs to.
    const std::string& vendor = planned->decision.model->provider;
    std::erase_if(planned->attempts,
                  [&](const Attempt& attempt) { return attempt.model->provider != vendor; });
  }
  return planned;
}

std::shared_ptr<const Answer> Pipeline::price(const Call& call, llm::ChatResponse response,
                                              const DispatchReport& report, const Plan& plan,
                                              llm::Usage& consumed, NanoUsd& cost) const {
  auto answer = std::make_shared<Answer>();
  const ModelProfile& model = *(report.model != nullptr ? report.model : plan.decision.model);
  if (!response.usage.reported) {
    response.usage.input = llm::estimate_tokens(call.chat);
    response.usage.output =
        std::max<std::int64_t>(response.usage.output, llm::estimate_tokens(response.text()));
    if (parts_.counter != nullptr) {
      response.usage.input = parts_.counter->count(call.chat, model.vendor_model).tokens;
      response.usage.output = std::max<std::int64_t>(
          response.usage.output, parts_.counter->count(response.text(), model.vendor_model).tokens);
    }
  }
  consumed = response.usage;
  cost = cost_of(response.usage, model);
  // Without the gateway the whole prompt would have been sent.
  const std::int64_t trimmed = call.trimmed != nullptr ? call.trimmed->saved() : 0;
  answer->baseline =
      baseline_cost(response.usage.input + trimmed, response.usage.output, baseline_);
  if (report.shared && report.shared->answered) {
    consumed = {};
    cost = {};
  }
  cost += call.spent_cost;
  consumed.input += call.spent.input;
  consumed.cached_input += call.spent.cached_input;
  consumed.output += call.spent.output;
  consumed.reasoning_output += call.spent.reasoning_output;
  if (report.shared) {
    cost += report.shared->cost;
    consumed.input += report.shared->usage.input;
    consumed.cached_input += report.shared->usage.cached_input;
    consumed.output += report.shared->usage.output;
    consumed.reasoning_output += report.shared->usage.reasoning_output;
  }
  for (const auto& [broken, usage] : report.wasted) {
    cost += cost_of(usage, *broken);
    consumed.input += usage.input;
    consumed.output += usage.output;
  }
  answer->cost = cost;
  answer->model = model.name;
  answer->provider = model.provider;
  answer->quality = model.quality;
  answer->task_type = call.task.task_type;
  answer->query = std::string(utf8_prefix(call.query, 500));
  answer->created = parts_.clock.now();
  answer->response = std::move(response);
  return answer;
}

void Pipeline::keep(const Call& call, std::shared_ptr<const Answer> answer) {
  if (call.cache_key.empty() || !worth_keeping(answer->response)) return;
  const auto ttl = ttl_of(call.task.task_type, parts_.config.cache.tier1.ttl_seconds);
  if (call.similar != nullptr && is_plain_text(answer->response))
    parts_.semantic->keep(call.similar, answer,
                          ttl_of(call.task.task_type, parts_.config.cache.tier2.ttl_seconds));
  net::Loop::current()->spawn(
      "cache write", parts_.cache.put(call.cache_key, std::move(answer), ttl, call.encrypt_stored));
}

Task<http::Response> Pipeline::serve_miss(http::Context& context, std::shared_ptr<Call> call) {
  // Planned and reserved before it joins others: what one caller may not do must not be another's
  // refusal.
  ASAHI_CO_TRY(Plan own_plan, co_await plan_and_reserve(call));
  const auto planned = std::make_shared<const Plan>(std::move(own_plan));
  const auto fly = [this, call,
                    planned](CancelSource& cancel) -> Task<std::shared_ptr<const Flown>> {
    DispatchReport report;
    auto response = co_await call_vendor(call, planned, cancel, report);
    if (!response) {
      record_failure(*call, response.error(), &report);
      co_return std::unexpected(std::move(response.error()));
    }
    StageSpan looking(call->trace, Stage::kQuality);
    auto flown = std::make_shared<Flown>();
    Outcome& outcome = flown->outcome;
    AnswerScreening screening = screen(*call, *response);
    if (parts_.config.quality.escalate && screening.worth_another_try()) {
      co_await escalate(call, planned->registry, cancel, *response, report, screening,
                        outcome.warnings);
    }
    looking.end();
    StageSpan storing(call->trace, Stage::kStore);
    outcome.mode = planned->decision.mode;
    outcome.routing_reason = planned->decision.reason;
    outcome.task_type = planned->decision.task_type_detected;
    outcome.fallback_used = planned->decision.fallback_used || report.fallback;
    outcome.alternatives = planned->decision.alternatives;
    outcome.routing_ms = call->routing_ms;
    outcome.vendor_ms = report.vendor_ms;
    outcome.retries = report.retries;
    if (planned->decision.fallback_used) outcome.warnings.push_back(planned->decision.reason);
    if (report.fallback) {
      for (const std::string& hop : report.hops) outcome.warnings.push_back("fallback: " + hop);
    }
    outcome.answer =
        price(*call, std::move(*response), report, *planned, outcome.consumed, outcome.cost);
    outcome.baseline = outcome.answer->baseline;
    tell_trimming(*call, report.model != nullptr ? *report.model : *planned->decision.model,
                  outcome);
    tell(*call, screening, *planned, outcome);
    if (report.shared && report.shared->answered) {
      outcome.batch_size = report.shared->size;
      outcome.batching_savings = std::max(
          NanoUsd{}, cost_of(outcome.answer->response.usage, *report.model) - outcome.cost);
    }
    // What others' texts stood beside is nobody else's answer.
    const bool mixed = report.shared && report.shared->answered && report.shared->mixed_owners;
    if (!screening.flagged() && !mixed) keep(*call, outcome.answer);
    maybe_compare(call, outcome);
    storing.end();
    // The call was made and paid for in the name of a client that has left: its event must not be
    // lost with it.
    if (call->gone) record(*call, outcome);
    co_return flown;
  };

  Outcome outcome;
  if (call->cache_key.empty()) {
    ASAHI_CO_TRY(auto flown, co_await fly(context.cancel));
    outcome = flown->outcome;
  } else {
    const auto joined = std::chrono::steady_clock::now();
    auto shared = co_await flights_.run(call->cache_key, context.cancel, fly);
    if (!shared.leader && call->trace != nullptr) {
      auto& spans = call->trace->spans;
      const auto waited =
          spans.begin(static_cast<std::uint8_t>(Stage::kDispatch), call->trace->under, joined);
      spans.mark(waited, static_cast<std::uint8_t>(Mark::kJoined));
      spans.end(waited, std::chrono::steady_clock::now());
    }
    if (!shared.outcome) {
      if (shared.leader) {
        call->gone = true;
        call->context = nullptr;
      } else {
        record_failure(*call, shared.outcome.error(), nullptr);
      }
      co_return std::unexpected(std::move(shared.outcome.error()));
    }
    outcome = (*shared.outcome)->outcome;
    if (!shared.leader) {
      // Paid for once, by the call that went out first: the others are hits on an answer that was
      // still on its way.
      outcome.hit = outcome.shared = true;
      outcome.tier = 1;
      outcome.consumed = {};
      outcome.cost = {};
      outcome.batch_size = 0;
      outcome.retries = 0;
      outcome.trimmed = nullptr;
      outcome.trim_savings = {};
      outcome.measured_quality.reset();
      outcome.hallucination.reset();
      outcome.routing_reason = "joined an identical request in flight";
    }
  }
  co_return write_reply(context, *call, outcome);
}

http::Response Pipeline::write_reply(http::Context& context, Call& call, Outcome& outcome) {
  const StageSpan replying(call.trace, Stage::kReply);
  outcome.lookup_ms = call.lookup_ms;
  if (outcome.tier != 1) outcome.similar = similarity_report(call.similar.get());
  outcome.enriched = call.enriched;
  outcome.warnings.insert(outcome.warnings.end(), call.warnings.begin(), call.warnings.end());
  outcome.total_ms = ms_since(context.received);
  outcome.post_ms =
      std::max(0.0, outcome.total_ms - outcome.lookup_ms - outcome.routing_ms - outcome.vendor_ms);
  std::string body;
  const Clock::Time now = parts_.clock.now();
  if (call.endpoint->codec == nullptr) {
    std::string text;
    append_json_string(text, outcome.answer->response.text());
    body = native_body(outcome, context.request_id, response_id(call.endpoint->shape),
                       format_rfc3339(now), text);
  } else {
    llm::ChatResponse response = outcome.answer->response;
    response.id = response_id(call.endpoint->shape);
    response.model = outcome.answer->model;
    const auto created =
        std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
    body = call.endpoint->codec->encode(call.chat, response,
                                        asahi_object(outcome, context.request_id), created);
  }
  record(call, outcome);
  return http::Response::json(200, std::move(body));
}

Aw<http::Response> Pipeline::count_tokens(http::Context& context, const Endpoint& endpoint) {
  auto document = JsonDocument::parse(context.request.body);
  if (!document) co_return endpoint.errors(document.error(), context);
  // Counting needs no max_tokens, which a call does: it is put in for the reading.
  json::value body = (*document)->root();
  if (json::object* object = body.if_object();
      object != nullptr && !object->contains("max_tokens")) {
    (*object)["max_tokens"] = 1;
    document = JsonDocument::parse(json::serialize(body));
  }
  auto request = endpoint.codec->decode(*document);
  if (!request) co_return endpoint.errors(request.error(), context);
  std::int64_t tokens = llm::estimate_tokens(*request);
  // Exact where the model's vocabulary is known.
  const auto registry = parts_.registry.get();
  const ModelProfile* model = registry->get(request->model);
  if (parts_.counter != nullptr && model != nullptr)
    tokens = parts_.counter->count(*request, model->vendor_model).tokens;
  co_return http::Response::json(200, fmt::format(R"({{"input_tokens":{}}})", tokens));
}

// ---- accounts

std::chrono::milliseconds Pipeline::ttl_of(const std::string& task_type,
                                           std::int64_t otherwise_seconds) const {
  const auto row = parts_.config.tasks.find(task_type);
  if (row != parts_.config.tasks.end()) return std::chrono::hours(row->second.cache_ttl_hours);
  return std::chrono::seconds(otherwise_seconds);
}

void Pipeline::record(Call& call, const Outcome& outcome) {
  if (call.enrichable && !outcome.hit) {
    constexpr double kUsable = 5;  // nothing finer is measured yet
    parts_.enricher->note_quality(call.enriched,
                                  worth_keeping(outcome.answer->response) ? kUsable : 0);
  }
  if (call.reservation) call.reservation.settle(outcome.cost, outcome.consumed.total());
  InferenceEvent event;
  event.timestamp = parts_.clock.now();
  event.event_id = make_ulid(event.timestamp);
  event.request_id = call.request_id;
  if (call.endpoint == nullptr) event.event_type = "embedding";
  event.org_id = call.org;
  event.user_id = call.options.user_id;
  event.api_key_prefix = call.caller->key_prefix;
  event.task_id = call.options.task_id;
  event.task_type = outcome.task_type;
  event.model_selected = outcome.answer->model;
  event.provider = outcome.answer->provider;
  event.routing_mode = to_string(outcome.mode);
  event.routing_reason = outcome.routing_reason;
  event.cache_hit = outcome.hit;
  event.cache_tier = outcome.tier;
  if (outcome.similar != nullptr) event.cache_similarity = outcome.similar->similarity;
  event.input_tokens = outcome.consumed.input;
  event.output_tokens = outcome.consumed.output;
  event.cached_input_tokens = outcome.consumed.cached_input;
  event.reasoning_tokens = outcome.consumed.reasoning_output;
  event.answer_input_tokens = outcome.answer->response.usage.input;
  event.answer_output_tokens = outcome.answer->response.usage.output;
  event.tokens_saved = outcome.hit                  ? outcome.answer->response.usage.total()
                       : outcome.trimmed != nullptr ? outcome.trimmed->saved()
                                                    : 0;
  event.trim_savings = outcome.trim_savings;
  // Tools and media are billed by rules of the vendor's own: no measure of how texts are counted.
  if (!outcome.hit && outcome.answer->response.usage.reported && is_all_text(call.chat)) {
    event.counted_input_tokens = call.counted_input;
  }
  event.latency_ms = outcome.total_ms;
  event.lookup_ms = outcome.lookup_ms;
  event.tier_ms = call.tier_ms;
  event.vendor_ms = outcome.vendor_ms;
  event.cost = outcome.cost;
  event.batching_savings = outcome.hit ? NanoUsd{} : outcome.batching_savings;
  event.baseline_cost = outcome.baseline;
  event.quality_score = outcome.measured_quality.value_or(outcome.answer->quality);
  event.hallucination = outcome.hallucination;
  event.fallback_used = outcome.fallback_used;
  event.streamed = call.chat.stream;
  event.retries = outcome.retries;
  event.route = call.route;
  hand_on(call, event, nullptr);
  parts_.events.record(std::move(event));
}

void Pipeline::record_failure(Call& call, const Error& error, const DispatchReport* report,
                              std::source_location where) {
  InferenceEvent event;
  event.timestamp = parts_.clock.now();
  event.event_id = make_ulid(event.timestamp);
  event.event_type = "error";
  event.request_id = call.request_id;
  event.org_id = call.org;
  event.user_id = call.options.user_id;
  event.api_key_prefix = call.caller->key_prefix;
  event.task_id = call.options.task_id;
  event.task_type = call.task.task_type;
  event.model_selected = "none";
  event.routing_mode = to_string(call.options.mode);
  event.error_code = error.reason.empty() ? std::string(to_string(error.code)) : error.reason;
  event.latency_ms = ms_since(call.received);
  event.streamed = call.chat.stream;
  event.route = call.route;
  // As the reply has it (http/errors.cc): in vendors' shapes an unknown model is not found.
  const bool native = call.endpoint != nullptr && call.endpoint->codec == nullptr;
  event.http_status = !native && error.reason == "model_not_found" ? 404 : native_status(error);
  if (report != nullptr) {
    if (report->model != nullptr) {
      event.model_selected = report->model->name;
      event.provider = report->model->provider;
    }
    event.retries = report->retries;
    event.vendor_ms = report->vendor_ms;
    // What broken answers cost was spent, whoever got nothing for it.
    for (const auto& [model, usage] : report->wasted) {
      event.cost += cost_of(usage, *model);
      event.input_tokens += usage.input;
      event.output_tokens += usage.output;
    }
    if (report->shared) {
      event.cost += report->shared->cost;
      event.input_tokens += report->shared->usage.input;
      event.output_tokens += report->shared->usage.output;
    }
    event.baseline_cost = event.cost;
  }
  event.cost += call.spent_cost;
  event.input_tokens += call.spent.input;
  event.output_tokens += call.spent.output;
  if (call.spent_cost.nanos > 0) event.baseline_cost = event.cost;
  if (call.reservation)
    call.reservation.settle(event.cost, event.input_tokens + event.output_tokens);
  hand_on(call, event, &error, where);
  parts_.events.record(std::move(event));
}

void Pipeline::hand_on(Call& call, InferenceEvent& event, const Error* error,
                       std::source_location where) {
  if (call.trace != nullptr) {
    event.trace_high = call.trace->context.trace_high;
    event.trace_low = call.trace->context.trace_low;
    const auto now = std::chrono::steady_clock::now();
    if (parts_.tracer->keep(*call.trace, error != nullptr, now)) {
      call.trace->spans.end_all(now);
      event.trace = std::move(call.trace);
    }
    call.trace = nullptr;
  } else if (!call.traceparent.empty()) {
    if (const auto parent = telemetry::parse_traceparent(call.traceparent)) {
      event.trace_high = parent->trace_high;
      event.trace_low = parent->trace_low;
    }
  }
  // A line for each request is written where somebody wants it, and for what went wrong here.
  constexpr int kServerError = 500;
  if (call.context != nullptr &&
      (event.http_status >= kServerError || logger_.enabled(LogLevel::kDebug)))
    call.context->notes = std::make_shared<RequestNotes>(event, error, where);
}

}  // namespace asahi::gateway
