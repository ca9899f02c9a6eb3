#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "identity/http/authenticator.h"
#include "identity/http/client_ip.h"
#include "identity/http/denials.h"
#include "identity/limits/rate_limiter.h"
#include "identity/principal.h"
#include "net/http/gate.h"

namespace asahi::identity {

/// Requests per minute that a caller may send; 0: no limit.
struct CallerLimits {
  std::int64_t key_per_minute = 0;     ///< this key, or this user
  std::int64_t tenant_per_minute = 0;  ///< the whole organisation
};

struct GateOptions {
  /// Off: callers without a credential of ours are anonymous, of the organisation `default`, with
  /// every permission.
  bool auth_required = true;
  std::string key_prefix = "ask";
  /// Per key and per tenant where plan, policy and key say nothing; per address for callers without
  /// a credential. 0: no limit.
  std::int64_t requests_per_minute = 100;
  std::int64_t anonymous_per_minute = 100;
  /// Refused credentials per address and minute; beyond: 429 before any store is asked.
  std::int64_t failures_per_minute = 100;
  Networks trusted_proxies;
};

/// Stands before every route (net/http/gate.h). Asks its authenticators in turn, then the route's
/// `access`, then the limits, and leaves the caller in the context.
///
/// Errors: unauthenticated (one body for every reason), forbidden with reason "insufficient_scope"
/// for keys and "forbidden" for users (both name the permission), rate_limited, unavailable (the
/// store of credentials is away). Reads of public routes are free; what changes something there is
/// limited per address. Thread-safe, for loop threads.
class IdentityGate final : public http::Gate {
 public:
  /// Limits of a caller; without it the key's own and else the defaults of the options.
  struct LimitsOf {
    /// From memory, on the hot path; empty: ask `found`.
    std::function<std::optional<CallerLimits>(const Principal&)> known;
    std::function<Aw<CallerLimits>(std::shared_ptr<const Principal>)> found;
  };

  struct Parts {
    GateOptions options;
    /// In the order in which they are asked; the first that applies decides.
    std::vector<std::shared_ptr<Authenticator>> authenticators;
    RateLimiter& limiter;
    Denials& denials;
    const Clock& clock;
    LimitsOf limits_of;
  };

  explicit IdentityGate(Parts parts);

  std::optional<Result<void>> try_enter(http::Context& context, const http::Route& route) override;
  Task<void> enter(http::Context& context, const http::Route& route) override;

  /// The sender's address, past trusted proxies.
  std::string client_ip(const http::Request& request) const;

 private:
  using Caller = std::shared_ptr<const Principal>;

  Authenticator* authenticator_for(const http::Context& context) const;
  /// Who a request without a credential of ours comes from: empty where it needs one.
  Caller without_credential(const http::Route& route) const;
  Result<void> check_access(const Principal& caller, const http::Route& route) const;
  /// What the request takes of which limits; none: it is free.
  /// What the limiter is asked; the caller's limits empty: not known yet, and nothing is collected.
  std::optional<CallerLimits> known_limits(const Principal& caller) const;
  void collect_asks(const http::Context& context, const Principal& caller,
                    const CallerLimits& limits, std::vector<RateLimiter::Ask>& asks) const;
  Result<void> apply(http::Context& context, const Principal& caller,
                     const LimitVerdict& verdict) const;
  void note_success(const http::Context& context, const http::Route& route,
                    const Principal& caller) const;
  /// Records the refusal and returns it.
  std::unexpected<Error> refuse(http::Context& context, const http::Route& route,
                                const Principal* caller, Error error) const;

  const Parts parts_;
  Caller anonymous_;  ///< every permission: authentication is off
  Caller nobody_;     ///< none: a public route
};

}  // namespace asahi::identity
