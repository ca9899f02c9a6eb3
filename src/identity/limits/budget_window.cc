#include "identity/limits/budget_window.h"

#include <fmt/format.h>

#include <algorithm>

namespace asahi::identity {
namespace {

using std::chrono::floor;

std::chrono::year_month_day date_of(Clock::Time time) { return floor<std::chrono::days>(time); }

}  // namespace

std::int64_t slice_of(Clock::Time time) {
  return floor<std::chrono::seconds>(time).time_since_epoch() / kBudgetSlice;
}

std::int64_t month_of(Clock::Time time) {
  const auto date = date_of(time);
  return static_cast<std::int64_t>(static_cast<int>(date.year())) * 12 +
         static_cast<unsigned>(date.month()) - 1;
}

Clock::Time slice_begin(std::int64_t slice) { return Clock::Time{slice * kBudgetSlice}; }

Clock::Time month_end(std::int64_t month) {
  const std::int64_t next = month + 1;
  return std::chrono::sys_days{std::chrono::year{static_cast<int>(next / 12)} /
                               std::chrono::month{static_cast<unsigned>(next % 12) + 1} / 1};
}

std::string slice_name(std::int64_t slice) {
  return format_rfc3339(slice_begin(slice)).substr(0, 16);
}

std::string month_name(std::int64_t month) {
  return fmt::format("{:04}-{:02}", month / 12, month % 12 + 1);
}

BudgetWindow::Slice* BudgetWindow::slice_at(std::int64_t number) {
  // Nearly always the newest one.
  if (!slices_.empty() && slices_.back().number == number) return &slices_.back();
  if (slices_.empty() || slices_.back().number < number) {
    slices_.push_back({number, {}});
    while (slices_.front().number < number - kSlicesPerDay) {
      day_.spent = day_.spent - slices_.front().sums.spent;
      day_.requests -= slices_.front().sums.requests;
      slices_.pop_front();
    }
    return &slices_.back();
  }
  if (number < slices_.back().number - kSlicesPerDay) return nullptr;
  const auto at = std::ranges::lower_bound(slices_, number, {}, &Slice::number);
  if (at->number == number) return &*at;
  return &*slices_.insert(at, {number, {}});
}

void BudgetWindow::add(Clock::Time at, BudgetSums use) {
  if (Slice* slice = slice_at(slice_of(at))) {
    slice->sums += use;
    day_ += use;
  }
  const std::int64_t month = month_of(at);
  if (month > month_) {
    month_ = month;
    month_sums_ = {};
  }
  if (month == month_) month_sums_ += use;
}

void BudgetWindow::put_slice(std::int64_t number, BudgetSums sums) {
  if (Slice* slice = slice_at(number)) {
    day_.spent = day_.spent - slice->sums.spent + sums.spent;
    day_.requests += sums.requests - slice->sums.requests;
    slice->sums = sums;
  }
}

void BudgetWindow::put_month(std::int64_t month, BudgetSums sums) {
  if (month < month_) return;
  month_ = month;
  month_sums_ = sums;
}

bool BudgetWindow::forget_before(Clock::Time now) {
  const std::int64_t oldest = slice_of(now) - kSlicesPerDay;
  if (slices_.empty() || slices_.front().number >= oldest) return false;
  while (!slices_.empty() && slices_.front().number < oldest) {
    day_.spent = day_.spent - slices_.front().sums.spent;
    day_.requests -= slices_.front().sums.requests;
    slices_.pop_front();
  }
  return true;
}

Clock::Time BudgetWindow::day_below(BudgetSums most) const {
  BudgetSums left = day_;
  Clock::Time when{};
  for (const Slice& slice : slices_) {
    if (left.spent <= most.spent && left.requests <= most.requests) break;
    left.spent = left.spent - slice.sums.spent;
    left.requests -= slice.sums.requests;
    when = slice_begin(slice.number + kSlicesPerDay + 1);
  }
  return when;
}

}  // namespace asahi::identity
