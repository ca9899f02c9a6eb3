#include "net/timer_wheel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace asahi::net {
namespace {

using testing::ElementsAre;

TEST(TimerWheel, FiresAtItsTickAndNotBefore) {
  TimerWheel wheel(1000);
  int fired = 0;
  auto* entry = wheel.add(1005, [&] { ++fired; });
  wheel.advance(1004);
  EXPECT_EQ(fired, 0);
  wheel.advance(1005);
  EXPECT_EQ(fired, 1);
  wheel.advance(5000);
  EXPECT_EQ(fired, 1);
  TimerWheel::drop(entry);
}

TEST(TimerWheel, ADueTimeInThePastFiresOnTheNextTick) {
  TimerWheel wheel(1000);
  bool fired = false;
  auto* entry = wheel.add(3, [&] { fired = true; });
  EXPECT_FALSE(fired);
  wheel.advance(1001);
  EXPECT_TRUE(fired);
  TimerWheel::drop(entry);
}

TEST(TimerWheel, DroppedEntriesDoNotFireAndLeaveNothingToWakeFor) {
  TimerWheel wheel(0);
  auto* entry = wheel.add(100'000, [] { FAIL(); });
  EXPECT_NE(wheel.next(), TimerWheel::kNever);
  TimerWheel::drop(entry);
  EXPECT_EQ(wheel.next(), TimerWheel::kNever);
  wheel.advance(200'000);
}

TEST(TimerWheel, ACallbackMayDropItselfDropItsNeighbourAndAddMore) {
  TimerWheel wheel(0);
  std::vector<int> order;
  TimerWheel::Entry* self = nullptr;
  TimerWheel::Entry* later = nullptr;
  TimerWheel::Entry* neighbour = wheel.add(10, [&] { order.push_back(2); });
  self = wheel.add(10, [&] {
    order.push_back(1);
    TimerWheel::drop(self);
    TimerWheel::drop(neighbour);
    later = wheel.add(0, [&] { order.push_back(3); });
  });
  wheel.advance(10);
  EXPECT_THAT(order, ElementsAre(1));
  wheel.advance(11);
  EXPECT_THAT(order, ElementsAre(1, 3));
  TimerWheel::drop(later);
}

TEST(TimerWheel, EntriesMayOutliveTheWheel) {
  TimerWheel::Entry* entry = nullptr;
  {
    TimerWheel wheel(0);
    entry = wheel.add(10, [] {});
  }
  TimerWheel::drop(entry);
}

TEST(TimerWheel, AgreesWithASortedListForRandomTimesAndSteps) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 50; ++round) {
    TimerWheel::Tick now = random() % 10'000'000;
    TimerWheel wheel(now);
    struct Expected {
      TimerWheel::Tick due;
      bool fired = false;
      TimerWheel::Entry* entry = nullptr;
    };
    std::vector<std::unique_ptr<Expected>> all;
    const TimerWheel::Tick start = now;
    for (int i = 0; i < 300; ++i) {
      const TimerWheel::Tick range = TimerWheel::Tick{1} << (1 + random() % 22);
      auto item = std::make_unique<Expected>(Expected{now + 1 + random() % range});
      item->entry = wheel.add(item->due, [raw = item.get()] {
        EXPECT_FALSE(raw->fired);
        raw->fired = true;
      });
      all.push_back(std::move(item));
      if (i % 3 == 0) {
        // Either jump to where the wheel wants to wake, or anywhere.
        now = random() % 2 != 0 && wheel.next() != TimerWheel::kNever ? wheel.next()
                                                                      : now + random() % 5000;
        wheel.advance(now);
        for (const auto& each : all)
          ASSERT_EQ(each->fired, each->due <= now) << each->due << " at " << now;
      }
    }
    for (int steps = 0; wheel.next() != TimerWheel::kNever; ++steps) {
      ASSERT_LT(steps, 5000);
      TimerWheel::Tick earliest = TimerWheel::kNever;
      for (const auto& each : all) {
        if (!each->fired) earliest = std::min(earliest, each->due);
      }
      ASSERT_LE(wheel.next(), earliest);
      now = wheel.next();
      wheel.advance(now);
    }
    for (const auto& each : all) {
      EXPECT_TRUE(each->fired) << each->due - start;
      TimerWheel::drop(each->entry);
    }
  }
}

}  // namespace
}  // namespace asahi::net
