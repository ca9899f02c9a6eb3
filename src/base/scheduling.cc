#include "base/scheduling.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

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

}  // namespace

void take_short_turns() { take_turns_of(kShortTurn); }

void work_in_background(int nice) {
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), nice);
  take_turns_of(kBackgroundTurn);
}

}  // namespace asahi
