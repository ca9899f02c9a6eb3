// What the store of vendor keys promises, on every engine.
#include "identity/secrets/provider_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "identity/secrets/testing/secrets_fixture.h"

namespace asahi::identity {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class ProviderKeysContract : public testing::SecretsFixture {
 protected:
  void SetUp() override {
    SecretsFixture::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) keys_ = open();
  }
  void TearDown() override {
    keys_.reset();
    SecretsFixture::TearDown();
  }

  std::unique_ptr<ProviderKeys> open(ProviderKeys::Options options = {}) {
    return std::make_unique<ProviderKeys>(
        *db_, ring_, clock_,
        [this](std::string org, std::string vendor) { notices_.push_back(org + "/" + vendor); },
        options);
  }
  ProviderKey put(std::string org, std::string vendor, std::string key) {
    return get<ProviderKey>([&] { return keys_->put(org, vendor, Secret(key), "usr_1"); });
  }
  Errc put_error(std::string org, std::string vendor, std::string key) {
    auto outcome =
        attempt<ProviderKey>([&] { return keys_->put(org, vendor, Secret(key), "usr_1"); });
    EXPECT_FALSE(outcome);
    if (!outcome) EXPECT_THAT(outcome.error().message, Not(HasSubstr(key.empty() ? "\n" : key)));
    return outcome ? Errc::kInternal : outcome.error().code;
  }
  std::string key_of(std::string org, std::string vendor) { return key_of(*keys_, org, vendor); }
  std::string key_of(ProviderKeys& keys, std::string org, std::string vendor) {
    const auto key = get<std::optional<Secret>>([&] { return keys.get(org, vendor); });
    return key ? key->reveal() : "none";
  }

  std::vector<std::string> notices_;
  std::unique_ptr<ProviderKeys> keys_;
};

TEST_P(ProviderKeysContract, AKeyComesBackForItsOrganisationAndVendorOnly) {
  const ProviderKey made = put("acme", "openai", "sk-live-12345678");
  EXPECT_EQ(made.hint, "5678");
  EXPECT_THAT(made.id, ::testing::StartsWith("pvk_"));
  EXPECT_EQ(key_of("acme", "openai"), "sk-live-12345678");
  EXPECT_EQ(key_of("acme", "mistral"), "none");
  EXPECT_EQ(key_of("other", "openai"), "none");
  EXPECT_THAT(notices_, ElementsAre("acme/openai"));
}

TEST_P(ProviderKeysContract, TheDatabaseHoldsNothingOfTheSecretButTheHint) {
  put("acme", "openai", "sk-live-12345678");
  const auto stored = rows("SELECT ciphertext, hint FROM provider_keys");
  ASSERT_EQ(stored.size(), 1U);
  EXPECT_EQ(stored.text(0, "hint"), "5678");
  EXPECT_EQ(ring_.get()->decrypt(stored.text(0, "ciphertext"), "provider_keys/acme/openai").value(),
            "sk-live-12345678");
}

TEST_P(ProviderKeysContract, ANewKeyReplacesTheOldAndLeavesARecordWithoutTheSecret) {
  const ProviderKey first = put("acme", "openai", "sk-first-1111");
  clock_.advance(1h);
  const ProviderKey second = put("acme", "openai", "sk-second-2222");
  EXPECT_EQ(key_of("acme", "openai"), "sk-second-2222");
  const auto stored =
      rows("SELECT id, ciphertext, active, ended_at FROM provider_keys ORDER BY created_at");
  ASSERT_EQ(stored.size(), 2U);
  EXPECT_EQ(stored.text(0, "id"), first.id);
  EXPECT_FALSE(stored.boolean(0, "active"));
  EXPECT_EQ(stored.text(0, "ciphertext"), "");
  EXPECT_EQ(stored.text(0, "ended_at"), format_rfc3339(clock_.now()));
  EXPECT_TRUE(stored.boolean(1, "active"));
}

TEST_P(ProviderKeysContract, TheSchemaRefusesASecondActiveKey) {
  put("acme", "openai", "sk-first-1111");
  const auto again = db_->query_blocking(
      {"INSERT INTO provider_keys (id, org_id, vendor, ciphertext, hint, active, created_by,"
       " created_at) VALUES ('x', 'acme', 'openai', '', '', true, '', ?)",
       {format_rfc3339(clock_.now())}});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Errc::kConflict);
}

TEST_P(ProviderKeysContract, KeysSetAtTheSameTimeLeaveOneActive) {
  ProviderKeys keys(*db_, ring_, clock_, nullptr, {});
  std::vector<std::future<Result<ProviderKey>>> all;
  for (std::size_t i = 0; i < 6; ++i) {
    all.push_back(std::async(std::launch::async, [this, &keys, i] {
      return net::run_sync<Result<ProviderKey>>(loops_.at(i % 2), [&keys, i] {
        return keys.put("acme", "openai", Secret("sk-" + std::to_string(100'000 + i)), "usr_1");
      });
    }));
  }
  int stored = 0;
  for (auto& one : all) stored += one.get() ? 1 : 0;
  EXPECT_GE(stored, 1);
  EXPECT_EQ(rows("SELECT id FROM provider_keys WHERE active").size(), 1U);
}

TEST_P(ProviderKeysContract, ListsActiveKeysByVendorWithoutSecrets) {
  put("acme", "openai", "sk-first-1111");
  put("acme", "openai", "sk-second-2222");
  put("acme", "anthropic", "sk-third-3333");
  put("other", "openai", "sk-fourth-4444");
  const auto all = get<std::vector<ProviderKey>>([&] { return keys_->list("acme"); });
  ASSERT_THAT(all, SizeIs(2));
  EXPECT_EQ(all[0].vendor, "anthropic");
  EXPECT_EQ(all[1].hint, "2222");
  EXPECT_EQ(all[1].created_by, "usr_1");
  EXPECT_EQ(all[1].created_at, std::chrono::floor<std::chrono::milliseconds>(clock_.now()));
}

TEST_P(ProviderKeysContract, ARemovedKeyIsGoneAtOnceWithItsSecret) {
  put("acme", "openai", "sk-first-1111");
  EXPECT_EQ(key_of("acme", "openai"), "sk-first-1111");
  get<void>([&] { return keys_->remove("acme", "openai"); });
  EXPECT_EQ(key_of("acme", "openai"), "none");
  EXPECT_THAT(get<std::vector<ProviderKey>>([&] { return keys_->list("acme"); }), IsEmpty());
  EXPECT_EQ(rows("SELECT id FROM provider_keys WHERE ciphertext <> ''").size(), 0U);
  EXPECT_THAT(notices_, ElementsAre("acme/openai", "acme/openai"));
  auto again = attempt<void>([&] { return keys_->remove("acme", "openai"); });
  EXPECT_EQ(again.error().code, Errc::kNotFound);
  EXPECT_THAT(notices_, SizeIs(2));
}

TEST_P(ProviderKeysContract, AnotherProcessUsesTheOldKeyUntilTheNoticeOrForAMinute) {
  const auto notified = open(), deaf = open();
  put("acme", "openai", "sk-first-1111");
  EXPECT_EQ(key_of(*notified, "acme", "openai"), "sk-first-1111");
  EXPECT_EQ(key_of(*deaf, "acme", "openai"), "sk-first-1111");
  put("acme", "openai", "sk-second-2222");
  notified->forget("acme", "openai");
  EXPECT_EQ(key_of(*notified, "acme", "openai"), "sk-second-2222");
  clock_.advance(60s - 1ms);
  EXPECT_EQ(key_of(*deaf, "acme", "openai"), "sk-first-1111");
  clock_.advance(1ms);
  EXPECT_EQ(key_of(*deaf, "acme", "openai"), "sk-second-2222");
}

TEST_P(ProviderKeysContract, RemembersThatThereIsNoKeyAndForgetsItWithTheRest) {
  const auto other = open();
  EXPECT_EQ(key_of(*other, "acme", "openai"), "none");
  put("acme", "openai", "sk-first-1111");
  EXPECT_EQ(key_of(*other, "acme", "openai"), "none");
  other->forget_all();
  EXPECT_EQ(key_of(*other, "acme", "openai"), "sk-first-1111");
}

TEST_P(ProviderKeysContract, RemembersNoMoreThanItMay) {
  keys_ = open({.cache_for = 60s, .cache_entries = 2});
  for (const char* org : {"a", "b", "c"}) put(org, "openai", std::string("sk-first-") + org);
  EXPECT_EQ(key_of("a", "openai"), "sk-first-a");
  EXPECT_EQ(key_of("b", "openai"), "sk-first-b");
  EXPECT_EQ(key_of("a", "openai"), "sk-first-a");
  EXPECT_EQ(key_of("c", "openai"), "sk-first-c");  // pushes out b, the longest unused
  rows("UPDATE provider_keys SET ciphertext = 'damaged'");
  EXPECT_EQ(key_of("a", "openai"), "sk-first-a");
  const auto b = attempt<std::optional<Secret>>([&] { return keys_->get("b", "openai"); });
  ASSERT_FALSE(b);
  EXPECT_EQ(b.error().code, Errc::kCorrupt);
}

TEST_P(ProviderKeysContract, AKeyCopiedToAnotherOrganisationsRowIsRefused) {
  put("acme", "openai", "sk-first-1111");
  put("thief", "openai", "sk-second-2222");
  rows(
      "UPDATE provider_keys SET ciphertext = (SELECT p.ciphertext FROM provider_keys p WHERE"
      " p.org_id = 'acme') WHERE org_id = 'thief'");
  const auto stolen = attempt<std::optional<Secret>>([&] { return keys_->get("thief", "openai"); });
  ASSERT_FALSE(stolen);
  EXPECT_EQ(stolen.error().code, Errc::kCorrupt);
}

TEST_P(ProviderKeysContract, WithoutAnEncryptionKeyNothingIsTakenAndStoredKeysAreNotPassedOver) {
  put("acme", "openai", "sk-first-1111");
  Live<KeyRing> none;
  keys_ = std::make_unique<ProviderKeys>(*db_, none, clock_, nullptr, ProviderKeys::Options());
  const auto refused = attempt<ProviderKey>(
      [&] { return keys_->put("acme", "mistral", Secret("sk-second-2222"), "usr_1"); });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kInvalidArgument);
  EXPECT_EQ(refused.error().reason, "configuration_error");
  EXPECT_THAT(refused.error().message, HasSubstr("ASAHI_ENCRYPTION_KEY"));
  EXPECT_EQ(key_of("acme", "mistral"), "none");
  const auto unread = attempt<std::optional<Secret>>([&] { return keys_->get("acme", "openai"); });
  ASSERT_FALSE(unread);
  EXPECT_EQ(unread.error().code, Errc::kUnavailable);
  EXPECT_EQ(get<std::vector<ProviderKey>>([&] { return keys_->list("acme"); }).size(), 1U);
  get<void>([&] { return keys_->remove("acme", "openai"); });  // the way out
}

TEST_P(ProviderKeysContract, RefusesWhatIsNoKeyOrNoName) {
  const std::string good = "sk-first-1111";
  for (const std::string& bad :
       {std::string("short"), std::string(1'025, 'k'), std::string("sk-first 1111"),
        std::string("sk-first-1111\n"), std::string("sk-f\xc3\xa4hrst-1111"), std::string()}) {
    EXPECT_EQ(put_error("acme", "openai", bad), Errc::kInvalidArgument);
  }
  for (const std::string& bad :
       {std::string(), std::string("Open AI"), std::string("a/b"), std::string(51, 'v')}) {
    EXPECT_EQ(put_error("acme", bad, good), Errc::kInvalidArgument);
  }
  EXPECT_EQ(put_error("", "openai", good), Errc::kInvalidArgument);
  EXPECT_EQ(put_error(std::string(256, 'o'), "openai", good), Errc::kInvalidArgument);
  EXPECT_THAT(notices_, IsEmpty());
}

TEST_P(ProviderKeysContract, TheSchemaComesBackTheSame) {
  sql::Migrator migrator(*db_, secrets_migrations());
  ASSERT_TRUE(migrator.downgrade(1));
  EXPECT_FALSE(db_->query_blocking({"SELECT * FROM provider_keys", {}}));
  ASSERT_TRUE(migrator.upgrade());
  put("acme", "openai", "sk-first-1111");
  EXPECT_EQ(key_of("acme", "openai"), "sk-first-1111");
}

INSTANTIATE_TEST_SUITE_P(Engines, ProviderKeysContract,
                         ::testing::ValuesIn(sql::testing::all_engines()),
                         sql::testing::engine_name);

}  // namespace
}  // namespace asahi::identity
