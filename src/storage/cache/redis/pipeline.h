#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/cache/redis/resp.h"

namespace asahi::cache {

/// Commands on their way over one connection, matched to replies by order. A command that timed out
/// after it was sent keeps its place until its late reply has passed, so that no reply ever reaches
/// the wrong caller. Pure: bytes and times in, bytes and answers out; whoever calls runs the
/// answers.
class Pipeline {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Handler = std::move_only_function<void(Result<Reply>)>;
  /// An answer to hand over. Run it after the call that returned it: it may come straight back
  /// here.
  struct Answer {
    Handler handler;
    Result<Reply> result;
  };

  explicit Pipeline(RespLimits limits);

  /// Queues one encoded command. An empty handler: the reply is of no interest.
  void push(std::string wire, Time deadline, Handler handler);

  std::size_t size() const { return queued_.size() + sent_.size(); }
  std::size_t queued_bytes() const { return queued_bytes_; }
  bool has_output() const { return !queued_.empty(); }
  /// The next bytes to write, whole commands, about `most` at a time; they count as sent from now
  /// on.
  std::string take_output(std::size_t most);

  struct Fed {
    std::vector<Answer> answers;
    /// Not RESP, or a reply nobody asked for: the connection is useless then. The answers still
    /// count.
    std::optional<Error> error;
  };
  /// Takes what was read.
  Fed feed(std::string_view bytes);

  /// Answers whose time has come, as timeouts.
  std::vector<Answer> expire(Time now);
  /// When `expire` has work next.
  std::optional<Time> next_deadline() const;
  /// Since when the server owes a reply that is overdue; empty when none is.
  std::optional<Time> overdue_since() const;

  /// The connection is gone: everything sent fails, as nobody knows whether it ran; what was not
  /// sent stays queued for the next connection. The parser starts afresh.
  std::vector<Answer> connection_lost(const Error& error);
  /// Everything queued fails too.
  std::vector<Answer> fail_queued(const Error& error);

 private:
  struct Queued {
    std::string wire;
    Time deadline;
    Handler handler;
  };
  struct Sent {
    Time deadline;
    Handler handler;
    bool timed_out = false;
  };

  RespParser parser_;
  RespLimits limits_;
  std::deque<Queued> queued_;
  std::deque<Sent> sent_;
  std::size_t queued_bytes_ = 0;
};

}  // namespace asahi::cache
