#include "net/background.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>

#include "net/blocking.h"
#include "net/event.h"

namespace asahi::net {
namespace {

using namespace std::chrono_literals;
using Sleep = Background::Sleep;

struct BackgroundTest : testing::Test {
  BackgroundTest() { pool.start(); }
  /// Returns once the loop has had its turn with all that was posted before.
  void pass() {
    run_sync<int>(loop, []() -> Aw<int> { co_return 0; });
  }
  /// Work that goes on until somebody sets `event`.
  Background::Work until(Event& event) {
    return [&event](const Sleep&) -> Aw<void> { co_await event.wait(); };
  }
  void set(Event& event) {
    loop.post([&event] { event.set(); });
  }

  LoopPool pool{1};
  Loop& loop = pool.at(0);
};

TEST_F(BackgroundTest, SleepsUntilTheTimeHasPassed) {
  Background background(loop);
  std::promise<bool> slept;
  background.run("sleeps", [&](Sleep sleep) -> Aw<void> { slept.set_value(co_await sleep(1ms)); });
  EXPECT_TRUE(slept.get_future().get());
}

TEST_F(BackgroundTest, StopCutsASleepShort) {
  Background background(loop);
  bool begun = false, slept = true;
  background.run("sleeps", [&](Sleep sleep) -> Aw<void> {
    begun = true;
    slept = co_await sleep(1h);
  });
  pass();
  EXPECT_FALSE(background.stopping());
  EXPECT_TRUE(background.stop());
  EXPECT_TRUE(background.stopping());
  EXPECT_TRUE(begun);
  EXPECT_FALSE(slept);
}

TEST_F(BackgroundTest, StopWaitsForTheEndOfTheWork) {
  Background background(loop);
  Event event(loop);
  background.run("works", until(event));
  auto stopped = std::async(std::launch::async, [&] { return background.stop(); });
  while (!background.stopping()) std::this_thread::yield();
  EXPECT_EQ(stopped.wait_for(5ms), std::future_status::timeout);
  set(event);
  EXPECT_TRUE(stopped.get());
}

TEST_F(BackgroundTest, WhatTheWorkCapturedGoesBeforeTheWorkCountsAsEnded) {
  Background background(loop);
  std::optional<bool> counted_as_ended;
  std::shared_ptr<void> captured(nullptr, [&](void*) { counted_as_ended = background.stop(0ms); });
  background.run("works", [held = std::move(captured)](const Sleep&) -> Aw<void> { co_return; });
  EXPECT_TRUE(background.stop());
  EXPECT_EQ(counted_as_ended, false);
}

TEST_F(BackgroundTest, StopWaitsForMarksOfOthers) {
  Background background(loop);
  auto mark = std::make_unique<Background::Mark>(background);
  EXPECT_FALSE(background.stop(0ms));
  mark.reset();
  EXPECT_TRUE(background.stop());
}

TEST_F(BackgroundTest, StopWaitsForTheEndOfItsCancel) {
  Background background(loop);
  bool told = false;
  CancelSource::Subscription subscription;
  run_sync<int>(loop, [&]() -> Aw<int> {
    subscription = background.cancel_source().on_cancel([&told] { told = true; });
    co_return 0;
  });
  std::promise<void> busy;
  loop.post([held = busy.get_future().share()] { held.wait(); });
  auto mark = std::make_unique<Background::Mark>(background);
  background.cancel();
  // The work has ended before the loop comes to the cancel.
  mark.reset();
  EXPECT_FALSE(background.stop(0ms));
  busy.set_value();
  EXPECT_TRUE(background.stop());
  EXPECT_TRUE(told);
}

TEST_F(BackgroundTest, StopsWhereNothingEverRanAlsoAfterTheLoopsEnd) {
  Background background(loop);
  pool.stop();
  EXPECT_TRUE(background.stop());
}

TEST_F(BackgroundTest, StopsTwice) {
  Background background(loop);
  background.run("sleeps", [](Sleep sleep) -> Aw<void> { co_await sleep(1h); });
  EXPECT_TRUE(background.stop());
  EXPECT_TRUE(background.stop());
}

TEST_F(BackgroundTest, StopsFromTheDestructor) {
  bool ended = false;
  {
    Background background(loop);
    background.run("sleeps", [&ended](Sleep sleep) -> Aw<void> {
      co_await sleep(1h);
      ended = true;
    });
  }
  EXPECT_TRUE(ended);
}

TEST_F(BackgroundTest, WorkThatBeginsAfterTheStopDoesNotSleep) {
  Background background(loop);
  EXPECT_TRUE(background.stop());
  bool slept = true, cancelled = false;
  background.run("comes late", [&](Sleep sleep) -> Aw<void> {
    cancelled = background.cancel_source().cancelled();
    slept = co_await sleep(1h);
  });
  EXPECT_TRUE(background.stop(5s));
  EXPECT_FALSE(slept);
  EXPECT_TRUE(cancelled);
}

TEST_F(BackgroundTest, SaysWhereWorkOutlastsTheLongestWait) {
  Event event(loop);
  {
    Background background(loop);
    background.run("works", until(event));
    EXPECT_FALSE(background.stop(1ms));
    // Nor does the destructor wait for it.
  }
  set(event);
  pass();
  pass();
}

TEST_F(BackgroundTest, CancelWaitsForNothing) {
  Background background(loop);
  Event event(loop);
  background.run("works", until(event));
  background.cancel();
  EXPECT_TRUE(background.stopping());
  set(event);
  EXPECT_TRUE(background.stop());
}

TEST_F(BackgroundTest, WorkNeverBeginsInsideRun) {
  Background background(loop);
  std::mutex mutex;
  bool ran = false;
  run_sync<int>(loop, [&]() -> Aw<int> {
    const std::scoped_lock lock(mutex);
    background.run("locks", [&](const Sleep&) -> Aw<void> {
      const std::scoped_lock mine(mutex);
      ran = true;
      co_return;
    });
    co_return 0;
  });
  EXPECT_TRUE(background.stop());
  EXPECT_TRUE(ran);
}

TEST_F(BackgroundTest, WorkThatThrowsHasEnded) {
  Background background(loop);
  background.run("throws", [](const Sleep&) -> Aw<void> {
    throw std::runtime_error("no");
    co_return;
  });
  EXPECT_TRUE(background.stop());
}

}  // namespace
}  // namespace asahi::net
