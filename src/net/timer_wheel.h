#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <vector>

namespace asahi::net {

/// Deadlines in ticks on a hierarchical wheel (five levels of 64 slots): adding, dropping and
/// moving on cost a few list operations whatever the number of entries. Knows no clock: the owner
/// says what time it is. Varghese & Lauck, "Hashed and Hierarchical Timing Wheels" (1987).
class TimerWheel {
 public:
  using Tick = std::uint64_t;
  static constexpr Tick kNever = std::numeric_limits<Tick>::max();

  struct Entry {
    Entry* prev = nullptr;
    Entry* next = nullptr;
    TimerWheel* wheel = nullptr;  ///< null once the wheel is gone
    Tick due = 0;
    std::uint16_t slot = 0;  ///< level * 64 + slot, or kUnlinked
    std::function<void()> expired;
  };

  explicit TimerWheel(Tick now);
  ~TimerWheel();
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  /// `expired` runs in the `advance` that reaches `due` (at the earliest the next tick). The entry
  /// is the caller's until `drop`, also after it expired.
  Entry* add(Tick due, std::function<void()> expired);
  /// Gives the entry back; it does not fire any more. Allowed after the wheel's end, and inside a
  /// callback.
  static void drop(Entry* entry);

  /// Runs what is due up to and including `now`.
  void advance(Tick now);
  /// When `advance` has something to do next; kNever when nothing is held. May be early (a coarse
  /// slot is to be spread), never late.
  Tick next() const;

 private:
  static constexpr std::size_t kLevels = 5;
  static constexpr std::size_t kSlots = 64;
  static constexpr std::uint16_t kUnlinked = 0xffff;
  static constexpr std::size_t kMaxSpare = 4096;

  void link(Entry* entry);
  void unlink(Entry* entry);

  Tick now_;
  std::array<std::uint64_t, kLevels> used_{};
  std::array<Entry*, kLevels * kSlots> slots_{};
  std::vector<std::unique_ptr<Entry>> spare_;
};

}  // namespace asahi::net
