#pragma once

#include <string_view>

namespace asahi::http {

constexpr char ascii_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

/// Equality without case for ASCII letters, as field names and tokens compare.
inline bool iequals(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i] && ascii_lower(a[i]) != ascii_lower(b[i])) return false;
  }
  return true;
}

/// True when the comma-separated `list` holds `token`, compared without case.
bool has_token(std::string_view list, std::string_view token);

}  // namespace asahi::http
