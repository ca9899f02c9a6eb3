#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>

#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"
#include "net/http/message.h"

/// Mutual authentication of the internal store API: both sides hold one secret. A request carries
/// its time, a nonce and an HMAC-SHA256 over everything that counts; the reply an HMAC over its
/// status, its body and the request's nonce, so that the caller knows who answered, and to what.
/// It does not hide what is sent: that is TLS's business.
namespace asahi::memory::remote {

inline constexpr std::string_view kTimeHeader = "X-Akosha-Time";    ///< ms since 1970
inline constexpr std::string_view kNonceHeader = "X-Akosha-Nonce";  ///< 32 hex digits, never twice
/// What is left of the caller's time, in ms.
inline constexpr std::string_view kDeadlineHeader = "X-Akosha-Deadline-Ms";
inline constexpr std::string_view kSignatureHeader = "X-Akosha-Signature";

inline constexpr std::size_t kMinStoreSecret = 32;

/// AKOSHA_STORE_SECRET, and the one before while it is being exchanged.
struct StoreSecrets {
  Secret current;   ///< signs; empty: nothing is signed or checked (loopback only)
  Secret previous;  ///< still accepted; empty: none
};
/// Errors: invalid_argument for one that is short or a placeholder, or a previous one alone.
Result<void> check_secrets(const StoreSecrets& secrets);

/// Signs what goes to `target` (POST); the nonce, which the reply must answer to.
std::string sign_request(const StoreSecrets& secrets, std::string_view target,
                         std::string_view body, std::chrono::milliseconds time_left,
                         Clock::Time now, http::Headers& headers);
/// Whether that is the answer to the request of `nonce`, by somebody who knows the secret.
bool is_signed_reply(const StoreSecrets& secrets, std::string_view nonce, int status,
                     std::string_view body, std::string_view signature);

/// The server's side. Thread-safe.
class RequestCheck {
 public:
  /// `window`: how far clocks may be apart; a request is good for so long and remembered for so
  /// long, at most `max_nonces` at a time.
  struct Options {
    std::chrono::seconds window{60};
    std::size_t max_nonces = 1'000'000;
  };
  RequestCheck(StoreSecrets secrets, const Clock& clock, Options options);
  RequestCheck(StoreSecrets secrets, const Clock& clock)
      : RequestCheck(std::move(secrets), clock, Options()) {}

  /// A request that was let in; signs its reply with the secret that it came with.
  class Pass {
   public:
    /// Of a reply that goes out; nothing without secrets.
    void sign(http::Response& response) const;
    /// What the caller has left; nothing: it did not say.
    std::optional<std::chrono::milliseconds> time_left;

   private:
    friend class RequestCheck;
    const Secret* secret_ = nullptr;
    std::string nonce_;
  };
  /// Errors: unauthenticated (no, wrong or used signature, or another time than ours), unavailable
  /// (more requests in the window than can be remembered).
  Result<Pass> check(const http::Request& request);

 private:
  Result<void> remember(const std::string& nonce, Clock::Time now);

  const StoreSecrets secrets_;
  const Clock& clock_;
  const Options options_;
  std::mutex mutex_;
  // Of this window and the one before it.
  std::unordered_set<std::string> nonces_, older_;
  Clock::Time since_{};
};

}  // namespace asahi::memory::remote
