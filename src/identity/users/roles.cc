#include "identity/users/roles.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "identity/keys/memo.h"
#include "identity/keys/sql_values.h"

namespace asahi::identity {
namespace {

constexpr std::chrono::seconds kRemembered{60};
constexpr std::int64_t kMostRoles = 100;
struct BuiltIn {
  std::string_view name, description;
};
constexpr std::array kBuiltIn = {
    BuiltIn{"admin", "everything within the organisation"},
    BuiltIn{"developer", "model calls, metrics and cost"},
    BuiltIn{"viewer", "metrics"},
    BuiltIn{"billing", "metrics, cost, billing and the audit log"},
};

Result<PermissionSet> read_permissions(const sql::Rows& rows, std::size_t row) {
  ASAHI_TRY(const auto names, read_list(rows, row, "permissions"));
  PermissionSet permissions;
  for (const std::string& name : names) {
    // A name that a newer version wrote gives nothing here.
    if (const auto permission = parse_permission(name)) permissions.add(*permission);
  }
  return permissions & PermissionSet::organisation();
}

bool is_role_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, allowed);
}

class SqlRoles final : public Roles {
 public:
  SqlRoles(sql::Database& database, Invalidation& invalidation, const Clock& clock)
      : database_(database), invalidation_(invalidation), clock_(clock), remembered_(20'000) {
    invalidation.listen([this](std::string_view kind, std::string_view) {
      if (kind == "role" || kind.empty()) remembered_.clear();
    });
  }

  Task<std::vector<Role>> list(std::string org_id) override {
    ASAHI_CO_TRY(
        const sql::Rows rows,
        co_await database_.query(
            {"SELECT name, permissions, description FROM roles WHERE org_id = ? ORDER BY name",
             {org_id}}));
    std::vector<Role> roles;
    for (const BuiltIn& role : kBuiltIn) {
      roles.push_back(
          {std::string(role.name), *builtin_role(role.name), std::string(role.description), true});
    }
    for (std::size_t row = 0; row < rows.size(); ++row) {
      ASAHI_CO_TRY(const PermissionSet permissions, read_permissions(rows, row));
      roles.push_back({rows.text(row, "name"), permissions, rows.text(row, "description"), false});
    }
    co_return roles;
  }

  Task<Role> put(std::string org_id, Role role) override {
    if (!is_role_name(role.name)) {
      co_return fail_field("name",
                           "a role's name must have 1 to 64 small letters, digits, '_' or '-'");
    }
    if (builtin_role(role.name))
      co_return fail(Errc::kConflict, fmt::format("the role '{}' is built in", role.name));
    if (role.permissions.has(Permission::kManageTenants)) {
      co_return fail_field(
          "permissions",
          "manage_tenants is the operator's; a role of an organisation cannot have it");
    }
    if (role.permissions.empty())
      co_return fail_field("permissions", "a role needs at least one permission");
    if (role.description.size() > 500)
      co_return fail_field("description", "description must have at most 500 characters");
    ASAHI_CO_TRY(
        const sql::Rows count,
        co_await database_.query({"SELECT count(*) AS n FROM roles WHERE org_id = ? AND name <> ?",
                                  {org_id, role.name}}));
    if (count.integer(0, "n") >= kMostRoles) {
      co_return fail(
          Errc::kConflict,
          fmt::format("an organisation may have at most {} roles of its own", kMostRoles));
    }
    ASAHI_CO_TRY(const sql::Rows done,
                 co_await database_.query(
                     {"INSERT INTO roles (org_id, name, permissions, description) VALUES (?, ?, ?, "
                      "?) ON CONFLICT "
                      "(org_id, name) DO UPDATE SET permissions = excluded.permissions, "
                      "description = excluded.description",
                      {org_id, role.name, list_json(role.permissions.names()), role.description}}));
    co_await invalidation_.publish("role", org_id);
    role.built_in = false;
    co_return role;
  }

  std::optional<PermissionSet> try_permissions(std::string_view org_id,
                                               std::string_view role) override {
    if (auto built_in = builtin_role(role)) return built_in;
    if (!is_role_name(role)) return PermissionSet{};
    return remembered_.find(key(org_id, role), clock_.steady_now());
  }

  Task<PermissionSet> permissions(std::string org_id, std::string role) override {
    if (const auto known = try_permissions(org_id, role)) co_return *known;
    const std::string name = key(org_id, role);
    const std::uint64_t generation = remembered_.generation(name);
    ASAHI_CO_TRY(
        const sql::Rows rows,
        co_await database_.query(
            {"SELECT permissions FROM roles WHERE org_id = ? AND name = ?", {org_id, role}}));
    PermissionSet permissions;
    if (!rows.empty()) {
      ASAHI_CO_TRY(permissions, read_permissions(rows, 0));
    }
    remembered_.put(name, permissions, clock_.steady_now() + kRemembered, generation);
    co_return permissions;
  }

 private:
  /// A role's name has no '/', so that no two pairs meet.
  static std::string key(std::string_view org_id, std::string_view role) {
    return fmt::format("{}/{}", role, org_id);
  }

  sql::Database& database_;
  Invalidation& invalidation_;
  const Clock& clock_;
  Memo<PermissionSet> remembered_;
};

}  // namespace

std::unique_ptr<Roles> make_roles(sql::Database& database, Invalidation& invalidation,
                                  const Clock& clock) {
  return std::make_unique<SqlRoles>(database, invalidation, clock);
}

}  // namespace asahi::identity
