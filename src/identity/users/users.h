#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"
#include "base/task.h"
#include "identity/permissions.h"
#include "identity/tenants/tenants.h"
#include "identity/users/lockout.h"
#include "identity/users/passwords.h"
#include "identity/users/roles.h"
#include "storage/sql/database.h"

namespace asahi::identity {

struct User {
  std::string id;  ///< "usr_" + 26
  std::string org_id;
  std::string email;  ///< lower case
  std::string full_name;
  std::string role;  ///< built-in or custom
  std::string
      sso_subject;  ///< "oidc:<provider>:<sub>", "saml:<org>:<name id>"; empty for password users
  bool active = true;
  Clock::Time created_at{};
  std::optional<Clock::Time> last_active;
};

/// What an identity provider vouches for.
struct SsoIdentity {
  std::string subject;  ///< as User::sso_subject
  std::string org_id;
  std::string email;
  std::string full_name;
  std::string role;  ///< from the provider's claim or attribute; empty: "viewer" for new users,
                     ///< unchanged for others
  bool create_users = false;  ///< just-in-time creation
};

/// The users of all organisations (table `users`) and the roles of their own (`roles`). A user
/// belongs to one organisation.
class Users {
 public:
  virtual ~Users() = default;
  /// Errors: conflict (e-mail taken), invalid_argument (fields), forbidden with reason "plan_limit"
  /// (too many users).
  virtual Task<User> create(User user, std::optional<Secret> password) = 0;
  /// Errors: not_found, also for a user of another organisation.
  virtual Task<User> get(std::string org_id, std::string user_id) = 0;
  virtual Task<std::vector<User>> list(std::string org_id, std::int64_t limit,
                                       std::int64_t offset) = 0;
  /// Errors: not_found, conflict (the last admin while there are other users).
  virtual Task<void> remove(std::string org_id, std::string user_id) = 0;
  /// E-mail and password. Errors: unauthenticated, the same and after the same time whether the
  /// e-mail or the password is wrong; rate_limited with reason "auth_locked_out" after too many
  /// failures.
  virtual Task<User> log_in(std::string email, Secret password, std::string ip) = 0;
  /// The user of an SSO identity, created when allowed. An e-mail of another user is never taken
  /// over: conflict. Errors: forbidden (unknown and not to be created, inactive), conflict.
  virtual Task<User> sign_in(SsoIdentity identity) = 0;
  /// What a role may do in an organisation; empty for unknown roles.
  virtual Task<PermissionSet> permissions(std::string org_id, std::string role) = 0;
};

/// What users are kept with; all outlive them.
struct UsersParts {
  sql::Database& database;
  Roles& roles;
  Tenants& tenants;  ///< their plans limit the number of users
  Passwords& passwords;
  Lockout& lockout;
  const Clock& clock;
};
std::unique_ptr<Users> make_users(UsersParts parts);

}  // namespace asahi::identity
