#include "identity/limits/sliding_log.h"

#include <algorithm>
#include <utility>

namespace asahi::identity {
namespace {

constexpr std::uint32_t kFirstCapacity = 2;
/// Rings up to this size are not worth shrinking.
constexpr std::uint32_t kKeptCapacity = 32;
/// Before anything that takes are added to.
constexpr std::int64_t kLongAgo = INT64_MIN / 2;

}  // namespace

void SlidingLog::add(std::int64_t now, std::int64_t amount, std::int64_t span) {
  used_ += amount;
  if (size_ > 0) {
    Entry& last = entry(size_ - 1);
    if (now - newest_since_ < span || last.at == now) {
      last.at = now;
      last.amount += amount;
      return;
    }
  }
  if (size_ == capacity_) resize(capacity_ == 0 ? kFirstCapacity : std::size_t{capacity_} * 2);
  ++size_;
  entry(size_ - 1) = {now, amount};
  newest_since_ = now;
}

void SlidingLog::drop_until(std::int64_t until) {
  if (size_ == 0 || entry(0).at > until) return;
  if (newest() <= until) {
    size_ = 0;
    head_ = 0;
    used_ = 0;
  } else {
    while (entry(0).at <= until) pop_oldest();
  }
  if (capacity_ > kKeptCapacity && size_ < capacity_ / 8) resize(capacity_ / 4);
}

void SlidingLog::correct(std::int64_t at, std::int64_t by, std::int64_t span) {
  std::size_t first = 0;
  for (std::size_t count = size_; count > 0;) {
    const std::size_t half = count / 2;
    if (entry(first + half).at < at) {
      first += half + 1;
      count -= half + 1;
    } else {
      count = half;
    }
  }
  if (first == size_ || entry(first).at - at > span) return;
  Entry& found = entry(first);
  by = std::max(by, -found.amount);
  found.amount += by;
  used_ += by;
  if (found.amount == 0) erase(first);
}

void SlidingLog::give_back_oldest(std::int64_t amount) {
  while (amount > 0 && size_ > 0) {
    Entry& oldest = entry(0);
    if (oldest.amount > amount) {
      oldest.amount -= amount;
      used_ -= amount;
      return;
    }
    amount -= oldest.amount;
    pop_oldest();
  }
}

std::int64_t SlidingLog::leaves_with(std::int64_t amount) const {
  std::size_t index = 0;
  for (; index + 1 < size_; ++index) {
    amount -= entry(index).amount;
    if (amount <= 0) break;
  }
  return entry(index).at;
}

void SlidingLog::pop_oldest() {
  used_ -= entry(0).amount;
  head_ = (head_ + 1) & (capacity_ - 1);
  --size_;
}

/// The shorter side moves up.
void SlidingLog::erase(std::size_t index) {
  if (index < size_ / 2) {
    for (std::size_t i = index; i > 0; --i) entry(i) = entry(i - 1);
    head_ = (head_ + 1) & (capacity_ - 1);
  } else {
    if (index + 1 == size_) newest_since_ = kLongAgo;
    for (std::size_t i = index; i + 1 < size_; ++i) entry(i) = entry(i + 1);
  }
  --size_;
}

void SlidingLog::resize(std::size_t capacity) {
  auto ring = std::make_unique_for_overwrite<Entry[]>(capacity);
  for (std::size_t i = 0; i < size_; ++i) ring[i] = entry(i);
  ring_ = std::move(ring);
  capacity_ = static_cast<std::uint32_t>(capacity);
  head_ = 0;
}

}  // namespace asahi::identity
