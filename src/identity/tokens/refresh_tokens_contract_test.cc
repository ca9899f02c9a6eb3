// What refresh tokens promise, on every engine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "identity/tokens/issuer.h"
#include "identity/tokens/migrations.h"
#include "identity/tokens/refresh_tokens.h"
#include "identity/tokens/testing/fake_users.h"
#include "net/blocking.h"
#include "storage/sql/migrations.h"
#include "storage/sql/testing/database_test.h"

namespace asahi::identity {
namespace {

using namespace std::chrono_literals;
using ::testing::StartsWith;

class RefreshTokensContract : public sql::testing::DatabaseTest {
 protected:
  void SetUp() override {
    if (!open_database(token_migrations())) return;
    refresh_ = std::make_unique<RefreshTokens>(RefreshTokens::Options{}, *db_, clock_);
    loops_.start();
  }
  void TearDown() override {
    refresh_.reset();
    close_database();  // before the loops that its answers go to
  }

  template <class T>
  Result<T> run(std::function<Task<T>()> call) {
    return net::run_sync<Result<T>>(loops_.at(0), std::move(call));
  }
  std::string issue(const std::string& user = "usr_1") {
    auto made = run<Secret>([&] { return refresh_->issue({"acme", user}); });
    EXPECT_TRUE(made) << made.error().message;
    return made ? made->reveal() : "";
  }
  Result<RefreshTokens::Renewed> renew(const std::string& token) {
    return run<RefreshTokens::Renewed>([&] { return refresh_->renew(token); });
  }
  /// The next token; empty when the one given is refused.
  std::string next(const std::string& token) {
    const auto renewed = renew(token);
    if (!renewed) EXPECT_EQ(renewed.error().message, bad_token().message);
    return renewed ? renewed->token.reveal() : "";
  }
  std::int64_t rows() {
    return db_->query_blocking({"SELECT count(*) AS n FROM refresh_tokens", {}})->integer(0, "n");
  }

  ManualClock clock_;
  net::LoopPool loops_{2};
  std::unique_ptr<RefreshTokens> refresh_;
};

TEST_P(RefreshTokensContract, ATokenIsTradedForTheNext) {
  const std::string first = issue();
  EXPECT_THAT(first, StartsWith("rt_"));
  const auto renewed = renew(first);
  ASSERT_TRUE(renewed) << renewed.error().message;
  EXPECT_EQ(renewed->owner.org_id, "acme");
  EXPECT_EQ(renewed->owner.user_id, "usr_1");
  EXPECT_NE(renewed->token.reveal(), first);
  EXPECT_NE(next(renewed->token.reveal()), "");
}

TEST_P(RefreshTokensContract, TheTableDoesNotHoldTheToken) {
  const std::string token = issue();
  const auto row = db_->query_blocking({"SELECT * FROM refresh_tokens", {}}).value();
  for (const std::string& column : row.columns()) EXPECT_NE(row.text(0, column), token);
  EXPECT_EQ(next(row.text(0, "token_hash")), "");
}

TEST_P(RefreshTokensContract, ASecondUseRevokesTheWholeLogin) {
  const std::string stolen = issue();
  const std::string other_login = issue();
  const std::string second = next(stolen);
  const std::string third = next(second);
  ASSERT_NE(third, "");
  EXPECT_EQ(next(stolen), "");
  EXPECT_EQ(next(third), "");
  EXPECT_EQ(next(second), "");
  EXPECT_NE(next(other_login), "");
}

TEST_P(RefreshTokensContract, OfTwoUsesAtATimeOneWins) {
  const std::string token = issue();
  std::vector<std::future<bool>> uses;
  for (int i = 0; i < 8; ++i) {
    auto promise = std::make_shared<std::promise<bool>>();
    uses.push_back(promise->get_future());
    loops_.at(static_cast<std::size_t>(i % 2)).spawn("renew", [this, token, promise]() -> Aw<void> {
      const auto renewed = co_await refresh_->renew(token);
      promise->set_value(renewed.has_value());
    });
  }
  int won = 0;
  for (auto& use : uses) won += use.get() ? 1 : 0;
  EXPECT_EQ(won, 1);
}

TEST_P(RefreshTokensContract, AnUnusedTokenEndsAfterADayAndALoginAfterThirty) {
  std::string token = issue();
  clock_.advance(24h);
  EXPECT_EQ(next(token), "");
  token = issue();
  for (int day = 0; day < 30; ++day) {
    clock_.advance(23h + 59min);
    token = next(token);
    ASSERT_NE(token, "") << day;
  }
  clock_.advance(1h);
  EXPECT_EQ(next(token), "");
}

TEST_P(RefreshTokensContract, ARevokedTokenIsGoneWithItsSuccessors) {
  const std::string first = issue();
  const std::string second = next(first);
  ASSERT_TRUE(run<void>([&] { return refresh_->revoke(first); }));
  EXPECT_EQ(next(second), "");
  EXPECT_TRUE(run<void>([&] { return refresh_->revoke("nonsense"); }));
  EXPECT_TRUE(run<void>([&] { return refresh_->revoke("rt_" + std::string(43, 'A')); }));
}

TEST_P(RefreshTokensContract, AllLoginsOfAUserEndTogether) {
  const std::string one = issue();
  const std::string two = issue();
  const std::string other = issue("usr_2");
  EXPECT_EQ(run<std::int64_t>([&] { return refresh_->revoke_user("usr_1"); }).value(), 2);
  EXPECT_EQ(next(one), "");
  EXPECT_EQ(next(two), "");
  EXPECT_NE(next(other), "");
}

TEST_P(RefreshTokensContract, NonsenseIsRefused) {
  for (const std::string& token :
       {std::string(), std::string("rt_"), std::string("rt_") + std::string(43, 'A'),
        std::string(10'000, 'x'), std::string("rt_'; DROP TABLE refresh_tokens; --")}) {
    EXPECT_EQ(next(token), "");
  }
}

TEST_P(RefreshTokensContract, EndedLoginsLeaveNoRows) {
  issue();
  issue("usr_2");
  clock_.advance(30 * 24h);
  issue();  // takes away what the same user left behind
  EXPECT_EQ(rows(), 2);
  EXPECT_EQ(run<std::int64_t>([&] { return refresh_->remove_ended(); }).value(), 1);
  EXPECT_EQ(rows(), 1);
}

TEST_P(RefreshTokensContract, TheSchemaGoesUpAndDown) {
  sql::Migrator migrator(*db_, token_migrations());
  EXPECT_TRUE(migrator.downgrade(1));
  EXPECT_FALSE(db_->query_blocking({"SELECT count(*) AS n FROM refresh_tokens", {}}));
  EXPECT_TRUE(migrator.upgrade());
  EXPECT_EQ(rows(), 0);
}

TEST_P(RefreshTokensContract, ARefreshedUserHasTheRoleOfNow) {
  const auto keys = SigningKeys::open({.secret = Secret(std::string(32, 's'))}, clock_).value();
  AccessTokens access({}, *keys, clock_);
  testing::FakeUsers users;
  OrgStanding org{.plan = "starter"};
  const auto issuer = make_token_issuer(access, *refresh_, users,
                                        [&](std::string) -> Task<OrgStanding> { co_return org; });
  const User user = users.add("usr_1", "admin");
  auto pair =
      run<TokenPair>([&] { return issuer->issue(user, *builtin_role("admin"), "starter"); });
  ASSERT_TRUE(pair) << pair.error().message;
  EXPECT_EQ(access.verify(pair->access_token.reveal())->role, "admin");
  EXPECT_EQ(pair->expires_in, 1h);

  const auto refreshed = [&]() {
    auto again = run<TokenPair>([&] { return issuer->refresh(pair->refresh_token.reveal()); });
    if (again) pair = again;
    return again.has_value();
  };
  users.users["usr_1"].role = "viewer";
  org.plan = "enterprise";
  ASSERT_TRUE(refreshed());
  const auto claims = access.verify(pair->access_token.reveal()).value();
  EXPECT_EQ(claims.role, "viewer");
  EXPECT_EQ(claims.plan, "enterprise");
  EXPECT_EQ(claims.scopes, builtin_role("viewer")->names());

  users.users["usr_1"].active = false;
  EXPECT_FALSE(refreshed());
  users.users["usr_1"].active = true;
  EXPECT_FALSE(refreshed());  // the login was ended

  pair = run<TokenPair>([&] { return issuer->issue(user, *builtin_role("admin"), ""); });
  org.active = false;
  EXPECT_FALSE(refreshed());
  org.active = true;
  pair = run<TokenPair>([&] { return issuer->issue(user, *builtin_role("admin"), ""); });
  ASSERT_TRUE(run<void>([&] { return issuer->revoke(pair->refresh_token.reveal()); }));
  EXPECT_FALSE(refreshed());
}

INSTANTIATE_TEST_SUITE_P(Engines, RefreshTokensContract,
                         ::testing::ValuesIn(sql::testing::all_engines()),
                         sql::testing::engine_name);

}  // namespace
}  // namespace asahi::identity
