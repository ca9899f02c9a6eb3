#include "base/scheduling.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace asahi {

void take_short_turns() {
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
  turns.runtime = 100'000;                  // nanoseconds, the least there is
  ::syscall(SYS_sched_setattr, 0, &turns, 0);
}

void work_in_background(int nice) {
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), nice);
  take_short_turns();
}

}  // namespace asahi
