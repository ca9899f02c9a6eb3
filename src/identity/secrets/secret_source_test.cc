#include "identity/secrets/secret_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "identity/secrets/live.h"

namespace asahi::identity {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct SecretSourceTest : ::testing::Test {
  std::vector<std::string> accepted(std::string_view name) {
    std::vector<std::string> all;
    for (const Secret& value : source.accepted(name)) all.push_back(value.reveal());
    return all;
  }

  ManualClock clock;
  SecretSource source{clock, 1h, {{"ADMIN", Secret("one")}, {"EMPTY", Secret()}}};
};

TEST_F(SecretSourceTest, AReplacedValueIsAcceptedUntilTheOverlapIsOver) {
  EXPECT_THAT(source.update({{"ADMIN", Secret("two")}}), ElementsAre("ADMIN"));
  EXPECT_EQ(source.get("ADMIN"), Secret("two"));
  EXPECT_THAT(accepted("ADMIN"), ElementsAre("two", "one"));
  clock.advance(1h - 1ms);
  EXPECT_TRUE(source.matches("ADMIN", "one"));
  clock.advance(1ms);
  EXPECT_FALSE(source.matches("ADMIN", "one"));
  EXPECT_TRUE(source.matches("ADMIN", "two"));
  EXPECT_THAT(accepted("ADMIN"), ElementsAre("two"));
}

TEST_F(SecretSourceTest, AnEmptyValueWithdrawsTheSecretAndItsPast) {
  source.update({{"ADMIN", Secret("two")}});
  EXPECT_THAT(source.update({{"ADMIN", Secret()}}), ElementsAre("ADMIN"));
  EXPECT_TRUE(source.get("ADMIN").empty());
  EXPECT_THAT(accepted("ADMIN"), IsEmpty());
  EXPECT_THAT(source.update({{"ADMIN", Secret()}}), IsEmpty());
  source.update({{"ADMIN", Secret("three")}});
  EXPECT_THAT(accepted("ADMIN"), ElementsAre("three"));
}

TEST_F(SecretSourceTest, WhatIsNotSetMatchesNothing) {
  for (const char* name : {"UNKNOWN", "EMPTY"}) {
    EXPECT_FALSE(source.matches(name, ""));
    EXPECT_FALSE(source.matches(name, "one"));
  }
  EXPECT_FALSE(source.matches("ADMIN", ""));
  EXPECT_FALSE(source.matches("ADMIN", "on"));
  EXPECT_FALSE(source.matches("ADMIN", "onee"));
}

TEST_F(SecretSourceTest, AValueThatComesBackIsCurrentAndNotReplaced) {
  source.update({{"ADMIN", Secret("two")}});
  source.update({{"ADMIN", Secret("one")}});
  EXPECT_THAT(accepted("ADMIN"), ElementsAre("one", "two"));
}

TEST_F(SecretSourceTest, KeepsNoMoreThanTheLatestReplacedValues) {
  for (int i = 0; i < 10; ++i) source.update({{"ADMIN", Secret(std::to_string(i))}});
  EXPECT_THAT(accepted("ADMIN"), ElementsAre("9", "8", "7", "6"));
}

TEST_F(SecretSourceTest, ListenersHearOfChangesOnlyAndSeeTheNewValues) {
  std::vector<std::string> heard;
  source.on_change([&](const SecretSource::Names& names) {
    for (const auto& name : names) heard.push_back(name + "=" + source.get(name).reveal());
  });
  source.update({{"ADMIN", Secret("one")}, {"JWT", Secret("new")}});
  source.update({{"JWT", Secret("new")}});
  EXPECT_THAT(heard, ElementsAre("JWT=new"));
}

TEST_F(SecretSourceTest, ReadersSeeOneOfTheValuesWhileTheyChange) {
  std::atomic<bool> stop = false;
  std::jthread reader([&] {
    while (!stop) {
      const auto value = source.get("ADMIN").reveal();
      EXPECT_TRUE(value == "one" || value == "two") << value;
      EXPECT_TRUE(source.matches("ADMIN", value));
    }
  });
  for (int i = 0; i < 500; ++i) source.update({{"ADMIN", Secret(i % 2 == 0 ? "two" : "one")}});
  stop = true;
}

TEST_F(SecretSourceTest, AnExchangedEncryptionKeyStaysReadable) {
  constexpr KeyRing::Options kQuick{.pbkdf2_iterations = 1'000};
  const auto hex = [](char digit) { return Secret(std::string(64, digit)); };
  EXPECT_EQ(encryption_ring(source, kQuick).error().code, Errc::kInvalidArgument);
  source.update({{"ASAHI_ENCRYPTION_KEY_PREVIOUS", hex('1')}});
  EXPECT_FALSE(encryption_ring(source, kQuick));
  source.update({{"ASAHI_ENCRYPTION_KEY", hex('2')}});
  Live<KeyRing> live(encryption_ring(source, kQuick).value());
  const auto before = live.get();
  const std::string value = before->encrypt("plain", "here");
  source.update({{"ASAHI_ENCRYPTION_KEY", hex('3')}});
  live.set(encryption_ring(source, kQuick).value());
  EXPECT_EQ(live.get()->decrypt(value, "here").value(), "plain");
  EXPECT_TRUE(live.get()->is_stale(value));
  EXPECT_FALSE(before->is_stale(value));  // the snapshot is untouched
}

}  // namespace
}  // namespace asahi::identity
