#include "memory/dedup/normalise.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "base/utf8.h"
#include "memory/dedup/shingles.h"

namespace asahi::memory::dedup {
namespace {

TEST(Normalised, SqueezesBlanksAndLowersLetters) {
  EXPECT_EQ(normalised("  The\tDEPLOY \r\n\n failed  "), "the deploy failed");
  EXPECT_EQ(normalised(""), "");
  EXPECT_EQ(normalised(" \n\t"), "");
  EXPECT_EQ(normalised("A\xC2\xA0\xE3\x80\x80"
                       "B"),
            "a b")
      << "no-break and ideographic spaces";
  EXPECT_EQ(normalised(std::string("a\0b", 3)), "a b");
}

TEST(Normalised, GivesOneFormToWhatUnicodeCallsCompatible) {
  EXPECT_EQ(normalised("ﬁne ＡＢＣ１２３ №７ x² ½"), "fine abc123 no7 x2 1⁄2");
  EXPECT_EQ(normalised("𝐁𝐨𝐥𝐝 Ⅷ ㎏ ｶﾞ"), "bold viii kg ガ");
  EXPECT_EQ(normalised("…"), "...");
}

TEST(Normalised, ComposedAndTakenApartLettersAreTheSame) {
  EXPECT_EQ(normalised("cafe\u0301"), normalised("CAFÉ"));
  EXPECT_EQ(normalised("e\u0323\u0301"), normalised("\u1EB9\u0301"));
  EXPECT_EQ(normalised("\u00E9\u0323"), "\u1EB9\u0301") << "marks in canonical order";
  EXPECT_EQ(normalised("\u1112\u1161\u11AB\u1100\u1173\u11AF"), "한글");
  EXPECT_EQ(normalised("\u09C7\u09BE"), "\u09CB") << "Bengali vowel signs join without being marks";
  EXPECT_EQ(normalised("Å"), "å");
}

TEST(Normalised, LowersScriptsBeyondLatin) {
  EXPECT_EQ(normalised("ПРИВЕТ МИР ΑΒΓ ԱԲ"), "привет мир αβγ աբ");
  EXPECT_EQ(normalised("İstanbul"), "i\u0307stanbul");
}

TEST(Normalised, DropsWhatNobodySees) {
  EXPECT_EQ(normalised("\uFEFFco\u00ADoper\u200Bate"), "cooperate");
}

TEST(Normalised, BytesThatAreNoTextBecomeReplacementCharacters) {
  EXPECT_EQ(normalised("a\xFF\xC3"), "a\uFFFD\uFFFD");
}

TEST(Normalised, TwiceIsOnceAndTheResultIsWellFormed) {
  std::mt19937 random(7);
  const std::u32string_view pool =
      U"aZ é\u0301\u0323\u0308ﬁ²\u1112\u1161\u11AB\u09C7\u09BE　\u00ADİßΣςКк漢ｶﾞ…\U0001D401\u0345";
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (int i = 0; i < 24; ++i) {
      const auto pick = random() % (pool.size() + 2);
      char32_t c = pick < pool.size() ? pool[pick] : static_cast<char32_t>(random() % 0x11000);
      if (pick == pool.size() + 1) {
        text += static_cast<char>(random());
        continue;
      }
      if (c >= 0xD800 && c < 0xE000) c = U'x';
      if (c < 0x80) {
        text += static_cast<char>(c);
      } else if (c < 0x800) {
        text += static_cast<char>(0xC0 | c >> 6);
        text += static_cast<char>(0x80 | (c & 63));
      } else if (c < 0x10000) {
        text += static_cast<char>(0xE0 | c >> 12);
        text += static_cast<char>(0x80 | (c >> 6 & 63));
        text += static_cast<char>(0x80 | (c & 63));
      } else {
        text += static_cast<char>(0xF0 | c >> 18);
        text += static_cast<char>(0x80 | (c >> 12 & 63));
        text += static_cast<char>(0x80 | (c >> 6 & 63));
        text += static_cast<char>(0x80 | (c & 63));
      }
    }
    const std::string once = normalised(text);
    EXPECT_EQ(normalised(once), once);
    EXPECT_TRUE(is_utf8(once));
    EXPECT_EQ(once.find("  "), std::string::npos);
  }
}

TEST(Shingles, LongTextIsComparedByThreeWordsInARow) {
  const auto all = shingles("one two three four five six seven eight");
  EXPECT_EQ(all.size(), 6U);
  const auto moved = shingles("zero one two three four five six seven eight");
  ASSERT_EQ(moved.size(), 7U);
  for (std::size_t i = 0; i < all.size(); ++i)
    EXPECT_EQ(all[i], moved[i + 1]) << "place is nothing";
}

TEST(Shingles, ShortTextIsComparedByFiveCharactersInARow) {
  EXPECT_EQ(shingles("disk is full").size(), 8U);
  EXPECT_EQ(shingles("naïve").size(), 1U) << "characters, not bytes";
  EXPECT_EQ(shingles("abc").size(), 1U);
  EXPECT_NE(shingles("abc"), shingles("abd"));
  EXPECT_TRUE(shingles("").empty());
}

TEST(Shingles, ScriptsWithoutBlanksAreComparedByCharacters) {
  const auto text = shingles("部署在今天下午失败了因为磁盘已满");
  EXPECT_EQ(text.size(), 14U) << "three of sixteen characters in a row";
  EXPECT_GT(jaccard(shingle_set("部署在今天下午失败了因为磁盘已满请大家注意安全问题"),
                    shingle_set("部署在今天下午失败了因为磁盘已满请大家注意安全问提")),
            0.85);
}

TEST(Shingles, NoPairAcrossTheBorderOfShortTextIsNearInWords) {
  // Seven words against eight: at most five shingles of six.
  EXPECT_LT(5.0 / 6.0, 0.85);
  EXPECT_EQ(shingles("a b c d e f g").size(), 9U) << "characters";
  EXPECT_EQ(shingles("a b c d e f g h").size(), 6U) << "words";
}

TEST(Jaccard, CountsWhatIsInBothOverWhatIsInEither) {
  const std::vector<std::uint32_t> a{1, 2, 3, 4}, b{3, 4, 5}, none;
  EXPECT_DOUBLE_EQ(jaccard(a, b), 2.0 / 5.0);
  EXPECT_DOUBLE_EQ(jaccard(a, a), 1);
  EXPECT_DOUBLE_EQ(jaccard(a, none), 0);
  EXPECT_DOUBLE_EQ(jaccard(none, none), 1);
}

}  // namespace
}  // namespace asahi::memory::dedup
