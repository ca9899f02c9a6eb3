#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "identity/tokens/http_fetch.h"
#include "identity/tokens/jwt_key.h"
#include "net/event.h"

namespace asahi::identity {

/// A JWK set (RFC 7517 §5): its RSA and P-256 keys for RS256 and ES256. Others are passed over:
/// secrets (`oct`), keys for encryption, other algorithms, weak or broken ones. Errors:
/// invalid_argument (no JWK set, more than 64 keys).
Result<JwtKeySet> parse_jwks(std::string_view text);

/// The public halves as a JWK set; secrets are left out.
std::string write_jwks(const JwtKeySet& keys);

/// The keys of one issuer, fetched when first needed, kept for an hour, and asked for again when a
/// token names a key that is not among them: at most once a minute, so that forged ids cost
/// nothing. While the issuer is away the old keys serve for four hours at most. One fetch at a time
/// for the whole process. Thread-safe.
class RemoteJwks {
 public:
  static constexpr std::chrono::minutes kFresh{60};
  static constexpr std::chrono::minutes kStale{240};
  static constexpr std::chrono::seconds kPause{60};  ///< between fetches once there are keys
  static constexpr std::chrono::seconds kPauseWithoutKeys{
      5};  ///< after a failure before there are any
  static constexpr std::size_t kMaxBytes = 256 * 1024;

  /// `fresh`: how long keys are used without asking again.
  RemoteJwks(std::string url, HttpFetch fetch, const Clock& clock,
             std::chrono::seconds fresh = kFresh);

  /// Keys to look for that one in, without suspending; null: ask `keys`.
  std::shared_ptr<const JwtKeySet> try_keys(const std::optional<std::string>& kid,
                                            JwtAlg alg) const;
  /// The keys known after everything was done to find that one. Errors: unavailable (the issuer
  /// cannot be reached and no usable keys are left).
  Task<std::shared_ptr<const JwtKeySet>> keys(std::optional<std::string> kid, JwtAlg alg);

 private:
  enum class Step { kUse, kUnavailable, kFetch };
  class FetchTurn;
  struct Waiter {
    net::Loop* loop;
    std::shared_ptr<net::Event> event;
  };
  Step next_step(const std::optional<std::string>& kid, JwtAlg alg) const;
  void finish(std::shared_ptr<const JwtKeySet> fetched);

  const std::string url_;
  const HttpFetch fetch_;
  const Clock& clock_;
  const std::chrono::seconds fresh_;
  const Logger log_{"identity"};
  mutable std::mutex mutex_;  // never held across a suspension
  std::shared_ptr<const JwtKeySet> keys_;
  Clock::Steady fetched_at_{};
  std::optional<Clock::Steady> tried_at_;
  bool fetching_ = false;
  std::vector<Waiter> waiters_;
};

}  // namespace asahi::identity
