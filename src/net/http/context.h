#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/cancel.h"
#include "net/http/message.h"
#include "net/loop.h"

namespace asahi::http {

/// Who sends a request, as the gate found out (net/http/gate.h). What it holds is the gate's
/// matter.
struct Caller {
  virtual ~Caller() = default;
};

/// What a handler leaves for whoever writes the log of requests. What it holds is their matter.
struct Notes {
  virtual ~Notes() = default;
};

/// What is left of a caller's limits; told in X-RateLimit-Limit, -Remaining and -Reset.
struct LimitState {
  std::int64_t most = 0, remaining = 0;
  std::int64_t reset = 0;  ///< seconds since 1970
};

/// One request's way through the server: what arrived, where it runs, who is still waiting.
/// Lives in the connection's coroutine for as long as the handler and its stream run.
struct Context {
  Request& request;
  net::Loop& loop;
  /// Fires when the client disconnects or the server's drain time is over. Watched from the first
  /// suspension on: a handler that answers at once costs nothing.
  CancelSource& cancel;
  /// When the answer must be complete; set by the server from its limits.
  std::chrono::steady_clock::time_point deadline;
  std::chrono::steady_clock::time_point received;
  /// `X-Request-Id` when valid, else a fresh `req_` + 12 hex digits. Echoed in every reply.
  std::string request_id;
  /// What the client sent when that was not a valid id.
  std::string client_request_id;
  /// Values of the route's `{name}` parts, in order.
  std::vector<std::pair<std::string_view, std::string>> path_params;
  /// The route's pattern ("/cache/entries"), for metrics and logs: bounded cardinality.
  std::string_view route;
  /// Set by the gate before the handler runs; null without a gate.
  std::shared_ptr<const Caller> caller;
  /// Added to the reply whatever it is: cookies, challenges.
  Headers reply_headers;
  /// Set by the gate for callers under limits. Numbers, since nearly every reply tells them.
  std::optional<LimitState> limits{};
  /// Set by handlers that have more to say than a status; may stay null.
  std::shared_ptr<const Notes> notes{};

  std::string_view path_param(std::string_view name) const {
    for (const auto& [key, value] : path_params) {
      if (key == name) return value;
    }
    return {};
  }
};

}  // namespace asahi::http
