#pragma once

#include <memory>
#include <mutex>
#include <utility>

namespace asahi::identity {

/// A value that is replaced while others read it, such as the encryption key ring: who reads takes
/// a snapshot and keeps it as long as it needs, who replaces waits for nobody. Thread-safe.
template <class T>
class Live {
 public:
  Live() = default;
  explicit Live(T value) : value_(std::make_shared<const T>(std::move(value))) {}

  /// Null: there is none.
  std::shared_ptr<const T> get() const {
    const std::lock_guard lock(mutex_);
    return value_;
  }
  void set(T value) {
    auto next = std::make_shared<const T>(std::move(value));
    const std::lock_guard lock(mutex_);
    value_.swap(next);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const T> value_;
};

}  // namespace asahi::identity
