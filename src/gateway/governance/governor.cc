#include "gateway/governance/governor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <span>

#include "net/loop.h"

namespace asahi::gateway {
namespace {

using identity::Budget;
using identity::BudgetLedger;
using identity::Limit;
using identity::LimitScope;
using identity::LimitVerdict;
using identity::RateLimiter;

/// The budgets of one organisation, on the stack.
class Budgets {
 public:
  explicit Budgets(const Terms& terms) {
    const OrgPolicy& policy = terms.rules->policy;
    add({.account = terms.rules->account,
         .period = Budget::Period::kDay,
         .max_spend = policy.max_cost_per_day,
         .max_requests = terms.bounds().requests_per_day()});
    if (policy.max_cost_per_month || policy.max_requests_per_month) {
      add({.account = terms.rules->account,
           .period = Budget::Period::kMonth,
           .max_spend = policy.max_cost_per_month,
           .max_requests = policy.max_requests_per_month});
    }
  }
  std::span<const Budget> all() const { return {budgets_.data(), count_}; }

 private:
  void add(Budget budget) { budgets_[count_++] = std::move(budget); }
  std::array<Budget, 2> budgets_;
  std::size_t count_ = 0;
};

PolicyUse use_of(BudgetLedger& ledger, const Terms& terms) {
  PolicyUse use;
  const OrgPolicy& policy = terms.rules->policy;
  if (policy.max_cost_per_day || terms.bounds().requests_per_day()) {
    const auto day = ledger.use(terms.rules->account, Budget::Period::kDay);
    use.spent_day = day.spent + day.reserved;
    use.requests_day = day.requests;
  }
  if (policy.max_cost_per_month || policy.max_requests_per_month) {
    const auto month = ledger.use(terms.rules->account, Budget::Period::kMonth);
    use.spent_month = month.spent + month.reserved;
    use.requests_month = month.requests;
  }
  return use;
}

/// What the limiter is asked for one call. Empty for most callers, and then nothing is allocated.
std::vector<RateLimiter::Ask> asks_of(const Terms& terms, const ModelProfile& model,
                                      std::int64_t tokens) {
  std::vector<RateLimiter::Ask> asks;
  const std::string& caller_org = terms.caller->org_id;
  const auto add = [&](LimitScope scope, Limit::Unit unit, const std::string& id,
                       std::optional<std::int64_t> most) {
    if (!most) return;
    if (asks.empty()) asks.reserve(6);
    RateLimiter::Ask& ask = asks.emplace_back();
    ask.limit.scope = scope;
    ask.limit.unit = unit;
    ask.limit.id = id;
    ask.limit.max = *most;
    ask.limit.org = caller_org;
    ask.amount = unit == Limit::Unit::kTokens ? tokens : 1;
  };
  using enum Limit::Unit;
  const identity::Principal& caller = *terms.caller;
  const OrgPolicy& policy = terms.rules->policy;
  // Requests of key and organisation are counted by the gate, before anything else is done.
  if (!caller.key_prefix.empty())
    add(LimitScope::kKey, kTokens, caller.key_prefix, caller.tokens_per_minute);
  if (policy.tokens_per_minute)
    add(LimitScope::kOrg, kTokens, caller.org_id, policy.tokens_per_minute);
  if (!caller.user_id.empty() && policy.per_user != MinuteLimits{}) {
    add(LimitScope::kUser, kRequests, caller.user_id, policy.per_user.requests_per_minute);
    add(LimitScope::kUser, kTokens, caller.user_id, policy.per_user.tokens_per_minute);
  }
  if (!policy.per_model.empty()) {
    if (const auto limits = policy.per_model.find(model.name); limits != policy.per_model.end()) {
      add(LimitScope::kModel, kRequests, model.name, limits->second.requests_per_minute);
      add(LimitScope::kModel, kTokens, model.name, limits->second.tokens_per_minute);
    }
  }
  return asks;
}

std::unexpected<Refusal> over_limit(const LimitVerdict& verdict) {
  const std::string_view unit = verdict.unit == Limit::Unit::kTokens ? "tokens" : "requests";
  auto refusal =
      refuse(Errc::kRateLimited, "rate_limited",
             fmt::format("the limit of {} {} per minute for this {} is reached; wait and try again",
                         verdict.max, unit, to_string(verdict.scope)),
             {{"scope", to_string(verdict.scope)},
              {"unit", unit},
              {"limit", verdict.max},
              {"remaining", verdict.remaining}});
  refusal.error().error.retry_after = verdict.retry_after;
  return refusal;
}

/// The ledger's refusal with the figures that clients read (spec §2.11).
std::unexpected<Refusal> over_budget(BudgetLedger& ledger, const Terms& terms, Error error,
                                     NanoUsd estimate) {
  Refusal refusal{std::move(error), {}};
  const bool known =
      refusal.error.reason == "budget_exceeded" || refusal.error.reason == "request_limit_exceeded";
  if (!known) return std::unexpected(std::move(refusal));
  const PolicyUse use = use_of(ledger, terms);
  const PolicyBounds bounds = terms.bounds();
  auto verdict = refusal.error.reason == "budget_exceeded" ? check_spend(bounds, use, estimate)
                                                           : check_count(bounds, use);
  // Room was made meanwhile, or the sums stand on Redis: then the ledger's own words must do.
  if (verdict) return std::unexpected(std::move(refusal));
  refusal.details = std::move(verdict.error().details);
  refusal.error.message = std::move(verdict.error().error.message);
  return std::unexpected(std::move(refusal));
}

void give_back(RateLimiter& limiter, std::span<const RateLimiter::Ask> asks,
               identity::LimitStamp taken) {
  for (const RateLimiter::Ask& ask : asks) limiter.adjust(ask.limit, -ask.amount, taken);
}

}  // namespace

// ---- Reservation

Reservation::Reservation(Reservation&& other) noexcept
    : budget_(std::move(other.budget_)),
      limiter_(std::exchange(other.limiter_, nullptr)),
      asks_(std::move(other.asks_)),
      taken_(other.taken_) {
  other.asks_.clear();
}

Reservation& Reservation::operator=(Reservation&& other) noexcept {
  if (this != &other) {
    give_back();
    budget_ = std::move(other.budget_);
    limiter_ = std::exchange(other.limiter_, nullptr);
    asks_ = std::move(other.asks_);
    other.asks_.clear();
    taken_ = other.taken_;
  }
  return *this;
}

Reservation::~Reservation() { give_back(); }

void Reservation::give_back() {
  for (const RateLimiter::Ask& ask : asks_) {
    if (ask.limit.unit == Limit::Unit::kTokens) limiter_->adjust(ask.limit, -ask.amount, taken_);
  }
  asks_.clear();
}

void Reservation::settle(NanoUsd cost, std::int64_t tokens) {
  if (budget_) {
    budget_.settle(cost);
    budget_ = {};
  }
  for (const RateLimiter::Ask& ask : asks_) {
    if (ask.limit.unit == Limit::Unit::kTokens) limiter_->adjust(ask.limit, tokens - ask.amount);
  }
  asks_.clear();
}

// ---- Governor

Governor::Governor(Options options, Parts parts) : options_(options), parts_(parts) {
  if (parts_.metrics == nullptr) return;
  for (std::size_t i = 0; i < kPiiTypes; ++i) {
    pii_found_[i] =
        &parts_.metrics->counter("asahi_pii_detections_total", "Requests with personal data",
                                 {{"type", std::string(to_string(static_cast<PiiType>(i)))}});
  }
}

void Governor::count(PiiTypes found) const {
  for (std::size_t i = 0; i < kPiiTypes; ++i) {
    if (pii_found_[i] != nullptr && found.has(static_cast<PiiType>(i))) pii_found_[i]->add();
  }
}

std::optional<Terms> Governor::try_terms(std::shared_ptr<const identity::Principal> caller) {
  auto rules = try_rules(*caller);
  if (!rules) return std::nullopt;
  return Terms{std::move(caller), std::move(rules)};
}

std::shared_ptr<const OrgRules> Governor::try_rules(const identity::Principal& caller) {
  auto rules = parts_.policies.try_get(caller.org_id);
  return rules ? rules : meanwhile(caller);
}

std::shared_ptr<const OrgRules> Governor::meanwhile(const identity::Principal& caller) {
  constexpr int kMostReads = 64;
  if (net::Loop::current() == nullptr || reading_ >= kMostReads) return nullptr;
  auto rules = parts_.policies.unless_changed(caller.org_id);
  const bool open = caller.kind == identity::Principal::Kind::kAnonymous;
  if (!rules && open && parts_.policies.last_known(caller.org_id) == nullptr) {
    rules = make_rules(caller.org_id, std::nullopt, std::nullopt);
  }
  if (!rules) return nullptr;
  ++reading_;
  net::Loop::current()->spawn(
      "rules of an organisation",
      [this, org = caller.org_id]() -> Aw<void> { return read_again(org); });
  return rules;
}

Aw<void> Governor::read_again(std::string org) {
  (void)co_await parts_.policies.get(std::move(org));
  --reading_;
}

Task<Terms> Governor::terms(std::shared_ptr<const identity::Principal> caller) {
  ASAHI_CO_TRY(auto rules, co_await parts_.policies.get(caller->org_id));
  co_return Terms{std::move(caller), std::move(rules)};
}

Verdict Governor::admit(const Terms& terms, const ModelProfile* explicit_model) {
  if (auto verdict = check_permission(*terms.caller, identity::Permission::kInfer); !verdict)
    return verdict;
  const PolicyBounds bounds = terms.bounds();
  if (explicit_model != nullptr) {
    if (auto verdict = check_model(bounds, *terms.caller, *explicit_model); !verdict)
      return verdict;
  }
  if (!terms.governed()) return {};
  const PolicyUse use = use_of(parts_.budgets, terms);
  if (auto verdict = check_spend(bounds, use, NanoUsd{}); !verdict) return verdict;
  return check_count(bounds, use);
}

std::optional<NanoUsd> Governor::budget_left(const Terms& terms) const {
  const OrgPolicy& policy = terms.rules->policy;
  if (!terms.rules->has_policy || (!policy.max_cost_per_day && !policy.max_cost_per_month))
    return std::nullopt;
  const PolicyUse use = use_of(parts_.budgets, terms);
  std::optional<NanoUsd> left;
  if (policy.max_cost_per_day) left = *policy.max_cost_per_day - use.spent_day;
  if (policy.max_cost_per_month) {
    const NanoUsd of_month = *policy.max_cost_per_month - use.spent_month;
    left = left ? std::min(*left, of_month) : of_month;
  }
  return left;
}

Judged<Screening> Governor::screen(const Terms& terms, llm::ChatRequest& request) const {
  Screening screening;
  const ComplianceDuties& duties = terms.rules->duties;
  if (options_.injection_action != InjectionAction::kOff) {
    if (auto verdict = judge(parts_.injections.find(request), screening); !verdict) {
      return std::unexpected(std::move(verdict.error()));
    }
  }
  if (auto verdict = check_duties(duties, terms.rules->residency, options_.installation);
      !verdict) {
    return std::unexpected(std::move(verdict.error()));
  }
  screening.store_allowed = duties.store_prompts;
  screening.encrypt_stored = duties.needs_encryption;
  if (duties.pii == PiiAction::kOff) return screening;
  screening.pii = duties.pii == PiiAction::kRedact ? mask(request) : find_pii(request);
  count(screening.pii);
  if (auto verdict = judge(duties.pii, screening); !verdict)
    return std::unexpected(std::move(verdict.error()));
  return screening;
}

Judged<Screening> Governor::screen(const Terms& terms, std::vector<std::string>& texts) const {
  Screening screening;
  const ComplianceDuties& duties = terms.rules->duties;
  if (auto verdict = check_duties(duties, terms.rules->residency, options_.installation);
      !verdict) {
    return std::unexpected(std::move(verdict.error()));
  }
  screening.store_allowed = duties.store_prompts;
  screening.encrypt_stored = duties.needs_encryption;
  if (duties.pii == PiiAction::kOff) return screening;
  for (std::string& text : texts) {
    screening.pii |= duties.pii == PiiAction::kRedact ? mask(text) : find_pii(text);
  }
  count(screening.pii);
  if (auto verdict = judge(duties.pii, screening); !verdict)
    return std::unexpected(std::move(verdict.error()));
  return screening;
}

Verdict Governor::judge(std::optional<InjectionGroup> found, Screening& screening) const {
  if (!found) return {};
  if (options_.injection_action == InjectionAction::kFlag) {
    screening.warnings.push_back(fmt::format("possible prompt injection ({})", to_string(*found)));
    return {};
  }
  return refuse(
      Errc::kInvalidArgument, "prompt_injection_detected",
      fmt::format(
          "the text looks like an attempt to change the model's instructions ({}); rephrase it",
          to_string(*found)),
      {{"group", to_string(*found)}});
}

Verdict Governor::judge(PiiAction action, Screening& screening) {
  if (screening.pii.empty()) return {};
  const std::string names = fmt::format("{}", fmt::join(screening.pii.names(), ", "));
  if (action == PiiAction::kBlock) {
    const std::string violation = "pii_detected: " + names;
    return refuse(Errc::kForbidden, "compliance_violation",
                  fmt::format("the request holds personal data ({}), which the organisation's "
                              "compliance profile does "
                              "not let out; remove it, or set pii_action to redact",
                              names),
                  {{"violations", json::array{violation}}});
  }
  screening.masked = action == PiiAction::kRedact;
  screening.warnings.push_back(
      fmt::format("personal data {}: {}", screening.masked ? "was masked" : "detected", names));
  return {};
}

Verdict Governor::check_choice(const Terms& terms, const ModelProfile& model, NanoUsd estimate) {
  const PolicyBounds bounds = terms.bounds();
  if (auto verdict = check_model(bounds, *terms.caller, model); !verdict) return verdict;
  if (auto verdict = check_request_cost(bounds, estimate); !verdict) return verdict;
  auto residency = check_residency(bounds, model);
  if (residency) return residency;
  // Spend and count come first (§9.3); they are looked up only where the call is refused anyway.
  const PolicyUse use = use_of(parts_.budgets, terms);
  if (auto verdict = check_spend(bounds, use, estimate); !verdict) return verdict;
  if (auto verdict = check_count(bounds, use); !verdict) return verdict;
  return residency;
}

Reservation Governor::make(BudgetLedger::Reservation budget, std::vector<RateLimiter::Ask> asks,
                           identity::LimitStamp taken) {
  Reservation reservation;
  reservation.budget_ = std::move(budget);
  reservation.limiter_ = &parts_.limiter;
  reservation.asks_ = std::move(asks);
  reservation.taken_ = taken;
  return reservation;
}

void Governor::expect(const Terms& terms, NanoUsd estimate, NanoUsd most) {
  if (terms.governed()) parts_.budgets.expect(Budgets(terms).all(), estimate, most);
}

std::optional<Judged<Reservation>> Governor::try_reserve(const Terms& terms,
                                                         const ModelProfile& model,
                                                         NanoUsd estimate, std::int64_t tokens) {
  if (auto verdict = check_choice(terms, model, estimate); !verdict) {
    return std::unexpected(std::move(verdict.error()));
  }
  auto asks = asks_of(terms, model, tokens);
  identity::LimitStamp taken{};
  if (!asks.empty()) {
    const auto verdict = parts_.limiter.try_take(asks);
    if (!verdict) return std::nullopt;
    if (!verdict->allowed) return over_limit(*verdict);
    taken = verdict->taken;
  }
  if (!terms.governed()) return make({}, std::move(asks), taken);
  auto reserved = parts_.budgets.try_reserve(Budgets(terms).all(), estimate);
  if (reserved && *reserved) return make(std::move(**reserved), std::move(asks), taken);
  give_back(parts_.limiter, asks, taken);
  if (!reserved) return std::nullopt;
  return over_budget(parts_.budgets, terms, std::move(reserved->error()), estimate);
}

Aw<Judged<Reservation>> Governor::reserve(Terms terms, const ModelProfile* model, NanoUsd estimate,
                                          std::int64_t tokens) {
  if (auto verdict = check_choice(terms, *model, estimate); !verdict) {
    co_return std::unexpected(std::move(verdict.error()));
  }
  auto asks = asks_of(terms, *model, tokens);
  identity::LimitStamp taken{};
  if (!asks.empty()) {
    const LimitVerdict verdict = co_await parts_.limiter.take(asks);
    if (!verdict.allowed) co_return over_limit(verdict);
    taken = verdict.taken;
  }
  if (!terms.governed()) co_return make({}, std::move(asks), taken);
  const Budgets budgets(terms);
  auto reserved =
      co_await parts_.budgets.reserve({budgets.all().begin(), budgets.all().end()}, estimate);
  if (reserved) co_return make(std::move(*reserved), std::move(asks), taken);
  give_back(parts_.limiter, asks, taken);
  co_return over_budget(parts_.budgets, terms, std::move(reserved.error()), estimate);
}

std::optional<Verdict> Governor::try_count_hit(const Terms& terms) {
  if (!terms.governed()) return Verdict{};
  auto reserved = parts_.budgets.try_reserve(Budgets(terms).all(), NanoUsd{});
  if (!reserved) return std::nullopt;
  if (!*reserved)
    return over_budget(parts_.budgets, terms, std::move(reserved->error()), NanoUsd{});
  (*reserved)->settle(NanoUsd{});
  return Verdict{};
}

Aw<Verdict> Governor::count_hit(Terms terms) {
  if (!terms.governed()) co_return Verdict{};
  const Budgets budgets(terms);
  auto reserved =
      co_await parts_.budgets.reserve({budgets.all().begin(), budgets.all().end()}, NanoUsd{});
  if (!reserved)
    co_return over_budget(parts_.budgets, terms, std::move(reserved.error()), NanoUsd{});
  reserved->settle(NanoUsd{});
  co_return Verdict{};
}

std::optional<std::optional<std::int64_t>> Governor::try_requests_per_minute(
    const identity::Principal& caller) {
  const auto rules = try_rules(caller);
  if (!rules) return std::nullopt;
  return std::make_optional(rules->policy.rate_limit_per_minute);
}

std::optional<std::int64_t> Governor::requests_per_minute(std::string_view org) const {
  const auto rules = parts_.policies.last_known(org);
  return rules ? rules->policy.rate_limit_per_minute : std::nullopt;
}

}  // namespace asahi::gateway
