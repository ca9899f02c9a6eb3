#pragma once

#include <string>
#include <string_view>

#include "identity/limits/limit.h"

namespace asahi::identity {

/// `{prefix}:{scope}:{id}` (spec §6); with an organisation that stands before the id, as the hash
/// tag of a cluster: "asahi:rl:ip:192.0.2.7", "asahi:rl:key:{acme}:ask_acme_ab12",
/// "asahi:rl:org:{acme}". Tokens and windows other than a minute show behind the scope:
/// "asahi:rl:model-tokens-w3600000:…". Two limits share a key only when they name the same counter.
std::string limiter_key(std::string_view prefix, const Limit& limit);

/// True when both limits name one counter; their maxima may differ.
bool same_counter(const Limit& a, const Limit& b);

}  // namespace asahi::identity
