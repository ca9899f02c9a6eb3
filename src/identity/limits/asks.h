#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "identity/limits/rate_limiter.h"
#include "identity/principal.h"

namespace asahi::identity {

/// Per minute; empty: no such limit.
struct LimitRates {
  std::optional<std::int64_t> requests;
  std::optional<std::int64_t> tokens;
};

/// What binds a request, as configuration, plan, policy and catalogue say. A key's own rates, which
/// its principal carries, replace those of `key`.
struct LimitRules {
  std::optional<std::int64_t> address_requests;
  LimitRates key;
  LimitRates user;
  LimitRates org;
  LimitRates model;
};

/// The first check, before anybody is known: requests of an address. An IPv6 caller owns a /64, so
/// that is what counts; an IPv4 address mapped into IPv6 counts as itself. Empty: no limit.
std::vector<RateLimiter::Ask> asks_of_address(const LimitRules& rules, std::string_view address);

/// The second, once the caller is known: one request of its key, user and organisation.
std::vector<RateLimiter::Ask> asks_of_caller(const LimitRules& rules, const Principal& caller);

/// The third, once the model is chosen: one request of the organisation to that model, and `tokens`
/// (an estimate of the whole call, at least 1) of key, user, organisation and model.
std::vector<RateLimiter::Ask> asks_of_model(const LimitRules& rules, const Principal& caller,
                                            std::string_view model, std::int64_t tokens);

/// Puts the tokens that a call really used in the place of its estimate: `asks` as taken, `taken`
/// of the verdict. 0: the call failed and cost nothing. Its request stays counted.
void settle_tokens(RateLimiter& limiter, std::span<const RateLimiter::Ask> asks, LimitStamp taken,
                   std::int64_t tokens);

}  // namespace asahi::identity
