#include "gateway/http/audit_note.h"

#include "base/log.h"
#include "gateway/governance/guard/pii.h"
#include "identity/principal.h"

namespace asahi::gateway {

identity::AuditEntry audit_entry(const http::Context& context, std::string org, std::string action,
                                 std::string resource, json::object details) {
  identity::AuditEntry entry;
  entry.org_id = std::move(org);
  entry.user_id = actor_of(identity::principal_of(context));
  entry.action = std::move(action);
  entry.resource = std::move(resource);
  entry.details = std::move(details);
  entry.details["request_id"] = context.request_id;
  mask(entry.details);
  entry.ip_address = context.request.remote_address;
  entry.user_agent = context.request.headers.get("user-agent");
  entry.data_classification = "confidential";
  return entry;
}

Aw<void> note(identity::AuditLog& audit, identity::AuditEntry entry) {
  const std::string action = entry.action, resource = entry.resource, org = entry.org_id;
  auto stored = co_await audit.append(std::move(entry));
  if (stored) co_return;
  static const Logger logger("governance");
  logger.critical("a change is in force but could not be written to the audit log",
                  {{"action", action},
                   {"resource", resource},
                   {"org_id", org},
                   {"error", stored.error().message}});
}

}  // namespace asahi::gateway
