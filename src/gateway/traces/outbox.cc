#include "gateway/traces/outbox.h"

#include <thread>

namespace asahi::gateway {
namespace {

constexpr const char* kDropped = "asahi_telemetry_dropped_total";
constexpr const char* kDroppedHelp = "Traces and faults that did not reach their collector";

}  // namespace

Outbox::Outbox(Options options, Parts parts)
    : options_(std::move(options)),
      parts_(std::move(parts)),
      sent_(parts_.metrics.counter("asahi_telemetry_sent_total",
                                   "Traces and faults that a collector took",
                                   {{"sink", options_.name}})),
      overflowed_(parts_.metrics.counter(kDropped, kDroppedHelp,
                                         {{"sink", options_.name}, {"reason", "queue_full"}})),
      failed_(parts_.metrics.counter(kDropped, kDroppedHelp,
                                     {{"sink", options_.name}, {"reason", "not_taken"}})) {}

bool Outbox::is_full() const {
  return queue_.size() >= options_.batch_items || bytes_ >= options_.batch_bytes;
}

bool Outbox::offer(std::string item) {
  bool begin = false, full = false;
  {
    const std::scoped_lock lock(mutex_);
    if (stopping_ || queue_.size() >= options_.max_items ||
        bytes_ + item.size() > options_.max_bytes) {
      overflowed_.add();
      return false;
    }
    const bool was_full = is_full();
    bytes_ += item.size();
    queue_.push_back(std::move(item));
    begin = !std::exchange(running_, true);
    full = !was_full && is_full();
  }
  if (begin) {
    parts_.loop.post([this] { parts_.loop.spawn(options_.name + " outbox", run()); });
  } else if (full) {
    parts_.loop.post([this] {
      if (pause_ != nullptr && gathering_) pause_->cancel();
    });
  }
  return true;
}

std::vector<std::string> Outbox::take() {
  std::vector<std::string> batch;
  const std::scoped_lock lock(mutex_);
  std::size_t bytes = 0;
  while (batch.size() < queue_.size() && batch.size() < options_.batch_items &&
         (batch.empty() || bytes + queue_[batch.size()].size() <= options_.batch_bytes)) {
    bytes += queue_[batch.size()].size();
    batch.push_back(std::move(queue_[batch.size()]));
  }
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(batch.size()));
  bytes_ -= bytes;
  if (batch.empty()) running_ = false;
  return batch;
}

Aw<void> Outbox::pause(std::chrono::milliseconds time, bool gathering) {
  if (stopping_) co_return;
  CancelSource cut;
  pause_ = &cut;
  gathering_ = gathering;
  (void)co_await parts_.loop.sleep_for(time, &cut);
  pause_ = nullptr;
}

Aw<void> Outbox::run() {
  for (;;) {
    bool full;
    {
      const std::scoped_lock lock(mutex_);
      full = is_full();
    }
    if (!full) co_await pause(options_.interval, true);
    auto batch = take();
    if (batch.empty()) break;
    co_await deliver(std::move(batch));
  }
}

Aw<void> Outbox::deliver(std::vector<std::string> batch) {
  const auto count = static_cast<double>(batch.size());
  const std::string body = parts_.compose(std::move(batch));
  for (int attempt = 1;; ++attempt) {
    CancelSource cancel;
    call_ = &cancel;
    http::ClientRequest request;
    request.origin = options_.origin;
    request.target = options_.target;
    request.headers = options_.headers;
    request.body = body;
    http::CallOptions limits;
    limits.deadline = std::chrono::steady_clock::now() + options_.timeout;
    limits.idle_timeout = options_.timeout;
    limits.cancel = &cancel;
    const auto reply = co_await parts_.client.send(std::move(request), limits);
    call_ = nullptr;
    const DeliveryVerdict verdict = parts_.judge(reply, attempt);
    if (!verdict.why.empty()) {
      if (const auto held_back = outage_.pass(std::chrono::steady_clock::now())) {
        logger_.warning("telemetry is not taken", {{"dependency", options_.name},
                                                   {"error", verdict.why},
                                                   {"retry", attempt - 1},
                                                   {"suppressed", *held_back}});
      }
    }
    if (verdict.what == DeliveryVerdict::What::kDelivered) {
      sent_.add(count);
      co_return;
    }
    if (verdict.what == DeliveryVerdict::What::kGiveUp || stopping_) break;
    co_await pause(verdict.pause, false);
  }
  failed_.add(count);
}

void Outbox::stop(std::chrono::milliseconds limit) {
  stopping_ = true;
  parts_.loop.post([this] {
    if (pause_ != nullptr) pause_->cancel();
  });
  const auto ended = [this] {
    const std::scoped_lock lock(mutex_);
    return !running_;
  };
  const auto wait = [&](std::chrono::milliseconds time) {
    const auto give_up = std::chrono::steady_clock::now() + time;
    while (!ended() && std::chrono::steady_clock::now() < give_up)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
  };
  wait(limit);
  if (ended()) return;
  {
    const std::scoped_lock lock(mutex_);
    failed_.add(static_cast<double>(queue_.size()));
    queue_.clear();
    bytes_ = 0;
  }
  parts_.loop.post([this] {
    if (call_ != nullptr) call_->cancel();
  });
  wait(std::chrono::seconds(1));
}

}  // namespace asahi::gateway
