#pragma once
// Limits, budgets and the audit log in memory and without time, open to the test's eyes: for tests
// of what uses them, here and in the modules above. Thread-safe.

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "identity/audit/audit.h"
#include "identity/limits/budget_ledger.h"
#include "identity/limits/rate_limiter.h"

namespace asahi::identity::testing {

/// Counts for ever: a window that never moves. `suspends`: answers only through `take`, as over
/// Redis.
class LimiterFake final : public RateLimiter {
 public:
  explicit LimiterFake(bool suspends = false) : suspends_(suspends) {}
  std::string_view backend() const override { return "memory"; }
  std::optional<LimitVerdict> try_take(std::span<const Ask> asks) override {
    if (suspends_) return std::nullopt;
    return decide(asks);
  }
  Aw<LimitVerdict> take(std::vector<Ask> asks) override { co_return decide(asks); }
  void adjust(const Limit& limit, std::int64_t by, LimitStamp) override {
    const std::lock_guard lock(mutex_);
    counts_[name(limit)] += by;
  }

  /// What was taken from a counter: "key/requests/ask_acme_abc", "user/tokens/acme/bob".
  std::int64_t taken(const std::string& counter) const {
    const std::lock_guard lock(mutex_);
    const auto found = counts_.find(counter);
    return found == counts_.end() ? 0 : found->second;
  }
  std::map<std::string, std::int64_t> counts() const {
    const std::lock_guard lock(mutex_);
    return counts_;
  }

 private:
  LimitVerdict decide(std::span<const Ask> asks) {
    const std::lock_guard lock(mutex_);
    LimitVerdict verdict;
    verdict.remaining = std::numeric_limits<std::int64_t>::max();
    for (const Ask& ask : asks) {
      const std::int64_t left = ask.limit.max - counts_[name(ask.limit)];
      if (left - ask.amount < verdict.remaining) {
        verdict.scope = ask.limit.scope;
        verdict.unit = ask.limit.unit;
        verdict.max = ask.limit.max;
        verdict.remaining = std::max<std::int64_t>(0, left - ask.amount);
      }
      if (left < ask.amount) verdict.allowed = false;
    }
    verdict.reset = std::chrono::seconds(60);
    if (!verdict.allowed) verdict.retry_after = std::chrono::seconds(7);
    if (verdict.allowed) {
      for (const Ask& ask : asks) counts_[name(ask.limit)] += ask.amount;
    }
    return verdict;
  }
  static std::string name(const Limit& limit) {
    constexpr std::array kScopes = {"ip", "key", "user", "org", "model"};
    std::string text = kScopes.at(static_cast<std::size_t>(limit.scope));
    text += limit.unit == Limit::Unit::kTokens ? "/tokens/" : "/requests/";
    if (limit.scope == LimitScope::kUser || limit.scope == LimitScope::kModel)
      text += limit.org + '/';
    return text + limit.id;
  }

  const bool suspends_;
  mutable std::mutex mutex_;
  std::map<std::string, std::int64_t> counts_;
};

/// Budgets per account and period that never begin anew.
class LedgerFake final : public BudgetLedger {
 public:
  std::optional<Result<Reservation>> try_reserve(std::span<const Budget> budgets,
                                                 NanoUsd estimate) override {
    const std::lock_guard lock(mutex_);
    ++asked_;
    if (suspends) return std::nullopt;
    return take(budgets, estimate);
  }
  void expect(std::span<const Budget>, NanoUsd, NanoUsd) override {}
  Task<Reservation> reserve(std::vector<Budget> budgets, NanoUsd estimate) override {
    const std::lock_guard lock(mutex_);
    co_return take(budgets, estimate);
  }
  BudgetUse use(const std::string& account, Budget::Period period) override {
    const std::lock_guard lock(mutex_);
    return uses_[{account, period}];
  }
  bool flush(std::chrono::milliseconds) override { return true; }

  void set_use(const std::string& account, Budget::Period period, const BudgetUse& use) {
    const std::lock_guard lock(mutex_);
    uses_[{account, period}] = use;
  }
  /// Reservations not yet settled.
  std::size_t open() const {
    const std::lock_guard lock(mutex_);
    return taken_.size();
  }
  /// How often it was asked to answer at once.
  int asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  bool suspends = false;  ///< answers only through `reserve`, as over Redis

 protected:
  void settle_id(std::uint64_t id, NanoUsd cost) override {
    const std::lock_guard lock(mutex_);
    const auto found = taken_.find(id);
    if (found == taken_.end()) return;
    for (const Key& key : found->second.keys) {
      uses_[key].reserved = uses_[key].reserved - found->second.estimate;
      uses_[key].spent += cost;
    }
    taken_.erase(found);
  }

 private:
  using Key = std::pair<std::string, Budget::Period>;
  struct Taken {
    std::vector<Key> keys;
    NanoUsd estimate;
  };
  Result<Reservation> take(std::span<const Budget> budgets, NanoUsd estimate) {
    Taken taken{{}, estimate};
    for (const Budget& budget : budgets) {
      const BudgetUse& now = uses_[{budget.account, budget.period}];
      const bool dear = budget.max_spend && now.spent + now.reserved + estimate > *budget.max_spend;
      if (dear || (budget.max_requests && now.requests >= *budget.max_requests)) {
        auto refused = fail(Errc::kRateLimited, "the budget of " + budget.account + " is used up");
        refused.error().reason = dear ? "budget_exceeded" : "request_limit_exceeded";
        return refused;
      }
      taken.keys.emplace_back(budget.account, budget.period);
    }
    for (const Key& key : taken.keys) {
      uses_[key].reserved += estimate;
      ++uses_[key].requests;
    }
    taken_[++last_] = std::move(taken);
    return make_reservation(*this, last_);
  }

  mutable std::mutex mutex_;
  std::map<Key, BudgetUse> uses_;
  std::map<std::uint64_t, Taken> taken_;
  std::uint64_t last_ = 0;
  int asked_ = 0;
};

/// Keeps what is recorded.
class AuditFake final : public AuditLog {
 public:
  bool record(AuditEntry entry) override {
    const std::lock_guard lock(mutex_);
    entries_.push_back(std::move(entry));
    return true;
  }
  Task<std::string> append(AuditEntry entry) override {
    if (away) co_return fail(Errc::kUnavailable, "the audit log is away");
    record(std::move(entry));
    co_return "aud_" + std::to_string(entries().size());
  }
  Task<std::vector<StoredAuditEntry>> query(AuditFilter filter) override {
    std::vector<StoredAuditEntry> found;
    std::int64_t skipped = 0;
    for (AuditEntry& entry : entries()) {
      if (entry.org_id != filter.org_id) continue;
      if (!filter.user_id.empty() && entry.user_id != filter.user_id) continue;
      if (skipped++ < filter.offset) continue;
      if (std::ssize(found) == filter.limit) break;
      static_cast<AuditEntry&>(found.emplace_back()) = std::move(entry);
    }
    co_return found;
  }
  Task<AuditVerification> verify(std::string) override { co_return verification; }
  Task<std::int64_t> trim(std::string org_id, Clock::Time before) override {
    trims[org_id] = before;
    co_return 3;
  }
  bool flush(std::chrono::milliseconds) override { return true; }
  std::uint64_t dropped() const override { return 0; }

  std::vector<AuditEntry> entries() const {
    const std::lock_guard lock(mutex_);
    return entries_;
  }
  /// "api_key.create api_key/ask_acme_abc success" of everything so far.
  std::vector<std::string> lines() const {
    std::vector<std::string> lines;
    for (const AuditEntry& entry : entries())
      lines.push_back(entry.action + ' ' + entry.resource + ' ' + entry.result);
    return lines;
  }

  AuditVerification verification;            ///< what `verify` finds
  std::map<std::string, Clock::Time> trims;  ///< what `trim` was asked for
  bool away = false;                         ///< `append` fails, as without the database

 private:
  mutable std::mutex mutex_;
  std::vector<AuditEntry> entries_;
};

}  // namespace asahi::identity::testing
