#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace asahi::identity {

/// Whose requests are counted together.
enum class LimitScope : std::uint8_t { kIp, kKey, kUser, kOrg, kModel };
std::string_view to_string(LimitScope scope);  ///< "ip", "key", "user", "org", "model"

/// A sliding window: at most `max` within any `window`. What is taken at t counts until just before
/// t + window. Scope, unit, window, organisation and id name the counter; `max` may change.
struct Limit {
  LimitScope scope = LimitScope::kKey;
  enum class Unit : std::uint8_t { kRequests, kTokens } unit = Unit::kRequests;
  /// Within scope and organisation: an address, a key prefix, a user, an organisation, a model.
  std::string id;
  std::int64_t max = 0;
  std::chrono::milliseconds window{60'000};
  /// Whose counter it is; empty for addresses. In a Redis cluster the counters of one organisation
  /// live together, so that one call can take several.
  std::string org{};
};

/// When something was taken, as the limiter counts time; to correct it later. Zero: unknown.
struct LimitStamp {
  std::int64_t process = 0;  ///< in this process's counter
  std::int64_t shared = 0;   ///< in the counter of all replicas
};

/// What a check found. When several limits were asked, the figures are those of the limit that
/// refused, else of the one with the smallest share left.
struct LimitVerdict {
  bool allowed = true;
  LimitScope scope = LimitScope::kKey;
  Limit::Unit unit = Limit::Unit::kRequests;
  std::int64_t max = 0;
  std::int64_t remaining = 0;
  std::chrono::milliseconds reset{0};        ///< until the window is empty again
  std::chrono::milliseconds retry_after{0};  ///< refused: until it would be allowed
  LimitStamp taken{};                        ///< for RateLimiter::adjust
};

/// True when a client should be told `a` rather than `b`: a refusal before an allowance, then the
/// longer wait, then the smaller share left.
bool stricter(const LimitVerdict& a, const LimitVerdict& b);

/// How finely a counter keeps time. A log of single entries is exact; where `max` would make it
/// longer than `entries`, takes within window / entries share an entry, which counts until the last
/// of them has left the window. So never more than `max` passes in any window; room is given back
/// at most that much late. Zero: exact.
std::chrono::nanoseconds merge_span(const Limit& limit, std::size_t entries);

/// Bounds on what limiters are asked for, so that sums stay exact in 64 bits and in Lua's doubles.
inline constexpr std::int64_t kMostPerWindow = std::int64_t{1} << 50;
inline constexpr std::chrono::milliseconds kLongestWindow = std::chrono::days(366);
/// `limit` with max and window within those bounds; a negative max is 0, a window at least 1 ms.
std::int64_t bounded_max(const Limit& limit);
std::chrono::milliseconds bounded_window(const Limit& limit);

}  // namespace asahi::identity
