#pragma once

#include <chrono>

namespace asahi {

/// Asks the scheduler for short turns of the calling thread: Linux from 6.12 on then lets it run
/// soon after something arrives for it, rather than when another's turn (some 3 ms) is over, and
/// lets others run soon after it. Costs more switches on a busy machine. Older kernels ignore it,
/// and where it is forbidden nothing changes.
void take_short_turns();

/// For a thread whose work nobody waits for: a low weight (`nice`, 1 to 19) and turns of less than
/// a millisecond, so that requests which share its processor, of this process or of another, are
/// not held up by it.
void work_in_background(int nice);

/// A stretch of the calling thread's work, from its making on. For threads whose work may wait: a
/// low weight alone still takes a share of a busy machine, and who is kept from a processor while
/// it holds a lock holds up those of full weight.
class Stretch {
 public:
  Stretch();
  /// How long the processors should now be left to others: nothing where the stretch had one nearly
  /// all the time, so that nobody else wanted it; else `times` what the stretch took, at most
  /// 100 ms.
  std::chrono::nanoseconds pause(double times) const;
  /// The same of a stretch that took `wall` and had a processor for `worked` of it.
  static std::chrono::nanoseconds pause_after(std::chrono::nanoseconds wall,
                                              std::chrono::nanoseconds worked, double times);

 private:
  std::chrono::nanoseconds wall_, worked_;
};

}  // namespace asahi
