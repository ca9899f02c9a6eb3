#include "identity/limits/limit.h"

#include <algorithm>

namespace asahi::identity {

std::string_view to_string(LimitScope scope) {
  switch (scope) {
    case LimitScope::kIp:
      return "ip";
    case LimitScope::kKey:
      return "key";
    case LimitScope::kUser:
      return "user";
    case LimitScope::kOrg:
      return "org";
    case LimitScope::kModel:
      return "model";
  }
  return "unknown";
}

bool stricter(const LimitVerdict& a, const LimitVerdict& b) {
  if (a.allowed != b.allowed) return !a.allowed;
  if (!a.allowed) return a.retry_after > b.retry_after;
  // A verdict that met no limit at all leaves everything.
  const auto share = [](const LimitVerdict& verdict) {
    return verdict.max > 0 ? double(verdict.remaining) / double(verdict.max) : 1.0;
  };
  if (b.max == 0) return a.max > 0;
  return a.max > 0 && share(a) < share(b);
}

std::chrono::nanoseconds merge_span(const Limit& limit, std::size_t entries) {
  if (limit.max <= static_cast<std::int64_t>(entries)) return std::chrono::nanoseconds(0);
  return std::chrono::nanoseconds(bounded_window(limit)) / static_cast<std::int64_t>(entries);
}

std::int64_t bounded_max(const Limit& limit) {
  return std::clamp<std::int64_t>(limit.max, 0, kMostPerWindow);
}

std::chrono::milliseconds bounded_window(const Limit& limit) {
  return std::clamp(limit.window, std::chrono::milliseconds(1), kLongestWindow);
}

}  // namespace asahi::identity
