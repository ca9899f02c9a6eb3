#include "net/waiting.h"

namespace asahi::net {

std::uint64_t Changes::seen() const {
  const std::lock_guard lock(mutex_);
  return changes_;
}

void Changes::tell() {
  std::vector<std::move_only_function<void()>> waiters;
  {
    const std::lock_guard lock(mutex_);
    ++changes_;
    waiters.swap(waiters_);
  }
  for (auto& waiter : waiters) waiter();
}

Aw<void> Changes::since(std::uint64_t seen, std::chrono::steady_clock::time_point until) {
  const Loop::Deadline timer = Loop::current()->at(until, [this] { tell(); });
  co_await suspend([this, seen](std::move_only_function<void()> resume) {
    {
      const std::lock_guard lock(mutex_);
      if (changes_ == seen) {
        waiters_.push_back(std::move(resume));
        return;
      }
    }
    resume();
  });
}

Turns::Turn& Turns::Turn::operator=(Turn&& other) noexcept {
  if (this != &other) {
    end();
    turns_ = std::exchange(other.turns_, nullptr);
  }
  return *this;
}

void Turns::Turn::end() {
  if (Turns* const turns = std::exchange(turns_, nullptr)) turns->pass_on();
}

Aw<Turns::Turn> Turns::take() {
  co_await suspend([this](std::move_only_function<void()> resume) {
    {
      const std::lock_guard lock(mutex_);
      if (taken_) {
        waiting_.push_back(std::move(resume));
        return;
      }
      taken_ = true;
    }
    resume();
  });
  co_return Turn(*this);
}

void Turns::pass_on() {
  std::move_only_function<void()> next;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.empty()) {
      taken_ = false;
      return;
    }
    next = std::move(waiting_.front());
    waiting_.pop_front();
  }
  next();
}

}  // namespace asahi::net
