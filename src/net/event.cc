#include "net/event.h"

#include <boost/asio/post.hpp>

#include "net/loop.h"

namespace asahi::net {

Event::~Event() {
  if (!waiter_) return;
  if (prev_ != nullptr) {
    prev_->next_ = next_;
  } else if (loop_.waiting_ == this) {
    loop_.waiting_ = next_;
  }
  if (next_ != nullptr) next_->prev_ = prev_;
}

Aw<void> Event::wait() {
  if (set_) {
    set_ = false;
    co_return;
  }
  auto start = [this](auto handler) {
    waiter_ = std::move(handler);
    prev_ = nullptr;
    next_ = loop_.waiting_;
    if (next_ != nullptr) next_->prev_ = this;
    loop_.waiting_ = this;
  };
  co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<IoExecutor>, void()>(
      std::move(start), use_aw);
}

void Event::set() {
  if (!waiter_) {
    set_ = true;
    return;
  }
  if (prev_ != nullptr) {
    prev_->next_ = next_;
  } else {
    loop_.waiting_ = next_;
  }
  if (next_ != nullptr) next_->prev_ = prev_;
  boost::asio::post(loop_.io(), std::exchange(waiter_, nullptr));
}

}  // namespace asahi::net
