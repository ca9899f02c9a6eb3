#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "identity/users/users.h"

namespace asahi::identity::testing {

/// Users in a map, for tests of what signs them in. Roles are the built-in ones and those in
/// `custom_roles`.
class FakeUsers final : public Users {
 public:
  std::map<std::string, User> users;  ///< by id
  std::map<std::string, PermissionSet> custom_roles;
  std::optional<Error> outage;  ///< answered instead of anything else
  std::vector<SsoIdentity> sign_ins;

  User& add(std::string id, std::string role, std::string org_id = "acme") {
    User user{.id = id,
              .org_id = std::move(org_id),
              .email = id + "@acme.example",
              .role = std::move(role)};
    return users[id] = std::move(user);
  }

  Task<User> create(User user, std::optional<Secret>) override { co_return users[user.id] = user; }
  Task<User> get(std::string org_id, std::string user_id) override {
    if (outage) co_return std::unexpected(*outage);
    const auto at = users.find(user_id);
    if (at == users.end() || at->second.org_id != org_id)
      co_return fail(Errc::kNotFound, "no such user");
    co_return at->second;
  }
  Task<std::vector<User>> list(std::string, std::int64_t, std::int64_t) override {
    co_return std::vector<User>{};
  }
  Task<void> remove(std::string, std::string user_id) override {
    users.erase(user_id);
    co_return Result<void>{};
  }
  Task<User> log_in(std::string, Secret, std::string) override {
    co_return fail(Errc::kUnauthenticated, "no");
  }
  Task<User> sign_in(SsoIdentity identity) override {
    sign_ins.push_back(identity);
    if (outage) co_return std::unexpected(*outage);
    for (auto& [id, user] : users) {
      if (user.sso_subject == identity.subject && user.org_id == identity.org_id) co_return user;
    }
    if (!identity.create_users) co_return fail(Errc::kForbidden, "the user is not known here");
    User& made = add("usr_" + std::to_string(users.size() + 1),
                     identity.role.empty() ? "viewer" : identity.role, identity.org_id);
    made.sso_subject = identity.subject;
    made.email = identity.email;
    made.full_name = identity.full_name;
    co_return made;
  }
  Task<PermissionSet> permissions(std::string, std::string role) override {
    if (outage) co_return std::unexpected(*outage);
    const auto custom = custom_roles.find(role);
    co_return custom != custom_roles.end() ? custom->second
                                           : builtin_role(role).value_or(PermissionSet{});
  }
};

}  // namespace asahi::identity::testing
