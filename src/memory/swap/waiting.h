#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "base/task.h"

namespace asahi::memory::swap {

/// Coroutines of any loop that wait until something has changed. Thread-safe.
class Changes {
 public:
  /// Before looking at what may change.
  std::uint64_t seen() const;
  /// Until something changed since `seen`, or `until`.
  Aw<void> since(std::uint64_t seen, std::chrono::steady_clock::time_point until);
  void tell();

 private:
  mutable std::mutex mutex_;
  std::uint64_t changes_ = 0;
  std::vector<std::move_only_function<void()>> waiters_;
};

/// One at a time, in the order they came; coroutines of any loop. What has a turn may await.
class Turns {
 public:
  class [[nodiscard]] Turn {
   public:
    Turn() = default;
    explicit Turn(Turns& turns) : turns_(&turns) {}
    Turn(Turn&& other) noexcept : turns_(std::exchange(other.turns_, nullptr)) {}
    Turn& operator=(Turn&& other) noexcept;
    ~Turn() { end(); }
    /// From any thread.
    void end();

   private:
    Turns* turns_ = nullptr;
  };
  Aw<Turn> take();

 private:
  void pass_on();

  std::mutex mutex_;
  bool taken_ = false;
  std::deque<std::move_only_function<void()>> waiting_;
};

}  // namespace asahi::memory::swap
