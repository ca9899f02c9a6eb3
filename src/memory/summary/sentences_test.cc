#include "memory/summary/sentences.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace asahi::memory {
namespace {

using Texts = std::vector<std::string>;

Texts split(std::string_view text) {
  Texts out;
  for (const Sentence& sentence : split_sentences(text)) out.emplace_back(sentence.of(text));
  return out;
}

TEST(Sentences, EndAtStopsQuestionsAndCalls) {
  EXPECT_EQ(split("It failed. Why? The disk! Done"),
            (Texts{"It failed.", "Why?", "The disk!", "Done"}));
  EXPECT_EQ(split("i went home. then i slept. ok"), (Texts{"i went home.", "then i slept.", "ok"}))
      << "chats without capitals";
  EXPECT_EQ(split(""), Texts{});
  EXPECT_EQ(split(" \n \t"), Texts{});
}

TEST(Sentences, KeepAbbreviationsAndInitials) {
  EXPECT_EQ(split("Dr. Ferraro met J. R. Smith at 5 p.m. on Main St. today. He left."),
            (Texts{"Dr. Ferraro met J. R. Smith at 5 p.m. on Main St. today.", "He left."}));
  EXPECT_EQ(split("Use a cache, e.g. Redis, i.e. memory. See Fig. 3 and No. 7."),
            (Texts{"Use a cache, e.g. Redis, i.e. memory.", "See Fig. 3 and No. 7."}));
  EXPECT_EQ(split("She works for Acme Inc. in the U.S. now. They pay etc. The end."),
            (Texts{"She works for Acme Inc. in the U.S. now.", "They pay etc.", "The end."}));
}

TEST(Sentences, KnowOtherLanguages) {
  EXPECT_EQ(split("Wir treffen uns am 5. Mai z. B. bei Dr. Maier. Das ist bzw. war klar."),
            (Texts{"Wir treffen uns am 5. Mai z. B. bei Dr. Maier.", "Das ist bzw. war klar."}));
  EXPECT_EQ(split("M. Dupont est parti. Où est Mme. Curie ? À Paris."),
            (Texts{"M. Dupont est parti.", "Où est Mme. Curie ?", "À Paris."}));
  EXPECT_EQ(split("La Sra. García llegó. ¿Cuándo? Ayer."),
            (Texts{"La Sra. García llegó.", "¿Cuándo?", "Ayer."}));
  EXPECT_EQ(split("部署失败了。磁盘已满！重试吗？"),
            (Texts{"部署失败了。", "磁盘已满！", "重试吗？"}));
  EXPECT_EQ(split("彼は「行く。」と言った。"), (Texts{"彼は「行く。」", "と言った。"}));
  EXPECT_EQ(split("यह ठीक है। चलो।"), (Texts{"यह ठीक है।", "चलो।"}));
  EXPECT_EQ(split("هل تم؟ نعم"), (Texts{"هل تم؟", "نعم"}));
}

TEST(Sentences, NumbersVersionsAndAddressesStayWhole) {
  EXPECT_EQ(
      split("Pi is 3.14 and v1.2.3 is at https://a.example/x.y?z=1. Ask a.b@c.example now."),
      (Texts{"Pi is 3.14 and v1.2.3 is at https://a.example/x.y?z=1.", "Ask a.b@c.example now."}));
  EXPECT_EQ(split("It grew by 5. That was in 2023. Good."),
            (Texts{"It grew by 5.", "That was in 2023.", "Good."}));
}

TEST(Sentences, QuotesAndBracketsCloseWithTheirSentence) {
  EXPECT_EQ(split("\"Stop!\" he said. (It was late.) Then silence…"),
            (Texts{"\"Stop!\" he said.", "(It was late.)", "Then silence…"}));
  EXPECT_EQ(split("Well... maybe. Hm... Yes."), (Texts{"Well... maybe.", "Hm...", "Yes."}));
}

TEST(Sentences, CodeIsNeverCutUp) {
  const std::string text =
      "Run this. Then wait.\n```sh\nrm x. Y\n\n- z\n```\nCall `a. B` once. Done.";
  const auto all = split_sentences(text);
  ASSERT_EQ(all.size(), 5U);
  EXPECT_EQ(all[2].kind, Sentence::kCode);
  EXPECT_EQ(all[2].of(text), "```sh\nrm x. Y\n\n- z\n```");
  EXPECT_EQ(all[3].of(text), "Call `a. B` once.");
  EXPECT_EQ(split("```\nnever closed. Really").size(), 1U);
}

TEST(Sentences, ListsHeadingsAndSpeakersStandAlone) {
  const std::string text =
      "# Release 2\n- first thing\n- second thing\n1. open it\n2. close it\n\nAna: hello there\n"
      "Bob: hi. Fine?\nwrapped prose that goes on for quite a while until the line is full\nand "
      "then "
      "ends here.";
  EXPECT_EQ(split(text), (Texts{"# Release 2", "- first thing", "- second thing", "1. open it",
                                "2. close it", "Ana: hello there", "Bob: hi.",
                                "Fine?\nwrapped prose that goes on for quite a while "
                                "until the line is full\nand then ends here."}));
  EXPECT_EQ(split_sentences(text)[0].kind, Sentence::kHeading);
  EXPECT_EQ(split_sentences(text)[1].kind, Sentence::kItem);
}

TEST(Sentences, LinesOfALogAreSentences) {
  EXPECT_EQ(split("Error: disk full\nRetrying in 5 s\nGave up"),
            (Texts{"Error: disk full", "Retrying in 5 s", "Gave up"}));
}

TEST(Sentences, AreInOrderApartAndBoundedForAnyBytes) {
  std::mt19937 random(9);
  const std::string_view pieces[] = {"word ", "Dr. ",  "3.5 ", ". ",    "!? ", "\n",
                                     "\n\n",  "```\n", "`",    "。",    "- ",  "A",
                                     "é",     "\xFF",  "...",  "Ana: ", "x",   "\t"};
  for (int round = 0; round < 400; ++round) {
    std::string text;
    for (unsigned n = random() % 400; n > 0; --n) text += pieces[random() % std::size(pieces)];
    if (round % 10 == 0) text += std::string(5000, 'y');
    std::size_t end = 0;
    std::string kept;
    for (const Sentence& sentence : split_sentences(text)) {
      ASSERT_GE(sentence.begin, end);
      ASSERT_GT(sentence.end, sentence.begin);
      end = sentence.end;
      ASSERT_LE(end, text.size());
      if (sentence.kind != Sentence::kCode) {
        EXPECT_LE(end - sentence.begin, kLongestSentence);
      }
      kept += sentence.of(text);
    }
    const auto without_blanks = [](std::string s) {
      std::erase_if(s, [](char c) { return c == ' ' || c == '\n' || c == '\t'; });
      return s;
    };
    EXPECT_EQ(without_blanks(kept), without_blanks(text)) << "nothing is lost";
  }
}

}  // namespace
}  // namespace asahi::memory
