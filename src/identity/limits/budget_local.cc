#include "identity/limits/budget_local.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"
#include "identity/limits/budget_records.h"

namespace asahi::identity {
namespace {

using std::chrono::milliseconds;

constexpr std::int64_t kOne = 16;
constexpr std::int64_t kColdFactor = 4 * kOne;
constexpr std::int64_t kMostFactor = 64 * kOne;
constexpr std::int64_t kMostBound = 1'000'000 * kOne;
constexpr std::uint32_t kEnoughSamples = 256;
constexpr std::chrono::hours kDay{24};
constexpr std::size_t kMaxAccountName = 512;
constexpr milliseconds kSoon{1'000};
/// One million dollars: more is a mistake in the price list, and would break sums.
constexpr NanoUsd kMostPerCall{1'000'000'000'000'000};

/// `amount` ÷ `of` in sixteenths, rounded up.
std::int64_t ratio_of(NanoUsd amount, NanoUsd of, std::int64_t most) {
  const auto ratio = (static_cast<__int128>(amount.nanos) * kOne + of.nanos - 1) / of.nanos;
  return static_cast<std::int64_t>(std::min<__int128>(ratio, most));
}

NanoUsd bounded(NanoUsd amount) { return std::clamp(amount, NanoUsd{0}, kMostPerCall); }

std::string_view period_name(Budget::Period period) {
  return period == Budget::Period::kDay ? "day" : "month";
}

milliseconds until(Clock::Time when, Clock::Time now) {
  return std::max(kSoon, std::chrono::ceil<milliseconds>(when - now));
}

bool is_plain(std::string_view name) {
  return !name.empty() && name.size() <= kMaxAccountName && is_utf8(name) &&
         std::ranges::none_of(name, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
}

}  // namespace

void EstimateTrust::learn(NanoUsd estimate, NanoUsd cost, Clock::Time now) {
  if (estimate.nanos <= 0 || cost.nanos <= 0) return;
  turn(now);
  if (samples_ < kEnoughSamples) ++samples_;
  worst_ = std::max(worst_, ratio_of(cost, estimate, kMostFactor));
}

void EstimateTrust::expect(NanoUsd estimate, NanoUsd most, Clock::Time now) {
  if (estimate.nanos <= 0 || most <= estimate) return;
  turn(now);
  bound_ = std::max(bound_, ratio_of(most, estimate, kMostBound));
}

void EstimateTrust::turn(Clock::Time now) {
  if (now - since_ < kDay) return;
  const bool yesterday = now - since_ < 2 * kDay;
  worst_before_ = yesterday ? worst_ : 0;
  bound_before_ = yesterday ? bound_ : 0;
  worst_ = bound_ = 0;
  since_ = now;
}

std::int64_t EstimateTrust::factor() const {
  const std::int64_t worst = std::max(worst_, worst_before_);
  const std::int64_t least = samples_ < kEnoughSamples ? kColdFactor : kOne;
  return std::max({std::clamp(worst + (worst + 3) / 4, least, kMostFactor), bound_, bound_before_});
}

NanoUsd scaled(NanoUsd amount, std::int64_t sixteenths) {
  const auto product = (static_cast<__int128>(amount.nanos) * sixteenths + kOne - 1) / kOne;
  return {static_cast<std::int64_t>(std::min<__int128>(product, INT64_MAX))};
}

Error budget_refusal(const Budget& budget, const BudgetUse& use, NanoUsd estimate,
                     std::optional<milliseconds> retry_after) {
  auto failure = fail(
      Errc::kRateLimited,
      fmt::format("the {} spend budget of {} is ${}: ${} is spent, ${} reserved by calls in "
                  "flight, and this call is estimated at ${}; wait until older use is forgotten, "
                  "or raise the budget",
                  period_name(budget.period), budget.account,
                  to_decimal(budget.max_spend.value_or(NanoUsd{})), to_decimal(use.spent),
                  to_decimal(use.reserved), to_decimal(estimate)));
  failure.error().reason = "budget_exceeded";
  failure.error().retry_after = retry_after;
  return std::move(failure).error();
}

Error request_refusal(const Budget& budget, const BudgetUse& use, milliseconds retry_after) {
  auto failure =
      fail(Errc::kRateLimited,
           fmt::format("the {} request budget of {} is {}, and {} were made; wait until older use "
                       "is forgotten, or raise the budget",
                       period_name(budget.period), budget.account, budget.max_requests.value_or(0),
                       use.requests));
  failure.error().reason = "request_limit_exceeded";
  failure.error().retry_after = retry_after;
  return std::move(failure).error();
}

LocalBudgets::LocalBudgets(std::unique_ptr<BudgetJournal> journal, BudgetBook book,
                           BudgetLedgerOptions options, const Clock& clock)
    : options_(std::move(options)),
      clock_(clock),
      journal_(std::move(journal)),
      book_(std::move(book)),
      sides_(book_.end()) {
  for (std::uint32_t number = 0; number < book_.end(); ++number) {
    if (!book_.has(number)) continue;
    // Whatever the journal knows and the database may have missed.
    const auto& slices = book_.at(number).used.slices();
    changed(number, slices.empty() ? slice_of(clock_.now()) : slices.front().number);
  }
}

void LocalBudgets::changed(std::uint32_t number, std::int64_t slice) {
  Side& side = sides_[number];
  if (side.changed_since == kUnchanged) changed_.push_back(number);
  side.changed_since = std::min(side.changed_since, slice);
}

std::optional<std::uint32_t> LocalBudgets::idle_number(const AccountSet& keep, Clock::Time now) {
  const auto is_idle = [&](std::uint32_t number) {
    BudgetBook::Account& account = book_.at(number);
    account.used.forget_before(now);
    Side& side = sides_[number];
    if (std::ranges::count(keep.view(), number) > 0 || account.open > 0 ||
        !account.used.empty(now) || side.changed_since != kUnchanged) {
      return false;
    }
    return std::ranges::all_of(side.others, [&](auto& other) {
      other.second.forget_before(now);
      return other.second.empty(now);
    });
  };
  if (idle_.empty() && now - looked_for_idle_ >= std::chrono::minutes{1}) {
    looked_for_idle_ = now;
    for (std::uint32_t number = 0; number < book_.end(); ++number) {
      if (is_idle(number)) idle_.push_back(number);
    }
  }
  while (!idle_.empty()) {
    const std::uint32_t number = idle_.back();
    idle_.pop_back();
    if (is_idle(number)) return number;
  }
  return std::nullopt;
}

Result<std::uint32_t> LocalBudgets::number_of(const std::string& account, const AccountSet& keep,
                                              Clock::Time now) {
  if (const auto known = book_.find(account)) return *known;
  if (!is_plain(account)) {
    return fail(Errc::kInvalidArgument,
                fmt::format("a budget account's name is UTF-8 text of 1 to {} bytes without "
                            "control characters, like \"org/acme\"",
                            kMaxAccountName));
  }
  std::uint32_t number = book_.end();
  if (book_.accounts() >= options_.max_accounts) {
    const auto idle = idle_number(keep, now);
    if (!idle) {
      return fail(Errc::kUnavailable,
                  fmt::format("{} accounts have budgets in use, and no more fit; raise the number "
                              "of budget accounts",
                              book_.accounts()));
    }
    number = *idle;
  }
  if (auto room =
          journal_->room(book_.open().size(), budget_records::account_bytes(account.size()));
      !room) {
    return std::unexpected(std::move(room.error()));
  }
  journal_->append_account(number, account);
  book_.define(number, account);
  if (number >= sides_.size()) sides_.resize(number + 1);
  sides_[number] = {};
  return number;
}

BudgetUse LocalBudgets::use_of(std::uint32_t number, Budget::Period period, Clock::Time now) {
  BudgetBook::Account& account = book_.at(number);
  Side& side = sides_[number];
  BudgetSums sums;
  NanoUsd reserved = account.reserved;
  if (period == Budget::Period::kDay) {
    account.used.forget_before(now);
    sums = account.used.day();
  } else {
    sums = account.used.month(now);
  }
  if (side.shared) {
    const Shared& shared = *side.shared;
    if (period == Budget::Period::kMonth) {
      if (month_of(shared.at) == month_of(now)) sums += shared.month;
    } else if (now - shared.at < kDay + kBudgetSlice) {
      sums += shared.day;
    }
    if (now - shared.at < kDay) {
      reserved += shared.open.spent;
      sums.requests += shared.open.requests;
    }
  } else {
    for (auto& [node, window] : side.others) {
      window.forget_before(now);
      sums += period == Budget::Period::kDay ? window.day() : window.month(now);
    }
  }
  return {sums.spent, reserved, sums.requests};
}

milliseconds LocalBudgets::room_in_locked(std::uint32_t number, const Budget& budget,
                                          NanoUsd estimate, Clock::Time now) {
  if (budget.period == Budget::Period::kMonth) return until(month_end(month_of(now)), now);
  // Others' slices are not known one by one everywhere: this node's own are the nearest guess.
  const BudgetUse use = use_of(number, budget.period, now);
  const BudgetWindow& own = book_.at(number).used;
  BudgetSums most{{INT64_MAX}, INT64_MAX};
  if (budget.max_spend) {
    const NanoUsd others = use.spent - own.day().spent;
    most.spent = *budget.max_spend - estimate - use.reserved - others;
    if (use.spent + estimate <= *budget.max_spend) return kSoon;  // once open calls have settled
  }
  if (budget.max_requests) {
    most.requests = *budget.max_requests - 1 - (use.requests - own.day().requests);
  }
  return until(own.day_below(most), now);
}

milliseconds LocalBudgets::room_in(const Budget& budget, NanoUsd estimate) {
  const Clock::Time now = clock_.now();
  const std::scoped_lock lock(mutex_);
  const auto number = book_.find(budget.account);
  return number ? room_in_locked(*number, budget, estimate, now) : kSoon;
}

void LocalBudgets::expect(std::span<const Budget> budgets, NanoUsd estimate, NanoUsd most) {
  estimate = bounded(estimate);
  most = bounded(most);
  const Clock::Time now = clock_.now();
  const std::scoped_lock lock(mutex_);
  for (const Budget& budget : budgets) {
    // An account that cannot be made is refused when it is reserved from.
    if (const auto number = number_of(budget.account, {}, now))
      sides_[*number].trust.expect(estimate, most, now);
  }
}

Result<std::optional<std::uint64_t>> LocalBudgets::reserve(std::span<const Budget> budgets,
                                                           NanoUsd estimate, Caps caps) {
  estimate = bounded(estimate);
  const Clock::Time now = clock_.now();
  const std::scoped_lock lock(mutex_);
  BudgetBook::Open open{estimate, now, {}};
  bool wait = false;
  for (const Budget& budget : budgets) {
    ASAHI_TRY(const std::uint32_t number, number_of(budget.account, open.accounts, now));
    if (!open.accounts.add(number)) {
      return fail(Errc::kInvalidArgument,
                  fmt::format("a call counts against at most {} budget accounts, and more were "
                              "given",
                              kMaxBudgetAccounts));
    }
    if (caps == Caps::kPassed) continue;
    const BudgetUse use = use_of(number, budget.period, now);
    if (budget.max_spend) {
      const NanoUsd cap = *budget.max_spend;
      if (use.spent + use.reserved + estimate > cap) {
        return std::unexpected(
            budget_refusal(budget, use, estimate, room_in_locked(number, budget, estimate, now)));
      }
      wait |= use.spent + scaled(use.reserved, sides_[number].trust.factor()) + estimate > cap;
    }
    if (budget.max_requests && use.requests >= *budget.max_requests) {
      Budget requests_only = budget;
      requests_only.max_spend.reset();
      return std::unexpected(
          request_refusal(budget, use, room_in_locked(number, requests_only, estimate, now)));
    }
  }
  if (wait) return std::optional<std::uint64_t>{};
  if (book_.open().size() >= options_.max_open_reservations) {
    return fail(Errc::kUnavailable,
                fmt::format("{} calls with budgets are open at once, and no more fit; retry when "
                            "some have ended",
                            book_.open().size()));
  }
  if (auto room = journal_->room(book_.open().size(), 0); !room) {
    return std::unexpected(std::move(room.error()));
  }
  const std::uint64_t id = book_.next_id();
  journal_->append_reserve(id, open);
  book_.reserve(id, open);
  const std::int64_t slice = slice_of(now);
  for (const std::uint32_t number : open.accounts.view()) changed(number, slice);
  return std::optional(id);
}

bool LocalBudgets::settle(std::uint64_t id, NanoUsd cost, Settled* settled) {
  cost = bounded(cost);
  const Clock::Time now = clock_.now();
  const std::scoped_lock lock(mutex_);
  if (!book_.is_open(id)) return false;
  journal_->append_settle(id, now, cost);
  const auto open = book_.settle(id, now, cost);
  const std::int64_t slice = slice_of(now);
  for (const std::uint32_t number : open->accounts.view()) {
    sides_[number].trust.learn(open->estimate, cost, now);
    changed(number, slice);
    if (settled != nullptr) settled->accounts.push_back(book_.at(number).name);
  }
  if (settled != nullptr) settled->estimate = open->estimate;
  return true;
}

BudgetUse LocalBudgets::use(const std::string& account, Budget::Period period) {
  const Clock::Time now = clock_.now();
  const std::scoped_lock lock(mutex_);
  const auto number = book_.find(account);
  return number ? use_of(*number, period, now) : BudgetUse{};
}

LocalBudgets::Batch LocalBudgets::take_changed(std::size_t limit) {
  const std::int64_t month = month_of(clock_.now());
  const std::scoped_lock lock(mutex_);
  Batch batch;
  while (!changed_.empty() && batch.rows.size() < limit) {
    const std::uint32_t number = changed_.front();
    const BudgetBook::Account& account = book_.at(number);
    Side& side = sides_[number];
    const auto& slices = account.used.slices();
    auto slice =
        std::ranges::lower_bound(slices, side.changed_since, {}, &BudgetWindow::Slice::number);
    batch.changed.emplace_back(account.name, side.changed_since);
    for (; slice != slices.end() && batch.rows.size() + 1 < limit; ++slice) {
      batch.rows.push_back({account.name, slice_name(slice->number), slice->sums});
    }
    if (slice != slices.end()) {  // the rest comes with the next batch
      side.changed_since = slice->number;
      break;
    }
    if (account.used.month_number() == month) {
      batch.rows.push_back({account.name, month_name(month), account.used.month_sums()});
    }
    side.changed_since = kUnchanged;
    changed_.pop_front();
    ++batch.whole;
  }
  return batch;
}

std::size_t LocalBudgets::changed_accounts() {
  const std::scoped_lock lock(mutex_);
  return changed_.size();
}

void LocalBudgets::give_back(const Batch& batch) {
  const std::scoped_lock lock(mutex_);
  for (const auto& [account, since] : batch.changed) {
    if (const auto number = book_.find(account)) changed(*number, since);
  }
}

void LocalBudgets::add_other(const std::string& node, const Row& row) {
  const Clock::Time now = clock_.now();
  const std::scoped_lock lock(mutex_);
  const auto number = number_of(row.account, {}, now);
  if (!number) {
    log_.warning("a stored budget was not restored", {{"error", number.error().message}});
    return;
  }
  auto& others = sides_[*number].others;
  auto other = std::ranges::find(others, node, [](const auto& known) { return known.first; });
  if (other == others.end()) other = others.insert(others.end(), {node, BudgetWindow{}});
  if (row.bucket.size() == month_name(0).size()) {
    if (row.bucket == month_name(month_of(now))) other->second.put_month(month_of(now), row.sums);
  } else if (const auto begin = parse_rfc3339(row.bucket + ":00Z")) {
    other->second.put_slice(slice_of(*begin), row.sums);
  }
}

Result<LocalBudgets::Truth> LocalBudgets::truth(const std::string& name) {
  const Clock::Time now = clock_.now();
  const std::scoped_lock lock(mutex_);
  ASAHI_TRY(const std::uint32_t number, number_of(name, {}, now));
  BudgetBook::Account& account = book_.at(number);
  Side& side = sides_[number];
  account.used.forget_before(now);
  Truth truth;
  truth.account = account.name;
  // Microseconds: a Lua number holds them exactly.
  const auto now_us = std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch());
  last_seq_ = std::max<std::int64_t>(last_seq_ + 1, now_us.count());
  truth.seq = last_seq_;
  truth.day = account.used.day();
  truth.month = account.used.month(now);
  // Open calls stand in the shared sums by their reservations.
  truth.day.requests = std::max<std::int64_t>(truth.day.requests - account.open, 0);
  truth.month.requests = std::max<std::int64_t>(truth.month.requests - account.open, 0);
  truth.reserved = account.reserved;
  truth.open = account.open;
  truth.factor = side.trust.factor();
  for (auto& [node, window] : side.others) {
    window.forget_before(now);
    truth.others.push_back({node, {window.day(), window.month(now)}});
  }
  return truth;
}

void LocalBudgets::learn_shared(const std::string& account, const Shared& shared) {
  const std::scoped_lock lock(mutex_);
  if (const auto number = book_.find(account)) sides_[*number].shared = shared;
}

std::vector<std::string> LocalBudgets::used_accounts() {
  const Clock::Time now = clock_.now();
  const std::scoped_lock lock(mutex_);
  std::vector<std::string> accounts;
  for (std::uint32_t number = 0; number < book_.end(); ++number) {
    if (book_.has(number) && !book_.at(number).used.empty(now))
      accounts.push_back(book_.at(number).name);
  }
  return accounts;
}

void LocalBudgets::age() {
  constexpr std::uint32_t kAtOnce = 1'000;
  const Clock::Time now = clock_.now();
  for (std::uint32_t from = 0;; from += kAtOnce) {
    const std::scoped_lock lock(mutex_);
    if (from >= book_.end()) return;
    for (std::uint32_t number = from; number < std::min(from + kAtOnce, book_.end()); ++number) {
      book_.at(number).used.forget_before(now);
    }
  }
}

Result<bool> LocalBudgets::tend_journal() {
  if (auto made = journal_->prepare(); !made) return std::unexpected(std::move(made.error()));
  return journal_->compact(clock_.now());
}

}  // namespace asahi::identity
