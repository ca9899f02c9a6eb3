#include "identity/permissions.h"

#include <array>
#include <utility>

namespace asahi::identity {
namespace {

constexpr std::size_t kPermissions = static_cast<std::size_t>(Permission::kCount);
constexpr std::array<std::string_view, kPermissions> kNames = {
    "infer",         "view_metrics",   "view_cost",      "manage_models",  "manage_users",
    "manage_policy", "view_audit_log", "manage_billing", "manage_tenants", "ingest:upload",
    "ingest:delete", "query:search",   "system:status",  "system:migrate", "admin:settings"};

// The memory's roles viewer, operator and admin; each has what the one before it has.
const PermissionSet kMemoryReader{Permission::kQuerySearch, Permission::kSystemStatus};
const PermissionSet kMemoryWriter = kMemoryReader | PermissionSet{Permission::kIngestUpload};
const PermissionSet kMemoryAdmin =
    kMemoryWriter | PermissionSet{Permission::kIngestDelete, Permission::kSystemMigrate,
                                  Permission::kAdminSettings};

}  // namespace

std::string_view to_string(Permission permission) {
  return kNames.at(static_cast<std::size_t>(permission));
}

std::optional<Permission> parse_permission(std::string_view name) {
  for (std::size_t at = 0; at < kNames.size(); ++at) {
    if (kNames[at] == name) return static_cast<Permission>(at);
  }
  return std::nullopt;
}

std::vector<std::string> PermissionSet::names() const {
  std::vector<std::string> names;
  for (std::size_t at = 0; at < kNames.size(); ++at) {
    if (bits_.test(at)) names.emplace_back(kNames[at]);
  }
  return names;
}

PermissionSet PermissionSet::organisation() {
  PermissionSet all;
  for (std::size_t at = 0; at < kPermissions; ++at) {
    if (const auto permission = static_cast<Permission>(at);
        permission != Permission::kManageTenants)
      all.add(permission);
  }
  return all;
}

std::optional<PermissionSet> builtin_role(std::string_view role) {
  using enum Permission;
  if (role == "admin" || role == "owner") return PermissionSet::organisation();
  if (role == "operator") return PermissionSet::organisation() | PermissionSet{kManageTenants};
  if (role == "developer" || role == "member")
    return PermissionSet{kInfer, kViewMetrics, kViewCost} | kMemoryWriter;
  if (role == "viewer") return PermissionSet{kViewMetrics} | kMemoryReader;
  if (role == "billing")
    return PermissionSet{kViewMetrics, kViewCost, kViewAuditLog, kManageBilling};
  return std::nullopt;
}

std::optional<PermissionSet> scopes_to_permissions(const std::vector<std::string>& scopes) {
  if (scopes.empty()) return PermissionSet::organisation();
  PermissionSet permissions;
  for (const std::string& scope : scopes) {
    if (scope == "admin" || scope == "all" || scope == "*") {
      permissions = permissions | PermissionSet::organisation();
    } else if (scope == "analytics") {
      permissions = permissions | PermissionSet{Permission::kViewMetrics, Permission::kViewCost};
    } else if (scope == "read" || scope == "akosha:read") {
      permissions = permissions | kMemoryReader;
    } else if (scope == "write") {
      permissions = permissions | kMemoryWriter;
    } else if (scope == "delete" || scope == "akosha:admin") {
      permissions = permissions | kMemoryAdmin;
    } else if (const auto permission = parse_permission(scope);
               permission && *permission != Permission::kManageTenants) {
      permissions.add(*permission);
    } else {
      return std::nullopt;
    }
  }
  return permissions;
}

}  // namespace asahi::identity
