#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/money.h"
#include "base/task.h"
#include "gateway/governance/guard/injection.h"
#include "gateway/governance/guard/pii.h"
#include "gateway/governance/policy.h"
#include "gateway/governance/policy_store.h"
#include "gateway/governance/refusal.h"
#include "identity/limits/budget_ledger.h"
#include "identity/limits/rate_limiter.h"
#include "identity/principal.h"
#include "llm/message.h"
#include "telemetry/metrics.h"

namespace asahi::gateway {

/// What holds for one call, pinned at its beginning so that the whole call is judged by one policy.
/// Cheap to copy.
struct Terms {
  std::shared_ptr<const identity::Principal> caller;
  std::shared_ptr<const OrgRules> rules;

  PolicyBounds bounds() const {
    return {.policy = rules->has_policy ? &rules->policy : nullptr,
            .plan = caller->plan ? &*caller->plan : nullptr,
            .residency = rules->residency};
  }
  /// False where nobody set any bounds: authentication off, no policy. Such calls are not counted.
  bool governed() const { return rules->has_policy || caller->plan.has_value(); }
  /// An audit entry must be durable before the answer goes out (policy, HIPAA, SOC 2).
  bool audit_required() const { return rules->audit_required; }
};

/// What screening found in a request that may go on.
struct Screening {
  std::vector<std::string> warnings;  ///< for the reply
  PiiTypes pii;                       ///< found, whether masked or not
  bool masked = false;                ///< texts were rewritten: cache key and query come from them
  bool store_allowed = true;  ///< false: no cache entry, no prompt text in events (HIPAA, profile)
  bool encrypt_stored = false;  ///< what is stored must be encrypted at rest (§9.8)
};

/// Budgets and token limits taken by one call; gives everything back when dropped unsettled.
class Reservation {
 public:
  Reservation() = default;
  Reservation(Reservation&& other) noexcept;
  Reservation& operator=(Reservation&& other) noexcept;
  ~Reservation();
  /// What the call really cost and used. Once; never fails, never blocks.
  void settle(NanoUsd cost, std::int64_t tokens);
  explicit operator bool() const { return static_cast<bool>(budget_) || !asks_.empty(); }

 private:
  friend class Governor;
  void give_back();
  identity::BudgetLedger::Reservation budget_;
  identity::RateLimiter* limiter_ = nullptr;
  /// What was asked of the limiter. Requests stay counted; tokens are corrected or given back.
  std::vector<identity::RateLimiter::Ask> asks_;
  identity::LimitStamp taken_{};
};

/// Everything the pipeline asks of governance, in the order of its stages. Thread-safe. What can
/// be decided in process is decided without suspending: each `try_…` that comes back empty has a
/// coroutine of the same meaning.
class Governor {
 public:
  struct Options {
    InjectionAction injection_action = InjectionAction::kBlock;
    Installation installation;  ///< what profiles may demand of this process
  };
  /// All outlive the governor.
  struct Parts {
    PolicyStore& policies;
    const InjectionScreen& injections;
    identity::BudgetLedger& budgets;
    identity::RateLimiter& limiter;
    telemetry::Registry* metrics = nullptr;  ///< null: finds are not counted
  };
  Governor(Options options, Parts parts);

  /// The rules for a caller; empty optional: not in the process's memory, ask `terms`. Rules that
  /// are merely old hold while they are read again behind the call, and callers without a
  /// credential have none until some are read: no call waits for a database that hangs.
  std::optional<Terms> try_terms(std::shared_ptr<const identity::Principal> caller);
  /// Errors: unavailable, timeout (the database is away and nothing is remembered).
  Task<Terms> terms(std::shared_ptr<const identity::Principal> caller);

  /// Stage 3: permission, organisation active, explicit model (null: none named, or unknown) not
  /// blocked, spend and request count not exhausted yet.
  Verdict admit(const Terms& terms, const ModelProfile* explicit_model);

  /// Stage 5, after the request was decoded and before anything is derived from its text: injection
  /// (400 prompt_injection_detected), profile (403 compliance_violation), personal data (masked,
  /// reported, or 403). Rewrites the request's texts when it masks.
  Judged<Screening> screen(const Terms& terms, llm::ChatRequest& request) const;
  /// The same for texts outside chats (embedding inputs).
  Judged<Screening> screen(const Terms& terms, std::vector<std::string>& texts) const;

  /// Stage 10: may routing choose this model?
  static bool allows(const Terms& terms, const ModelProfile& model) {
    return permits(terms.bounds(), *terms.caller, model);
  }

  /// Stage 11: the whole order of §9.3 with the chosen model and the estimate, then token limits
  /// and budgets are taken together or not at all. Dropping the reservation gives it back.
  /// Before either: what the call may cost at most, whatever model of its plan answers.
  void expect(const Terms& terms, NanoUsd estimate, NanoUsd most);
  std::optional<Judged<Reservation>> try_reserve(const Terms& terms, const ModelProfile& model,
                                                 NanoUsd estimate, std::int64_t tokens);
  Aw<Judged<Reservation>> reserve(Terms terms, const ModelProfile* model, NanoUsd estimate,
                                  std::int64_t tokens);
  /// The least that is left of the organisation's spend caps; empty: it has none.
  std::optional<NanoUsd> budget_left(const Terms& terms) const;
  /// A cache hit: one request, no spend (§9.3), no tokens. Refused when the count is exhausted.
  std::optional<Verdict> try_count_hit(const Terms& terms);
  Aw<Verdict> count_hit(Terms terms);

  /// Requests per minute that the policy of an organisation gives it; empty within: the plan's or
  /// the installation's default. From memory, for the gate's limits; empty without, as `try_terms`.
  std::optional<std::optional<std::int64_t>> try_requests_per_minute(
      const identity::Principal& caller);
  std::optional<std::int64_t> requests_per_minute(std::string_view org) const;

 private:
  std::shared_ptr<const OrgRules> try_rules(const identity::Principal& caller);
  std::shared_ptr<const OrgRules> meanwhile(const identity::Principal& caller);
  Aw<void> read_again(std::string org);
  Verdict judge(std::optional<InjectionGroup> found, Screening& screening) const;
  static Verdict judge(PiiAction action, Screening& screening);
  void count(PiiTypes found) const;
  Verdict check_choice(const Terms& terms, const ModelProfile& model, NanoUsd estimate);
  Reservation make(identity::BudgetLedger::Reservation budget,
                   std::vector<identity::RateLimiter::Ask> asks, identity::LimitStamp taken);

  Options options_;
  Parts parts_;
  std::array<telemetry::Counter*, kPiiTypes> pii_found_{};  ///< null without metrics
  std::atomic<int> reading_{0};                             ///< look-ups behind calls; bounded
};

}  // namespace asahi::gateway
