#include "net/background.h"

#include <atomic>
#include <utility>

namespace asahi::net {

struct Background::State {
  explicit State(Loop& home) : loop(home) {}
  Loop& loop;
  InFlight in_flight;
  std::atomic<bool> stopping{false}, given_up{false};
  CancelSource cancel;  ///< of the loop
};

Background::Mark::Mark(std::shared_ptr<State> state)
    : state_(std::move(state)), mark_(state_->in_flight) {}

/// What the work captured goes before its mark: whoever stops may then take apart what it names.
struct Background::Running {
  Running(std::shared_ptr<State> state, Work what)
      : mark(std::move(state)), work(std::move(what)) {}
  Mark mark;
  Work work;
};

Background::Background(Loop& loop) : state_(std::make_shared<State>(loop)) {}

Background::~Background() {
  if (!state_->given_up) stop();
}

Aw<bool> Background::sleep(std::shared_ptr<State> state, std::chrono::nanoseconds time) {
  if (state->stopping) co_return false;
  co_return co_await state->loop.sleep_for(time, &state->cancel);
}

void Background::run(std::string what, Work work) {
  // Posted: on the loop's own thread spawn() would begin at once, under the caller's locks.
  state_->loop.post([what = std::move(what),
                     running = std::make_shared<Running>(state_, std::move(work))]() mutable {
    Loop& loop = running->mark.state_->loop;
    loop.spawn(std::move(what), [running = std::move(running)]() -> Aw<void> {
      const std::shared_ptr<State>& state = running->mark.state_;
      // cancel() did not tell the loop if it found nothing under way.
      if (state->stopping) state->cancel.cancel();
      co_await running->work([state](std::chrono::nanoseconds time) { return sleep(state, time); });
    });
  });
}

bool Background::stopping() const { return state_->stopping; }

CancelSource& Background::cancel_source() { return state_->cancel; }

void Background::cancel() {
  if (state_->stopping.exchange(true)) return;
  // Nobody sleeps, and the loop may have ended.
  if (state_->in_flight.count() == 0) return;
  // Marked, so that stop() waits for the end of this too.
  state_->loop.post([mark = std::make_unique<Mark>(*this)] { mark->state_->cancel.cancel(); });
}

bool Background::stop(std::optional<std::chrono::nanoseconds> longest) {
  cancel();
  bool ended = true;
  if (longest) {
    ended = state_->in_flight.wait_until(std::chrono::steady_clock::now() + *longest);
  } else {
    state_->in_flight.wait();
  }
  state_->given_up = !ended;
  return ended;
}

}  // namespace asahi::net
