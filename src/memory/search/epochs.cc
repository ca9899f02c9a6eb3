#include "memory/search/epochs.h"

#include <fmt/format.h>

#include <functional>

#include "base/ids.h"

namespace asahi::memory {
namespace {

// Longer than any cached search lives; a number that was forgotten begins anew with a random part.
constexpr std::chrono::hours kKept{48};

std::string key_of(const std::string& tenant) { return "memory:epoch:" + tenant; }

}  // namespace

std::int64_t Epochs::own(const std::string& tenant, std::int64_t by) {
  return numbers_[std::hash<std::string>{}(tenant) % kPlaces].fetch_add(by) + by;
}

Aw<std::string> Epochs::current(std::string tenant) {
  const std::int64_t here = own(tenant, 0);
  if (shared_ == nullptr) co_return fmt::format("{}", here);
  auto found = co_await shared_->get(key_of(tenant));
  if (!found) co_return fmt::format("-{}", here);
  co_return fmt::format("{}.{}", *found ? **found.value() : "0", here);
}

Aw<void> Epochs::bump(std::string tenant) {
  own(tenant, 1);
  if (shared_ == nullptr) co_return;
  // Redis counts on its own; a first number that is random keeps results of a forgotten count
  // apart.
  const auto sum = co_await shared_->add(key_of(tenant), 1, kKept);
  if (sum && *sum == 1) {
    const auto start = static_cast<std::int64_t>(random_u64() >> 16U);
    (void)co_await shared_->add(key_of(tenant), start, kKept);
  }
}

}  // namespace asahi::memory
