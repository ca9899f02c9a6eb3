#pragma once

#include <string>

#include "base/json.h"
#include "base/task.h"
#include "identity/audit/audit.h"
#include "net/http/context.h"

namespace asahi::gateway {

/// What the caller of a request did to `org`, for the audit log; personal data in `details` is
/// masked.
identity::AuditEntry audit_entry(const http::Context& context, std::string org, std::string action,
                                 std::string resource, json::object details);
/// Writes an entry about something that is done already: it stays done when the log is away, and
/// that is said aloud.
Aw<void> note(identity::AuditLog& audit, identity::AuditEntry entry);

}  // namespace asahi::gateway
