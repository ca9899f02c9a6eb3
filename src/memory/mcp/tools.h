#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "memory/http/routes.h"
#include "net/mcp/server.h"

namespace asahi::memory {

/// What tools tell of the process.
struct HealthTools {
  std::function<Task<json::object>()> readiness;
  std::function<json::object(bool all)> metrics;  ///< `all`: with series per system
};

/// The tools of the memory (spec §2.4). `profile`: minimal (health and discovery), standard (and
/// search, push, status) or full (all). `discover_tools` tells of both what is offered and what
/// another profile would offer.
std::vector<mcp::Tool> make_tools(SharedRouteParts parts, std::string_view profile,
                                  const HealthTools& health);

}  // namespace asahi::memory
