#include "identity/audit/intake.h"

namespace asahi::identity::audit {

bool Waiter::tell(Result<std::string> outcome) {
  sql::Done<std::string> done;
  {
    const std::lock_guard lock(mutex_);
    if (told_) return false;
    told_ = true;
    done = std::move(done_);
  }
  done(std::move(outcome));
  return true;
}

bool Waiter::told() const {
  const std::lock_guard lock(mutex_);
  return told_;
}

bool Waiter::take() {
  const std::lock_guard lock(mutex_);
  if (told_) return false;
  taken_ = true;
  return true;
}

bool Waiter::taken() const {
  const std::lock_guard lock(mutex_);
  return taken_;
}

void Waiter::release() {
  const std::lock_guard lock(mutex_);
  taken_ = false;
}

bool Intake::put(Item item) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || items_.size() >= max_queued_) {
      // Who waits is told; nobody else would know.
      if (item.waiter == nullptr) dropped_.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
    const bool urgent = item.waiter != nullptr;
    items_.push_back(std::move(item));
    ++accepted_;
    // A reader that lingers is woken by the quarter that would otherwise become a full queue.
    wake = asleep_ || (urgent && !urgent_) || items_.size() == max_queued_ / 4;
    urgent_ = urgent_ || urgent || items_.size() >= max_queued_ / 4;
    asleep_ = false;
  }
  if (wake) wake_.notify_one();
  return true;
}

void Intake::count_refusal() {
  const std::lock_guard lock(mutex_);
  dropped_.fetch_add(1, std::memory_order_relaxed);
  ++told_drops_;
}

Intake::Taken Intake::take(std::optional<std::chrono::steady_clock::time_point> deadline,
                           std::chrono::milliseconds linger) {
  std::unique_lock lock(mutex_);
  asleep_ = items_.empty();
  const auto anything = [this] { return !items_.empty() || urgent_ || stopping_; };
  if (deadline) {
    wake_.wait_until(lock, *deadline, anything);
  } else {
    wake_.wait(lock, anything);
  }
  asleep_ = false;
  wake_.wait_for(lock, linger, [this] { return urgent_ || stopping_ || items_.empty(); });
  urgent_ = false;
  Taken taken;
  taken.items.swap(items_);
  taken.stopping = stopping_;
  const std::uint64_t dropped = dropped_.load(std::memory_order_relaxed);
  taken.dropped = dropped - told_drops_;
  told_drops_ = dropped;
  return taken;
}

void Intake::hurry() {
  {
    const std::lock_guard lock(mutex_);
    urgent_ = true;
    asleep_ = false;
  }
  wake_.notify_one();
}

void Intake::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
}

std::uint64_t Intake::accepted() const {
  const std::lock_guard lock(mutex_);
  return accepted_;
}

}  // namespace asahi::identity::audit
