#pragma once
// What the gateway borrows from identity, in memory: real limits, a ledger and an audit log that
// remember.

#include <mutex>
#include <unordered_map>
#include <vector>

#include "gateway/governance/gdpr.h"
#include "gateway/governance/governor.h"
#include "identity/audit/audit.h"
#include "identity/limits/budget_ledger.h"
#include "identity/limits/rate_limiter.h"
#include "storage/sql/database.h"

namespace asahi::gateway::testing {

/// Budgets without periods or persistence: what was reserved and settled since the start.
class MemoryLedger final : public identity::BudgetLedger {
 public:
  std::optional<Result<Reservation>> try_reserve(std::span<const identity::Budget> budgets,
                                                 NanoUsd estimate) override {
    const std::scoped_lock lock(mutex_);
    for (const identity::Budget& budget : budgets) {
      const identity::BudgetUse& use = use_[budget.account];
      if (budget.max_requests && use.requests >= *budget.max_requests)
        return refusal("request_limit_exceeded", budget);
      if (budget.max_spend && use.spent + use.reserved + estimate > *budget.max_spend)
        return refusal("budget_exceeded", budget);
    }
    Open open{{}, estimate};
    for (const identity::Budget& budget : budgets) {
      if (std::ranges::find(open.accounts, budget.account) != open.accounts.end()) continue;
      use_[budget.account].reserved += estimate;
      ++use_[budget.account].requests;
      open.accounts.push_back(budget.account);
    }
    open_[++last_] = std::move(open);
    return make_reservation(*this, last_);
  }
  void expect(std::span<const identity::Budget>, NanoUsd, NanoUsd) override {}
  Task<Reservation> reserve(std::vector<identity::Budget> budgets, NanoUsd estimate) override {
    auto taken = try_reserve(budgets, estimate);
    co_return std::move(*taken);
  }
  identity::BudgetUse use(const std::string& account, identity::Budget::Period) override {
    const std::scoped_lock lock(mutex_);
    return use_[account];
  }
  bool flush(std::chrono::milliseconds) override { return true; }
  std::size_t open() const {
    const std::scoped_lock lock(mutex_);
    return open_.size();
  }

 protected:
  void settle_id(std::uint64_t id, NanoUsd cost) override {
    const std::scoped_lock lock(mutex_);
    const auto found = open_.find(id);
    if (found == open_.end()) return;
    for (const std::string& account : found->second.accounts) {
      use_[account].reserved = use_[account].reserved - found->second.estimate;
      use_[account].spent += cost;
    }
    open_.erase(found);
  }

 private:
  struct Open {
    std::vector<std::string> accounts;
    NanoUsd estimate;
  };
  static std::unexpected<Error> refusal(std::string reason, const identity::Budget& budget) {
    auto refused = fail(Errc::kRateLimited, "the budget of " + budget.account + " is used up");
    refused.error().reason = std::move(reason);
    return refused;
  }
  mutable std::mutex mutex_;
  std::unordered_map<std::string, identity::BudgetUse> use_;
  std::unordered_map<std::uint64_t, Open> open_;
  std::uint64_t last_ = 0;
};

/// Keeps entries in memory; `broken` makes it refuse, as with the database away.
class MemoryAudit final : public identity::AuditLog {
 public:
  bool record(identity::AuditEntry entry) override {
    const std::scoped_lock lock(mutex_);
    entries_.push_back(std::move(entry));
    return true;
  }
  Task<std::string> append(identity::AuditEntry entry) override {
    if (broken) co_return fail(Errc::kUnavailable, "the audit log is away");
    record(std::move(entry));
    co_return std::string("aud_1");
  }
  Task<std::vector<identity::StoredAuditEntry>> query(identity::AuditFilter) override {
    co_return std::vector<identity::StoredAuditEntry>();
  }
  Task<identity::AuditVerification> verify(std::string) override {
    co_return identity::AuditVerification();
  }
  Task<std::int64_t> trim(std::string, Clock::Time) override { co_return 0; }
  bool flush(std::chrono::milliseconds) override { return true; }
  std::uint64_t dropped() const override { return 0; }

  std::vector<identity::AuditEntry> entries() const {
    const std::scoped_lock lock(mutex_);
    return entries_;
  }
  bool broken = false;

 private:
  mutable std::mutex mutex_;
  std::vector<identity::AuditEntry> entries_;
};

/// Nobody has an account.
class NoAccounts final : public Accounts {
 public:
  Task<json::value> describe(std::string, std::string) override { co_return json::value(); }
  Task<Erased> erase(std::string, std::string) override { co_return Erased(); }
};

/// All that a Gateway or a Governor borrows.
struct Borrowed {
  explicit Borrowed(const Clock& clock) : limiter(identity::make_memory_limiter(clock)) {}
  MemoryLedger budgets;
  std::unique_ptr<identity::RateLimiter> limiter;
  MemoryAudit audit;
  NoAccounts accounts;
};

}  // namespace asahi::gateway::testing
