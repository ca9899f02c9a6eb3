#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>

#include "base/clock.h"
#include "base/money.h"

namespace asahi::identity {

/// Use is kept in slices of this length. A slice counts until all of it is older than 24 hours, so
/// that a rolling day is between 24 h and 24 h 5 min long: it errs on the side of the limit.
inline constexpr std::chrono::minutes kBudgetSlice{5};
inline constexpr std::int64_t kSlicesPerDay = std::chrono::hours{24} / kBudgetSlice;

/// Slices since the epoch; months since the year 0. Both in UTC.
std::int64_t slice_of(Clock::Time time);
std::int64_t month_of(Clock::Time time);
/// When the slice begins; when the month after `month` begins.
Clock::Time slice_begin(std::int64_t slice);
Clock::Time month_end(std::int64_t month);
/// "2026-11-21T10:05" and "2026-11": how tables and Redis name them.
std::string slice_name(std::int64_t slice);
std::string month_name(std::int64_t month);

struct BudgetSums {
  NanoUsd spent;
  std::int64_t requests = 0;
  bool operator==(const BudgetSums&) const = default;
  BudgetSums& operator+=(const BudgetSums& other) {
    spent += other.spent;
    requests += other.requests;
    return *this;
  }
};

/// What one account used in the last day, by slices, and in the month that runs. Not thread-safe.
class BudgetWindow {
 public:
  struct Slice {
    std::int64_t number = 0;
    BudgetSums sums;
    bool operator==(const Slice&) const = default;
  };

  /// Adds use at `at`. What lies before the day or the month that is kept is left out of it.
  void add(Clock::Time at, BudgetSums use);
  /// Sets a slice or a month to what was stored of it.
  void put_slice(std::int64_t slice, BudgetSums sums);
  void put_month(std::int64_t month, BudgetSums sums);

  /// Drops slices that ended 24 h before `now` or earlier; true when there were any.
  bool forget_before(Clock::Time now);
  /// Sums after `forget_before(now)`.
  BudgetSums day() const { return day_; }
  BudgetSums month(Clock::Time now) const {
    return month_of(now) > month_ ? BudgetSums{} : month_sums_;
  }
  bool empty(Clock::Time now) const { return slices_.empty() && month(now) == BudgetSums{}; }

  /// The earliest time at which so much of the day's use is forgotten that at most `spent` and
  /// `requests` are left.
  Clock::Time day_below(BudgetSums most) const;

  const std::deque<Slice>& slices() const { return slices_; }
  std::int64_t month_number() const { return month_; }
  BudgetSums month_sums() const { return month_sums_; }

 private:
  Slice* slice_at(std::int64_t number);

  std::deque<Slice> slices_;  ///< ascending, at most a day's
  BudgetSums day_;
  std::int64_t month_ = 0;
  BudgetSums month_sums_;
};

}  // namespace asahi::identity
