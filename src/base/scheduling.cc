#include "base/scheduling.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <ctime>

namespace asahi {
namespace {

constexpr std::uint64_t kShortTurn = 100'000;  // nanoseconds, the least there is
/// Longer than a loop's: what has the shorter turn may take the processor at once.
constexpr std::uint64_t kBackgroundTurn = 400'000;

void take_turns_of(std::uint64_t nanoseconds) {
  // struct sched_attr of sched_setattr(2), which glibc does not declare.
  struct {
    std::uint32_t size = 48, policy = 0;
    std::uint64_t flags = 0;
    std::int32_t nice = 0;
    std::uint32_t priority = 0;
    std::uint64_t runtime = 0, deadline = 0, period = 0;
  } turns;
  static_assert(sizeof turns == 48);
  if (::syscall(SYS_sched_getattr, 0, &turns, sizeof turns, 0) != 0) return;
  if (turns.policy != SCHED_OTHER) return;  // real time knows no turns
  turns.runtime = nanoseconds;
  ::syscall(SYS_sched_setattr, 0, &turns, 0);
}

std::chrono::nanoseconds now(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
}

}  // namespace

Stretch::Stretch() : wall_(now(CLOCK_MONOTONIC)), worked_(now(CLOCK_THREAD_CPUTIME_ID)) {}

std::chrono::nanoseconds Stretch::pause(double times) const {
  return pause_after(now(CLOCK_MONOTONIC) - wall_, now(CLOCK_THREAD_CPUTIME_ID) - worked_, times);
}

std::chrono::nanoseconds Stretch::pause_after(std::chrono::nanoseconds wall,
                                              std::chrono::nanoseconds worked, double times) {
  // A page that is fetched or a lock that is held for a moment is no crowd.
  constexpr double kAlone = 1.25;
  constexpr std::chrono::nanoseconds kLongest = std::chrono::milliseconds{100};
  const auto took = static_cast<double>(wall.count());
  if (times <= 0 || took <= kAlone * static_cast<double>(worked.count())) return {};
  return std::min(kLongest, std::chrono::nanoseconds{static_cast<std::int64_t>(took * times)});
}

void take_short_turns() { take_turns_of(kShortTurn); }

void work_in_background(int nice) {
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), nice);
  take_turns_of(kBackgroundTurn);
}

}  // namespace asahi
