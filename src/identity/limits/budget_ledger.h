#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/money.h"
#include "base/task.h"
#include "storage/cache/redis_client.h"
#include "storage/sql/database.h"

namespace asahi::identity {

/// What an account may use within a period. An account is an organisation ("org/acme"), a key
/// ("key/ask_acme_ab12"), a user ("user/acme/u1"): whoever has a cap.
struct Budget {
  std::string account;
  enum class Period : std::uint8_t {
    kDay,
    kMonth
  } period = Period::kDay;  ///< rolling 24 h; calendar month in UTC
  std::optional<NanoUsd> max_spend;
  std::optional<std::int64_t> max_requests;
};

/// Use within the period: settled plus what is reserved now.
struct BudgetUse {
  NanoUsd spent;
  NanoUsd reserved;
  std::int64_t requests = 0;
};

/// Spend and request budgets that hold under concurrency and crashes. A call reserves its estimate
/// before the vendor is asked and settles with what it really cost; concurrent calls see each
/// other's reservations, so that a budget is overrun by at most one request. Reaching a spend cap
/// exactly is allowed, reaching a request cap is refused (§9.3).
///
/// A reservation is written to a file of the data folder before `reserve` returns and survives
/// `kill -9`: what was reserved and never settled counts as spent at its estimate when the process
/// starts again. Totals go to SQL in the background (table `budget_use`), and from there back at
/// start on another machine. With Redis the sums are shared by all replicas.
class BudgetLedger {
 public:
  /// Settles with zero when it is dropped unsettled (the call failed and cost nothing). Movable.
  class Reservation {
   public:
    Reservation() = default;
    Reservation(Reservation&& other) noexcept
        : ledger_(std::exchange(other.ledger_, nullptr)), id_(other.id_) {}
    Reservation& operator=(Reservation&& other) noexcept;
    ~Reservation();
    /// What the call really cost. Once; never fails, never blocks.
    void settle(NanoUsd cost);
    explicit operator bool() const { return ledger_ != nullptr; }

   private:
    friend class BudgetLedger;
    Reservation(BudgetLedger* ledger, std::uint64_t id) : ledger_(ledger), id_(id) {}
    BudgetLedger* ledger_ = nullptr;
    std::uint64_t id_ = 0;
  };

  virtual ~BudgetLedger() = default;
  /// Reserves one request and `estimate` against every budget, or nothing. Without suspending where
  /// the backend can (in process); empty: use `reserve`. Errors: rate_limited with reason
  /// "budget_exceeded" or "request_limit_exceeded", the account, the cap and the current use in the
  /// message, and retry_after.
  virtual std::optional<Result<Reservation>> try_reserve(std::span<const Budget> budgets,
                                                         NanoUsd estimate) = 0;
  virtual Task<Reservation> reserve(std::vector<Budget> budgets, NanoUsd estimate) = 0;
  /// What an account used in the period that runs now. In process, from memory.
  virtual BudgetUse use(const std::string& account, Budget::Period period) = 0;
  /// Writes what is pending to SQL; ordinary thread. True when all is written within `limit`.
  virtual bool flush(std::chrono::milliseconds limit) = 0;

 protected:
  virtual void settle_id(std::uint64_t id, NanoUsd cost) = 0;
  static Reservation make_reservation(BudgetLedger& ledger, std::uint64_t id) {
    return {&ledger, id};
  }
};

struct BudgetLedgerOptions {
  std::string journal_file;  ///< "<data>/budgets.journal"
  std::size_t max_accounts = 100'000;
  std::size_t max_open_reservations = 65'536;
};

/// `database` and `clock` outlive the ledger; `redis` null: this process alone. Errors: unavailable
/// (the journal cannot be written), corrupt (it cannot be read; says how to mend it).
Result<std::unique_ptr<BudgetLedger>> open_budget_ledger(BudgetLedgerOptions options,
                                                         sql::Database& database,
                                                         std::shared_ptr<cache::RedisClients> redis,
                                                         const Clock& clock);

}  // namespace asahi::identity
