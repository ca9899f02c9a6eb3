#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"
#include "base/money.h"
#include "identity/limits/budget_window.h"

namespace asahi::identity {

/// Most accounts that one call may be counted against.
inline constexpr std::size_t kMaxBudgetAccounts = 8;

/// The accounts of one call, by their number in the book.
struct AccountSet {
  std::array<std::uint32_t, kMaxBudgetAccounts> numbers{};
  std::size_t size = 0;

  std::span<const std::uint32_t> view() const { return {numbers.data(), size}; }
  /// Once each. False when full.
  bool add(std::uint32_t number) {
    for (std::size_t i = 0; i < size; ++i) {
      if (numbers[i] == number) return true;
    }
    if (size == numbers.size()) return false;
    numbers[size++] = number;
    return true;
  }
};

/// Accounts and open reservations: the state that the journal's records make, whether they are
/// applied as they happen, read back after a crash or folded into a checkpoint. No limits are known
/// here. Not thread-safe.
class BudgetBook {
 public:
  struct Account {
    std::string name;  ///< empty: a number without an account
    BudgetWindow used;
    NanoUsd reserved;
    std::int64_t open = 0;
  };
  struct Open {
    NanoUsd estimate;
    Clock::Time since{};
    AccountSet accounts;
  };

  /// Gives `number` to `name`, with nothing used; whoever had it before is forgotten.
  void define(std::uint32_t number, std::string name);
  /// Counts one request now, and holds `estimate` until `settle`.
  void reserve(std::uint64_t id, const Open& open);
  /// The same for a reservation whose request was counted before (in a checkpoint).
  void reopen(std::uint64_t id, const Open& open);
  /// Empty when there is no such reservation.
  std::optional<Open> settle(std::uint64_t id, Clock::Time at, NanoUsd cost);
  /// Counts what is open as spent at its estimate, at the last time that the book heard of.
  std::size_t settle_all_at_estimates();
  /// Keeps `last_time` and `next_id` at least there.
  void note(Clock::Time time, std::uint64_t next_id);

  bool has(std::uint32_t number) const {
    return number < accounts_.size() && !accounts_[number].name.empty();
  }
  Account& at(std::uint32_t number) { return accounts_[number]; }
  const Account& at(std::uint32_t number) const { return accounts_[number]; }
  /// Account numbers are below this.
  std::uint32_t end() const { return static_cast<std::uint32_t>(accounts_.size()); }
  std::optional<std::uint32_t> find(std::string_view name) const;
  std::size_t accounts() const { return by_name_.size(); }

  bool is_open(std::uint64_t id) const { return open_.contains(id); }
  const std::unordered_map<std::uint64_t, Open>& open() const { return open_; }
  std::uint64_t next_id() const { return next_id_; }
  Clock::Time last_time() const { return last_time_; }

 private:
  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const {
      return std::hash<std::string_view>{}(name);
    }
  };

  std::deque<Account> accounts_;  ///< by number; stays where it is
  std::unordered_map<std::string, std::uint32_t, NameHash, std::equal_to<>> by_name_;
  std::unordered_map<std::uint64_t, Open> open_;
  std::uint64_t next_id_ = 1;
  Clock::Time last_time_{};
};

}  // namespace asahi::identity
