#pragma once

#include <string_view>
#include <vector>

#include "memory/http/routes.h"
#include "net/mcp/server.h"

namespace asahi::memory {

/// The tools of the memory (spec §2.4). `profile`: minimal (health and discovery), standard (and
/// search, push, status) or full (all). `discover_tools` tells of both what is offered and what
/// another profile would offer.
std::vector<mcp::Tool> make_tools(SharedRouteParts parts, std::string_view profile);

}  // namespace asahi::memory
