#include "llm/embed/onnx/word_piece.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asahi::llm::onnx {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Ids = std::vector<std::int64_t>;

// Ids 0 to 15, in this order. The words are those of BERT's own tests, whose results are expected.
constexpr std::string_view kVocabulary =
    "[UNK]\n[CLS]\n[SEP]\nwant\n##want\n##ed\nwa\nun\nrunn\n##ing\n,\n!\nhello\n博\n推\n##s\n";

WordPiece uncased() { return *WordPiece::from_vocabulary(kVocabulary); }
/// Without the first and the last.
Ids inner(const WordPiece& tokens, std::string_view text, std::size_t most = 512) {
  const Ids all = tokens.encode(text, most);
  EXPECT_GE(all.size(), 2U);
  return {all.begin() + 1, all.end() - 1};
}

std::string json_of(std::string_view model = R"("WordPiece")",
                    std::string_view normalizer = R"({"type":"BertNormalizer","lowercase":true})",
                    std::string_view cutter = R"({"type":"BertPreTokenizer"})",
                    std::string_view post = "null") {
  return std::string(R"({"normalizer":)") + std::string(normalizer) + R"(,"pre_tokenizer":)" +
         std::string(cutter) + R"(,"post_processor":)" + std::string(post) +
         R"(,"model":{"type":)" + std::string(model) +
         R"(,"unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":100,)" +
         R"("vocab":{"[UNK]":0,"[CLS]":1,"[SEP]":2,"hello":12,"Hello":13,"<s>":20,"</s>":21}}})";
}

TEST(WordPiece, TakesWordsApartAsBertDoes) {
  EXPECT_THAT(inner(uncased(), "UNwant\u00E9d,running"), ElementsAre(7, 4, 5, 10, 8, 9));
  EXPECT_THAT(inner(uncased(), "unwanted running"), ElementsAre(7, 4, 5, 8, 9));
  EXPECT_THAT(inner(uncased(), "unwantedX running"), ElementsAre(0, 8, 9))
      << "a word is known as a whole or not at all";
  EXPECT_THAT(inner(uncased(), ""), ElementsAre());
}

TEST(WordPiece, StandsBetweenItsSpecialTokens) {
  EXPECT_THAT(uncased().encode("hello", 512), ElementsAre(1, 12, 2));
  EXPECT_THAT(uncased().encode("", 512), ElementsAre(1, 2));
}

TEST(WordPiece, CutsAtSpacesAndPunctuation) {
  EXPECT_THAT(inner(uncased(), " \tHeLLo!\n hello,hello  "), ElementsAre(12, 11, 12, 10, 12));
  EXPECT_THAT(inner(uncased(), "hello\u00A0hello\u3000hello"), ElementsAre(12, 12, 12));
  EXPECT_THAT(inner(uncased(), "hello\u2014hello"), ElementsAre(12, 0, 12)) << "an em dash";
  EXPECT_THAT(inner(uncased(), "hello$hello"), ElementsAre(12, 0, 12))
      << "ASCII's signs count as punctuation";
}

TEST(WordPiece, DropsAccentsHoweverTheyAreWritten) {
  EXPECT_THAT(inner(uncased(), "H\u00E9llo"), ElementsAre(12));
  EXPECT_THAT(inner(uncased(), "He\u0301llo"), ElementsAre(12));
  EXPECT_THAT(inner(uncased(), "\u1E96ello"), ElementsAre(12)) << "h with a line below";
}

TEST(WordPiece, TakesChineseCharactersOneByOne) {
  EXPECT_THAT(inner(uncased(), "hello\u535A\u63A8hello"), ElementsAre(12, 13, 14, 12));
  EXPECT_THAT(inner(uncased(), "\u3042\u3044"), ElementsAre(0)) << "kana are letters of a word";
}

TEST(WordPiece, LowersLettersOfAllScripts) {
  const auto tokens = WordPiece::from_vocabulary(
      "[UNK]\n[CLS]\n[SEP]\nмосква\nαθηνα\nistanbul\nstraße\n\u1112\u1161\u11AB\n");
  ASSERT_TRUE(tokens);
  EXPECT_THAT(inner(*tokens, "МОСКВА ΑΘΉΝΑ \u0130stanbul STRAßE"), ElementsAre(3, 4, 5, 6));
  EXPECT_THAT(inner(*tokens, "한"), ElementsAre(7)) << "a syllable is taken apart";
}

TEST(WordPiece, CleansWhatIsNoText) {
  EXPECT_THAT(inner(uncased(), std::string("he\0l\x01lo", 8)), ElementsAre(12));
  EXPECT_THAT(inner(uncased(), "hel\u200Blo \uFEFFhello"), ElementsAre(12, 12));
  EXPECT_THAT(inner(uncased(), "hel\xFFlo \xC3"), ElementsAre(12));
}

TEST(WordPiece, DoesNotLookIntoWordsOfMoreThanAHundredCharacters) {
  std::string hundred = "un";
  while (hundred.size() < 100) hundred += "s";
  EXPECT_EQ(inner(uncased(), hundred).size(), 99U);
  EXPECT_THAT(inner(uncased(), hundred + "s"), ElementsAre(0));
  EXPECT_THAT(inner(uncased(), std::string(1'000'000, 's') + " hello"), ElementsAre(0, 12));
}

TEST(WordPiece, IsCutToTheModelsLength) {
  std::string text;
  for (int i = 0; i < 1'000; ++i) text += "hello ";
  const Ids ids = uncased().encode(text, 512);
  ASSERT_EQ(ids.size(), 512U);
  EXPECT_EQ(ids.front(), 1);
  EXPECT_EQ(ids.back(), 2);
  EXPECT_THAT(uncased().encode("unwanted running", 4), ElementsAre(1, 7, 4, 2))
      << "inside a word, too";
  EXPECT_THAT(uncased().encode("hello", 0), ElementsAre(1, 2));
}

TEST(WordPiece, TakesSpecialTokensInTextsForText) {
  const auto ids = inner(uncased(), "hello [SEP] hello");
  EXPECT_EQ(std::ranges::count(ids, 2), 0);
}

TEST(WordPiece, SeesInItsVocabularyWhetherCaseCounts) {
  const auto cased =
      WordPiece::from_vocabulary("[UNK]\r\n[CLS]\r\n[SEP]\r\nHello\r\nhello\r\nÉ\r\n");
  ASSERT_TRUE(cased);
  EXPECT_FALSE(cased->options().lowercase);
  EXPECT_THAT(inner(*cased, "Hello hello É E"), ElementsAre(3, 4, 5, 0));
  EXPECT_TRUE(uncased().options().lowercase);
}

TEST(WordPiece, ReadsTheFilesOfHuggingFace) {
  const auto uncased = WordPiece::from_json(json_of());
  ASSERT_TRUE(uncased) << uncased.error().message;
  EXPECT_THAT(uncased->encode("Héllo", 512), ElementsAre(1, 12, 2));
  const auto cased = WordPiece::from_json(json_of(
      R"("WordPiece")", R"({"type":"BertNormalizer","lowercase":false,"strip_accents":null})"));
  ASSERT_TRUE(cased);
  EXPECT_THAT(cased->encode("Hello hello Héllo", 512), ElementsAre(1, 13, 12, 0, 2));
}

TEST(WordPiece, ReadsWhatStandsAtTheEnds) {
  const std::string_view normalizer = R"({"type":"BertNormalizer"})";
  const std::string_view cutter = R"({"type":"BertPreTokenizer"})";
  const auto roberta = WordPiece::from_json(
      json_of(R"("WordPiece")", normalizer, cutter,
              R"({"type":"RobertaProcessing","sep":["</s>",21],"cls":["<s>",20]})"));
  ASSERT_TRUE(roberta) << roberta.error().message;
  EXPECT_THAT(roberta->encode("hello", 512), ElementsAre(20, 12, 21));
  const auto templated = WordPiece::from_json(json_of(
      R"("WordPiece")", normalizer, cutter,
      R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},)"
      R"({"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"[SEP]","type_id":0}}]})"));
  ASSERT_TRUE(templated) << templated.error().message;
  EXPECT_THAT(templated->encode("hello", 512), ElementsAre(20, 12, 2));
}

TEST(WordPiece, RefusesOtherKindsByName) {
  const auto refusal = [](const std::string& text) {
    const auto read = WordPiece::from_json(text);
    EXPECT_FALSE(read) << text;
    return read ? std::string() : read.error().message;
  };
  EXPECT_THAT(refusal(json_of(R"("Unigram")")), HasSubstr("model is 'Unigram'"));
  EXPECT_THAT(refusal(json_of(R"("WordPiece")", R"({"type":"Precompiled"})")),
              HasSubstr("normalizer is 'Precompiled'"));
  EXPECT_THAT(
      refusal(json_of(R"("WordPiece")", R"({"type":"BertNormalizer"})", R"({"type":"Metaspace"})")),
      HasSubstr("pre_tokenizer is 'Metaspace'"));
  EXPECT_THAT(refusal(json_of(R"("WordPiece")", R"({"type":"BertNormalizer"})",
                              R"({"type":"BertPreTokenizer"})", R"({"type":"ByteLevel"})")),
              HasSubstr("post_processor is 'ByteLevel'"));
  EXPECT_THAT(refusal("{}"), HasSubstr("model"));
  EXPECT_THAT(refusal("[1,2"), HasSubstr(""));
  EXPECT_THAT(refusal(R"({"model":{"type":"WordPiece","vocab":{"a":"b"}}})"), HasSubstr(""));
  const auto empty = WordPiece::from_vocabulary("hello\nworld\n");
  ASSERT_FALSE(empty);
  EXPECT_THAT(empty.error().message, HasSubstr("no '[UNK]'"));
}

}  // namespace
}  // namespace asahi::llm::onnx
