#pragma once

#include <bitset>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace asahi::identity {

/// What a caller may do. Routes name one (http::Route::access), roles and key scopes are sets of
/// them. Gateway spec §9.4, with `manage_tenants` for the operator of the whole installation; those
/// with a colon are the memory's (its spec §9.2, where `user:manage` is manage_users here).
enum class Permission : std::uint8_t {
  kInfer,
  kViewMetrics,
  kViewCost,
  kManageModels,
  kManageUsers,
  kManagePolicy,
  kViewAuditLog,
  kManageBilling,
  kManageTenants,
  kIngestUpload,
  kIngestDelete,
  kQuerySearch,
  kSystemStatus,
  kSystemMigrate,
  kAdminSettings,
  kCount,
};

/// "infer", "view_metrics", …: the names in roles, tokens and routes.
std::string_view to_string(Permission permission);
std::optional<Permission> parse_permission(std::string_view name);

/// A set of permissions; cheap to copy.
class PermissionSet {
 public:
  PermissionSet() = default;
  PermissionSet(std::initializer_list<Permission> permissions) {
    for (Permission permission : permissions) add(permission);
  }
  void add(Permission permission) { bits_.set(static_cast<std::size_t>(permission)); }
  bool has(Permission permission) const { return bits_.test(static_cast<std::size_t>(permission)); }
  bool empty() const { return bits_.none(); }
  PermissionSet operator|(const PermissionSet& other) const {
    PermissionSet both = *this;
    both.bits_ |= other.bits_;
    return both;
  }
  /// What both hold: a token never gives more than its owner has.
  PermissionSet operator&(const PermissionSet& other) const {
    PermissionSet common = *this;
    common.bits_ &= other.bits_;
    return common;
  }
  bool operator==(const PermissionSet&) const = default;
  /// Names in the order of the enumeration.
  std::vector<std::string> names() const;

  /// Everything within one organisation: all but manage_tenants.
  static PermissionSet organisation();

 private:
  std::bitset<static_cast<std::size_t>(Permission::kCount)> bits_;
};

/// The built-in roles of spec §9.4: admin, developer, viewer, billing; `owner` as admin, `member`
/// as developer, `operator` as admin plus manage_tenants. Nothing for other names (custom roles
/// live in the table `roles`).
std::optional<PermissionSet> builtin_role(std::string_view role);

/// Key scopes of spec §2.0: infer, analytics (metrics and cost), admin, all, "*"; a permission's
/// own name is a scope too. An empty list is a key of before scopes existed: full access. Nothing
/// when a scope is unknown.
std::optional<PermissionSet> scopes_to_permissions(const std::vector<std::string>& scopes);

}  // namespace asahi::identity
