#include "base/policy/breaker.h"

namespace asahi {

bool Breaker::allow(Time now) {
  std::lock_guard lock(mutex_);
  switch (state_) {
    case State::kClosed:
      return true;
    case State::kOpen:
      if (now - since_ < options_.open_for) return false;
      state_ = State::kHalfOpen;
      probes_out_ = 0;
      probes_good_ = 0;
      break;
    case State::kHalfOpen:
      // A probe whose verdict never came must not hold its slot for ever.
      if (now - since_ >= options_.open_for) probes_out_ = 0;
      if (probes_out_ >= options_.half_open_probes) return false;
      break;
  }
  since_ = now;
  ++probes_out_;
  return true;
}

void Breaker::succeeded() {
  std::lock_guard lock(mutex_);
  // A call that went out before the breaker opened says nothing about how the other side is now.
  if (state_ == State::kOpen) return;
  if (state_ == State::kHalfOpen && ++probes_good_ < options_.successes) {
    if (probes_out_ > 0) --probes_out_;
    return;
  }
  state_ = State::kClosed;
  consecutive_failures_ = 0;
  probes_out_ = 0;
}

void Breaker::failed(Time now) {
  std::lock_guard lock(mutex_);
  if (state_ == State::kOpen) return;  // late failures must not push the first probe back
  if (state_ == State::kClosed && ++consecutive_failures_ < options_.failures) return;
  state_ = State::kOpen;
  since_ = now;
  consecutive_failures_ = 0;
  probes_out_ = 0;
}

void Breaker::released() {
  std::lock_guard lock(mutex_);
  if (state_ == State::kHalfOpen && probes_out_ > 0) --probes_out_;
}

Breaker::State Breaker::state(Time now) const {
  std::lock_guard lock(mutex_);
  if (state_ == State::kOpen && now - since_ >= options_.open_for) return State::kHalfOpen;
  return state_;
}

}  // namespace asahi
