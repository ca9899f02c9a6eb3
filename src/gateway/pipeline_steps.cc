#include <algorithm>

#include "base/utf8.h"
#include "gateway/pipeline_call.h"
#include "llm/vendor.h"

// Tier 3: composed requests answered from the results of their steps.
namespace asahi::gateway {
namespace {

/// The instructions of a request that is one plain question, and nothing a step could not carry.
std::optional<std::string> plain_instructions(const llm::ChatRequest& chat) {
  if (!chat.tools.empty() || !chat.stop.empty() || !chat.vendor_only.empty() ||
      chat.format.kind == llm::ResponseFormat::Kind::kJsonObject ||
      chat.format.kind == llm::ResponseFormat::Kind::kJsonSchema || chat.messages.empty())
    return std::nullopt;
  std::string system;
  for (const llm::Message& message : chat.messages) {
    const bool last = &message == &chat.messages.back();
    const bool told = message.role == llm::Role::kSystem || message.role == llm::Role::kDeveloper;
    if ((last ? message.role != llm::Role::kUser : !told) || !message.name.empty())
      return std::nullopt;
    if (!std::ranges::all_of(message.parts, [](const llm::Part& part) {
          return std::holds_alternative<llm::TextPart>(part);
        }))
      return std::nullopt;
    if (!last) system += message.text() + '\n';
  }
  return system;
}

bool is_whole(const llm::ChatResponse& response) {
  return response.finish == llm::FinishReason::kStop && !response.text().empty();
}

}  // namespace

struct Pipeline::Composed {
  Decomposition work;
  std::vector<std::string> keys;
  std::vector<std::shared_ptr<const Answer>> results;  ///< null: not known
  std::vector<StepReport> reports;

  std::size_t known() const {
    return results.size() - static_cast<std::size_t>(std::ranges::count(results, nullptr));
  }
};

Task<std::optional<http::Response>> Pipeline::serve_steps(http::Context& context,
                                                          std::shared_ptr<Call> call) {
  const auto system = plain_instructions(call->chat);
  if (!system) co_return std::nullopt;
  Composed composed;
  composed.work = decompose(call->query, !call->options.document_id.empty(),
                            parts_.config.cache.tier3.max_steps);
  if (composed.work.kind == Decomposition::Kind::kDirect) co_return std::nullopt;
  StageSpan stepping(call->trace, Stage::kSteps);
  stepping.mark(Mark::kMiss);

  const auto started = std::chrono::steady_clock::now();
  std::string settings = step_settings(call->document->root().get_object(), *system);
  settings += '\x1f';
  settings += to_string(call->endpoint->shape);
  if (call->personal) settings += "\x1fuser:" + call->options.user_id;
  for (const Step& step : composed.work.steps) {
    composed.keys.push_back(
        parts_.steps->key(call->org, call->options.document_id, settings, step));
    auto hit = co_await parts_.steps->get(composed.keys.back());
    const bool usable = hit && may_use(call->terms, hit->answer->model);
    composed.results.push_back(usable ? std::move(hit->answer) : nullptr);
    composed.reports.push_back(
        {.id = step.id, .type = std::string(to_string(step.type)), .cached = usable});
  }
  call->lookup_ms = ms_since(call->received);
  call->tier_ms[3] = ms_since(started);
  const std::size_t known = composed.known();
  const bool all = known == composed.results.size();
  if (!all) {
    const bool wanted = known > 0 || parts_.config.cache.tier3.execute_steps;
    if (!wanted || !composed.work.runnable || call->chat.stream) co_return std::nullopt;
    const Nest inside(call->trace, stepping);
    ASAHI_CO_TRY(const bool done, co_await run_steps(context, call, composed));
    if (!done) co_return std::nullopt;
  } else {
    auto let = co_await count_hit(*call);
    if (let) let = co_await audit(*call, composed.results.back()->model);
    if (!let) {
      record_failure(*call, let.error(), nullptr);
      co_return std::unexpected(std::move(let.error()));
    }
  }

  stepping.mark(all ? Mark::kHit : Mark::kNone);
  stepping.end();
  Outcome outcome;
  auto answer = std::make_shared<Answer>(*composed.results.back());
  std::vector<std::string> texts;
  for (const auto& result : composed.results) {
    texts.push_back(result->response.text());
    answer->quality = std::min(answer->quality, result->quality);
    answer->created = std::min(answer->created, result->created);
  }
  answer->response = {};
  answer->response.parts.emplace_back(
      llm::TextPart{.text = join_results(composed.work, texts), .cache_control = {}});
  // As one call for the whole would have it.
  answer->response.usage.input = llm::estimate_tokens(call->chat);
  answer->response.usage.output = llm::estimate_tokens(answer->response.text());
  answer->baseline =
      baseline_cost(answer->response.usage.input, answer->response.usage.output, baseline_);
  answer->query = std::string(utf8_prefix(call->query, 500));
  answer->task_type = call->task.task_type;
  outcome.mode = call->options.mode;
  outcome.task_type = call->task.task_type;
  outcome.baseline = answer->baseline;
  outcome.steps = std::move(composed.reports);
  if (all) {
    outcome.hit = true;
    outcome.tier = 3;
    outcome.routing_reason = "every step was cached";
    outcome.answer = std::move(answer);
    co_return write_cached(context, call, std::move(outcome));
  }
  outcome.routing_reason = "run step by step; steps that were cached were not run again";
  outcome.routing_ms = call->routing_ms;
  outcome.consumed = std::exchange(call->spent, {});
  outcome.cost = answer->cost = std::exchange(call->spent_cost, {});
  outcome.vendor_ms = call->spent_ms;
  outcome.answer = std::move(answer);
  keep(*call, outcome.answer);
  co_return write_reply(context, *call, outcome);
}

Task<bool> Pipeline::run_steps(http::Context& context, std::shared_ptr<Call> call,
                               Composed& composed) {
  if (!try_take_own_keys(*call)) {
    if (auto taken = co_await take_own_keys(*call); !taken) {
      record_failure(*call, taken.error(), nullptr);
      co_return std::unexpected(std::move(taken.error()));
    }
  }
  const auto as_call = [&](const std::string& prompt) {
    auto step = std::make_shared<Call>(context, call->endpoint);
    step->trace = call->trace;
    step->caller = call->caller;
    step->org = call->org;
    step->options = call->options;
    step->terms = call->terms;
    step->own_keys = call->own_keys;
    step->task = call->task;
    step->query = prompt;
    step->chat = call->chat;
    step->chat.messages.back().parts.clear();
    step->chat.messages.back().parts.emplace_back(
        llm::TextPart{.text = prompt, .cache_control = {}});
    step->chat.messages_changed = true;
    return step;
  };
  // Money is taken once for all that is to be run; the steps that feed a last one are estimated as
  // long as its own prompt.
  NanoUsd estimate, most;
  std::int64_t tokens = 0;
  const ModelProfile* model = nullptr;
  std::shared_ptr<const Registry> registry;  // keeps `model`
  const auto routing_started = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < composed.results.size(); ++i) {
    if (composed.results[i] != nullptr) continue;
    const auto step = as_call(composed.work.steps[i].input_text);
    auto planned = plan(*step);
    if (!planned) co_return false;  // the whole request will say why
    const std::int64_t input = llm::estimate_tokens(step->chat);
    model = planned->decision.model;
    registry = planned->registry;
    tokens += input;
    estimate += estimate_cost(*model, input);
    most += most_cost(*model, input, call->chat.max_tokens);
  }
  call->routing_ms = ms_since(routing_started);
  auto let = co_await reserve(*call, *model, estimate, most, tokens);
  if (let) let = co_await audit(*call, model->name);
  if (!let) {
    record_failure(*call, let.error(), nullptr);
    co_return std::unexpected(std::move(let.error()));
  }
  for (std::size_t i = 0; i < composed.results.size(); ++i) {
    if (composed.results[i] != nullptr) continue;
    const bool last = i + 1 == composed.results.size();
    std::string prompt = composed.work.steps[i].prompt;
    if (last && composed.work.has_final()) {
      std::vector<std::string> known;
      for (std::size_t k = 0; k < i; ++k) known.push_back(composed.results[k]->response.text());
      prompt = final_prompt(composed.work, known);
    }
    const auto step = as_call(prompt);
    step->enrichable = call->enrichable;
    if (auto known = co_await enrich(*step); !known) co_return false;
    call->enriched |= step->enriched;
    auto planned = plan(*step);
    if (!planned) co_return false;
    const auto kept = std::make_shared<const Plan>(*std::move(planned));
    DispatchReport report;
    auto response = co_await call_vendor(step, kept, context.cancel, report);
    call->spent_ms += report.vendor_ms;
    if (!response) {
      if (response.error().code != Errc::kCancelled) co_return false;
      record_failure(*call, response.error(), &report);
      co_return std::unexpected(std::move(response.error()));
    }
    const bool whole = is_whole(*response);
    const bool missing = response->text().find(kNotInSummary) != std::string::npos;
    llm::Usage consumed;
    NanoUsd cost;
    auto answer = price(*step, *std::move(response), report, *kept, consumed, cost);
    call->spent.input += consumed.input;
    call->spent.cached_input += consumed.cached_input;
    call->spent.output += consumed.output;
    call->spent.reasoning_output += consumed.reasoning_output;
    call->spent_cost += cost;
    // Half an answer is no step: the whole request is asked in one call instead, and what the steps
    // cost is part of its price.
    if (!whole || missing) co_return false;
    composed.results[i] = answer;
    net::Loop::current()->spawn(
        "step write", parts_.steps->put(composed.keys[i], std::move(answer), call->encrypt_stored));
  }
  co_return true;
}

}  // namespace asahi::gateway
