#include "identity/limits/redis_limiter_keys.h"

#include <fmt/format.h>

namespace asahi::identity {
namespace {

/// Braces of an id must neither make nor end a hash tag.
void append_escaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (c == '{' || c == '}' || c == '%') {
      out += fmt::format("%{:02x}", static_cast<unsigned char>(c));
    } else {
      out.push_back(c);
    }
  }
}

}  // namespace

std::string limiter_key(std::string_view prefix, const Limit& limit) {
  std::string key = fmt::format("{}:{}", prefix, to_string(limit.scope));
  if (limit.unit == Limit::Unit::kTokens) key += "-tokens";
  const auto window = bounded_window(limit);
  if (window != Limit{}.window) key += fmt::format("-w{}", window.count());
  if (!limit.org.empty()) {
    key += ":{";
    append_escaped(key, limit.org);
    key += '}';
    if (limit.scope == LimitScope::kOrg && limit.id == limit.org) return key;
  }
  key += ':';
  append_escaped(key, limit.id);
  return key;
}

bool same_counter(const Limit& a, const Limit& b) {
  return a.scope == b.scope && a.unit == b.unit && a.id == b.id && a.org == b.org &&
         bounded_window(a) == bounded_window(b);
}

}  // namespace asahi::identity
