#include "base/utf8.h"

#include <gtest/gtest.h>

namespace asahi {
namespace {

TEST(Utf8, TellsWellFormedFromIllFormed) {
  for (const char* good :
       {"", "plain", "\u00e9", "\u65e5\u672c", "\U0001F600", "\xEF\xBF\xBF", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_TRUE(is_utf8(good)) << good;
  }
  for (const char* bad :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "a\xE6\x97", "\xE6\x97x"}) {
    EXPECT_FALSE(is_utf8(bad)) << bad;
  }
  EXPECT_TRUE(is_utf8(std::string_view("a\0b", 3)));
}

TEST(Utf8, MendsByteByByteAndCutsAtACharacter) {
  EXPECT_EQ(mended_utf8("a\xC0\x80z"), "a\uFFFD\uFFFDz");
  EXPECT_EQ(mended_utf8("\u65e5\u672c\u8a9e", 4), "\u65e5\u672c");
}

TEST(Utf8, CutsBeforeTheCharacterThatDoesNotFit) {
  EXPECT_EQ(utf8_prefix("plain", 9), "plain");
  EXPECT_EQ(utf8_prefix("plain", 5), "plain");
  EXPECT_EQ(utf8_prefix("plain", 2), "pl");
  EXPECT_EQ(utf8_prefix("\u65e5\u672c", 5), "\u65e5");
  EXPECT_EQ(utf8_prefix("\u65e5\u672c", 3), "\u65e5");
  EXPECT_EQ(utf8_prefix("\u65e5", 2), "");
}

TEST(Utf8, CountsCharactersOfEveryScript) {
  EXPECT_EQ(utf8_characters(""), 0u);
  EXPECT_EQ(utf8_characters("abc"), 3u);
  EXPECT_EQ(utf8_characters("\u00e9\u65e5\U0001F600"), 3u);
}

}  // namespace
}  // namespace asahi
