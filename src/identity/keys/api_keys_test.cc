// What API keys promise, on real databases; revocation over two processes that share Redis.
#include "identity/keys/api_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "base/ids.h"
#include "identity/http/testing/installation.h"
#include "identity/keys/key_text.h"
#include "storage/cache/redis/url.h"
#include "storage/cache/testing/redis_server.h"

namespace asahi::identity {
namespace {

using namespace std::chrono_literals;
using sql::testing::Engine;
using testing::TestPlace;

TEST(KeyText, HasPrefixOrganisationAndRandomPart) {
  const std::string text = make_key_text("ask", "Acme-Works");
  EXPECT_EQ(text.size(), 41u);
  EXPECT_EQ(text.substr(0, 9), "ask_acme_");
  EXPECT_TRUE(is_key_text("ask", text));
  EXPECT_NE(make_key_text("ask", "acme"), make_key_text("ask", "acme"));
  EXPECT_EQ(make_key_text("ask", "a!").substr(0, 9), "ask_a000_");
}

TEST(KeyText, OtherTextsAreNoKeys) {
  const std::string text = make_key_text("ask", "acme");
  EXPECT_FALSE(is_key_text("ask", ""));
  EXPECT_FALSE(is_key_text("ask", text + "a"));
  EXPECT_FALSE(is_key_text("ask", text.substr(0, 40)));
  std::string other = text;
  other[20] = 'A';
  EXPECT_FALSE(is_key_text("ask", other));
  other = text;
  other[8] = '-';
  EXPECT_FALSE(is_key_text("ask", other));
}

TEST(Pepper, IsMadeOnceAndKeptToTheOwner) {
  const std::string folder =
      std::filesystem::temp_directory_path() / random_id("asahi-pepper-", 12);
  const auto first = read_pepper({}, folder);
  ASSERT_TRUE(first) << first.error().message;
  const auto again = read_pepper({}, folder);
  ASSERT_TRUE(again);
  EXPECT_EQ(first->reveal(), again->reveal());
  struct stat status{};
  ASSERT_EQ(::stat((folder + "/key_pepper").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(read_pepper(Secret(std::string(32, 'x')), folder)->reveal(), std::string(32, 'x'));
  EXPECT_FALSE(read_pepper(Secret("short"), folder));
  std::ofstream(folder + "/key_pepper") << "cut";
  EXPECT_EQ(read_pepper({}, folder).error().code, Errc::kCorrupt);
  std::filesystem::remove_all(folder);
}

class ApiKeysContract : public ::testing::TestWithParam<Engine> {
 protected:
  void SetUp() override {
    place_ = TestPlace::make(GetParam());
    if (place_ == nullptr) return;
    loops_.start();
    auto made = make_api_keys({.pepper = Secret(std::string(32, 'p'))}, *place_->database,
                              invalidation_, clock_);
    ASSERT_TRUE(made) << made.error().message;
    keys_ = std::move(*made);
    tenants_ = make_tenants({}, *place_->database, invalidation_, clock_);
  }

  template <class Body>
  auto await(Body body) {
    using Value = typename std::invoke_result_t<Body>::value_type;
    return net::run_sync<Value>(loops_.at(0), std::function<Aw<Value>()>(std::move(body)));
  }
  IssuedApiKey issue(NewApiKey wanted) {
    auto issued = await([&] { return keys_->create(wanted); });
    EXPECT_TRUE(issued) << (issued ? "" : issued.error().message);
    return issued.value_or(IssuedApiKey{});
  }
  NewApiKey acme() const {
    return {.org_id = "acme", .user_id = "u1", .name = "first", .scopes = {"infer"}};
  }
  Result<std::shared_ptr<const Principal>> verify(std::string text) {
    return await([&] { return keys_->verify(text); });
  }
  /// "" when it opens.
  std::string refusal(const std::string& text) {
    const auto verified = verify(text);
    return verified ? "" : verified.error().message;
  }
  Error error_of(Result<IssuedApiKey> outcome) { return outcome ? Error{} : outcome.error(); }

  std::unique_ptr<TestPlace> place_;
  ManualClock clock_;
  net::LoopPool loops_{1};
  Invalidation invalidation_{loops_, nullptr};
  std::unique_ptr<ApiKeys> keys_;
  std::unique_ptr<Tenants> tenants_;
};

TEST_P(ApiKeysContract, TellsWhoTheKeyBelongsTo) {
  if (keys_ == nullptr) return;
  NewApiKey wanted = acme();
  wanted.allowed_models = {"gpt-4o", "claude-opus-4"};
  wanted.requests_per_minute = 5;
  wanted.tokens_per_minute = 600;
  const IssuedApiKey issued = issue(wanted);
  EXPECT_EQ(issued.key.prefix, issued.value.reveal().substr(0, 12));
  EXPECT_EQ(issued.key.expires_at, clock_.now() + 24h * 90);
  const auto verified = verify(issued.value.reveal());
  ASSERT_TRUE(verified) << verified.error().message;
  const Principal& principal = **verified;
  EXPECT_EQ(principal.kind, Principal::Kind::kApiKey);
  EXPECT_EQ(principal.org_id, "acme");
  EXPECT_EQ(principal.user_id, "u1");
  EXPECT_EQ(principal.key_prefix, issued.key.prefix);
  EXPECT_EQ(principal.permissions, PermissionSet{Permission::kInfer});
  EXPECT_THAT(principal.allowed_models, ::testing::ElementsAre("gpt-4o", "claude-opus-4"));
  EXPECT_EQ(principal.requests_per_minute, 5);
  EXPECT_EQ(principal.tokens_per_minute, 600);
  EXPECT_TRUE(principal.org_active);
}

TEST_P(ApiKeysContract, IsBoundedToItsSystemsAndSoIsItsSuccessor) {
  if (keys_ == nullptr) return;
  NewApiKey wanted = acme();
  wanted.systems = std::vector<std::string>{"alpha", "beta"};
  const IssuedApiKey issued = issue(wanted);
  EXPECT_EQ((*verify(issued.value.reveal()))->systems, wanted.systems);
  const auto successor = await([&] { return keys_->rotate("acme", issued.key.prefix); });
  ASSERT_TRUE(successor);
  EXPECT_EQ((*verify(successor->value.reveal()))->systems, wanted.systems);
  EXPECT_EQ((*verify(issue(acme()).value.reveal()))->systems, Systems()) << "not said: all";
  NewApiKey none = acme();
  none.systems = std::vector<std::string>{};
  EXPECT_EQ((*verify(issue(none).value.reveal()))->systems, none.systems) << "none is not all";
}

TEST_P(ApiKeysContract, StoresNothingThatOpens) {
  if (keys_ == nullptr) return;
  const IssuedApiKey issued = issue(acme());
  const auto rows =
      place_->database->query_blocking({"SELECT key_prefix, key_hash FROM api_keys", {}});
  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->text(0, "key_hash").size(), 64u);
  EXPECT_THAT(rows->text(0, "key_hash"),
              ::testing::Not(::testing::HasSubstr(issued.value.reveal().substr(12))));
}

TEST_P(ApiKeysContract, VerifiedKeyNeedsNoDatabaseForAMinuteAtMost) {
  if (keys_ == nullptr) return;
  const std::string text = issue(acme()).value.reveal();
  EXPECT_FALSE(keys_->try_verify(text));
  ASSERT_TRUE(verify(text));
  const auto first = keys_->try_verify(text);
  ASSERT_TRUE(first);
  const auto second = keys_->try_verify(text);
  ASSERT_TRUE(second);
  EXPECT_EQ(**first, **second) << "all requests of a key point to one object";
  ASSERT_TRUE(place_->database->query_blocking({"UPDATE api_keys SET revoked = TRUE", {}}));
  clock_.advance(40s);
  EXPECT_TRUE(keys_->try_verify(text)) << "nobody told this process";
  clock_.advance(21s);
  EXPECT_FALSE(keys_->try_verify(text));
  EXPECT_EQ(refusal(text), ApiKeys::kRefused);
}

TEST_P(ApiKeysContract, OneRequestReadsAnAgingKeyAnewAndTheOthersGoOn) {
  if (keys_ == nullptr) return;
  const std::string text = issue(acme()).value.reveal();
  ASSERT_TRUE(verify(text));
  clock_.advance(50s);
  EXPECT_FALSE(keys_->try_verify(text));
  ASSERT_TRUE(verify(text));
  clock_.advance(30s);
  EXPECT_TRUE(keys_->try_verify(text)) << "it was read anew 30 s ago";
}

TEST_P(ApiKeysContract, UnknownWrongExpiredAndRevokedAreRefusedInTheSameWords) {
  if (keys_ == nullptr) return;
  const std::string text = issue(acme()).value.reveal();
  std::string wrong = text;
  wrong.back() = wrong.back() == 'a' ? 'b' : 'a';
  EXPECT_EQ(refusal(wrong), ApiKeys::kRefused);
  EXPECT_EQ(refusal(text), "");
  EXPECT_EQ(refusal(wrong), ApiKeys::kRefused);
  EXPECT_EQ(refusal(make_key_text("ask", "none")), ApiKeys::kRefused);
  EXPECT_EQ(refusal("ask_acme_short"), ApiKeys::kRefused);
  EXPECT_EQ(refusal(std::string(100'000, 'a')), ApiKeys::kRefused);

  NewApiKey brief = acme();
  brief.expires_in_days = 1;
  const std::string old = issue(brief).value.reveal();
  EXPECT_EQ(refusal(old), "");
  clock_.advance(24h - 1s);
  EXPECT_EQ(refusal(old), "");
  clock_.advance(1s);
  EXPECT_EQ(refusal(old), ApiKeys::kRefused) << "remembered keys expire too";

  ASSERT_TRUE(await([&] { return keys_->revoke("acme", text.substr(0, 12)); }));
  EXPECT_EQ(refusal(text), ApiKeys::kRefused);
}

TEST_P(ApiKeysContract, RevokedKeyIsRefusedAtOnce) {
  if (keys_ == nullptr) return;
  const std::string text = issue(acme()).value.reveal();
  ASSERT_TRUE(verify(text));
  ASSERT_TRUE(await([&] { return keys_->revoke("acme", text.substr(0, 12)); }));
  EXPECT_EQ(refusal(text), ApiKeys::kRefused);
  EXPECT_TRUE(await([&] { return keys_->revoke("acme", text.substr(0, 12)); })) << "twice is fine";
}

TEST_P(ApiKeysContract, KeysOfOthersAreNotThere) {
  if (keys_ == nullptr) return;
  const std::string prefix = issue(acme()).key.prefix;
  EXPECT_EQ(await([&] { return keys_->get("umbrella", prefix); }).error().code, Errc::kNotFound);
  EXPECT_EQ(await([&] { return keys_->revoke("umbrella", prefix); }).error().code, Errc::kNotFound);
  EXPECT_EQ(error_of(await([&] { return keys_->rotate("umbrella", prefix); })).code,
            Errc::kNotFound);
  EXPECT_TRUE(await([&] { return keys_->list("umbrella", 10, 0); })->empty());
  EXPECT_EQ(await([&] { return keys_->list("acme", 10, 0); })->size(), 1u);
}

TEST_P(ApiKeysContract, RotatedKeyOpensUntilTheOverlapEnds) {
  if (keys_ == nullptr) return;
  NewApiKey wanted = acme();
  wanted.requests_per_minute = 9;
  const IssuedApiKey old = issue(wanted);
  ASSERT_TRUE(verify(old.value.reveal()));
  auto successor = await([&] { return keys_->rotate("acme", old.key.prefix); });
  ASSERT_TRUE(successor) << successor.error().message;
  EXPECT_EQ(successor->key.rotated_from, old.key.prefix);
  EXPECT_EQ(successor->key.scopes, old.key.scopes);
  EXPECT_EQ(successor->key.requests_per_minute, 9);
  EXPECT_EQ(refusal(successor->value.reveal()), "");
  EXPECT_EQ(refusal(old.value.reveal()), "");
  EXPECT_EQ(await([&] { return keys_->get("acme", old.key.prefix); })->status(clock_.now()),
            "rotated");
  EXPECT_EQ(error_of(await([&] { return keys_->rotate("acme", old.key.prefix); })).code,
            Errc::kConflict);
  clock_.advance(24h - 1s);
  EXPECT_EQ(refusal(old.value.reveal()), "");
  clock_.advance(1s);
  EXPECT_EQ(refusal(old.value.reveal()), ApiKeys::kRefused);
  EXPECT_EQ(refusal(successor->value.reveal()), "");
}

TEST_P(ApiKeysContract, RefusesWhatCannotBeGiven) {
  if (keys_ == nullptr) return;
  const auto field = [&](auto change) {
    NewApiKey wanted = acme();
    change(wanted);
    return error_of(await([&] { return keys_->create(wanted); })).field;
  };
  EXPECT_EQ(field([](NewApiKey& key) { key.scopes = {"everything"}; }), "scopes");
  EXPECT_EQ(field([](NewApiKey& key) { key.scopes = {"manage_tenants"}; }), "scopes");
  EXPECT_EQ(field([](NewApiKey& key) { key.expires_in_days = 0; }), "expires_in_days");
  EXPECT_EQ(field([](NewApiKey& key) { key.expires_in_days = 4'000; }), "expires_in_days");
  EXPECT_EQ(field([](NewApiKey& key) { key.requests_per_minute = 0; }), "rate_limit_per_minute");
  EXPECT_EQ(field([](NewApiKey& key) { key.user_id = ""; }), "user_id");
}

TEST_P(ApiKeysContract, LastUseIsWrittenInBatches) {
  if (keys_ == nullptr) return;
  const IssuedApiKey used = issue(acme());
  const IssuedApiKey idle = issue(acme());
  ASSERT_TRUE(verify(used.value.reveal()));
  const auto at = std::chrono::floor<std::chrono::seconds>(clock_.now());
  clock_.advance(5s);
  ASSERT_TRUE(await([&] { return keys_->write_last_used(); }));
  EXPECT_EQ(await([&] { return keys_->get("acme", used.key.prefix); })->last_used_at, at);
  EXPECT_FALSE(await([&] { return keys_->get("acme", idle.key.prefix); })->last_used_at);
}

TEST_P(ApiKeysContract, OrganisationsStateComesWithTheKeyAndChangesAtOnce) {
  if (keys_ == nullptr) return;
  ASSERT_TRUE(
      await([&] { return tenants_->create({.org_id = "acme", .name = "Acme", .plan = "pro"}); }));
  const std::string text = issue(acme()).value.reveal();
  auto principal = verify(text);
  ASSERT_TRUE(principal);
  EXPECT_TRUE((*principal)->org_active);
  EXPECT_EQ((*principal)->plan->name, "professional");
  ASSERT_TRUE(
      await([&] { return tenants_->update("acme", {.plan = "enterprise", .active = false}); }));
  principal = verify(text);
  ASSERT_TRUE(principal);
  EXPECT_FALSE((*principal)->org_active);
  EXPECT_EQ((*principal)->plan->name, "enterprise");
}

TEST_P(ApiKeysContract, RevokesAllKeysOfAUser) {
  if (keys_ == nullptr) return;
  const IssuedApiKey one = issue(acme());
  NewApiKey others = acme();
  others.user_id = "u2";
  const IssuedApiKey two = issue(others);
  ASSERT_TRUE(verify(one.value.reveal()));
  EXPECT_EQ(await([&] { return keys_->revoke_all("acme", "u1"); }).value_or(-1), 1);
  EXPECT_EQ(refusal(one.value.reveal()), ApiKeys::kRefused);
  EXPECT_EQ(refusal(two.value.reveal()), "");
  EXPECT_EQ(await([&] { return keys_->revoke_all("acme", ""); }).value_or(-1), 1);
  EXPECT_EQ(refusal(two.value.reveal()), ApiKeys::kRefused);
}

INSTANTIATE_TEST_SUITE_P(Engines, ApiKeysContract,
                         ::testing::Values(Engine::kSqliteFile, Engine::kPostgres),
                         sql::testing::engine_name);

TEST(Migrations, GoUpAndDownAndUp) {
  for (const Engine engine : {Engine::kSqliteMemory, Engine::kPostgres}) {
    auto made = sql::testing::TestDatabase::make(engine);
    if (!made && made.error().code == Errc::kNotFound) GTEST_SKIP() << made.error().message;
    ASSERT_TRUE(made);
    auto database = sql::open_database((*made)->options());
    ASSERT_TRUE(database);
    std::vector<sql::Migration> all = core_migrations();
    all.push_back(testing::api_keys_table());
    sql::Migrator migrator(**database, all);
    ASSERT_TRUE(migrator.upgrade());
    const auto down = migrator.downgrade(5);
    ASSERT_TRUE(down) << down.error().message;
    const auto up = migrator.upgrade();
    ASSERT_TRUE(up) << up.error().message;
    EXPECT_EQ(*up, (std::vector<int>{200, 201, 202, 203, 204}));
  }
}

TEST(Revocation, ReachesAnotherProcessThroughRedisWithinASecond) {
  if (!cache_testing::redis_available()) GTEST_SKIP() << cache_testing::kNoRedis;
  const auto place = TestPlace::make(Engine::kSqliteFile);
  ASSERT_NE(place, nullptr);
  const cache_testing::RedisServer redis;
  cache::RedisOptions options;
  options.endpoint = *cache::parse_redis_url(redis.url());
  testing::Process one(testing::test_config(), *place->database, "/nonexistent", system_clock(),
                       &options);
  testing::Process two(testing::test_config(), *place->database, "/nonexistent", system_clock(),
                       &options);
  const auto give_up = std::chrono::steady_clock::now() + 20s;
  while ((one.identity->health() != "healthy" || two.identity->health() != "healthy") &&
         std::chrono::steady_clock::now() < give_up) {
    std::this_thread::sleep_for(5ms);
  }
  const testing::Reply created = one.post(
      "/governance/api-keys", {{"org_id", "acme"}, {"scopes", {"infer"}}}, testing::as_operator());
  ASSERT_EQ(created.status, 201) << created.body;
  const auto key = testing::bearer(created.text("api_key"));
  // Until it is remembered there: the news of the new key may come in between and make it forget.
  do {
    ASSERT_EQ(two.post("/infer", {}, key).status, 200);
  } while (two.suspended && std::chrono::steady_clock::now() < give_up);
  ASSERT_FALSE(two.suspended);
  ASSERT_EQ(one.del("/governance/api-keys/" + created.text("prefix") + "?org_id=acme",
                    testing::as_operator())
                .status,
            200);
  const auto revoked = std::chrono::steady_clock::now();
  while (two.post("/infer", {}, key).status != 401 &&
         std::chrono::steady_clock::now() < revoked + 10s) {
    std::this_thread::yield();
  }
  EXPECT_LT(std::chrono::steady_clock::now() - revoked, 1s);
}

}  // namespace
}  // namespace asahi::identity
