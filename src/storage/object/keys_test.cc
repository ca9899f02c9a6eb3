#include "storage/object/keys.h"

#include <gtest/gtest.h>

namespace asahi::object {
namespace {

TEST(ObjectKeys, TakesOrdinaryOnes) {
  for (const std::string_view key : {"a", "a/b", "a.b", "..a", "a..", "a/...b", " ", "ü/日本"})
    EXPECT_TRUE(check_key(key)) << key;
  EXPECT_TRUE(check_key(std::string(255, 'x')));
  for (const std::string_view prefix : {"", "a", "a/", "a/b", "a/.", "a/.."})
    EXPECT_TRUE(check_prefix(prefix)) << prefix;
}

TEST(ObjectKeys, RefusesWhatNoStoreCouldKeepSafely) {
  using namespace std::string_view_literals;
  for (const std::string_view key :
       {""sv, "/"sv, "a/"sv, "/a"sv, "a//b"sv, "."sv, ".."sv, "a/../b"sv, "a\0b"sv, "a\x7f"sv,
        "\xff"sv, "a/\xc0\xaf"sv, ".asahi-tmp"sv})
    EXPECT_FALSE(check_key(key)) << key;
  EXPECT_FALSE(check_key(std::string(256, 'x')));
  std::string deep;
  for (int i = 0; i < 600; ++i) deep += "a/";
  EXPECT_FALSE(check_key(deep + "a"));
  for (const std::string_view prefix : {"/"sv, "../"sv, "a//"sv, "a/../b"sv})
    EXPECT_FALSE(check_prefix(prefix)) << prefix;
}

}  // namespace
}  // namespace asahi::object
