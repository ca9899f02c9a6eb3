// What budgets cost per call: reserve and settle, journal included. No arguments; prints a table.
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <thread>

#include "identity/limits/budget_ledger.h"
#include "identity/limits/testing/budget_place.h"

namespace {

using namespace asahi;
using identity::testing::day_requests;
using identity::testing::day_spend;
using identity::testing::month_spend;

double cpu_ns() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

/// Nanoseconds of processor time per reserve and settle, of one out of `threads` threads that do so
/// at once; the best of five runs.
double measure(identity::BudgetLedger& ledger, const std::vector<identity::Budget>& budgets,
               int threads) {
  constexpr int kCalls = 100'000;
  const auto run = [&] {
    for (int i = 0; i < kCalls; ++i) {
      auto reserved = ledger.try_reserve(budgets, {100});
      if (reserved && *reserved) (*reserved)->settle({90});
    }
  };
  double best = 1e18;
  for (int round = 0; round < 5; ++round) {
    std::vector<std::thread> others;
    for (int i = 1; i < threads; ++i) others.emplace_back(run);
    const double start = cpu_ns();
    run();
    best = std::min(best, (cpu_ns() - start) / kCalls);
    for (std::thread& other : others) other.join();
  }
  return best;
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
  for (const int threads : {1, 2}) {
    fmt::print("{} thread(s), 1 budget:             {:7.0f} ns per reserve + settle\n", threads,
               measure(**ledger, one, threads));
    fmt::print("{} thread(s), 4 budgets, 3 accounts:{:7.0f} ns per reserve + settle\n", threads,
               measure(**ledger, four, threads));
  }
  return 0;
}
