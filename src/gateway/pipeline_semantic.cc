#include <algorithm>

#include "base/ids.h"
#include "base/utf8.h"
#include "gateway/cache/semantic/context.h"
#include "gateway/cache/semantic/question.h"
#include "gateway/pipeline_call.h"

// Stage 7, tier 2: answers of earlier questions that mean the same (spec §3.7).
namespace asahi::gateway {
namespace {

/// Uniform in [0, 1), not to be guessed.
double draw() { return static_cast<double>(random_u64() >> 11) * 0x1p-53; }

/// What the user said before the question, oldest first.
std::vector<std::string> turns_before_question(const llm::ChatRequest& chat) {
  std::vector<std::string> turns;
  for (const llm::Message& message : chat.messages) {
    if (message.role != llm::Role::kUser) continue;
    if (std::string text = message.text(); !text.empty()) turns.push_back(std::move(text));
  }
  if (!turns.empty()) turns.pop_back();
  return turns;
}

}  // namespace

std::optional<SemanticCache::Question> Pipeline::semantic_question(
    const Call& call, std::string_view canonical) const {
  // What is one user's own, or may only be stored encrypted, is not laid open to others' words.
  if (parts_.semantic == nullptr || !call.options.semantic_cache || call.personal ||
      call.encrypt_stored || !call.caller->semantic_cache || !is_all_text(call.chat))
    return std::nullopt;
  auto row = parts_.config.tasks.find(call.task.task_type);
  if (row == parts_.config.tasks.end()) row = parts_.config.tasks.find("general");
  if (row != parts_.config.tasks.end() && !row->second.semantic_cache) return std::nullopt;
  const Tier2Config& config = parts_.config.cache.tier2;
  const std::string_view shape = to_string(call.endpoint->shape);
  std::optional<std::uint64_t> context;
  std::string earlier;
  if (config.contextual) {
    const std::vector<std::string> turns = turns_before_question(call.chat);
    earlier = semantic::join_turns(turns);
    if (!earlier.empty()) context = semantic::context_of(shape, canonical, call.query, turns);
    if (!context) earlier.clear();
  }
  if (!context) context = semantic::context_of(shape, canonical, call.query);
  if (!context) return std::nullopt;
  const std::string& sensitivity = call.options.cost_sensitivity.empty()
                                       ? config.cost_sensitivity
                                       : call.options.cost_sensitivity;
  return SemanticCache::Question{
      .org = call.org,
      .query = call.query,
      .task = call.task.task_type,
      .sensitivity =
          semantic::parse_sensitivity(sensitivity).value_or(semantic::Sensitivity::kHigh),
      .context_digest = *context,
      .earlier = std::move(earlier)};
}

std::shared_ptr<const SimilarityReport> similarity_report(const SemanticCache::Lookup* lookup) {
  if (lookup == nullptr || lookup->entry_id.empty()) return nullptr;
  const semantic::Decision& decision = lookup->decision;
  return std::make_shared<const SimilarityReport>(
      SimilarityReport{.similarity = decision.similarity,
                       .threshold = decision.threshold,
                       .error = decision.error,
                       .verdict = std::string(semantic::to_string(decision.verdict)),
                       .reason = decision.reason,
                       .matched_query = std::string(utf8_prefix(lookup->matched, 500)),
                       .entry_id = lookup->entry_id,
                       .checked = decision.action == semantic::Action::kExplore});
}

Task<std::optional<http::Response>> Pipeline::serve_similar(http::Context& context,
                                                            std::shared_ptr<Call> call) {
  // A loop at its limit asks about one question in eight: the tier must not cost requests.
  StageSpan asking(call->trace, Stage::kSemantic);
  asking.mark(Mark::kSkipped);
  constexpr std::uint64_t kAskedWhenBusy = 8;
  if (busy_.local().saturated() && random_u64() % kAskedWhenBusy != 0) co_return std::nullopt;
  const auto started = std::chrono::steady_clock::now();
  // While embedder or index are away, requests do not wait for them one by one.
  const Clock::Steady now = parts_.clock.steady_now();
  if (!semantic_breaker_.allow(now)) co_return std::nullopt;
  llm::CallContext limits;
  limits.deadline = std::min(call->deadline,
                             now + std::chrono::milliseconds(parts_.config.cache.tier2.timeout_ms));
  limits.cancel = &context.cancel;
  limits.request_id = call->request_id;
  limits.traceparent = call->traceparent;
  if (call->trace != nullptr) limits.tracestate = call->trace->tracestate;
  call->similar =
      co_await parts_.semantic->find(std::move(*call->question), std::move(limits), draw());
  call->tier_ms[2] = ms_since(started);
  call->lookup_ms += call->tier_ms[2];
  asking.mark(call->similar != nullptr && call->similar->hit() ? Mark::kHit : Mark::kMiss);
  if (call->similar != nullptr && call->trace != nullptr && !call->similar->entry_id.empty()) {
    call->trace->similarity = call->similar->decision.similarity;
    call->trace->threshold = call->similar->decision.threshold;
    call->trace->verdict = semantic::to_string(call->similar->decision.verdict);
    if (call->similar->hit()) call->trace->cache_entry = call->similar->entry_id;
  }
  if (call->similar != nullptr && !call->similar->notice.empty())
    call->warnings.push_back(call->similar->notice);
  if (call->similar != nullptr && !call->similar->warning.empty()) {
    call->warnings.push_back(call->similar->warning);
    asking.mark(Mark::kFailed);
    semantic_breaker_.failed(parts_.clock.steady_now());
  } else {
    semantic_breaker_.succeeded();
  }
  asking.end();
  if (call->similar == nullptr || !call->similar->hit()) co_return std::nullopt;
  const std::shared_ptr<const Answer> answer = call->similar->answer;
  if ((call->chat.stream && !is_streamable(answer->response)) ||
      !may_use(call->terms, answer->model))
    co_return std::nullopt;
  auto let = co_await count_hit(*call);
  if (let) let = co_await audit(*call, answer->model);
  if (!let) {
    record_failure(*call, let.error(), nullptr);
    co_return std::unexpected(std::move(let.error()));
  }
  const double promotion = parts_.config.cache.tier2.promotion_threshold;
  if (promotion < 1 && call->similar->decision.similarity >= promotion) promote(*call);
  Outcome outcome;
  outcome.answer = answer;
  outcome.hit = true;
  outcome.tier = 2;
  outcome.mode = call->options.mode;
  outcome.routing_reason = "semantic cache hit";
  outcome.task_type = call->task.task_type;
  outcome.baseline = answer->baseline;
  co_return write_cached(context, call, std::move(outcome));
}

void Pipeline::promote(const Call& call) {
  const Answer& answer = *call.similar->answer;
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(answer.expires - parts_.clock.now());
  if (left <= std::chrono::milliseconds(0)) return;
  auto copy = std::make_shared<Answer>(answer);
  copy->entry_id = call.similar->entry_id;
  net::Loop::current()->spawn("cache write",
                              parts_.cache.put(call.cache_key, std::move(copy), left));
}

}  // namespace asahi::gateway
