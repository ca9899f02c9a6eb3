#include "storage/cache/redis/subscriber.h"

#include <boost/asio/as_tuple.hpp>

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace asahi::cache {
namespace {

constexpr std::size_t kReadBytes = 4 << 10;
constexpr std::chrono::seconds kRealSession{1};

const Logger& logger() {
  static const Logger instance("redis");
  return instance;
}

}  // namespace

Subscriber::Subscriber(net::Loop& loop, std::shared_ptr<const RedisOptions> options,
                       std::function<RedisEndpoint()> pick)
    : loop_(loop),
      options_(std::move(options)),
      pick_(std::move(pick)),
      pause_(loop.io()),
      heartbeat_(loop.io()) {}

std::uint64_t Subscriber::add(std::string channel, OnMessage on_message, OnActive on_active) {
  const std::uint64_t id = next_id_++;
  auto& listeners = channels_[channel];
  listeners.push_back(
      std::make_shared<Listener>(Listener{id, std::move(on_message), std::move(on_active)}));
  // Subscribing twice is harmless, and its confirmation tells the new listener that it is active.
  send({"SUBSCRIBE", channel});
  if (!std::exchange(started_, true)) {
    loop_.spawn("redis subscriber",
                [self = shared_from_this()]() mutable { return supervise(std::move(self)); });
  }
  return id;
}

void Subscriber::remove(std::uint64_t id) {
  for (auto channel = channels_.begin(); channel != channels_.end(); ++channel) {
    Listeners& listeners = channel->second;
    const auto at = std::ranges::find(listeners, id, [](const auto& one) { return one->id; });
    if (at == listeners.end()) continue;
    (*at)->removed = true;
    listeners.erase(at);
    if (listeners.empty()) {
      send({"UNSUBSCRIBE", channel->first});
      channels_.erase(channel);
    }
    return;
  }
}

void Subscriber::close() {
  closed_ = true;
  pause_.cancel();
  heartbeat_.cancel();
  if (stream_ != nullptr) stream_->close();
}

Aw<void> Subscriber::supervise(std::shared_ptr<Subscriber> self) {
  Backoff backoff(self->options_->backoff_first, self->options_->backoff_cap);
  bool told = false;
  while (!self->closed_) {
    auto session = co_await open_session(self->loop_, self->options_, self->pick_());
    if (self->closed_) co_return;
    Error error;
    bool lived = false;
    if (session) {
      if (std::exchange(told, false)) logger().info("Redis subscriptions are back");
      const auto opened = std::chrono::steady_clock::now();
      self->stream_ = std::move(session->stream);
      self->last_heard_ = opened;
      self->asked_ = false;
      self->out_.clear();
      self->writing_ = false;
      std::vector<std::string_view> subscribe{"SUBSCRIBE"};
      for (const auto& [channel, listeners] : self->channels_) subscribe.push_back(channel);
      if (subscribe.size() > 1) self->send(std::move(subscribe));
      self->arm_heartbeat();
      error = co_await listen(self, self->stream_);
      if (self->closed_) co_return;
      self->heartbeat_.cancel();
      self->stream_->close();
      self->stream_.reset();
      lived = std::chrono::steady_clock::now() - opened >= kRealSession;
    } else {
      error = std::move(session.error());
    }
    if (lived) {
      backoff.reset();
      continue;
    }
    if (!std::exchange(told, true)) {
      logger().warning("Redis subscriptions are away; trying again in the background",
                       {{"error", error.message}});
    }
    self->pause_.expires_after(backoff.next());
    co_await self->pause_.async_wait(boost::asio::as_tuple(use_aw));
  }
}

Aw<Error> Subscriber::listen(std::shared_ptr<Subscriber> self,
                             std::shared_ptr<net::Stream> stream) {
  RespParser parser(self->options_->limits);
  std::vector<char> buffer(kReadBytes);
  while (true) {
    auto size = co_await stream->read_some(boost::asio::buffer(buffer));
    if (!size) co_return std::move(size.error());
    if (*size == 0) co_return fail(Errc::kUnavailable, "Redis closed the connection").error();
    self->last_heard_ = std::chrono::steady_clock::now();
    self->asked_ = false;
    std::string_view bytes(buffer.data(), *size);
    while (!bytes.empty()) {
      auto reply = parser.parse(bytes);
      if (!reply) co_return std::move(reply.error());
      if (!*reply) break;
      if ((*reply)->is_error()) co_return redis_error(**reply);
      self->take(**reply);
    }
  }
}

void Subscriber::take(const Reply& reply) {
  // RESP3 pushes and RESP2 arrays carry the same items; anything else answers a PING.
  if (reply.items.size() < 3) return;
  const std::string_view kind = reply.items[0].text;
  const auto channel = channels_.find(reply.items[1].text);
  if (channel == channels_.end()) return;
  const Listeners listeners = channel->second;  // a callback may add and remove
  for (const auto& listener : listeners) {
    if (listener->removed) continue;
    if (kind == "message") listener->on_message(reply.items[2].text);
    if (kind == "subscribe" && listener->on_active) listener->on_active();
  }
}

void Subscriber::send(std::vector<std::string_view> args) {
  if (stream_ == nullptr) return;  // the next session subscribes to everything
  append_command(out_, args);
  if (std::exchange(writing_, true)) return;
  loop_.spawn("redis subscriber writer", [self = shared_from_this(), stream = stream_]() mutable {
    return write_queued(std::move(self), std::move(stream));
  });
}

Aw<void> Subscriber::write_queued(std::shared_ptr<Subscriber> self,
                                  std::shared_ptr<net::Stream> stream) {
  while (self->stream_ == stream && !self->out_.empty()) {
    const std::string bytes = std::exchange(self->out_, {});
    if (auto written = co_await stream->write(boost::asio::buffer(bytes)); !written) {
      stream->close();
      break;
    }
  }
  if (self->stream_ == stream) self->writing_ = false;
}

void Subscriber::arm_heartbeat() {
  heartbeat_.expires_after(options_->heartbeat);
  heartbeat_.async_wait([self = shared_from_this()](boost::system::error_code error) {
    if (error || self->stream_ == nullptr) return;
    const auto silence = std::chrono::steady_clock::now() - self->last_heard_;
    if (silence >= self->options_->heartbeat) {
      // A quiet channel is no dead server: only one that was asked and kept silent is.
      if (std::exchange(self->asked_, true)) {
        self->stream_->close();
        return;
      }
      self->send({"PING"});
    }
    self->arm_heartbeat();
  });
}

}  // namespace asahi::cache
