#include "identity/users/users.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.h"
#include "base/ids.h"
#include "base/log.h"
#include "base/utf8.h"
#include "identity/keys/sql_values.h"

namespace asahi::identity {
namespace {

constexpr std::string_view kColumns =
    "id, org_id, email, full_name, role, active, created_at, last_active, sso_subject, "
    "password_hash";

std::unexpected<Error> no_such_user() {
  return fail(Errc::kNotFound, "no such user; see GET /org/users");
}
std::unexpected<Error> wrong_credentials() {
  return fail(Errc::kUnauthenticated, "the e-mail or the password is wrong");
}

/// Text before and after one '@', no blanks or controls: whether it takes mail, only mail can tell.
bool is_email(std::string_view text) {
  const std::size_t at = text.find('@');
  if (at == 0 || at == std::string_view::npos || at + 1 == text.size() || text.size() > 320)
    return false;
  if (text.find('@', at + 1) != std::string_view::npos) return false;
  return std::ranges::none_of(
      text, [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7f; });
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  });
  return text;
}

struct StoredUser {
  User user;
  std::string password_hash;
};

Result<StoredUser> read_user(const sql::Rows& rows, std::size_t row) {
  StoredUser stored;
  User& user = stored.user;
  user.id = rows.text(row, "id");
  user.org_id = rows.text(row, "org_id");
  user.email = rows.text(row, "email");
  user.full_name = rows.text(row, "full_name");
  user.role = rows.text(row, "role");
  user.sso_subject = rows.text(row, "sso_subject");
  user.active = rows.boolean(row, "active");
  ASAHI_TRY(user.created_at, read_time(rows, row, "created_at"));
  ASAHI_TRY(user.last_active, read_time_or_null(rows, row, "last_active"));
  stored.password_hash = rows.text(row, "password_hash");
  return stored;
}

/// One writer of an organisation's users at a time, so that no two overrun its plan together.
Result<void> lock_users(sql::Session& session, const std::string& org_id) {
  if (session.dialect() == sql::Dialect::kSqlite) return {};
  auto locked = session.query(
      {"SELECT pg_advisory_xact_lock(hashtextextended(?, 202)) IS NULL AS locked", {org_id}});
  if (!locked) return std::unexpected(std::move(locked.error()));
  return {};
}

class SqlUsers final : public Users {
 public:
  explicit SqlUsers(UsersParts parts) : parts_(parts) {}

  Task<User> create(User user, std::optional<Secret> password) override {
    user.email = lower(std::move(user.email));
    if (user.role.empty()) user.role = "viewer";
    if (auto ok = check(user); !ok) co_return std::unexpected(std::move(ok.error()));
    ASAHI_CO_TRY(const PermissionSet permissions,
                 co_await parts_.roles.permissions(user.org_id, user.role));
    if (permissions.empty()) {
      co_return fail_field("role", fmt::format("no role '{}'; see GET /org/roles", user.role));
    }
    std::string hash;
    if (password) {
      ASAHI_CO_TRY(hash, co_await parts_.passwords.hash(*password));
    }
    ASAHI_CO_TRY(const OrgState org, co_await parts_.tenants.state(user.org_id));
    const std::int64_t most = org.plan ? org.plan->users : std::numeric_limits<std::int64_t>::max();
    const Clock::Time now = parts_.clock.now();
    if (user.id.empty()) user.id = "usr_" + make_ulid(now);
    user.created_at = now;
    auto done = co_await parts_.database.transaction(
        [user, hash, most](sql::Session& session) { return insert(session, user, hash, most); });
    if (!done) co_return std::unexpected(std::move(done.error()));
    co_return user;
  }

  Task<User> get(std::string org_id, std::string user_id) override {
    ASAHI_CO_TRY(const sql::Rows rows,
                 co_await parts_.database.query(
                     {fmt::format("SELECT {} FROM users WHERE org_id = ? AND id = ?", kColumns),
                      {org_id, user_id}}));
    if (rows.empty()) co_return no_such_user();
    ASAHI_CO_TRY(StoredUser stored, read_user(rows, 0));
    co_return std::move(stored.user);
  }

  Task<std::vector<User>> list(std::string org_id, std::int64_t limit,
                               std::int64_t offset) override {
    ASAHI_CO_TRY(
        const sql::Rows rows,
        co_await parts_.database.query(
            {fmt::format("SELECT {} FROM users WHERE org_id = ? ORDER BY id LIMIT ? OFFSET ?",
                         kColumns),
             {org_id, limit, offset}}));
    std::vector<User> users;
    for (std::size_t row = 0; row < rows.size(); ++row) {
      ASAHI_CO_TRY(StoredUser stored, read_user(rows, row));
      users.push_back(std::move(stored.user));
    }
    co_return users;
  }

  Task<void> remove(std::string org_id, std::string user_id) override {
    co_return co_await parts_.database.transaction([org_id, user_id](
                                                       sql::Session& session) -> Result<void> {
      if (auto ok = lock_users(session, org_id); !ok) return ok;
      // Who administrates: the one to be removed, and the others.
      ASAHI_TRY(const sql::Rows counts,
                session.query(
                    {"SELECT COALESCE(SUM(CASE WHEN id <> ? THEN 1 ELSE 0 END), 0) AS others, "
                     "COALESCE(SUM(CASE WHEN id = ? AND admin THEN 1 ELSE 0 END), 0) AS own, "
                     "COALESCE(SUM(CASE WHEN id <> ? AND admin THEN 1 ELSE 0 END), 0) AS admins "
                     "FROM (SELECT id, active AND role IN ('admin', 'owner', 'operator') "
                     "AS admin FROM users WHERE org_id = ?) AS people",
                     {user_id, user_id, user_id, org_id}}));
      if (counts.integer(0, "own") > 0 && counts.integer(0, "others") > 0 &&
          counts.integer(0, "admins") == 0) {
        return fail(Errc::kConflict,
                    "the last admin cannot be removed while there are other users; make another "
                    "admin first");
      }
      ASAHI_TRY(
          const sql::Rows removed,
          session.query({"DELETE FROM users WHERE org_id = ? AND id = ?", {org_id, user_id}}));
      if (removed.affected() == 0) return no_such_user();
      return {};
    });
  }

  Task<User> log_in(std::string email, Secret password, std::string ip) override {
    email = lower(std::move(email));
    const std::string account = "account:" + to_hex(sha256(email));
    ASAHI_CO_TRY(Lockout::Attempt attempt, co_await parts_.lockout.begin({account, "ip:" + ip}));
    auto outcome = co_await check_password(email, password);
    if (outcome) {
      co_await parts_.lockout.succeeded(std::move(attempt), account);
      co_await mark_active(outcome->id);
    } else {
      co_await parts_.lockout.failed(std::move(attempt));
    }
    co_return outcome;
  }

  Task<User> sign_in(SsoIdentity identity) override {
    identity.email = lower(std::move(identity.email));
    if (identity.subject.empty())
      co_return fail(Errc::kForbidden, "the identity provider named no subject");
    if (identity.role == "operator") {
      co_return fail(Errc::kForbidden, "an identity provider cannot make somebody the operator");
    }
    ASAHI_CO_TRY(const sql::Rows rows,
                 co_await parts_.database.query(
                     {fmt::format("SELECT {} FROM users WHERE sso_subject = ?", kColumns),
                      {identity.subject}}));
    if (rows.empty()) co_return co_await first_sign_in(std::move(identity));
    ASAHI_CO_TRY(StoredUser stored, read_user(rows, 0));
    User user = std::move(stored.user);
    if (user.org_id != identity.org_id || !user.active) {
      co_return fail(Errc::kForbidden, "this account is not active in the organisation");
    }
    if (!identity.role.empty() && identity.role != user.role) {
      ASAHI_CO_TRY(const PermissionSet permissions,
                   co_await parts_.roles.permissions(user.org_id, identity.role));
      if (permissions.empty()) {
        co_return fail(
            Errc::kForbidden,
            fmt::format("the identity provider gave the unknown role '{}'", identity.role));
      }
      ASAHI_CO_TRY(const sql::Rows changed,
                   co_await parts_.database.query(
                       {"UPDATE users SET role = ? WHERE id = ?", {identity.role, user.id}}));
      user.role = identity.role;
    }
    co_await mark_active(user.id);
    co_return user;
  }

  Task<PermissionSet> permissions(std::string org_id, std::string role) override {
    return parts_.roles.permissions(std::move(org_id), std::move(role));
  }

 private:
  static Result<void> check(const User& user) {
    if (user.org_id.empty() || user.org_id.size() > 255)
      return fail_field("org_id", "org_id must have 1 to 255 characters");
    if (!is_email(user.email))
      return fail_field("email", "email must be an address such as name@example.com");
    if (user.full_name.size() > 255)
      return fail_field("full_name", "full_name must have at most 255 bytes");
    if (user.sso_subject.size() > 512)
      return fail_field("sso_subject", "the subject is longer than 512 characters");
    return {};
  }

  static Result<void> insert(sql::Session& session, const User& user, const std::string& hash,
                             std::int64_t most) {
    if (auto ok = lock_users(session, user.org_id); !ok) return ok;
    ASAHI_TRY(const sql::Rows count,
              session.query({"SELECT count(*) AS n FROM users WHERE org_id = ?", {user.org_id}}));
    if (count.integer(0, "n") >= most) {
      auto full =
          fail(Errc::kForbidden,
               fmt::format("the plan of this organisation allows {} users; remove one or change "
                           "the plan",
                           most));
      full.error().reason = "plan_limit";
      return full;
    }
    ASAHI_TRY(
        const sql::Rows rows,
        session.query({"INSERT INTO users (id, email, password_hash, full_name, org_id, role, "
                       "active, created_at, "
                       "sso_subject) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                       {user.id, user.email, text_or_null(hash), user.full_name, user.org_id,
                        user.role, std::int64_t{user.active}, format_rfc3339(user.created_at),
                        text_or_null(user.sso_subject)}}));
    if (rows.affected() == 0)
      return fail(Errc::kConflict, "this e-mail address has an account already");
    return {};
  }

  Task<User> check_password(std::string email, Secret password) {
    ASAHI_CO_TRY(const sql::Rows rows,
                 co_await parts_.database.query(
                     {fmt::format("SELECT {} FROM users WHERE email = ?", kColumns), {email}}));
    StoredUser stored;
    if (!rows.empty()) {
      ASAHI_CO_TRY(stored, read_user(rows, 0));
    }
    ASAHI_CO_TRY(const bool right,
                 co_await parts_.passwords.matches(stored.password_hash, std::move(password)));
    if (!right || !stored.user.active) co_return wrong_credentials();
    co_return std::move(stored.user);
  }

  Task<User> first_sign_in(SsoIdentity identity) {
    if (!identity.create_users) {
      co_return fail(Errc::kForbidden,
                     "this account is not known here; ask an admin of the organisation to add it");
    }
    User user;
    user.org_id = std::move(identity.org_id);
    user.email = std::move(identity.email);
    user.full_name = mended_utf8(identity.full_name, 255);
    user.role = identity.role.empty() ? "viewer" : std::move(identity.role);
    user.sso_subject = std::move(identity.subject);
    auto created = co_await create(std::move(user), std::nullopt);
    if (!created && created.error().code == Errc::kInvalidArgument) {
      co_return fail(Errc::kForbidden,
                     "the identity provider's data do not make a user: " + created.error().message);
    }
    co_return created;
  }

  /// A hint to people; a login does not fail for it.
  Aw<void> mark_active(std::string user_id) {
    auto done = co_await parts_.database.query({"UPDATE users SET last_active = ? WHERE id = ?",
                                                {format_rfc3339(parts_.clock.now()), user_id}});
    if (!done)
      log_.warning("a user's last login was not written", {{"error", done.error().message}});
  }

  const UsersParts parts_;
  const Logger log_{"identity"};
};

}  // namespace

std::unique_ptr<Users> make_users(UsersParts parts) { return std::make_unique<SqlUsers>(parts); }

}  // namespace asahi::identity
