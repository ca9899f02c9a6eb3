#include "llm/embed/words.h"

#include <gtest/gtest.h>

#include "llm/embed/stem.h"

namespace asahi::llm::text {
namespace {

std::string stems(std::string_view text) {
  const Words words = analyse(text);
  std::string out;
  for (const Word& word : words.words) {
    if (!out.empty()) out += ' ';
    out += words.stem_of(word);
  }
  return out;
}

const Word* word_of(const Words& words, std::string_view stem) {
  for (const Word& word : words.words) {
    if (words.stem_of(word) == stem) return &word;
  }
  return nullptr;
}

TEST(Stem, BringsFormsOfOneWordTogether) {
  EXPECT_EQ(stem("studies"), stem("studying"));
  EXPECT_EQ(stem("studied"), stem("study"));
  EXPECT_EQ(stem("making"), stem("make"));
  EXPECT_EQ(stem("made"), stem("makes"));
  EXPECT_EQ(stem("stopped"), stem("stops"));
  EXPECT_EQ(stem("children"), stem("child"));
  EXPECT_EQ(stem("went"), stem("going"));
}

TEST(Stem, KeepsDifferentWordsApart) {
  EXPECT_NE(stem("university"), stem("universe"));
  EXPECT_NE(stem("news"), stem("new"));
  EXPECT_EQ(stem("bus"), "bus");
  EXPECT_EQ(stem("glass"), "glass");
}

TEST(Words, LeavesGrammarOut) {
  EXPECT_EQ(stems("How do I renew the certificate?"), "renew certificat");
}

TEST(Words, TakesContractionsApart) {
  const Words words = analyse("Why doesn't it work?");
  EXPECT_EQ(words.negations, 1);
  EXPECT_EQ(analyse("I can\u2019t log in").negations, 1);
  EXPECT_EQ(analyse("I can't log in").normal_form, analyse("i can\u2019t log in").normal_form);
}

TEST(Words, ReadsNumbersAlike) {
  EXPECT_EQ(stems("1,500 users"), stems("1500 users"));
  EXPECT_EQ(stems("v2.10.0"), stems("version 2.10.0").substr(stems("version").size() + 1));
  EXPECT_NE(stems("2.10"), stems("2.100"));
  EXPECT_EQ(stems("three cats"), stems("3 cats"));
  EXPECT_EQ(stems("10kg"), "10 kg");
}

TEST(Words, SeesWhatKindOfQuestionItIs) {
  EXPECT_EQ(analyse("How do I do it?").type, QuestionType::kHow);
  EXPECT_EQ(analyse("What is the best way to do it?").type, QuestionType::kHow);
  EXPECT_EQ(analyse("Could you tell me how to do it?").type, QuestionType::kHow);
  EXPECT_EQ(analyse("How many moons has Mars?").type, QuestionType::kHowMany);
  EXPECT_EQ(analyse("How long is it?").type, QuestionType::kHowMuchOf);
  EXPECT_EQ(analyse("What is the reason for it?").type, QuestionType::kWhy);
  EXPECT_EQ(analyse("Why is it so?").type, QuestionType::kWhy);
  EXPECT_EQ(analyse("Is it so?").type, QuestionType::kYesNo);
  EXPECT_EQ(analyse("My card is lost, what do I do?").type, QuestionType::kWhat);
  EXPECT_EQ(analyse("The card is lost.").type, QuestionType::kStatement);
}

TEST(Words, KnowsNamesByCapitalsInsideASentence) {
  const Words words = analyse("Who taught Marquez the violin?");
  ASSERT_NE(word_of(words, "marquez"), nullptr);
  EXPECT_TRUE(word_of(words, "marquez")->is(Word::kName));
  const Words headline = analyse("The Ten Best Violin Teachers In Town");
  ASSERT_NE(word_of(headline, "violin"), nullptr);
  EXPECT_FALSE(word_of(headline, "violin")->is(Word::kName));
}

TEST(Words, GivesThingsTheRoleOfTheirPreposition) {
  const Words words = analyse("How do I get from Oslo to Bergen?");
  ASSERT_NE(word_of(words, "oslo"), nullptr);
  EXPECT_EQ(word_of(words, "oslo")->role, Role::kFrom);
  EXPECT_EQ(word_of(words, "bergen")->role, Role::kTo);
}

TEST(Words, KeepsCodeWhole) {
  const Words words = analyse("What does `a + b` do in foo_bar()?");
  ASSERT_NE(word_of(words, "a+b"), nullptr);
  EXPECT_TRUE(word_of(words, "a+b")->is(Word::kCode));
  ASSERT_NE(word_of(words, "foo_bar"), nullptr);
}

TEST(Words, TellsLanguagesApart) {
  EXPECT_EQ(language_name(analyse("Comment est-ce que je change le mot de passe?").language), "fr");
  EXPECT_EQ(language_name(analyse("Wie kann ich das Passwort ändern und ist das sicher?").language),
            "de");
  EXPECT_EQ(language_name(analyse("Как изменить пароль?").language), "ru");
  EXPECT_EQ(language_name(analyse("パスワードを変更するには").language), "cjk");
  EXPECT_EQ(analyse("How do I change the password?").language, 0);
}

TEST(Words, MarksWhatLiesBehindTheLimit) {
  std::string text, other;
  for (int i = 0; i < 300; ++i) text += " word" + std::to_string(i * 7919);
  other = text + " more";
  EXPECT_NE(analyse(text).rest, 0u);
  EXPECT_NE(analyse(text).rest, analyse(other).rest);
  EXPECT_EQ(analyse(text).rest, analyse(text).rest);
  EXPECT_LE(analyse(text).words.size(), Words::kMaxWords);
}

TEST(Words, TakesAnyBytes) {
  std::string bytes;
  for (int i = 0; i < 4'096; ++i) bytes += static_cast<char>(i * 131 >> 3);
  EXPECT_LE(analyse(bytes).words.size(), Words::kMaxWords);
  EXPECT_TRUE(analyse("").words.empty());
  EXPECT_TRUE(analyse("\xff\xfe ??? ...").words.empty());
}

}  // namespace
}  // namespace asahi::llm::text
