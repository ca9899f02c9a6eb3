#pragma once

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
      if (source_ != nullptr) source_->callbacks_.erase(at_);
      source_ = nullptr;
    }

   private:
    friend class CancelSource;
    Subscription(CancelSource* source, std::list<Callback>::iterator at) : source_(source), at_(at) {}
    CancelSource* source_ = nullptr;
    std::list<Callback>::iterator at_;
  };

  CancelSource() = default;
  CancelSource(const CancelSource&) = delete;
  CancelSource& operator=(const CancelSource&) = delete;

  bool cancelled() const { return cancelled_; }

  /// Runs every subscribed callback once, in order of subscription. Later calls do nothing.
  void cancel() {
    if (std::exchange(cancelled_, true)) return;
    // A callback may drop its own or a neighbour's subscription, so look the list up anew each time.
    while (!callbacks_.empty()) {
      fired_.splice(fired_.end(), callbacks_, callbacks_.begin());
      const Callback callback = fired_.back();
      callback();
    }
    callbacks_.splice(callbacks_.end(), fired_);
  }

  /// `callback` runs on cancel(); at once when that has happened already.
  Subscription on_cancel(Callback callback) {
    if (cancelled_) {
      callback();
      return {};
    }
    return Subscription(this, callbacks_.insert(callbacks_.end(), std::move(callback)));
  }

 private:
  bool cancelled_ = false;
  std::list<Callback> callbacks_;
  std::list<Callback> fired_;
};

}  // namespace asahi
