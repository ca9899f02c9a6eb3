#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/json.h"
#include "base/policy/breaker.h"
#include "base/task.h"
#include "identity/tokens/http_fetch.h"

namespace asahi::identity {

/// A service outside that says whether a token is good and whose it is (memory spec §9.1):
/// POST {"token": …} to its URL; 200 with the claims as an object (at the top, or below "claims"),
/// or any status of 400 to 499 for a token that is not good. `"active": false` (RFC 7662) and
/// `"valid": false` say that too. Thread-safe.
class VerifyService {
 public:
  static constexpr std::chrono::seconds kPatience{5};
  static constexpr std::size_t kMaxBytes = 64 * 1024;

  /// Errors: invalid_argument (the URL). `clock` outlives it.
  static Result<std::unique_ptr<VerifyService>> make(std::string url, HttpFetch fetch,
                                                     const Clock& clock);

  /// The claims of a good token. Errors: unauthenticated for others; unavailable while the service
  /// is away, which after five failures in a row it is taken to be for a minute.
  Task<json::object> claims(std::string token);
  Breaker::State state() const { return breaker_.state(clock_.steady_now()); }

 private:
  VerifyService(std::string url, HttpFetch fetch, const Clock& clock)
      : url_(std::move(url)), fetch_(std::move(fetch)), clock_(clock) {}
  Task<http::ClientResponse> ask(std::string token);

  const std::string url_;
  const HttpFetch fetch_;
  const Clock& clock_;
  Breaker breaker_{
      {.failures = 5, .open_for = std::chrono::seconds(60), .half_open_probes = 3, .successes = 2}};
};

}  // namespace asahi::identity
