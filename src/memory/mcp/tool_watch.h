#pragma once

#include "identity/security/security_log.h"
#include "net/mcp/server.h"

namespace asahi::memory {

/// Tells the security log who called which tool, and what came of it: allowed, denied or failed. Of
/// arguments that break a rule there is a second entry, of those that look like a way up the file
/// system a third. `log` outlives what is returned. Any loop.
mcp::Server::Watch watch_tools(identity::SecurityLog& log);

}  // namespace asahi::memory
