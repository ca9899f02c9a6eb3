#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/cancel.h"
#include "base/in_flight.h"
#include "base/task.h"
#include "net/loop.h"

namespace asahi::net {

/// Work of one loop that goes on beside requests until its owner stops it: rounds, sweeps,
/// deliveries. A member of what it uses, best the last one: the work has ended before the others
/// go. Every thread may call it, unless a function says otherwise.
class Background {
  struct State;

 public:
  /// Waits without blocking; on the loop. False: it is time to stop, and the wait was cut short.
  using Sleep = std::function<Aw<bool>(std::chrono::nanoseconds)>;
  using Work = std::function<Aw<void>(Sleep)>;

  /// The loop outlives it.
  explicit Background(Loop& loop);
  /// stop() for as long as it takes; what outlasted a stop() with a limit is not waited for again.
  ~Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  /// Runs `work` on the loop soon, never inside this call. What escapes it as an exception is
  /// logged with `what`. Work that begins after the stop runs too, and does not sleep.
  void run(std::string what, Work work);

  /// Work that others carry out, for as long as this lives: stop() waits for it too.
  class [[nodiscard]] Mark {
   public:
    explicit Mark(Background& of) : Mark(of.state_) {}

   private:
    friend class Background;
    explicit Mark(std::shared_ptr<State> state);
    std::shared_ptr<State> state_;  ///< outlives the mark
    InFlight::Mark mark_;
  };

  /// Whether it is time to stop.
  bool stopping() const;
  /// For calls that need not go on when it is time to stop. Loop thread only.
  CancelSource& cancel_source();
  /// From here on it is time to stop; waits for nothing.
  void cancel();
  /// cancel(), then waits for the end of all work, `longest` at most. True: all has ended. Ordinary
  /// thread, while the loop runs; where nothing is under way, also after the loop's end. Again is
  /// allowed.
  bool stop(std::optional<std::chrono::nanoseconds> longest = std::nullopt);

 private:
  struct Running;
  static Aw<bool> sleep(std::shared_ptr<State> state, std::chrono::nanoseconds time);

  /// Shared with what is under way: that may outlast a stop() with a limit.
  const std::shared_ptr<State> state_;
};

}  // namespace asahi::net
