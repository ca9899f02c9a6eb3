#pragma once

#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/loop.h"
#include "net/stream.h"
#include "storage/cache/redis/options.h"
#include "storage/cache/redis/pipeline.h"
#include "storage/cache/redis/session.h"

namespace asahi::cache {

/// One connection to one server, kept up: what is submitted while a write is under way leaves in
/// the next write. Connects on first use; a lost connection is tried again at once, and after that
/// in the background with growing pauses, during which commands are refused without waiting. Loop
/// thread only. `close` ends its coroutines, which own it until then.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  /// `on_ready` runs each time a session stands; its argument: the server belongs to a cluster.
  Connection(net::Loop& loop, std::shared_ptr<const RedisOptions> options, RedisEndpoint endpoint,
             std::function<void(bool cluster)> on_ready);

  /// Why a command given now would fail at once; empty when `submit` may be called.
  std::optional<Error> refusal() const;
  /// Queues an encoded command. `handler` runs on the loop, never from within this call.
  void submit(std::string wire, Pipeline::Time deadline, Pipeline::Handler handler);
  /// Ends this session and opens another: the server is of no use any more.
  void reconnect(std::string why);
  /// Everything under way fails with unavailable; nothing is accepted any more. Idempotent.
  void close();

  bool ready() const { return state_ == State::kReady; }
  const RedisEndpoint& endpoint() const { return endpoint_; }

 private:
  enum class State { kIdle, kConnecting, kReady, kAway, kClosed };

  static Aw<void> supervise(std::shared_ptr<Connection> self);
  static Aw<Error> read_until_lost(std::shared_ptr<Connection> self,
                                   std::shared_ptr<net::Stream> stream);
  static Aw<void> write_queued(std::shared_ptr<Connection> self,
                               std::shared_ptr<net::Stream> stream);
  void start();
  void wake_writer();
  void arm(Pipeline::Time when);
  void on_timer();
  Error away(const Error& cause) const;
  static void run(std::vector<Pipeline::Answer> answers);

  net::Loop& loop_;
  const std::shared_ptr<const RedisOptions> options_;
  const RedisEndpoint endpoint_;
  const std::function<void(bool)> on_ready_;
  State state_ = State::kIdle;
  Error last_error_;
  std::string ended_because_;  ///< why we closed the stream ourselves; empty: we did not
  Pipeline pipeline_;
  std::shared_ptr<net::Stream> stream_;  ///< while ready
  bool writing_ = false;
  boost::asio::steady_timer pause_;  ///< between attempts
  boost::asio::steady_timer timer_;  ///< next deadline
  std::optional<Pipeline::Time> armed_for_;
};

/// Sends one encoded command and waits for its reply. With `asking`, the server is first told that
/// the key may still be moving to it. Errors: unavailable, timeout. An error reply is a value here.
Task<Reply> send_command(Connection& connection, std::string wire, Pipeline::Time deadline,
                         bool asking = false);

}  // namespace asahi::cache
