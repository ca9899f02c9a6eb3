// What budgets cost per call: reserve and settle, journal included. No arguments; prints a table.
#include <fmt/format.h>

#include <filesystem>
#include <thread>

#include "identity/limits/budget_ledger.h"
#include "identity/limits/testing/budget_place.h"

namespace {

using namespace asahi;
using identity::testing::day_requests;
using identity::testing::day_spend;
using identity::testing::month_spend;

/// Nanoseconds per reserve and settle, of one thread out of `threads` that do so at once.
double measure(identity::BudgetLedger& ledger, const std::vector<identity::Budget>& budgets,
               int threads, int calls) {
  const auto run = [&] {
    for (int i = 0; i < calls; ++i) {
      auto reserved = ledger.try_reserve(budgets, {100});
      if (reserved && *reserved) (*reserved)->settle({90});
    }
  };
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(run);
  run();
  for (std::thread& other : others) other.join();
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
  return took.count() / calls;
}

}  // namespace

int main() {
  const identity::testing::DataFolder folder;
  const auto database = identity::testing::open_migrated({.url = "sqlite://:memory:"});
  auto ledger = identity::open_budget_ledger({.journal_file = folder.journal()}, *database, nullptr,
                                             system_clock());
  if (!ledger) {
    fmt::print(stderr, "{}\n", ledger.error().message);
    return 1;
  }
  constexpr std::int64_t kCap = std::int64_t{1} << 60;
  const std::vector one{day_spend("org/acme", kCap)};
  const std::vector four{day_spend("org/acme", kCap), month_spend("org/acme", kCap),
                         day_requests("key/ask_acme_ab12", kCap), day_spend("user/acme/u1", kCap)};
  measure(**ledger, four, 1, 10'000);
  for (const int threads : {1, 2}) {
    fmt::print("{} thread(s), 1 budget:             {:7.0f} ns per reserve + settle\n", threads,
               measure(**ledger, one, threads, 500'000));
    fmt::print("{} thread(s), 4 budgets, 3 accounts:{:7.0f} ns per reserve + settle\n", threads,
               measure(**ledger, four, threads, 500'000));
  }
  return 0;
}
