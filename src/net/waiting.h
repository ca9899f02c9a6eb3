#pragma once

#include <boost/asio/async_result.hpp>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "base/task.h"
#include "net/loop.h"

namespace asahi::net {

/// Suspends the caller until what `keep` is given is called: once, from any thread. The caller then
/// goes on on its own loop, from its queue. `keep` runs at once and may call that itself; it is how
/// one tests a condition under a lock and leaves what resumes there, without a gap between the two.
/// Dropped without a call, it ends the caller's coroutine where it stands. Loop threads only.
template <std::invocable<std::move_only_function<void()>> Keep>
Aw<void> suspend(Keep keep) {
  Loop* const home = Loop::current();
  auto begin = [home, keep = std::move(keep)](auto handler) mutable {
    auto shared = std::make_shared<decltype(handler)>(std::move(handler));
    keep([home, shared] { home->post([shared] { std::move (*shared)(); }); });
  };
  co_return co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<IoExecutor>,
                                                 void()>(std::move(begin), use_aw);
}

/// Coroutines of any loop that wait until something has changed; what it is, the owner knows and
/// keeps under a lock of its own. Whoever waits takes `seen`, then looks, then waits `since` it;
/// who changes something tells. No change in between is missed. Thread-safe.
class Changes {
 public:
  /// How often was told. To be taken before looking at what may change.
  std::uint64_t seen() const;
  /// Goes on when there was a `tell` after `seen` was taken, also one before this call, or up to 20
  /// ms after `until`. The deadline of one wakes all: look again. time_point::max(): no deadline.
  Aw<void> since(std::uint64_t seen, std::chrono::steady_clock::time_point until);
  /// All who wait look again.
  void tell();

 private:
  mutable std::mutex mutex_;
  std::uint64_t changes_ = 0;
  std::vector<std::move_only_function<void()>> waiters_;
};

/// One at a time, in the order they came; coroutines of any loop. Unlike a lock, what has a turn
/// may await, and may end it on another thread. Thread-safe; outlives every turn.
class Turns {
 public:
  /// Ends with its scope, or before. Empty when made so, moved from or ended.
  class [[nodiscard]] Turn {
   public:
    Turn() = default;
    explicit Turn(Turns& turns) : turns_(&turns) {}
    Turn(Turn&& other) noexcept : turns_(std::exchange(other.turns_, nullptr)) {}
    /// Ends what it was.
    Turn& operator=(Turn&& other) noexcept;
    ~Turn() { end(); }
    /// It is the next one's turn. From any thread; of an empty turn nothing.
    void end();

   private:
    Turns* turns_ = nullptr;
  };
  /// Goes on when all who came before have ended theirs.
  Aw<Turn> take();

 private:
  void pass_on();

  std::mutex mutex_;
  bool taken_ = false;
  std::deque<std::move_only_function<void()>> waiting_;
};

}  // namespace asahi::net
