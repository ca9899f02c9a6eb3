#include "identity/limits/budget_book.h"

#include <algorithm>
#include <utility>

namespace asahi::identity {

void BudgetBook::define(std::uint32_t number, std::string name) {
  if (number >= accounts_.size()) accounts_.resize(number + 1);
  Account& account = accounts_[number];
  if (!account.name.empty()) by_name_.erase(account.name);
  by_name_.insert_or_assign(name, number);
  account = {};
  account.name = std::move(name);
}

void BudgetBook::reserve(std::uint64_t id, const Open& open) {
  for (const std::uint32_t number : open.accounts.view()) {
    accounts_[number].used.add(open.since, {{}, 1});
  }
  reopen(id, open);
}

void BudgetBook::reopen(std::uint64_t id, const Open& open) {
  if (!open_.try_emplace(id, open).second) return;
  for (const std::uint32_t number : open.accounts.view()) {
    accounts_[number].reserved += open.estimate;
    ++accounts_[number].open;
  }
  note(open.since, id + 1);
}

std::optional<BudgetBook::Open> BudgetBook::settle(std::uint64_t id, Clock::Time at, NanoUsd cost) {
  const auto found = open_.find(id);
  if (found == open_.end()) return std::nullopt;
  const Open open = found->second;
  open_.erase(found);
  for (const std::uint32_t number : open.accounts.view()) {
    Account& account = accounts_[number];
    account.reserved = account.reserved - open.estimate;
    --account.open;
    account.used.add(at, {cost, 0});
  }
  note(at, 0);
  return open;
}

std::size_t BudgetBook::settle_all_at_estimates() {
  const std::size_t count = open_.size();
  while (!open_.empty()) {
    const auto& [id, open] = *open_.begin();
    settle(std::uint64_t{id}, last_time_, NanoUsd{open.estimate});
  }
  return count;
}

void BudgetBook::note(Clock::Time time, std::uint64_t next_id) {
  last_time_ = std::max(last_time_, time);
  next_id_ = std::max(next_id_, next_id);
}

std::optional<std::uint32_t> BudgetBook::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return std::nullopt;
  return found->second;
}

}  // namespace asahi::identity
