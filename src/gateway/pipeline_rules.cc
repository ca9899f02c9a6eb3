#include <fmt/format.h>

#include <algorithm>

#include "gateway/pipeline_call.h"
#include "gateway/routing/multifactor.h"
#include "identity/principal.h"
#include "llm/vendor.h"

// What a caller may do, and what a call takes of his limits: the pipeline's steps that ask the
// governor.
namespace asahi::gateway {
namespace {

bool is_valid_org(std::string_view org) {
  return !org.empty() && org.size() <= 64 && std::ranges::all_of(org, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
}

}  // namespace

/// The organisation that a body names: the caller's own. While authentication is off, any.
Result<void> Pipeline::take_organisation(Call& call) {
  const std::string& named = call.options.organization_id;
  if (named.empty() || named == call.org) return {};
  if (!is_valid_org(named)) {
    return fail_field("organization_id",
                      "organization_id must be 1 to 64 characters of A-Z a-z 0-9 . _ -");
  }
  if (call.caller->kind != identity::Principal::Kind::kAnonymous) {
    auto foreign = fail(Errc::kNotFound,
                        fmt::format("there is no organisation '{}' for this credential", named));
    foreign.error().reason = "organization_not_found";
    foreign.error().field = "organization_id";
    return foreign;
  }
  auto as_named = std::make_shared<identity::Principal>(*call.caller);
  as_named->org_id = call.org = named;
  call.caller = std::move(as_named);
  return {};
}

Task<void> Pipeline::take_terms(Call& call) {
  if (auto terms = parts_.governor.try_terms(call.caller)) {
    call.terms = *std::move(terms);
  } else {
    ASAHI_CO_TRY(call.terms, co_await parts_.governor.terms(call.caller));
  }
  co_return Result<void>{};
}

Task<void> Pipeline::govern(Call& call) {
  StageSpan asking(call.trace, Stage::kPolicy);
  if (auto known = co_await take_terms(call); !known) co_return known;
  const std::shared_ptr<const Registry> registry = parts_.registry.get();
  const bool named = call.options.mode == RoutingMode::kExplicit && !call.options.model.empty();
  if (auto admitted =
          parts_.governor.admit(call.terms, named ? registry->get(call.options.model) : nullptr);
      !admitted) {
    asking.mark(Mark::kRefused);
    co_return std::unexpected(error_of(std::move(admitted.error())));
  }
  asking.end();
  StageSpan screening(call.trace, Stage::kScreen);
  auto screened = parts_.governor.screen(call.terms, call.chat);
  if (!screened) {
    screening.mark(Mark::kRefused);
    co_return std::unexpected(error_of(std::move(screened.error())));
  }
  if (screened->masked) call.chat.messages_changed = true;
  call.encrypt_stored = screened->encrypt_stored;
  call.store_allowed =
      screened->store_allowed && (!call.encrypt_stored || parts_.cache.seal().ready());
  call.warnings = std::move(screened->warnings);
  co_return Result<void>{};
}

bool Pipeline::may_use(const Terms& terms, const std::string& model_name) const {
  if (!terms.governed() && terms.caller->allowed_models.empty()) return true;
  const std::shared_ptr<const Registry> registry = parts_.registry.get();
  const ModelProfile* model = registry->get(model_name);
  return model != nullptr && Governor::allows(terms, *model);
}

Task<void> Pipeline::reserve(Call& call, const ModelProfile& model, NanoUsd estimate, NanoUsd most,
                             std::int64_t input_tokens) {
  parts_.governor.expect(call.terms, estimate, most);
  const std::int64_t tokens =
      input_tokens + std::max<std::int64_t>(20, input_tokens * 6 / 10);  // spec §3.2
  auto taken = parts_.governor.try_reserve(call.terms, model, estimate, tokens);
  if (!taken) taken = co_await parts_.governor.reserve(call.terms, &model, estimate, tokens);
  if (!*taken) co_return std::unexpected(error_of(std::move(taken->error())));
  call.reservation = std::move(**taken);
  co_return Result<void>{};
}

Task<void> Pipeline::count_hit(Call& call) {
  auto counted = parts_.governor.try_count_hit(call.terms);
  if (!counted) counted = co_await parts_.governor.count_hit(call.terms);
  if (!*counted) co_return std::unexpected(error_of(std::move(counted->error())));
  co_return Result<void>{};
}

Task<void> Pipeline::audit(const Call& call, std::string model) {
  if (!call.terms.audit_required()) co_return Result<void>{};
  identity::AuditEntry entry;
  entry.org_id = call.org;
  entry.user_id = identity::actor_of(*call.caller);
  entry.action = "inference";
  entry.resource = "model/" + model;
  entry.details = {
      {"request_id", call.request_id}, {"route", call.route}, {"task_type", call.task.task_type}};
  auto stored = co_await parts_.audit.append(std::move(entry));
  if (!stored) {
    co_return fail(Errc::kUnavailable,
                   "this organisation's policy wants every call in the audit log, which cannot be "
                   "written now");
  }
  co_return Result<void>{};
}

bool Pipeline::try_take_own_keys(Call& call) const {
  if (parts_.own_keys == nullptr || !call.options.provider_api_key.empty()) return true;
  auto known = parts_.own_keys->try_get(*call.caller);
  if (!known) return false;
  call.own_keys = *std::move(known);
  return true;
}

Task<void> Pipeline::take_own_keys(Call& call) const {
  auto found = co_await parts_.own_keys->get(call.org);
  if (!found) {
    logger_.error("an organisation's own vendor keys cannot be read",
                  {{"org_id", call.org}, {"error", found.error().message}});
    // What is wrong with the stored key is the operator's business.
    co_return fail(Errc::kUnavailable,
                   "your organisation's own vendor keys cannot be read now; retry later, or ask "
                   "the operator of the installation");
  }
  call.own_keys = *std::move(found);
  co_return Result<void>{};
}

Aw<void> Pipeline::take_advice(Call& call) const {
  call.advice = co_await parts_.advisor->read(call.org);
  if (!call.advice.warning.empty()) call.warnings.push_back(call.advice.warning);
}

Aw<void> Pipeline::advise(Call& call) const {
  if (auto advice = parts_.advisor->try_read(call.org, call.options.mode)) {
    call.advice = *std::move(advice);
  } else {
    co_await take_advice(call);
  }
  if (!parts_.advisor->weighs_budget()) co_return;
  const auto left = parts_.governor.budget_left(call.terms);
  call.advice.budget_is_short = left && *left < kShortBudget;
}

Task<Plan> Pipeline::plan_and_reserve(std::shared_ptr<Call> call) {
  if (!try_take_own_keys(*call)) {
    if (auto taken = co_await take_own_keys(*call); !taken) {
      record_failure(*call, taken.error(), nullptr);
      co_return std::unexpected(std::move(taken.error()));
    }
  }
  if (may_trim(*call)) {
    const StageSpan trimming(call->trace, Stage::kTokens);
    co_await trim(*call);
  }
  StageSpan routing(call->trace, Stage::kRouting);
  if (parts_.advisor != nullptr) co_await advise(*call);
  const auto routing_started = std::chrono::steady_clock::now();
  auto planned = plan(*call);
  call->routing_ms = ms_since(routing_started);
  if (!planned) routing.mark(Mark::kRefused);
  routing.end();
  StageSpan reserving(call->trace, Stage::kBudget);
  if (planned) {
    const ModelProfile& model = *planned->decision.model;
    const std::int64_t input_tokens = call->counted_input = count_input(*call, model);
    NanoUsd most;
    for (const Attempt& attempt : planned->attempts) {
      most = std::max(most, most_cost(*attempt.model, input_tokens, call->chat.max_tokens));
    }
    if (!call->chat.stream) call->batch_item = batch_item(*call, *planned);
    // Should the shared call fail, there is one of its own as well.
    if (call->batch_item) most += most_cost(model, input_tokens, call->chat.max_tokens);
    if (parts_.config.quality.escalate) {
      if (const auto next = escalation(*call, planned->registry, model))
        most += most_cost(*next->decision.model, input_tokens, call->chat.max_tokens);
    }
    auto let =
        co_await reserve(*call, model, estimate_cost(model, input_tokens), most, input_tokens);
    if (let) let = co_await audit(*call, model.name);
    if (!let) {
      reserving.mark(Mark::kRefused);
      planned = std::unexpected(std::move(let.error()));
    }
  }
  if (!planned) record_failure(*call, planned.error(), nullptr);
  co_return planned;
}

}  // namespace asahi::gateway
