#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace asahi::identity {

/// Whose requests are counted together.
enum class LimitScope : std::uint8_t { kIp, kKey, kUser, kOrg, kModel };
std::string_view to_string(LimitScope scope);  ///< "ip", "key", "user", "org", "model"

/// A sliding window: at most `max` within any `window`. `id` names the counter within its scope and organisation:
/// an address, a key prefix, a user, an organisation, "org/model".
struct Limit {
  LimitScope scope = LimitScope::kKey;
  enum class Unit : std::uint8_t { kRequests, kTokens } unit = Unit::kRequests;
  std::string id;
  std::int64_t max = 0;
  std::chrono::milliseconds window{60'000};
};

/// What a check found. When several limits were asked, the figures are those of the limit that refused, else of the
/// one with the smallest share left.
struct LimitVerdict {
  bool allowed = true;
  LimitScope scope = LimitScope::kKey;
  Limit::Unit unit = Limit::Unit::kRequests;
  std::int64_t max = 0;
  std::int64_t remaining = 0;
  std::chrono::milliseconds reset{0};        ///< until the window is empty again
  std::chrono::milliseconds retry_after{0};  ///< refused: until it would be allowed
};

}  // namespace asahi::identity
