#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "identity/permissions.h"

namespace asahi::identity {

/// How a foreign token's claim becomes a role of ours.
struct RoleMapping {
  /// Name of the claim, or a path into it ("realm_access.roles"): a text, or a list of texts.
  std::string claim = "role";
  /// Value of the claim to role, the most important first: the first that the token has decides.
  /// Empty: the value is the role's name itself, though never `owner` or `operator`, which no
  /// provider may hand out unasked.
  std::vector<std::pair<std::string, std::string>> map;
  std::string fallback;  ///< role when nothing fits; empty: none
};

/// The role of a token's bearer; empty when nothing fits and there is no fallback.
std::string map_role(const json::object& claims, const RoleMapping& mapping);

/// Reads "value=role" items, as they stand in settings. Errors: invalid_argument naming the item.
Result<std::vector<std::pair<std::string, std::string>>> parse_role_map(
    const std::vector<std::string>& items);

/// The member at a name or, if there is none, at a path of names with dots; null: absent.
const json::value* find_claim(const json::object& claims, std::string_view name);

/// What a foreign token's scopes (`scope`, `scp` or `scopes`) allow here; nothing when it names
/// none of ours.
std::optional<PermissionSet> scopes_of(const json::object& claims);

/// True for ids that an organisation may have: 1 to 255 of [A-Za-z0-9._-].
bool is_org_id(std::string_view id);

}  // namespace asahi::identity
