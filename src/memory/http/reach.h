#pragma once

#include "memory/model/reach.h"
#include "net/http/context.h"
#include "net/mcp/server.h"

namespace asahi::memory {

/// What the caller of a request may see and change: the only way from a request to a tenant.
Reach reach_of(const http::Context& context);
/// Of a tool's call. Whoever runs a client on this machine's standard input works for the default
/// organisation.
Reach reach_of(const mcp::Call& call);
/// Whether the caller runs the process for all organisations, and is bounded to no system.
bool operates(const http::Context& context);

}  // namespace asahi::memory
