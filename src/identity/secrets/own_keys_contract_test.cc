// What model calls learn of organisations' own vendor keys, on every engine.
#include "identity/secrets/own_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "identity/secrets/testing/secrets_fixture.h"

namespace asahi::identity {
namespace {

using namespace std::chrono_literals;

class OwnKeysContract : public testing::SecretsFixture {
 protected:
  void SetUp() override {
    SecretsFixture::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    keys_ = std::make_unique<ProviderKeys>(*db_, ring_, clock_, nullptr, ProviderKeys::Options{});
    own_ = std::make_unique<OwnKeys>(*db_, *keys_);
  }
  void put(std::string org, std::string vendor, std::string key) {
    get<ProviderKey>([&] { return keys_->put(org, vendor, Secret(key), "usr_1"); });
  }
  void refresh() {
    get<void>([&] { return own_->refresh(); });
  }
  /// "asks": what would need a look-up.
  std::string at_once(std::string org, Principal::Kind kind = Principal::Kind::kApiKey) const {
    Principal caller;
    caller.kind = kind;
    caller.org_id = std::move(org);
    const auto known = own_->try_get(caller);
    if (!known) return "asks";
    return *known == nullptr ? "none" : "some";
  }
  std::string keys_of(std::string org) {
    const auto found =
        attempt<std::shared_ptr<const OwnKeys::Keys>>([&] { return own_->get(org); });
    if (!found) return std::string(to_string(found.error().code));
    if (*found == nullptr) return "none";
    std::string all;
    for (const auto& [vendor, key] : **found) all += vendor + "=" + key.reveal() + " ";
    return all;
  }
  /// As if the database were away for this table.
  void hide(bool hidden) {
    rows(hidden ? "ALTER TABLE provider_keys RENAME TO hidden_keys"
                : "ALTER TABLE hidden_keys RENAME TO provider_keys");
  }

  std::unique_ptr<ProviderKeys> keys_;
  std::unique_ptr<OwnKeys> own_;
};

TEST_P(OwnKeysContract, ACallOfAnOrganisationWithoutKeysNeedsNoLookUp) {
  put("acme", "openai", "sk-acme-1111");
  refresh();
  EXPECT_EQ(at_once("globex"), "none");
  EXPECT_EQ(at_once("acme"), "asks");
  EXPECT_EQ(keys_of("acme"), "openai=sk-acme-1111 ");
  EXPECT_EQ(keys_of("globex"), "none");
}

TEST_P(OwnKeysContract, BeforeTheFirstReadingOnlyCallersWithACredentialWaitForIt) {
  put("acme", "openai", "sk-acme-1111");
  EXPECT_EQ(at_once("default", Principal::Kind::kAnonymous), "none");
  EXPECT_EQ(at_once("acme"), "asks");
  EXPECT_EQ(keys_of("globex"), "none") << "and the first look-up reads for everybody";
  EXPECT_EQ(at_once("globex"), "none");
}

TEST_P(OwnKeysContract, AChangeOfAnotherProcessIsTakenUpWithItsNotice) {
  put("acme", "openai", "sk-acme-1111");
  refresh();
  EXPECT_EQ(keys_of("acme"), "openai=sk-acme-1111 ");
  ProviderKeys elsewhere(*db_, ring_, clock_, nullptr, {});
  get<ProviderKey>([&] { return elsewhere.put("acme", "openai", Secret("sk-acme-2222"), "u"); });
  get<ProviderKey>([&] { return elsewhere.put("acme", "mistral", Secret("mi-acme-333"), "u"); });
  own_->forget("acme");
  refresh();
  EXPECT_EQ(keys_of("acme"), "mistral=mi-acme-333 openai=sk-acme-2222 ");
  get<void>([&] { return elsewhere.remove("acme", "openai"); });
  get<void>([&] { return elsewhere.remove("acme", "mistral"); });
  own_->forget("");
  refresh();
  EXPECT_EQ(at_once("acme"), "none");
}

TEST_P(OwnKeysContract, WhatIsKnownGoesOnWhileTheDatabaseIsAway) {
  put("acme", "openai", "sk-acme-1111");
  refresh();
  EXPECT_EQ(keys_of("acme"), "openai=sk-acme-1111 ");
  hide(true);
  clock_.advance(1h);
  EXPECT_FALSE(attempt<void>([&] { return own_->refresh(); }));
  EXPECT_EQ(keys_of("acme"), "openai=sk-acme-1111 ");
  EXPECT_EQ(at_once("globex"), "none");
  hide(false);
}

TEST_P(OwnKeysContract, AKeyThatCannotBeReadIsNotReplacedByThePlatforms) {
  put("acme", "openai", "sk-acme-1111");
  refresh();
  own_->forget("acme");
  set_ring("9");
  EXPECT_EQ(keys_of("acme"), "corrupt");
}

INSTANTIATE_TEST_SUITE_P(Engines, OwnKeysContract, ::testing::ValuesIn(sql::testing::all_engines()),
                         sql::testing::engine_name);

}  // namespace
}  // namespace asahi::identity
