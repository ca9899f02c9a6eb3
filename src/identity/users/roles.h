#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "identity/keys/invalidation.h"
#include "identity/permissions.h"
#include "storage/sql/database.h"

namespace asahi::identity {

/// A role of an organisation's own (table `roles`).
struct Role {
  std::string name;
  PermissionSet permissions;
  std::string description;
  bool built_in = false;
};

/// Built-in roles and those of organisations (spec §9.4). Callable from any loop.
class Roles {
 public:
  virtual ~Roles() = default;
  /// Built-in roles first. Of `operator` nothing is told: it is not an organisation's to give.
  virtual Task<std::vector<Role>> list(std::string org_id) = 0;
  /// Makes or replaces a role. Errors: invalid_argument (name, manage_tenants), conflict (name of a
  /// built-in role).
  virtual Task<Role> put(std::string org_id, Role role) = 0;
  /// What a role may do; empty set for unknown ones. Built-in and remembered roles (60 s) answer at
  /// once.
  virtual std::optional<PermissionSet> try_permissions(std::string_view org_id,
                                                       std::string_view role) = 0;
  virtual Task<PermissionSet> permissions(std::string org_id, std::string role) = 0;
};

/// `database`, `invalidation` and `clock` outlive it; listens to `invalidation`.
std::unique_ptr<Roles> make_roles(sql::Database& database, Invalidation& invalidation,
                                  const Clock& clock);

}  // namespace asahi::identity
