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
/// exactly is allowed, reaching a request cap is refused (§9.3). An estimate of zero says that the
/// call is free (a hit): it is a request without spend, allowed at the cap too.
///
/// Estimates may be too low. A call is admitted at once when
///     spent + factor × reserved + estimate ≤ cap,
/// where the factor says how far open calls of this account may exceed their estimates: 4 at
/// first, then what was seen (budget_local.h). As long as none exceeds it, the total stays below
/// the cap plus the last call's cost. What fits at factor 1 only waits, up to 5 s, until open calls
/// have settled; what does not fit at factor 1 is refused at once.
///
/// A day is the last 24 h in slices of 5 minutes: use counts for 24 h to 24 h 5 min. Requests count
/// when they are reserved, spend when it is settled.
///
/// A reservation is written to a file of the data folder before `reserve` returns and survives
/// `kill -9` (not the loss of power): what was reserved and never settled counts as spent at its
/// estimate when the process starts again. Totals go to SQL in the background, about once a second
/// (table `budget_use`), and from there back at start on another machine. With Redis the sums are
/// shared by all replicas; while it is away each goes on with its own and what it last knew.
///
/// Thread-safe. Outlives its reservations, and goes before the loops do.
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
  /// Reserves one request and `estimate` against every budget (of at most 8 accounts), or nothing.
  /// Without suspending where it can (in process, or Redis away); empty: it has to ask or to wait,
  /// use `reserve`. Errors: rate_limited with reason "budget_exceeded" or "request_limit_exceeded",
  /// the account, the cap and the current use in the message, and retry_after; unavailable (the
  /// journal is full or broken, too many accounts or open calls); invalid_argument (account name).
  virtual std::optional<Result<Reservation>> try_reserve(std::span<const Budget> budgets,
                                                         NanoUsd estimate) = 0;
  /// The same, on a loop; waits up to 5 s for open calls and at most the client's timeout for
  /// Redis.
  virtual Task<Reservation> reserve(std::vector<Budget> budgets, NanoUsd estimate) = 0;
  /// Tells, before a call of these budgets is reserved, what it may cost at most: further calls
  /// then wait for open ones rather than pass on the strength of estimates that the truth may leave
  /// far behind. Never blocks.
  virtual void expect(std::span<const Budget> budgets, NanoUsd estimate, NanoUsd most) = 0;
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
