#include "identity/permissions.h"

#include <gtest/gtest.h>

namespace asahi::identity {
namespace {

using enum Permission;

TEST(Permissions, HaveTheNamesOfTheSpecification) {
  for (std::size_t at = 0; at < static_cast<std::size_t>(kCount); ++at) {
    const auto permission = static_cast<Permission>(at);
    EXPECT_EQ(parse_permission(to_string(permission)), permission);
  }
  EXPECT_EQ(parse_permission("fly"), std::nullopt);
}

TEST(Permissions, RolesFollowTheTable) {
  EXPECT_EQ(builtin_role("developer"), (PermissionSet{kInfer, kViewMetrics, kViewCost,
                                                      kIngestUpload, kQuerySearch, kSystemStatus}));
  EXPECT_EQ(builtin_role("viewer"), (PermissionSet{kViewMetrics, kQuerySearch, kSystemStatus}));
  EXPECT_EQ(builtin_role("billing"),
            (PermissionSet{kViewMetrics, kViewCost, kViewAuditLog, kManageBilling}));
  EXPECT_EQ(builtin_role("member"), builtin_role("developer"));
  EXPECT_EQ(builtin_role("owner"), builtin_role("admin"));
  EXPECT_EQ(builtin_role("root"), std::nullopt);
}

TEST(Permissions, AnAdminRulesItsOrganisationButNotTheInstallation) {
  EXPECT_FALSE(builtin_role("admin")->has(kManageTenants));
  EXPECT_TRUE(builtin_role("operator")->has(kManageTenants));
}

TEST(Permissions, ScopesOpenWhatTheyName) {
  EXPECT_EQ(scopes_to_permissions({"infer"}), PermissionSet{kInfer});
  EXPECT_EQ(scopes_to_permissions({"analytics"}), (PermissionSet{kViewMetrics, kViewCost}));
  EXPECT_EQ(scopes_to_permissions({"ingest:delete"}), PermissionSet{kIngestDelete});
  EXPECT_EQ(scopes_to_permissions({"akosha:read"}), (PermissionSet{kQuerySearch, kSystemStatus}));
  EXPECT_EQ(scopes_to_permissions({"write"}),
            (PermissionSet{kQuerySearch, kSystemStatus, kIngestUpload}));
  EXPECT_EQ(scopes_to_permissions({"akosha:admin"}),
            (PermissionSet{kQuerySearch, kSystemStatus, kIngestUpload, kIngestDelete,
                           kSystemMigrate, kAdminSettings}));
  EXPECT_EQ(scopes_to_permissions({"infer", "view_audit_log"}),
            (PermissionSet{kInfer, kViewAuditLog}));
  for (const char* all : {"admin", "all", "*"})
    EXPECT_EQ(scopes_to_permissions({all}), PermissionSet::organisation());
  EXPECT_EQ(scopes_to_permissions({}), PermissionSet::organisation());
}

TEST(Permissions, NoScopeReachesBeyondItsOrganisation) {
  EXPECT_EQ(scopes_to_permissions({"manage_tenants"}), std::nullopt);
  EXPECT_EQ(scopes_to_permissions({"infer", "everything"}), std::nullopt);
}

TEST(Permissions, ATokenGivesNoMoreThanItsOwnerHas) {
  EXPECT_EQ((*builtin_role("viewer") & *scopes_to_permissions({"all"})), *builtin_role("viewer"));
}

}  // namespace
}  // namespace asahi::identity
