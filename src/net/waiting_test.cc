#include "net/waiting.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "net/blocking.h"
#include "net/turn.h"

namespace asahi::net {
namespace {

using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;

constexpr auto kNever = Steady::time_point::max();

/// Counts down from several threads; the test waits for the last.
class Countdown {
 public:
  explicit Countdown(int count) : left_(count) {}
  void down() {
    const std::lock_guard lock(mutex_);
    --left_;
    // Under the lock: who waits may destroy this as soon as it has it.
    changed_.notify_all();
  }
  bool is_over() {
    const std::lock_guard lock(mutex_);
    return left_ == 0;
  }
  /// False when something hangs.
  bool wait() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 20s, [this] { return left_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int left_;
};

struct WaitingTest : testing::Test {
  WaitingTest() { loops.start(); }

  /// What was spawned or woken on this loop has come as far as it can.
  void settle(Loop& loop) {
    for (int hop = 0; hop < 3; ++hop)
      run_sync<int>(loop, []() -> Aw<int> {
        co_await after_the_ready();
        co_return 0;
      });
  }

  LoopPool loops{3};
};

struct Suspend : WaitingTest {};
struct ChangesTest : WaitingTest {
  /// A coroutine that waits, as of now, on that loop.
  void wait_on(Loop& loop, std::uint64_t seen, Steady::time_point until, Countdown& over) {
    loop.spawn("waits", [this, &loop, seen, until, &over]() -> Aw<void> {
      co_await changes.since(seen, until);
      EXPECT_EQ(Loop::current(), &loop);
      over.down();
    });
    settle(loop);
  }
  Changes changes;
};
struct TurnsTest : WaitingTest {
  Turns::Turn take(Loop& loop) {
    return run_sync<Turns::Turn>(loop, [this] { return turns.take(); });
  }
  /// A coroutine that takes a turn, as of now, on that loop, and ends it.
  void queue_on(Loop& loop, std::function<void()> has_turn) {
    loop.spawn("takes a turn", [this, has_turn = std::move(has_turn)]() -> Aw<void> {
      const Turns::Turn turn = co_await turns.take();
      has_turn();
    });
    settle(loop);
  }
  Turns turns;
};

TEST_F(Suspend, GoesOnOnItsOwnLoopWhateverThreadResumes) {
  std::move_only_function<void()> resume;
  Countdown over(1);
  Loop& home = loops.at(1);
  home.spawn("waits", [&]() -> Aw<void> {
    co_await suspend([&](std::move_only_function<void()> kept) { resume = std::move(kept); });
    EXPECT_EQ(Loop::current(), &home);
    over.down();
  });
  settle(home);
  EXPECT_FALSE(over.is_over());
  resume();
  EXPECT_TRUE(over.wait());
}

TEST_F(Suspend, WhatIsKeptMayBeCalledAtOnce) {
  EXPECT_EQ(run_sync<int>(loops.at(0),
                          []() -> Aw<int> {
                            co_await suspend([](std::move_only_function<void()> kept) { kept(); });
                            co_return 7;
                          }),
            7);
}

TEST_F(ChangesTest, WaitsUntilItIsTold) {
  Countdown over(1);
  wait_on(loops.at(0), changes.seen(), kNever, over);
  EXPECT_FALSE(over.is_over());
  changes.tell();
  EXPECT_TRUE(over.wait());
}

TEST_F(ChangesTest, WhatWasToldBetweenLookingAndWaitingIsNotMissed) {
  Countdown over(1);
  const std::uint64_t seen = changes.seen();
  changes.tell();
  wait_on(loops.at(0), seen, kNever, over);
  EXPECT_TRUE(over.wait());
}

TEST_F(ChangesTest, WhatWasToldBeforeLookingIsNoChange) {
  Countdown over(1);
  changes.tell();
  wait_on(loops.at(0), changes.seen(), kNever, over);
  EXPECT_FALSE(over.is_over());
  changes.tell();
  EXPECT_TRUE(over.wait());
}

TEST_F(ChangesTest, GoesOnAtTheDeadlineThoughNothingWasTold) {
  const auto until = Steady::now() + 30ms;
  run_sync<int>(loops.at(0), [&]() -> Aw<int> {
    co_await changes.since(changes.seen(), until);
    co_return 0;
  });
  EXPECT_GE(Steady::now(), until);
}

TEST_F(ChangesTest, ADeadlineThatIsNoLongerNeededTellsNobody) {
  Countdown first(1);
  wait_on(loops.at(0), changes.seen(), Steady::now() + 50ms, first);
  changes.tell();
  ASSERT_TRUE(first.wait());
  const std::uint64_t seen = changes.seen();
  run_sync<bool>(loops.at(0), [&] { return loops.at(0).sleep_for(100ms); });
  EXPECT_EQ(changes.seen(), seen);
}

TEST_F(ChangesTest, OneTellWakesAllWhoWaitOnAllLoops) {
  constexpr int kWaiters = 24;
  Countdown over(kWaiters);
  const std::uint64_t seen = changes.seen();
  for (int i = 0; i < kWaiters; ++i)
    wait_on(loops.at(static_cast<std::size_t>(i) % loops.size()), seen, kNever, over);
  changes.tell();
  EXPECT_TRUE(over.wait());
}

TEST_F(ChangesTest, NoChangeIsMissedWhileManyTellAndManyWait) {
  constexpr int kTellers = 2, kWaiters = 12, kEach = 500;
  std::atomic<int> value = 0;
  Countdown over(kWaiters);
  for (int i = 0; i < kWaiters; ++i) {
    loops.at(static_cast<std::size_t>(i) % loops.size()).spawn("waits", [&]() -> Aw<void> {
      // Whoever misses the last change waits for ever.
      while (true) {
        const std::uint64_t seen = changes.seen();
        if (value == kTellers * kEach) break;
        co_await changes.since(seen, kNever);
      }
      over.down();
    });
  }
  {
    std::vector<std::jthread> tellers;
    for (int i = 0; i < kTellers; ++i) {
      tellers.emplace_back([&] {
        for (int n = 0; n < kEach; ++n) {
          ++value;
          changes.tell();
        }
      });
    }
  }
  EXPECT_TRUE(over.wait());
}

TEST_F(TurnsTest, ATurnThatNobodyHasIsTakenAtOnceAndAgainAfterItsEnd) {
  for (int i = 0; i < 3; ++i) {
    Turns::Turn turn = take(loops.at(0));
    turn.end();
    turn.end();  // it is over: nothing
  }
}

TEST_F(TurnsTest, TurnsComeInTheOrderInWhichTheyWereAskedFor) {
  constexpr int kWaiting = 9;
  Turns::Turn first = take(loops.at(0));
  std::vector<int> order;  // no lock: one at a time has the turn
  Countdown over(kWaiting);
  for (int i = 0; i < kWaiting; ++i) {
    queue_on(loops.at(static_cast<std::size_t>(i) % loops.size()), [&order, &over, i] {
      order.push_back(i);
      over.down();
    });
  }
  EXPECT_TRUE(order.empty());
  first.end();
  ASSERT_TRUE(over.wait());
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8}));
}

TEST_F(TurnsTest, WhatHasATurnMayAwaitAndStillIsTheOnlyOne) {
  constexpr int kTakers = 12, kRounds = 50;
  std::atomic<int> inside = 0, most = 0;
  Countdown over(kTakers);
  for (int i = 0; i < kTakers; ++i) {
    loops.at(static_cast<std::size_t>(i) % loops.size()).spawn("takes turns", [&]() -> Aw<void> {
      for (int round = 0; round < kRounds; ++round) {
        const Turns::Turn turn = co_await turns.take();
        most = std::max<int>(most, ++inside);
        co_await after_the_ready();
        --inside;
      }
      over.down();
    });
  }
  ASSERT_TRUE(over.wait());
  EXPECT_EQ(most, 1);
}

TEST_F(TurnsTest, ATurnThatMovedIsEndedByItsNewOwnerOnly) {
  Turns::Turn owner;
  {
    Turns::Turn first = take(loops.at(0));
    owner = std::move(first);
    first.end();  // NOLINT(bugprone-use-after-move): that it is empty is the point
  }
  Countdown over(1);
  queue_on(loops.at(1), [&over] { over.down(); });
  EXPECT_FALSE(over.is_over());
  Turns::Turn last(std::move(owner));
  EXPECT_FALSE(over.is_over());
  owner = Turns::Turn();
  EXPECT_FALSE(over.is_over());
  last.end();
  EXPECT_TRUE(over.wait());
}

TEST_F(TurnsTest, AnotherTurnInItsPlaceEndsTheFirst) {
  Turns others;
  Turns::Turn turn = take(loops.at(0));
  Countdown over(1);
  queue_on(loops.at(0), [&over] { over.down(); });
  turn = run_sync<Turns::Turn>(loops.at(0), [&others] { return others.take(); });
  EXPECT_TRUE(over.wait());
}

TEST_F(TurnsTest, ATurnMayEndOnAnotherThread) {
  Turns::Turn turn = take(loops.at(0));
  Countdown over(1);
  Loop& home = loops.at(1);
  queue_on(home, [&] {
    EXPECT_EQ(Loop::current(), &home);
    over.down();
  });
  std::jthread([turn = std::move(turn)]() mutable { turn.end(); }).join();
  EXPECT_TRUE(over.wait());
}

}  // namespace
}  // namespace asahi::net
