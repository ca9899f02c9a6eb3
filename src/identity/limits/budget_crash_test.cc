// `kill -9` at random moments: what was acknowledged is there again, and no budget is forgotten.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <map>
#include <random>
#include <thread>

#include "identity/limits/budget_local.h"
#include "identity/limits/testing/budget_place.h"

namespace asahi::identity {
namespace {

using namespace std::chrono_literals;
using testing::DataFolder;
using Period = Budget::Period;

constexpr int kThreads = 3;
constexpr std::int64_t kMost = 1'000;  ///< estimates and costs are at most this

/// What the child says when a call has returned; smaller than a pipe's atomic write.
struct Said {
  enum Kind : std::uint32_t { kReserved, kSettled } kind;
  std::uint32_t thread;
  std::int64_t estimate;
  std::int64_t cost;
};

Result<std::unique_ptr<LocalBudgets>> open(const std::string& file, const Clock& clock) {
  BudgetBook book;
  // Small segments, so that the journal changes files many times in a round.
  ASAHI_TRY(auto journal,
            BudgetJournal::open({.file = file, .segment_bytes = 8 << 10}, book, clock.now()));
  return std::make_unique<LocalBudgets>(std::move(journal), std::move(book), BudgetLedgerOptions{},
                                        clock);
}

[[noreturn]] void work(const std::string& file, int out, std::uint64_t seed) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  auto budgets = open(file, system_clock());
  if (!budgets) ::_exit(3);
  const std::vector<Budget> accounts{testing::day_spend("org/acme", INT64_MAX / 4),
                                     testing::month_spend("user/acme/u1", INT64_MAX / 4)};
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      std::mt19937_64 random(seed + i);
      const auto say = [&](const Said& said) {
        if (::write(out, &said, sizeof said) != sizeof said) ::_exit(4);
      };
      for (;;) {
        const auto estimate = static_cast<std::int64_t>(random() % kMost);
        const auto cost = static_cast<std::int64_t>(random() % kMost);
        const auto id = (*budgets)->reserve(accounts, {estimate}, LocalBudgets::Caps::kCheck);
        if (!id && id.error().code == Errc::kUnavailable) {
          std::this_thread::yield();  // these tiny segments fill faster than they are folded
          continue;
        }
        if (!id || !*id) ::_exit(5);
        say({Said::kReserved, i, estimate, cost});
        if (!(*budgets)->settle(**id, {cost})) ::_exit(6);
        say({Said::kSettled, i, estimate, cost});
      }
    });
  }
  for (;;) {
    if (!(*budgets)->tend_journal()) ::_exit(7);
    std::this_thread::sleep_for(500us);
  }
}

TEST(BudgetCrash, LosesNothingAcknowledgedToKill9) {
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
  GTEST_SKIP() << "ThreadSanitizer cannot follow threads of a forked child";
#endif
#endif
  const char* const wanted = std::getenv("ASAHI_LONG_TESTS");
  const int rounds = wanted != nullptr && std::string_view(wanted) == "1" ? 200 : 30;
  std::mt19937_64 random(std::random_device{}());
  DataFolder folder;
  BudgetSums before;
  std::int64_t acknowledged_in_all = 0;
  int killed_before_a_word = 0;
  for (int round = 0; round < rounds; ++round) {
    std::array<int, 2> pipe{};
    ASSERT_EQ(::pipe(pipe.data()), 0);
    const std::uint64_t seed = random();
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(pipe[0]);
      work(folder.journal(), pipe[1], seed);
    }
    ::close(pipe[1]);

    BudgetSums settled;
    std::map<std::uint32_t, Said> unsettled;  // reserved and not yet said to be settled
    std::int64_t reserved = 0;
    const auto hear = [&](int timeout_ms) {
      pollfd ready{pipe[0], POLLIN, 0};
      if (::poll(&ready, 1, timeout_ms) <= 0) return false;
      Said said{};
      if (::read(pipe[0], &said, sizeof said) != sizeof said) return false;
      if (said.kind == Said::kReserved) {
        ++reserved;
        unsettled[said.thread] = said;
      } else {
        settled += {{said.cost}, 1};
        unsettled.erase(said.thread);
      }
      return true;
    };
    // Every fourth is killed while it starts, the others under load.
    if (round % 4 != 3) hear(10'000);
    const auto until = std::chrono::steady_clock::now() +
                       std::chrono::microseconds(random() % (round % 4 == 3 ? 4'000 : 30'000));
    while (std::chrono::steady_clock::now() < until) hear(0);
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << WEXITSTATUS(status);
    while (hear(0)) {
    }
    ::close(pipe[0]);

    std::int64_t open_least = 0;
    std::int64_t open_most = 0;
    for (const auto& [thread, said] : unsettled) {
      open_least += std::min(said.estimate, said.cost);
      open_most += std::max(said.estimate, said.cost);
    }
    // Each thread may have done one thing more than it could say.
    const std::int64_t unsaid = kThreads - std::ssize(unsettled);

    auto budgets = open(folder.journal(), system_clock());
    ASSERT_TRUE(budgets) << "round " << round << ": " << budgets.error().message;
    for (const auto& [account, period] :
         {std::pair{"org/acme", Period::kDay}, std::pair{"user/acme/u1", Period::kMonth}}) {
      const BudgetUse use = (*budgets)->use(account, period);
      EXPECT_EQ(use.reserved, NanoUsd{0});
      EXPECT_GE(use.spent.nanos, before.spent.nanos + settled.spent.nanos + open_least);
      EXPECT_LE(use.spent.nanos,
                before.spent.nanos + settled.spent.nanos + open_most + unsaid * kMost);
      EXPECT_GE(use.requests, before.requests + reserved);
      EXPECT_LE(use.requests, before.requests + reserved + unsaid);
    }
    const BudgetUse now = (*budgets)->use("org/acme", Period::kDay);
    before = {now.spent, now.requests};
    acknowledged_in_all += reserved;
    killed_before_a_word += reserved == 0 ? 1 : 0;
  }
  RecordProperty("acknowledged", std::to_string(acknowledged_in_all));
  RecordProperty("killed_while_starting", killed_before_a_word);
  EXPECT_GT(acknowledged_in_all, rounds * 10);
}

}  // namespace
}  // namespace asahi::identity
