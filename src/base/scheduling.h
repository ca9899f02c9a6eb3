#pragma once

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

}  // namespace asahi
