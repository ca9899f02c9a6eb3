#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "identity/limits/budget_book.h"
#include "identity/limits/budget_journal.h"
#include "identity/limits/budget_ledger.h"

namespace asahi::identity {

/// How far the estimates of an account's calls can be believed: the factor by which calls that are
/// still open are assumed to exceed their estimates. 4 until 256 calls have been settled; then a
/// quarter above the worst of the last one to two days, at least 1; and never less than what calls
/// were said to cost at most. Calls that cost nothing say nothing.
class EstimateTrust {
 public:
  void learn(NanoUsd estimate, NanoUsd cost, Clock::Time now);
  /// A call of this estimate may cost up to `most`: the factor is at least that for one to two
  /// days.
  void expect(NanoUsd estimate, NanoUsd most, Clock::Time now);
  /// In sixteenths, so that sums stay whole numbers; at least 16.
  std::int64_t factor() const;

 private:
  void turn(Clock::Time now);
  std::uint32_t samples_ = 0;
  std::int64_t bound_ = 0, bound_before_ = 0;  ///< most over estimate, as `worst_`
  std::int64_t worst_ = 0;                     ///< since `since_`, in sixteenths
  std::int64_t worst_before_ = 0;              ///< in the day before
  Clock::Time since_{};
};
/// `amount` × `sixteenths` / 16, rounded up.
NanoUsd scaled(NanoUsd amount, std::int64_t sixteenths);

/// The refusal that a caller sees; `retry_after` from now.
Error budget_refusal(const Budget& budget, const BudgetUse& use, NanoUsd estimate,
                     std::optional<std::chrono::milliseconds> retry_after);
Error request_refusal(const Budget& budget, const BudgetUse& use,
                      std::chrono::milliseconds retry_after);

/// The budgets of this process: the book, the journal under it and what is known of other nodes.
/// Thread-safe; one mutex, held for about a microsecond per call.
///
/// A call is admitted when for every budget
///     spent + factor × reserved + estimate ≤ cap,
/// where `reserved` is the sum of the estimates of open calls. No later call is counted on top of
/// the last one admitted, so the total never exceeds the cap by more than that one call's cost, as
/// long as no open call costs more than `factor` times its estimate. What only fits at factor 1
/// waits until open calls have settled; what does not fit at factor 1 is refused.
class LocalBudgets {
 public:
  LocalBudgets(std::unique_ptr<BudgetJournal> journal, BudgetBook book, BudgetLedgerOptions options,
               const Clock& clock);

  void expect(std::span<const Budget> budgets, NanoUsd estimate, NanoUsd most);
  enum class Caps { kCheck, kPassed };  ///< kPassed: the shared sums have admitted it
  /// Reserves. Empty: fits only if open calls cost what was estimated; ask again. Errors:
  /// rate_limited, invalid_argument, unavailable (journal, too many accounts or calls).
  Result<std::optional<std::uint64_t>> reserve(std::span<const Budget> budgets, NanoUsd estimate,
                                               Caps caps);
  struct Settled {
    NanoUsd estimate;
    std::vector<std::string> accounts;
  };
  /// False: it was settled before. `settled`, if wanted, takes what it was.
  bool settle(std::uint64_t id, NanoUsd cost, Settled* settled = nullptr);
  BudgetUse use(const std::string& account, Budget::Period period);

  // For the database.
  struct Row {
    std::string account;
    std::string bucket;
    BudgetSums sums;
  };
  struct Batch {
    std::vector<Row> rows;
    std::vector<std::pair<std::string, std::int64_t>> changed;  ///< accounts and since which slice
    std::size_t whole = 0;  ///< how many of these are in it with all that changed
  };
  /// What changed since it was last taken, at most about `limit` rows; give it back when it could
  /// not be written.
  Batch take_changed(std::size_t limit);
  std::size_t changed_accounts();
  void give_back(const Batch& batch);
  /// A stored row of another node.
  void add_other(const std::string& node, const Row& row);
  const std::string& node() const { return journal_->node(); }

  // For the shared sums.
  /// This node's settled use of an account, and what other nodes were known to have used.
  struct Truth {
    std::string account;
    std::int64_t seq = 0;  ///< grows with every truth of this node, over restarts too
    BudgetSums day;
    BudgetSums month;
    NanoUsd reserved;
    std::int64_t open = 0;
    std::int64_t factor = 16;
    std::vector<std::pair<std::string, std::pair<BudgetSums, BudgetSums>>> others;  ///< day, month
  };
  Result<Truth> truth(const std::string& account);
  /// Sums of the other nodes, by which this one decides alone when they cannot be asked.
  struct Shared {
    Clock::Time at{};
    BudgetSums day;
    BudgetSums month;
    BudgetSums open;
  };
  void learn_shared(const std::string& account, const Shared& shared);
  /// Accounts with use of this node.
  std::vector<std::string> used_accounts();
  /// Forgets old slices of all accounts.
  void age();
  /// Until the day's or month's use leaves room for this call.
  std::chrono::milliseconds room_in(const Budget& budget, NanoUsd estimate);

  /// Journal upkeep, by the background thread: next segment, checkpoint. True when folded.
  Result<bool> tend_journal();
  /// True once each time there is something to tend.
  bool take_tending_due() { return journal_->take_due(); }

 private:
  struct Side {
    EstimateTrust trust;
    std::int64_t changed_since = kUnchanged;
    std::vector<std::pair<std::string, BudgetWindow>> others;  ///< by node, as the database said
    std::optional<Shared> shared;  ///< takes the place of `others` once known
  };
  static constexpr std::int64_t kUnchanged = INT64_MAX;

  /// Makes the account if there is none; never in the place of one in `keep`.
  Result<std::uint32_t> number_of(const std::string& account, const AccountSet& keep,
                                  Clock::Time now);
  std::optional<std::uint32_t> idle_number(const AccountSet& keep, Clock::Time now);
  BudgetUse use_of(std::uint32_t number, Budget::Period period, Clock::Time now);
  std::chrono::milliseconds room_in_locked(std::uint32_t number, const Budget& budget,
                                           NanoUsd estimate, Clock::Time now);
  void changed(std::uint32_t number, std::int64_t slice);

  const BudgetLedgerOptions options_;
  const Clock& clock_;
  Logger log_{"identity"};
  std::mutex mutex_;
  std::unique_ptr<BudgetJournal> journal_;
  BudgetBook book_;
  std::deque<Side> sides_;  ///< beside the book's accounts
  std::deque<std::uint32_t> changed_;
  std::vector<std::uint32_t> idle_;  ///< numbers that had nothing used when last looked
  Clock::Time looked_for_idle_{};
  std::int64_t last_seq_ = 0;
};

}  // namespace asahi::identity
