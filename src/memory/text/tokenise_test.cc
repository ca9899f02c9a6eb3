#include "memory/text/tokenise.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/utf8.h"

namespace asahi::memory::text {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

std::vector<std::string> terms(std::string_view text, Side side = Side::kDocument) {
  Tokens tokens;
  tokenise(text, side, tokens);
  std::vector<std::string> out;
  for (const Token& token : tokens.tokens) out.emplace_back(tokens.of(token));
  return out;
}

TEST(Tokenise, FoldsCaseAccentsAndEndings) {
  EXPECT_THAT(terms("Zoë RUNNING, Cafés!"), ElementsAre("zoe", "run", "caf"));
  EXPECT_EQ(terms("Łódź Ærø Straße"), terms("lodz aero strasse"));
  EXPECT_EQ(terms("ﬁne ＡＢＣ１２"), terms("fine abc12"));
  EXPECT_EQ(terms("Ёлка"), terms("елка"));
  EXPECT_EQ(terms("e\xCC\x81t\xCC\x81"), terms("et")) << "accents on their own";
}

TEST(Tokenise, EvensOutIrregularForms) {
  EXPECT_EQ(terms("bought"), terms("buying"));
  EXPECT_EQ(terms("children"), terms("child"));
  EXPECT_EQ(terms("книгами"), terms("книга"));
}

TEST(Tokenise, TakesApostrophesApart) {
  EXPECT_THAT(terms("Mel's dog"), ElementsAre("mel", "dog"));
  EXPECT_THAT(terms("they’ll"), ElementsAre("they"));
  EXPECT_THAT(terms("don't"), ElementsAre("do"));
  EXPECT_THAT(terms("d'Arc"), ElementsAre("d", "arc"));
  EXPECT_THAT(terms("'quoted'"), ElementsAre("quot"));
}

TEST(Tokenise, KeepsIdentifiersWholeAndInParts) {
  EXPECT_THAT(terms("max_open_files"), ElementsAre("max_open_files", "max", "open", "fil"));
  EXPECT_THAT(terms("parseHTTPRequest"),
              ElementsAre("parsehttprequest", "pars", "http", "request"));
  EXPECT_THAT(terms("std::vector"), ElementsAre("std::vector", "std", "vector"));
  EXPECT_THAT(terms("covid-19"), ElementsAre("covid-19", "covid", "19"));
  EXPECT_THAT(terms("covid19"), Contains("19"));
}

TEST(Tokenise, KeepsErrorCodesWhole) {
  EXPECT_THAT(terms("error[E0308]:"), ElementsAre("error", "e0308"));
  EXPECT_THAT(terms("0x7fff"), Contains("0x7fff"));
}

TEST(Tokenise, FindsAPathByItsFile) {
  EXPECT_THAT(terms("/src/net/http_server.cc"),
              ElementsAre("src/net/http_server.cc", "http_server.cc", "src", "net", "http",
                          "server", "cc"));
  EXPECT_THAT(terms("C:\\temp\\a.log"), Contains("a.log"));
}

TEST(Tokenise, FindsAVersionByItsBeginning) {
  EXPECT_THAT(terms("v1.2.3"), ElementsAre("1.2", "1.2.3"));
  EXPECT_THAT(terms("3.14"), ElementsAre("3.14"));
  EXPECT_THAT(terms("10.0.0.1"), ElementsAre("10.0", "10.0.0", "10.0.0.1"));
}

TEST(Tokenise, EvensOutNumbers) {
  EXPECT_THAT(terms("1,000 and 12,34"), ElementsAre("1000", "and", "12", "34"));
  EXPECT_THAT(terms("May 13th"), ElementsAre("may", "13"));
  EXPECT_THAT(terms("٣٤"), ElementsAre("34"));
  EXPECT_THAT(terms("2023-05-08"), ElementsAre("2023-05-08", "2023", "5", "8"));
}

TEST(Tokenise, KeepsNamesWithSigns) {
  EXPECT_THAT(terms("C++ and C#."), ElementsAre("c++", "and", "c#"));
}

TEST(Tokenise, PartsSentencesAtColonsAndDashes) {
  EXPECT_THAT(terms("note:this"), ElementsAre("not", "this"));
  EXPECT_THAT(terms("wait...what"), ElementsAre("wait", "what"));
  EXPECT_THAT(terms("one--two"), ElementsAre("one", "two"));
  EXPECT_THAT(terms("10:30"), Contains("10:30"));
}

TEST(Tokenise, ReadsScriptsWithoutBlanksInPairs) {
  EXPECT_THAT(terms("東京都"), ElementsAre("東", "東京", "京", "京都", "都"));
  EXPECT_THAT(terms("東京都", Side::kQuestion), ElementsAre("東京", "京都"));
  EXPECT_THAT(terms("猫", Side::kQuestion), ElementsAre("猫"));
  EXPECT_THAT(terms("Q3の売上", Side::kQuestion), ElementsAre("q3", "の売", "売上"));
  EXPECT_EQ(terms("ｶﾒﾗ"), terms("カメラ"));
}

TEST(Tokenise, MarksGrammarWords) {
  Tokens tokens;
  tokenise("What did Mel paint?", Side::kQuestion, tokens);
  ASSERT_EQ(tokens.tokens.size(), 4U);
  EXPECT_TRUE(tokens.tokens[0].grammar);
  EXPECT_TRUE(tokens.tokens[1].grammar);
  EXPECT_FALSE(tokens.tokens[2].grammar);
  EXPECT_FALSE(tokens.tokens[3].grammar);
}

TEST(Tokenise, CountsWordsNotTerms) {
  Tokens tokens;
  tokenise("fix src/net/http.cc in v1.2.3", Side::kDocument, tokens);
  EXPECT_EQ(tokens.words, 7U);
  EXPECT_EQ(tokens.tokens.back().position, 6U);
}

TEST(Tokenise, CutsEndlessTermsAtACharactersBorder) {
  std::string text;
  for (int i = 0; i < 4000; ++i) text += "é1";
  for (const std::string& term : terms(text)) {
    EXPECT_LE(term.size(), kLongestToken);
    EXPECT_TRUE(is_utf8(term));
  }
  EXPECT_THAT(terms(""), IsEmpty());
  EXPECT_THAT(terms("\xFF\xFE ... !"), IsEmpty());
}

TEST(Tokenise, TakesAnyBytes) {
  std::mt19937 random(7);
  constexpr std::string_view kSome[] = {"a", "B", "9",  "_", "-", ".",  "/", ":",    "'",  ",",
                                        " ", "é", "京", "่",  "+", "\\", "v", "\xFF", "st", "::"};
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (int i = static_cast<int>(random() % 40); i > 0; --i)
      text += kSome[random() % std::size(kSome)];
    Tokens tokens;
    tokenise(text, Side::kDocument, tokens);
    for (const Token& token : tokens.tokens) {
      EXPECT_GT(token.length, 0U);
      EXPECT_TRUE(is_utf8(tokens.of(token))) << text;
      EXPECT_LT(token.position, tokens.words) << text;
    }
  }
}

TEST(PlainWords, GivesNamesAsTheyAre) {
  EXPECT_THAT(plain_words("What is Zoë's, or Jean-Luc's, name?"),
              ElementsAre("what", "is", "zoe", "or", "jean", "luc", "name"));
  EXPECT_THAT(plain_words("Joan d'Arc"), Not(Contains("darc")));
}

}  // namespace
}  // namespace asahi::memory::text
