#pragma once

#include <optional>
#include <string>
#include <vector>

#include "net/http/message.h"

namespace asahi::http {

/// Cross-origin answers (WHATWG Fetch, "CORS protocol") for a list of origins. Pure.
class Cors {
 public:
  /// "*" in the list: any origin, without credentials. Empty: no CORS at all.
  explicit Cors(std::vector<std::string> origins);

  bool enabled() const { return any_ || !origins_.empty(); }
  /// The answer to a preflight request, before anything else looks at it; nothing for other
  /// requests.
  std::optional<Response> preflight(const Request& request) const;
  /// Field lines for an ordinary answer to `request`.
  void append_fields(std::string& out, const Request& request) const;

 private:
  bool allows(std::string_view origin) const;
  bool any_ = false;
  std::vector<std::string> origins_;
};

}  // namespace asahi::http
