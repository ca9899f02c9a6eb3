// Users, roles, tenants and lock-outs on real databases; sessions in process and on Redis.
#include "identity/users/users.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "identity/http/testing/installation.h"
#include "identity/users/sessions.h"
#include "storage/cache/open_store.h"
#include "storage/cache/testing/redis_server.h"

namespace asahi::identity {
namespace {

using namespace std::chrono_literals;
using sql::testing::Engine;
using testing::TestPlace;

class OnLoop {
 public:
  OnLoop() { loops.start(); }
  template <class Body>
  auto await(Body body) {
    using Value = typename std::invoke_result_t<Body>::value_type;
    return net::run_sync<Value>(loops.at(0), std::function<Aw<Value>()>(std::move(body)));
  }
  net::LoopPool loops{1};
};

class UsersContract : public ::testing::TestWithParam<Engine>, protected OnLoop {
 protected:
  void SetUp() override {
    place_ = TestPlace::make(GetParam());
    if (place_ == nullptr) return;
    tenants_ = make_tenants({}, *place_->database, invalidation_, clock_);
    roles_ = make_roles(*place_->database, invalidation_, clock_);
    users_ = make_users({*place_->database, *roles_, *tenants_, passwords_, lockout_, clock_});
  }
  User user(std::string email, std::string role = "developer", std::string org = "acme") const {
    User made;
    made.email = std::move(email);
    made.role = std::move(role);
    made.org_id = std::move(org);
    return made;
  }
  Result<User> add(User wanted, std::optional<std::string> password = std::nullopt) {
    std::optional<Secret> secret;
    if (password) secret = Secret(*password);
    return await([&] { return users_->create(wanted, secret); });
  }
  Result<User> log_in(std::string email, std::string password, std::string ip = "1.2.3.4") {
    return await([&] { return users_->log_in(email, Secret(password), ip); });
  }
  Result<User> sign_in(SsoIdentity identity) {
    return await([&] { return users_->sign_in(identity); });
  }

  std::unique_ptr<TestPlace> place_;
  ManualClock clock_;
  Invalidation invalidation_{loops, nullptr};
  cache::MemoryStore store_{{}, clock_};
  Passwords passwords_;
  Lockout lockout_{{.max_failures = 2}, store_, clock_};
  std::unique_ptr<Tenants> tenants_;
  std::unique_ptr<Roles> roles_;
  std::unique_ptr<Users> users_;
};

TEST_P(UsersContract, LogsInWithTheRightPasswordOnly) {
  if (users_ == nullptr) return;
  const auto made = add(user("Ann@Example.com"), "correct horse");
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->email, "ann@example.com");
  EXPECT_TRUE(made->id.starts_with("usr_"));
  const auto in = log_in("ann@EXAMPLE.com", "correct horse");
  ASSERT_TRUE(in) << in.error().message;
  EXPECT_EQ(in->id, made->id);
  EXPECT_TRUE(await([&] { return users_->get("acme", made->id); })->last_active);
  const auto wrong = log_in("ann@example.com", "wrong horse");
  const auto unknown = log_in("nobody@example.com", "correct horse", "1.2.3.5");
  ASSERT_FALSE(wrong);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(wrong.error().code, Errc::kUnauthenticated);
  EXPECT_EQ(wrong.error().message, unknown.error().message);
}

TEST_P(UsersContract, LocksOutAfterTooManyFailures) {
  if (users_ == nullptr) return;
  ASSERT_TRUE(add(user("ann@example.com"), "correct horse"));
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(log_in("ann@example.com", "wrong horse").error().code, Errc::kUnauthenticated);
  const auto locked = log_in("ann@example.com", "correct horse", "9.9.9.9");
  ASSERT_FALSE(locked);
  EXPECT_EQ(locked.error().reason, "auth_locked_out");
  EXPECT_EQ(locked.error().retry_after, 1s);
  clock_.advance(1001ms);
  EXPECT_TRUE(log_in("ann@example.com", "correct horse", "9.9.9.9"));
  EXPECT_FALSE(log_in("other@example.com", "correct horse"))
      << "the address that failed stays under watch";
}

TEST_P(UsersContract, AnAddressHasOneAccount) {
  if (users_ == nullptr) return;
  ASSERT_TRUE(add(user("ann@example.com")));
  EXPECT_EQ(add(user("ANN@example.com", "viewer", "umbrella")).error().code, Errc::kConflict);
  for (const char* email : {"", "ann", "@x", "x@", "a b@c", "a@b@c"}) {
    EXPECT_EQ(add(user(email)).error().field, "email") << email;
  }
  EXPECT_EQ(add(user("bob@example.com"), "short").error().field, "password");
  EXPECT_EQ(add(user("bob@example.com", "emperor")).error().field, "role");
}

TEST_P(UsersContract, UsersOfOthersAreNotThere) {
  if (users_ == nullptr) return;
  const auto ann = add(user("ann@example.com"));
  ASSERT_TRUE(ann);
  EXPECT_EQ(await([&] { return users_->get("umbrella", ann->id); }).error().code, Errc::kNotFound);
  EXPECT_EQ(await([&] { return users_->remove("umbrella", ann->id); }).error().code,
            Errc::kNotFound);
  EXPECT_TRUE(await([&] { return users_->list("umbrella", 10, 0); })->empty());
}

TEST_P(UsersContract, PlanLimitsTheNumberOfUsers) {
  if (users_ == nullptr) return;
  ASSERT_TRUE(await([&] { return tenants_->create({.org_id = "acme", .name = "Acme"}); }));
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(add(user(fmt::format("u{}@example.com", i))));
  const auto sixth = add(user("u6@example.com"));
  ASSERT_FALSE(sixth);
  EXPECT_EQ(sixth.error().reason, "plan_limit");
  EXPECT_TRUE(add(user("u6@example.com", "viewer", "umbrella")))
      << "nobody registered that one: no plan binds";
}

TEST_P(UsersContract, LastAdminStaysWhileThereAreOthers) {
  if (users_ == nullptr) return;
  const auto admin = add(user("admin@example.com", "admin"));
  const auto other = add(user("dev@example.com"));
  ASSERT_TRUE(admin && other);
  EXPECT_EQ(await([&] { return users_->remove("acme", admin->id); }).error().code, Errc::kConflict);
  EXPECT_TRUE(await([&] { return users_->remove("acme", other->id); }));
  EXPECT_TRUE(await([&] { return users_->remove("acme", admin->id); }));
}

TEST_P(UsersContract, WhoIsNoAdminMayGoWhereNobodyIs) {
  if (users_ == nullptr) return;
  const auto one = add(user("one@example.com"));
  ASSERT_TRUE(one && add(user("two@example.com")));
  EXPECT_EQ(await([&] { return users_->remove("acme", "usr_nobody"); }).error().code,
            Errc::kNotFound);
  EXPECT_TRUE(await([&] { return users_->remove("acme", one->id); }));
}

TEST_P(UsersContract, SsoNeverTakesOverAnAccount) {
  if (users_ == nullptr) return;
  ASSERT_TRUE(add(user("ann@example.com", "admin"), "correct horse"));
  SsoIdentity ann{
      .subject = "oidc:corp:1", .org_id = "acme", .email = "ann@example.com", .create_users = true};
  EXPECT_EQ(sign_in(ann).error().code, Errc::kConflict);
}

TEST_P(UsersContract, SsoCreatesUsersOnlyWhereAllowed) {
  if (users_ == nullptr) return;
  SsoIdentity bob{
      .subject = "oidc:corp:2", .org_id = "acme", .email = "Bob@example.com", .full_name = "Bob"};
  EXPECT_EQ(sign_in(bob).error().code, Errc::kForbidden);
  bob.create_users = true;
  const auto first = sign_in(bob);
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->role, "viewer");
  bob.role = "developer";
  bob.create_users = false;
  const auto second = sign_in(bob);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->id, first->id);
  EXPECT_EQ(second->role, "developer");
  bob.role = "operator";
  EXPECT_EQ(sign_in(bob).error().code, Errc::kForbidden);
  bob.role = "emperor";
  EXPECT_EQ(sign_in(bob).error().code, Errc::kForbidden);
  bob.role = "";
  bob.org_id = "umbrella";
  EXPECT_EQ(sign_in(bob).error().code, Errc::kForbidden)
      << "one provider's subject belongs to one organisation";
  EXPECT_FALSE(log_in("bob@example.com", "")) << "who has no password cannot log in with one";
}

TEST_P(UsersContract, RolesOfAnOrganisationsOwn) {
  if (users_ == nullptr) return;
  const PermissionSet auditing{Permission::kViewAuditLog, Permission::kViewMetrics};
  ASSERT_TRUE(
      await([&] { return roles_->put("acme", {.name = "auditor", .permissions = auditing}); }));
  EXPECT_EQ(*await([&] { return users_->permissions("acme", "auditor"); }), auditing);
  EXPECT_TRUE(await([&] { return users_->permissions("umbrella", "auditor"); })->empty());
  ASSERT_TRUE(await([&] {
    return roles_->put("acme", {.name = "auditor", .permissions = {Permission::kInfer}});
  }));
  EXPECT_EQ(*await([&] { return users_->permissions("acme", "auditor"); }),
            PermissionSet{Permission::kInfer});
  EXPECT_EQ(await([&] { return roles_->put("acme", {.name = "admin", .permissions = auditing}); })
                .error()
                .code,
            Errc::kConflict);
  EXPECT_EQ(await([&] {
              return roles_->put("acme",
                                 {.name = "x", .permissions = {Permission::kManageTenants}});
            })
                .error()
                .field,
            "permissions");
  EXPECT_EQ(await([&] { return roles_->list("acme"); })->size(), 5u);
}

TEST_P(UsersContract, TenantsAreFoundedOnce) {
  if (users_ == nullptr) return;
  const auto create = [&](Tenant tenant, bool first = false) {
    return await([&] { return tenants_->create(tenant, first); });
  };
  EXPECT_TRUE(create({.org_id = "acme", .name = "Acme", .settings = {{"colour", "red"}}}, true));
  EXPECT_EQ(create({.org_id = "acme", .name = "Acme"}).error().code, Errc::kConflict);
  EXPECT_EQ(create({.org_id = "umbrella", .name = "Umbrella"}, true).error().code,
            Errc::kForbidden);
  EXPECT_EQ(create({.org_id = "a b", .name = "Acme"}).error().field, "org_id");
  EXPECT_EQ(create({.org_id = "ab", .name = ""}).error().field, "name");
  EXPECT_EQ(create({.org_id = "ab", .name = "x", .plan = "gold"}).error().field, "plan");
  const auto found = await([&] { return tenants_->get("acme"); });
  ASSERT_TRUE(found);
  EXPECT_EQ(found->settings.at("colour"), "red");
  EXPECT_EQ(await([&] { return tenants_->get("none"); }).error().reason, "organization_not_found");
  EXPECT_EQ(await([&] { return tenants_->list(10, 0); })->size(), 1u);
  ASSERT_TRUE(await([&] { return tenants_->remove("acme"); }));
  EXPECT_FALSE(await([&] { return tenants_->state("acme"); })->known);
}

INSTANTIATE_TEST_SUITE_P(Engines, UsersContract,
                         ::testing::Values(Engine::kSqliteFile, Engine::kPostgres),
                         sql::testing::engine_name);

TEST(Slug, IsMadeOfLettersAndDigits) {
  EXPECT_EQ(slug_of("Acme, Inc."), "acme-inc");
  EXPECT_EQ(slug_of("  "), "org");
  EXPECT_EQ(slug_of(std::string(100, 'x')).size(), 48u);
}

class LockoutTest : public ::testing::Test, protected OnLoop {
 protected:
  Result<Lockout::Attempt> begin() {
    return await([&] { return lockout_.begin({"account:a", "ip:1"}); });
  }
  void fail_once() {
    auto attempt = begin();
    ASSERT_TRUE(attempt) << attempt.error().message;
    await([&]() -> Aw<bool> {
      co_await lockout_.failed(*attempt);
      co_return true;
    });
  }
  std::int64_t wait_seconds() {
    const auto attempt = begin();
    if (attempt) return 0;
    return std::chrono::ceil<std::chrono::seconds>(*attempt.error().retry_after).count();
  }

  ManualClock clock_;
  cache::MemoryStore store_{{}, clock_};
  Lockout lockout_{{}, store_, clock_};
};

TEST_F(LockoutTest, DoublesFromTheTenthFailureUpToFifteenMinutes) {
  for (int i = 0; i < 10; ++i) fail_once();
  for (const std::int64_t expected : {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900}) {
    EXPECT_EQ(wait_seconds(), expected);
    clock_.advance(std::chrono::seconds(expected) + 1ms);
    if (clock_.now().time_since_epoch() > 1'700'000'000s + 3'500s)
      break;  // the first failures are forgotten by then
    fail_once();
  }
}

TEST_F(LockoutTest, AttemptsAtOnceGainNothing) {
  std::vector<Lockout::Attempt> under_way;
  for (int i = 0; i < 64; ++i) {
    if (auto attempt = begin()) under_way.push_back(std::move(*attempt));
  }
  EXPECT_EQ(under_way.size(), 11u) << "ten, and the one that may try while it locks the others";
}

TEST_F(LockoutTest, SuccessForgivesTheAccountAndNotTheAddress) {
  for (int i = 0; i < 9; ++i) fail_once();
  auto attempt = begin();
  ASSERT_TRUE(attempt);
  await([&]() -> Aw<bool> {
    co_await lockout_.succeeded(*attempt, "account:a");
    co_return true;
  });
  fail_once();
  EXPECT_EQ(wait_seconds(), 1) << "the address has failed ten times";
}

enum class Backend { kMemory, kRedis };

class SessionsContract : public ::testing::TestWithParam<Backend>, protected OnLoop {
 protected:
  void SetUp() override {
    cache::StoreOptions options;
    if (GetParam() == Backend::kRedis) {
      if (!cache_testing::redis_available()) GTEST_SKIP() << cache_testing::kNoRedis;
      server_ = std::make_unique<cache_testing::RedisServer>();
      options.url = server_->url();
      options.redis.timeout = 10s;
    }
    auto opened = cache::open_store(options, loops, clock_);
    ASSERT_TRUE(opened);
    store_ = std::move(*opened);
    sessions_ = make_sessions(*store_, clock_);
    user_.id = "usr_1";
    user_.org_id = "acme";
    user_.role = "admin";
  }
  Session open() {
    auto session = await([&] { return sessions_->open(user_); });
    EXPECT_TRUE(session) << (session ? "" : session.error().message);
    return session.value_or(Session{});
  }
  std::optional<Session> find(const std::string& id) {
    auto found = await([&] { return sessions_->find(id); });
    EXPECT_TRUE(found);
    return found.value_or(std::nullopt);
  }

  ManualClock clock_;
  std::unique_ptr<cache_testing::RedisServer> server_;
  std::unique_ptr<cache::Store> store_;
  std::unique_ptr<Sessions> sessions_;
  User user_;
};

TEST_P(SessionsContract, IsFoundByItsIdOnly) {
  const Session session = open();
  const auto found = find(session.id);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->user_id, "usr_1");
  EXPECT_EQ(found->org_id, "acme");
  EXPECT_EQ(found->role, "admin");
  EXPECT_EQ(found->csrf_token, session.csrf_token);
  EXPECT_NE(session.csrf_token, session.id);
  EXPECT_NE(open().id, session.id);
  std::string other = session.id;
  other[0] = other[0] == 'a' ? 'b' : 'a';
  EXPECT_FALSE(find(other));
  EXPECT_FALSE(find(""));
}

TEST_P(SessionsContract, EndsAloneOrWithAllOfTheUser) {
  const Session one = open(), two = open(), three = open();
  ASSERT_TRUE(await([&] { return sessions_->close(one.id); }));
  EXPECT_FALSE(find(one.id));
  EXPECT_TRUE(find(two.id));
  ASSERT_TRUE(await([&] { return sessions_->close_all("usr_1"); }));
  EXPECT_FALSE(find(two.id));
  EXPECT_FALSE(find(three.id));
  EXPECT_TRUE(find(open().id));
}

TEST_P(SessionsContract, LastsAnHourFromTheLastUseAndADayAtMost) {
  if (GetParam() == Backend::kRedis) GTEST_SKIP() << "Redis runs on real time";
  const Session session = open();
  for (int i = 0; i < 46; ++i) {
    clock_.advance(31min);
    EXPECT_TRUE(find(session.id)) << i;
  }
  clock_.advance(31min);
  EXPECT_FALSE(find(session.id)) << "24 hours are over";
  const Session idle = open();
  clock_.advance(61min);
  EXPECT_FALSE(find(idle.id));
}

INSTANTIATE_TEST_SUITE_P(Backends, SessionsContract,
                         ::testing::Values(Backend::kMemory, Backend::kRedis),
                         [](const auto& info) {
                           return info.param == Backend::kMemory ? "memory" : "redis";
                         });

TEST(SessionCookie, IsReadFromAmongOthers) {
  http::Request request;
  request.headers.add("Cookie", "a=b; asahi_session=abc; xasahi_session=no");
  EXPECT_EQ(Sessions::id_in(request), "abc");
  http::Request none;
  none.headers.add("Cookie", "asahi_sessions=1; b");
  EXPECT_EQ(Sessions::id_in(none), "");
}

TEST(SessionCookie, IsOutOfReachOfScriptsAndOtherSites) {
  const std::string cookie = Sessions::cookie({.id = "abc"}, true);
  EXPECT_EQ(cookie, "asahi_session=abc; Path=/; HttpOnly; SameSite=Lax; Max-Age=86400; Secure");
  EXPECT_EQ(Sessions::expired_cookie(false),
            "asahi_session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
}

}  // namespace
}  // namespace asahi::identity
