#pragma once
// Identity's parts as governance meets them, in memory and open to the test's eyes.

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "gateway/governance/gdpr.h"
#include "identity/audit/audit.h"
#include "identity/limits/budget_ledger.h"
#include "identity/limits/rate_limiter.h"

namespace asahi::gateway::testing {

/// Budgets per account and period, without time.
class LedgerFake final : public identity::BudgetLedger {
 public:
  using Key = std::pair<std::string, identity::Budget::Period>;

  std::optional<Result<Reservation>> try_reserve(std::span<const identity::Budget> budgets,
                                                 NanoUsd estimate) override {
    ++asked;
    if (suspends) return std::nullopt;
    return take(budgets, estimate);
  }
  void expect(std::span<const identity::Budget>, NanoUsd, NanoUsd) override {}
  Task<Reservation> reserve(std::vector<identity::Budget> budgets, NanoUsd estimate) override {
    co_return take(budgets, estimate);
  }
  identity::BudgetUse use(const std::string& account, identity::Budget::Period period) override {
    return uses[{account, period}];
  }
  bool flush(std::chrono::milliseconds) override { return true; }

  std::map<Key, identity::BudgetUse> uses;
  bool suspends = false;
  int asked = 0;
  int open = 0;

 protected:
  void settle_id(std::uint64_t id, NanoUsd cost) override {
    for (const Key& key : taken_.at(id).keys) {
      uses[key].reserved = uses[key].reserved - taken_.at(id).estimate;
      uses[key].spent += cost;
    }
    taken_.erase(id);
    --open;
  }

 private:
  struct Taken {
    std::vector<Key> keys;
    NanoUsd estimate;
  };
  Result<Reservation> take(std::span<const identity::Budget> budgets, NanoUsd estimate) {
    Taken taken{{}, estimate};
    for (const identity::Budget& budget : budgets) {
      const identity::BudgetUse& now = uses[{budget.account, budget.period}];
      const bool dear = budget.max_spend && now.spent + now.reserved + estimate > *budget.max_spend;
      if (dear || (budget.max_requests && now.requests >= *budget.max_requests)) {
        auto refused = fail(Errc::kRateLimited, "no room");
        refused.error().reason = dear ? "budget_exceeded" : "request_limit_exceeded";
        return refused;
      }
      taken.keys.emplace_back(budget.account, budget.period);
    }
    for (const Key& key : taken.keys) {
      uses[key].reserved += estimate;
      ++uses[key].requests;
    }
    taken_[++last_] = std::move(taken);
    ++open;
    return make_reservation(*this, last_);
  }
  std::map<std::uint64_t, Taken> taken_;
  std::uint64_t last_ = 0;
};

/// Counters without time, by "scope/unit/id".
class LimiterFake final : public identity::RateLimiter {
 public:
  std::string_view backend() const override { return "memory"; }
  std::optional<identity::LimitVerdict> try_take(std::span<const Ask> asks) override {
    for (const Ask& ask : asks) {
      if (taken[name(ask.limit)] + ask.amount > ask.limit.max) {
        return identity::LimitVerdict{.allowed = false,
                                      .scope = ask.limit.scope,
                                      .unit = ask.limit.unit,
                                      .max = ask.limit.max,
                                      .remaining = 0,
                                      .reset = {},
                                      .retry_after = std::chrono::seconds(7)};
      }
    }
    for (const Ask& ask : asks) taken[name(ask.limit)] += ask.amount;
    return identity::LimitVerdict{};
  }
  Aw<identity::LimitVerdict> take(std::vector<Ask> asks) override { co_return *try_take(asks); }
  void adjust(const identity::Limit& limit, std::int64_t by, identity::LimitStamp) override {
    taken[name(limit)] += by;
  }

  std::map<std::string, std::int64_t> taken;

 private:
  static std::string name(const identity::Limit& limit) {
    constexpr std::string_view kScopes[] = {"ip", "key", "user", "org", "model"};
    return std::string(kScopes[static_cast<std::size_t>(limit.scope)]) +
           (limit.unit == identity::Limit::Unit::kTokens ? "/tokens/" : "/requests/") +
           (limit.scope == identity::LimitScope::kUser ||
                    limit.scope == identity::LimitScope::kModel
                ? limit.org + "/"
                : std::string()) +
           limit.id;
  }
};

class AuditFake final : public identity::AuditLog {
 public:
  bool record(identity::AuditEntry entry) override {
    entries.push_back(std::move(entry));
    return true;
  }
  Task<std::string> append(identity::AuditEntry entry) override {
    if (away) co_return fail(Errc::kUnavailable, "the audit log is away");
    entries.push_back(std::move(entry));
    co_return "aud_" + std::to_string(entries.size());
  }
  Task<std::vector<identity::StoredAuditEntry>> query(identity::AuditFilter filter) override {
    std::vector<identity::StoredAuditEntry> found;
    for (const identity::AuditEntry& entry : entries) {
      if (entry.org_id != filter.org_id ||
          (!filter.user_id.empty() && entry.user_id != filter.user_id))
        continue;
      identity::StoredAuditEntry stored;
      static_cast<identity::AuditEntry&>(stored) = entry;
      found.push_back(std::move(stored));
    }
    const auto skipped =
        std::min<std::size_t>(found.size(), static_cast<std::size_t>(filter.offset));
    found.erase(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(skipped));
    if (found.size() > static_cast<std::size_t>(filter.limit))
      found.resize(static_cast<std::size_t>(filter.limit));
    co_return found;
  }
  Task<identity::AuditVerification> verify(std::string) override { co_return verification; }
  Task<std::int64_t> trim(std::string org_id, Clock::Time before) override {
    trims[org_id] = before;
    co_return 3;
  }
  bool flush(std::chrono::milliseconds) override { return true; }
  std::uint64_t dropped() const override { return 0; }

  std::vector<identity::AuditEntry> entries;
  identity::AuditVerification verification;
  std::map<std::string, Clock::Time> trims;
  bool away = false;
};

class AccountsFake final : public Accounts {
 public:
  Task<json::value> describe(std::string org_id, std::string user_id) override {
    if (!people.contains({org_id, user_id})) co_return json::value(nullptr);
    co_return json::object{{"user_id", user_id}, {"email", user_id + "@example.com"}};
  }
  Task<Erased> erase(std::string org_id, std::string user_id) override {
    const auto gone = static_cast<std::int64_t>(people.erase({org_id, user_id}));
    co_return Erased{.users = gone, .keys = gone};
  }
  std::set<std::pair<std::string, std::string>> people;
};

}  // namespace asahi::gateway::testing
