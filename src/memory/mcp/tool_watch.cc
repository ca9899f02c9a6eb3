#include "memory/mcp/tool_watch.h"

#include <utility>

namespace asahi::memory {

mcp::Server::Watch watch_tools(identity::SecurityLog& log) {
  return [&log](const mcp::Call& call, const mcp::Tool& tool, const Result<json::object>* outcome) {
    using enum identity::SecuritySeverity;
    log.tool_called();
    const bool denied =
        outcome == nullptr || (!*outcome && outcome->error().code == Errc::kForbidden);
    identity::SecurityEntry entry{.event = identity::SecurityEvent::kMcpToolAccess,
                                  .severity = denied ? kMedium : kInfo,
                                  .resource = "tool/" + tool.name,
                                  .result = denied     ? "denied"
                                            : *outcome ? "allowed"
                                                       : "failed"};
    if (outcome != nullptr && !*outcome) {
      const Error& error = outcome->error();
      entry.details = {{"field", error.field}, {"reason", error.message}};
      if (call.http != nullptr && error.code == Errc::kInvalidArgument) {
        identity::SecurityEntry broken = entry;
        broken.event = identity::SecurityEvent::kSchemaValidationFailure;
        broken.severity = kLow;
        log.note(*call.http, std::move(broken));
        if (identity::looks_like_traversal(error.message)) {
          identity::SecurityEntry upwards = entry;
          upwards.event = identity::SecurityEvent::kPathTraversalAttempt;
          upwards.severity = kHigh;
          log.note(*call.http, std::move(upwards));
        }
      }
    }
    if (call.http != nullptr) {
      log.note(*call.http, std::move(entry));
    } else {
      log.note(std::move(entry));
    }
  };
}

}  // namespace asahi::memory
