#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/log.h"
#include "base/policy/retry.h"
#include "base/task.h"
#include "net/http/client.h"
#include "net/loop.h"

namespace asahi::vector {

using Deadline = std::chrono::steady_clock::time_point;

/// JSON over HTTP to a vector database: bounded tries until a deadline, answers turned into typed
/// errors. Any loop's thread.
class RestClient {
 public:
  /// `name` stands in messages; `headers` go with every call (keys).
  RestClient(std::string name, http::Headers headers, RetryPolicy retry,
             net::PerLoop<http::Client>& clients)
      : name_(std::move(name)), headers_(std::move(headers)), retry_(retry), clients_(clients) {}

  /// Finds the error in an answer that says 200 to everything.
  using Judge = std::function<Result<void>(const json::value& answer)>;

  /// The body of a good answer; null for an empty one. Errors by status: 400 and 422
  /// invalid_argument, 401 unauthenticated, 403 forbidden, 404 not_found, 409 conflict, 413
  /// too_large, 429 rate_limited, 503 unavailable, other upstream; timeout, unavailable.
  Task<json::value> call(http::Method method, http::Origin origin, std::string target,
                         std::string body, Deadline deadline, Judge judge = {});

  /// An error about an answer that reads differently than documented.
  std::unexpected<Error> strange(std::string_view what) const;
  const std::string& name() const { return name_; }

 private:
  Error refusal(const http::ClientResponse& answer, std::string_view target) const;

  const std::string name_;
  const http::Headers headers_;
  const RetryPolicy retry_;
  net::PerLoop<http::Client>& clients_;
  Logger log_{"storage.vector"};
};

}  // namespace asahi::vector
