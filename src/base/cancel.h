#pragma once

#include <algorithm>
#include <functional>
#include <list>
#include <utility>

namespace asahi {

/// Tells work in flight that nobody waits for it any more. Owned by the request; lower layers
/// subscribe for as long as they hold something worth closing (a socket, a queue slot).
/// Not thread-safe: lives and dies on one event loop.
class CancelSource {
 public:
  using Callback = std::function<void()>;

 private:
  struct Entry {
    Callback callback;
    bool fired = false;
  };

 public:
  /// Removes its callback when destroyed; may outlive neither the source nor its loop.
  class [[nodiscard]] Subscription {
   public:
    Subscription() = default;
    Subscription(Subscription&& other) noexcept
        : source_(std::exchange(other.source_, nullptr)), at_(other.at_) {}
    Subscription& operator=(Subscription&& other) noexcept {
      if (this != &other) {
        reset();
        source_ = std::exchange(other.source_, nullptr);
        at_ = other.at_;
      }
      return *this;
    }
    ~Subscription() { reset(); }
    void reset() {
      if (source_ != nullptr) source_->entries_.erase(at_);
      source_ = nullptr;
    }

   private:
    friend class CancelSource;
    Subscription(CancelSource* source, std::list<Entry>::iterator at) : source_(source), at_(at) {}
    CancelSource* source_ = nullptr;
    std::list<Entry>::iterator at_;
  };

  CancelSource() = default;
  ~CancelSource() {
    if (gone_ != nullptr) *gone_ = true;
  }
  CancelSource(const CancelSource&) = delete;
  CancelSource& operator=(const CancelSource&) = delete;

  bool cancelled() const { return cancelled_; }

  /// Runs every subscribed callback once, in order of subscription. Later calls do nothing.
  void cancel() {
    if (std::exchange(cancelled_, true)) return;
    // A callback may drop its own or a neighbour's subscription, so look the list up anew each
    // time. It may also bring the request to its end, and this source with it.
    bool gone = false;
    gone_ = &gone;
    for (;;) {
      const auto next = std::ranges::find(entries_, false, &Entry::fired);
      if (next == entries_.end()) break;
      next->fired = true;
      const Callback callback = next->callback;
      callback();
      if (gone) return;
    }
    gone_ = nullptr;
  }

  /// `callback` runs on cancel(); at once when that has happened already.
  Subscription on_cancel(Callback callback) {
    if (cancelled_) {
      callback();
      return {};
    }
    return Subscription(this, entries_.insert(entries_.end(), {std::move(callback)}));
  }

 private:
  bool cancelled_ = false;
  bool* gone_ = nullptr;  ///< set while cancel() runs
  std::list<Entry> entries_;
};

}  // namespace asahi
