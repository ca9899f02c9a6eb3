#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "memory/swap/place.h"

namespace asahi::memory::swap {

/// That the hot tier is to move.
struct MoveRequest {
  Place to;
  std::chrono::seconds revert_for{0};  ///< length of the window
  /// What the new backend holds already may go.
  bool replace = false;
};

/// What a request leaves out, and what none may name.
struct RequestRules {
  std::chrono::seconds revert_for = std::chrono::days{28};
  std::string usual_path;          ///< of the own log
  std::vector<std::string> taken;  ///< folders of others
};

/// {"backend", "path" or "pg_url_file" or "pg_url_env", "revert_days", "replace"}. Errors:
/// invalid_argument naming the field.
Result<MoveRequest> parse_request(const json::object& body, const RequestRules& rules);

}  // namespace asahi::memory::swap
