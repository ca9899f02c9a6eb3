#include "identity/limits/asks.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <string>

namespace asahi::identity {
namespace {

using Asks = std::vector<RateLimiter::Ask>;

constexpr std::size_t kNetworkBytes = 8;  // of an IPv6 /64

void add(Asks& asks, LimitScope scope, Limit::Unit unit, std::string_view org, std::string_view id,
         std::optional<std::int64_t> per_minute, std::int64_t amount) {
  if (!per_minute || id.empty()) return;
  Limit limit;
  limit.scope = scope;
  limit.unit = unit;
  limit.id = id;
  limit.max = *per_minute;
  limit.org = org;
  asks.push_back({std::move(limit), amount});
}

void add_of_caller(Asks& asks, Limit::Unit unit, const LimitRules& rules, const Principal& caller,
                   std::int64_t amount) {
  const auto rate = [unit](const LimitRates& rates) {
    return unit == Limit::Unit::kRequests ? rates.requests : rates.tokens;
  };
  const LimitRates own{caller.requests_per_minute, caller.tokens_per_minute};
  const auto of_key = rate(own) ? rate(own) : rate(rules.key);
  add(asks, LimitScope::kKey, unit, caller.org_id, caller.key_prefix, of_key, amount);
  add(asks, LimitScope::kUser, unit, caller.org_id, caller.user_id, rate(rules.user), amount);
  add(asks, LimitScope::kOrg, unit, caller.org_id, caller.org_id, rate(rules.org), amount);
}

std::string counted_address(std::string_view text) {
  in6_addr address;
  if (::inet_pton(AF_INET6, std::string(text).c_str(), &address) != 1) return std::string(text);
  std::array<char, INET6_ADDRSTRLEN> out;
  if (IN6_IS_ADDR_V4MAPPED(&address)) {
    return ::inet_ntop(AF_INET, &address.s6_addr[12], out.data(), out.size());
  }
  std::fill(std::begin(address.s6_addr) + kNetworkBytes, std::end(address.s6_addr),
            std::uint8_t{0});
  return std::string(::inet_ntop(AF_INET6, &address, out.data(), out.size())) + "/64";
}

}  // namespace

Asks asks_of_address(const LimitRules& rules, std::string_view address) {
  Asks asks;
  if (rules.address_requests) {
    add(asks, LimitScope::kIp, Limit::Unit::kRequests, {}, counted_address(address),
        rules.address_requests, 1);
  }
  return asks;
}

Asks asks_of_caller(const LimitRules& rules, const Principal& caller) {
  Asks asks;
  add_of_caller(asks, Limit::Unit::kRequests, rules, caller, 1);
  return asks;
}

Asks asks_of_model(const LimitRules& rules, const Principal& caller, std::string_view model,
                   std::int64_t tokens) {
  tokens = std::max<std::int64_t>(tokens, 1);
  Asks asks;
  add(asks, LimitScope::kModel, Limit::Unit::kRequests, caller.org_id, model, rules.model.requests,
      1);
  add_of_caller(asks, Limit::Unit::kTokens, rules, caller, tokens);
  add(asks, LimitScope::kModel, Limit::Unit::kTokens, caller.org_id, model, rules.model.tokens,
      tokens);
  return asks;
}

void settle_tokens(RateLimiter& limiter, std::span<const RateLimiter::Ask> asks, LimitStamp taken,
                   std::int64_t tokens) {
  for (const RateLimiter::Ask& ask : asks) {
    if (ask.limit.unit != Limit::Unit::kTokens) continue;
    limiter.adjust(ask.limit, std::max<std::int64_t>(tokens, 0) - ask.amount, taken);
  }
}

}  // namespace asahi::identity
