#include "identity/systems.h"

#include <gtest/gtest.h>

namespace asahi::identity {
namespace {

Result<Systems> read(std::string_view text) {
  const json::value value = json::parse(text);
  return read_systems(&value);
}
Systems some(std::vector<std::string> ids) { return ids; }

TEST(Systems, WhoIsToldNothingOrAStarHasAll) {
  EXPECT_EQ(*read_systems(nullptr), Systems());
  EXPECT_EQ(*read("\"*\""), Systems());
  EXPECT_EQ(*read(R"(["a", "*"])"), Systems());
}

TEST(Systems, AListIsSortedAndHasEachOnce) {
  EXPECT_EQ(*read(R"(["b", "a", "b"])"), some({"a", "b"}));
  EXPECT_EQ(*read("\"a\""), some({"a"}));
  EXPECT_EQ(*read("[]"), some({})) << "none, and not all";
}

TEST(Systems, WhatCannotBeReadIsNeverAll) {
  for (const char* text :
       {"null", "7", "{}", "true", R"(["a", 7])", R"(["a b"])", R"([""])", "\"\"", R"(["../x"])"}) {
    const auto systems = read(text);
    ASSERT_FALSE(systems) << text;
    EXPECT_EQ(systems.error().field, "systems") << text;
  }
}

TEST(Systems, NobodyGivesAwayMoreThanTheyHave) {
  EXPECT_TRUE(is_within(some({"a"}), Systems()));
  EXPECT_TRUE(is_within(Systems(), Systems()));
  EXPECT_TRUE(is_within(some({"a"}), some({"a", "b"})));
  EXPECT_TRUE(is_within(some({}), some({"a"})));
  EXPECT_FALSE(is_within(Systems(), some({"a"})));
  EXPECT_FALSE(is_within(some({"a", "c"}), some({"a", "b"})));
}

}  // namespace
}  // namespace asahi::identity
