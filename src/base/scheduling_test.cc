#include "base/scheduling.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <thread>

namespace asahi {
namespace {

struct Attributes {  // struct sched_attr of sched_getattr(2)
  std::uint32_t size = 0, policy = 0;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime = 0, deadline = 0, period = 0;
};

Attributes attributes() {
  Attributes own;
  EXPECT_EQ(::syscall(SYS_sched_getattr, 0, &own, sizeof own, 0), 0);
  return own;
}

TEST(Scheduling, ShortTurnsLeaveTheWeightAsItIs) {
  std::thread([] {
    const Attributes before = attributes();
    take_short_turns();
    const Attributes after = attributes();
    EXPECT_EQ(after.policy, before.policy);
    EXPECT_EQ(after.nice, before.nice);
    if (before.runtime == 0) GTEST_SKIP() << "this kernel does not know turns (Linux 6.12 does)";
    EXPECT_LE(after.runtime, before.runtime);
    EXPECT_EQ(after.runtime, 100'000u);
  }).join();
}

TEST(Scheduling, RestsOnlyWhereOthersWantTheProcessor) {
  using std::chrono::milliseconds;
  EXPECT_EQ(Stretch::pause_after(milliseconds(10), milliseconds(10), 8).count(), 0);
  EXPECT_EQ(Stretch::pause_after(milliseconds(12), milliseconds(10), 8).count(), 0);
  EXPECT_EQ(Stretch::pause_after(milliseconds(10), milliseconds(5), 2), milliseconds(20));
  EXPECT_EQ(Stretch::pause_after(milliseconds(10), milliseconds(5), 0).count(), 0);
  EXPECT_EQ(Stretch::pause_after(milliseconds(10), milliseconds(5), -1).count(), 0);
  EXPECT_EQ(Stretch::pause_after(milliseconds(90), milliseconds(5), 8), milliseconds(100));
}

TEST(Scheduling, BackgroundWorkConcernsTheCallingThreadOnly) {
  const Attributes before = attributes();
  std::thread([] {
    work_in_background(19);
    EXPECT_EQ(attributes().nice, 19);
  }).join();
  EXPECT_EQ(attributes().nice, before.nice);
  EXPECT_EQ(attributes().runtime, before.runtime);
}

}  // namespace
}  // namespace asahi
