#include "net/loop.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <future>

#include "net/blocking.h"
#include "net/event.h"
#include "net/turn.h"

namespace asahi::net {
namespace {

using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;

struct LoopTest : testing::Test {
  LoopTest() { pool.start(); }
  LoopPool pool{2};
};

TEST_F(LoopTest, CurrentIsTheLoopOfTheCallingThread) {
  EXPECT_EQ(Loop::current(), nullptr);
  for (std::size_t i = 0; i < pool.size(); ++i) {
    std::promise<Loop*> seen;
    pool.at(i).post([&] { seen.set_value(Loop::current()); });
    EXPECT_EQ(seen.get_future().get(), &pool.at(i));
    EXPECT_EQ(pool.at(i).index(), i);
  }
}

TEST_F(LoopTest, AnExceptionInPostedWorkOrATaskDoesNotStopTheLoop) {
  pool.at(0).post([] { throw std::runtime_error("posted"); });
  pool.at(0).spawn("failing", []() -> Aw<void> {
    throw std::runtime_error("spawned");
    co_return;
  });
  EXPECT_EQ(run_sync<int>(pool.at(0), []() -> Aw<int> { co_return 7; }), 7);
}

TEST_F(LoopTest, RunSyncPassesExceptionsOn) {
  EXPECT_THROW(run_sync<int>(pool.at(0),
                             []() -> Aw<int> {
                               throw std::runtime_error("no");
                               co_return 1;
                             }),
               std::runtime_error);
}

TEST_F(LoopTest, SleepForEndsEarlyWhenCancelled) {
  Loop& loop = pool.at(0);
  const auto start = Steady::now();
  const bool slept = run_sync<bool>(loop, [&loop]() -> Aw<bool> {
    CancelSource cancel;
    const auto stop = loop.at(Steady::now() + 20ms, [&cancel] { cancel.cancel(); });
    co_return co_await loop.sleep_for(10s, &cancel);
  });
  EXPECT_FALSE(slept);
  EXPECT_LT(Steady::now() - start, 5s);
  EXPECT_TRUE(
      run_sync<bool>(loop, [&loop]() -> Aw<bool> { co_return co_await loop.sleep_for(1ms); }));
  EXPECT_FALSE(run_sync<bool>(loop, [&loop]() -> Aw<bool> {
    CancelSource cancel;
    cancel.cancel();
    co_return co_await loop.sleep_for(10s, &cancel);
  }));
}

TEST_F(LoopTest, DeadlinesFireInOrderAndNotEarly) {
  Loop& loop = pool.at(0);
  run_sync<int>(loop, [&loop]() -> Aw<int> {
    Event done(loop);
    const auto start = Steady::now();
    std::vector<int> order;
    const auto third = loop.at(start + 60ms, [&] { done.set(); });
    const auto second = loop.at(start + 40ms, [&] {
      order.push_back(2);
      EXPECT_GE(Steady::now(), start + 40ms);
    });
    const auto first = loop.at(start + 10ms, [&] {
      order.push_back(1);
      EXPECT_GE(Steady::now(), start + 10ms);
    });
    auto dropped = loop.at(start + 20ms, [] { ADD_FAILURE(); });
    dropped.reset();
    co_await done.wait();
    EXPECT_EQ(order, (std::vector<int>{1, 2}));
    co_return 0;
  });
}

TEST_F(LoopTest, AnEventSetBeforeTheWaitIsNotLost) {
  Loop& loop = pool.at(0);
  run_sync<int>(loop, [&loop]() -> Aw<int> {
    Event event(loop);
    event.set();
    event.set();
    co_await event.wait();
    loop.post([&event] { event.set(); });
    co_await event.wait();
    co_return 0;
  });
}

TEST_F(LoopTest, AfterTheReadyGoesOnBehindAllThatWasReadyBefore) {
  Loop& loop = pool.at(0);
  const auto order = run_sync<std::string>(loop, [&loop]() -> Aw<std::string> {
    std::string steps;
    Event done(loop);
    int writers = 2;
    const auto writer = [&](char read, char write) {
      return [&steps, &done, &writers, read, write]() -> Aw<void> {
        steps += read;
        co_await after_the_ready();
        steps += write;
        if (--writers == 0) done.set();
      };
    };
    // Both are ready in one round: both read before either writes.
    const auto one = writer('a', 'A');
    const auto two = writer('b', 'B');
    loop.post([&] { loop.spawn("one", one); });
    loop.post([&] { loop.spawn("two", two); });
    co_await done.wait();
    co_return steps;
  });
  EXPECT_EQ(order, "abAB");
}

TEST_F(LoopTest, RunBlockingResumesOnTheCallersLoop) {
  boost::asio::thread_pool workers(1);
  Loop& loop = pool.at(1);
  const auto same = run_sync<bool>(loop, [&]() -> Aw<bool> {
    const auto id = co_await run_blocking(workers, [] { return std::this_thread::get_id(); });
    co_return Loop::current() == &loop&& id != std::this_thread::get_id();
  });
  EXPECT_TRUE(same);
}

TEST(Loop, CoroutinesThatStillWaitAreFreedWithTheirLoop) {
  auto held = std::make_shared<int>(1);
  {
    LoopPool pool(1);
    pool.start();
    Loop& loop = pool.at(0);
    std::promise<void> waiting;
    loop.spawn("waiter", [&loop, &waiting, held]() -> Aw<void> {
      Event event(loop);
      const auto deadline = loop.at(Steady::now() + 1h, [] {});
      waiting.set_value();
      co_await event.wait();
    });
    loop.spawn("sleeper", [&loop, held]() -> Aw<void> { co_await loop.sleep_for(1h); });
    waiting.get_future().get();
    run_sync<int>(loop, []() -> Aw<int> { co_return 0; });
    EXPECT_GT(held.use_count(), 1);
  }
  EXPECT_EQ(held.use_count(), 1);
}

TEST(Loop, AnIdleLoopDoesNotWakeUp) {
  LoopPool pool(1);
  pool.start();
  Loop& loop = pool.at(0);
  const auto switches = [&loop] {
    return run_sync<long>(loop, []() -> Aw<long> {
      rusage usage{};
      getrusage(RUSAGE_THREAD, &usage);
      co_return usage.ru_nvcsw;
    });
  };
  // A deadline that was dropped, and one far away, must not tick.
  const auto far = run_sync<std::shared_ptr<Loop::Deadline>>(
      loop, [&loop]() -> Aw<std::shared_ptr<Loop::Deadline>> {
        loop.at(Steady::now() + 20ms, [] {}).reset();
        co_return std::make_shared<Loop::Deadline>(loop.at(Steady::now() + 1h, [] {}));
      });
  const long before = switches();
  std::this_thread::sleep_for(300ms);
  EXPECT_LE(switches() - before, 6);
  run_sync<int>(loop, [far]() -> Aw<int> {
    far->reset();
    co_return 0;
  });
}

}  // namespace
}  // namespace asahi::net
