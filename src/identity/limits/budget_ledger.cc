#include "identity/limits/budget_ledger.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "base/log.h"
#include "identity/limits/budget_journal.h"
#include "identity/limits/budget_local.h"
#include "identity/limits/budget_shared.h"
#include "identity/limits/budget_table.h"
#include "net/loop.h"

namespace asahi::identity {
namespace {

using std::chrono::milliseconds;

/// How long a call waits for room that open calls may leave, and how often it looks.
constexpr milliseconds kMostWait{5'000};
constexpr milliseconds kFirstLook{5};
constexpr milliseconds kLastLook{100};

/// How often the background thread looks after the database and the journal.
constexpr milliseconds kRound{1'000};
constexpr milliseconds kMostPause{30'000};

class Ledger final : public BudgetLedger {
 public:
  Ledger(std::shared_ptr<LocalBudgets> local, std::shared_ptr<SharedBudgets> shared,
         sql::Database& database, const Clock& clock)
      : local_(std::move(local)), shared_(std::move(shared)), table_(database), clock_(clock) {
    restored_ = restore();
    thread_ = std::thread([this] { run(); });
  }

  ~Ledger() override {
    {
      const std::scoped_lock lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    thread_.join();
    if (shared_) shared_->stop();
  }

  std::optional<Result<Reservation>> try_reserve(std::span<const Budget> budgets,
                                                 NanoUsd estimate) override {
    if (budgets.empty()) return Result<Reservation>();
    if (shared_ && shared_->available()) return std::nullopt;
    auto id = local_->reserve(budgets, estimate, LocalBudgets::Caps::kCheck);
    if (local_->take_tending_due()) wake_to_tend();
    if (!id) return std::unexpected(std::move(id.error()));
    if (!*id) return std::nullopt;
    return make_reservation(*this, **id);
  }

  Task<Reservation> reserve(std::vector<Budget> budgets, NanoUsd estimate) override {
    estimate = std::max(estimate, NanoUsd{0});
    if (budgets.empty()) co_return Reservation();
    milliseconds waited{0};
    for (milliseconds look = kFirstLook;; look = std::min(look * 2, kLastLook)) {
      ASAHI_CO_TRY(auto id, co_await reserve_once(budgets, estimate));
      if (id) co_return make_reservation(*this, *id);
      net::Loop* const loop = net::Loop::current();
      if (waited >= kMostWait || loop == nullptr)
        co_return std::unexpected(too_long(budgets, estimate));
      co_await loop->sleep_for(look);
      waited += look;
    }
  }

  void expect(std::span<const Budget> budgets, NanoUsd estimate, NanoUsd most) override {
    local_->expect(budgets, estimate, most);
  }

  BudgetUse use(const std::string& account, Budget::Period period) override {
    return local_->use(account, period);
  }

  bool flush(milliseconds limit) override {
    std::unique_lock lock(mutex_);
    const std::uint64_t round = ++asked_;
    wake_.notify_all();
    return done_.wait_for(lock, limit, [&] { return written_ >= round; });
  }

 protected:
  void settle_id(std::uint64_t id, NanoUsd cost) override {
    if (!shared_) {
      local_->settle(id, cost);
      return;
    }
    LocalBudgets::Settled settled;
    if (!local_->settle(id, cost, &settled)) return;
    std::string token;
    {
      const std::scoped_lock lock(tokens_mutex_);
      if (const auto found = tokens_.find(id); found != tokens_.end()) {
        token = std::move(found->second);
        tokens_.erase(found);
      }
    }
    shared_->release(token, settled.estimate, settled.accounts);
  }

 private:
  /// Empty: wait and ask again.
  Task<std::optional<std::uint64_t>> reserve_once(const std::vector<Budget>& budgets,
                                                  NanoUsd estimate) {
    auto caps = LocalBudgets::Caps::kCheck;
    std::string token;
    if (shared_ && shared_->available()) {
      token = shared_->new_token();
      auto answer = co_await shared_->ask(budgets, estimate, token);
      if (answer.verdict == SharedBudgets::Verdict::kWait) co_return std::nullopt;
      if (answer.verdict == SharedBudgets::Verdict::kRefused) {
        co_return std::unexpected(std::move(answer.refusal));
      }
      if (answer.verdict == SharedBudgets::Verdict::kAdmitted) {
        caps = LocalBudgets::Caps::kPassed;
      }
    }
    auto id = local_->reserve(budgets, estimate, caps);
    if (local_->take_tending_due()) wake_to_tend();
    if (token.empty()) co_return id;
    if (id && *id) {
      const std::scoped_lock lock(tokens_mutex_);
      tokens_.emplace(**id, std::move(token));
      co_return id;
    }
    std::vector<std::string> accounts;
    for (const Budget& budget : budgets) accounts.push_back(budget.account);
    shared_->release(token, estimate, accounts);
    co_return id;
  }

  void wake_to_tend() {
    {
      const std::scoped_lock lock(mutex_);
      tend_ = true;
    }
    wake_.notify_one();
  }

  Error too_long(const std::vector<Budget>& budgets, NanoUsd estimate) {
    const auto spend = std::ranges::find_if(
        budgets, [](const Budget& budget) { return budget.max_spend.has_value(); });
    const Budget& budget = spend == budgets.end() ? budgets.front() : *spend;
    return budget_refusal(budget, local_->use(budget.account, budget.period), estimate,
                          milliseconds{1'000});
  }

  bool restore() {
    const auto rows = table_.restore(*local_, clock_.now());
    if (rows) {
      if (*rows > 0) log_.info("budgets of other nodes were restored", {{"rows", *rows}});
      return true;
    }
    log_.warning("budgets cannot be restored from the database yet; this is tried again",
                 {{"error", rows.error().message}});
    return false;
  }

  /// Writes what had changed when it began; busy accounts change again meanwhile.
  Result<void> write_changes() {
    if (!restored_) restored_ = restore();
    for (std::size_t left = local_->changed_accounts(); left > 0;) {
      const auto batch = local_->take_changed(BudgetTable::kRowsPerStatement);
      if (batch.changed.empty()) break;
      if (auto done = table_.write(local_->node(), batch.rows, clock_.now()); !done) {
        local_->give_back(batch);
        return done;
      }
      left -= std::min(left, batch.whole);
      const std::scoped_lock lock(mutex_);
      if (stop_ && ++batches_after_stop_ > kBatchesAfterStop) break;
    }
    return {};
  }

  void run() {
    milliseconds pause = kRound;
    std::int64_t slice = slice_of(clock_.now());
    std::int64_t purged = 0;
    for (bool last = false; !last;) {
      std::uint64_t asked = 0;
      {
        std::unique_lock lock(mutex_);
        wake_.wait_for(lock, pause, [&] { return stop_ || tend_ || asked_ != written_; });
        tend_ = false;
        asked = asked_;
        last = stop_;
      }
      if (auto tended = local_->tend_journal(); !tended) {
        if (auto held_back = journal_outage_.pass(clock_.steady_now())) {
          log_.error("the budget journal cannot be tended",
                     {{"error", tended.error().message}, {"suppressed", *held_back}});
        }
      }
      const auto written = write_changes();
      if (!written) {
        if (auto held_back = database_outage_.pass(clock_.steady_now())) {
          log_.warning("budgets are not written to the database; the journal keeps them",
                       {{"error", written.error().message}, {"suppressed", *held_back}});
        }
      }
      const std::int64_t now = slice_of(clock_.now());
      if (written && now != slice) {
        slice = now;
        // Before they are forgotten here: what others see has to shrink too.
        if (shared_) shared_->refresh(local_->used_accounts());
        local_->age();
      }
      if (written && now - purged >= kSlicesPerDay / 24) {
        purged = now;
        if (auto done = table_.purge(clock_.now()); !done) {
          log_.warning("old budgets are not deleted from the database",
                       {{"error", done.error().message}});
        }
      }
      const std::scoped_lock lock(mutex_);
      pause = written ? kRound : std::min(pause * 2, kMostPause);
      if (written) written_ = asked;
      if (!written && asked_ == asked) asked_ = written_;  // who asked has waited for this attempt
      done_.notify_all();
    }
  }

  static constexpr std::size_t kBatchesAfterStop = 100;

  const std::shared_ptr<LocalBudgets> local_;
  const std::shared_ptr<SharedBudgets> shared_;  ///< null: this process alone
  BudgetTable table_;
  const Clock& clock_;
  Logger log_{"identity"};
  RateLimited journal_outage_{std::chrono::minutes{1}};
  RateLimited database_outage_{std::chrono::minutes{1}};

  std::mutex tokens_mutex_;
  std::unordered_map<std::uint64_t, std::string> tokens_;  ///< of open reservations in Redis

  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  bool stop_ = false;
  bool tend_ = false;
  std::uint64_t asked_ = 0;    ///< flushes asked for
  std::uint64_t written_ = 0;  ///< the last one that wrote all
  std::size_t batches_after_stop_ = 0;
  bool restored_ = false;
  std::thread thread_;
};

}  // namespace

BudgetLedger::Reservation& BudgetLedger::Reservation::operator=(Reservation&& other) noexcept {
  if (this != &other) {
    settle({});
    ledger_ = std::exchange(other.ledger_, nullptr);
    id_ = other.id_;
  }
  return *this;
}

BudgetLedger::Reservation::~Reservation() { settle({}); }

void BudgetLedger::Reservation::settle(NanoUsd cost) {
  if (BudgetLedger* const ledger = std::exchange(ledger_, nullptr)) ledger->settle_id(id_, cost);
}

Result<std::unique_ptr<BudgetLedger>> open_budget_ledger(BudgetLedgerOptions options,
                                                         sql::Database& database,
                                                         std::shared_ptr<cache::RedisClients> redis,
                                                         const Clock& clock) {
  const Logger log("identity");
  BudgetBook book;
  ASAHI_TRY(auto journal, BudgetJournal::open({.file = options.journal_file}, book, clock.now()));
  const BudgetJournal::Recovered& recovered = journal->recovered();
  if (recovered.torn) {
    log.warning("the budget journal's last record was not whole, and is dropped",
                {{"file", options.journal_file}});
  }
  if (recovered.settled_at_estimate > 0) {
    log.warning("calls that were open when the process ended count as spent at their estimates",
                {{"calls", recovered.settled_at_estimate}});
  }
  auto local = std::make_shared<LocalBudgets>(std::move(journal), std::move(book),
                                              std::move(options), clock);
  std::shared_ptr<SharedBudgets> shared;
  if (redis != nullptr) shared = std::make_shared<SharedBudgets>(std::move(redis), local, clock);
  return std::make_unique<Ledger>(std::move(local), std::move(shared), database, clock);
}

}  // namespace asahi::identity
