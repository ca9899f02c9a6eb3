#include "llm/tokens/encoding.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>

#include "base/json.h"

namespace asahi::llm {
namespace {

std::vector<TokenId> ids_of(const json::value& value) {
  std::vector<TokenId> ids;
  for (const json::value& id : value.as_array()) ids.push_back(static_cast<TokenId>(id.as_int64()));
  return ids;
}

// golden.json holds the ids of npm gpt-tokenizer; ranks/golden.mjs writes it.
TEST(Encoding, IdsAreThoseOfGptTokenizer) {
  std::ifstream file(ASAHI_TOKEN_GOLDEN);
  ASSERT_TRUE(file) << ASAHI_TOKEN_GOLDEN;
  std::stringstream text;
  text << file.rdbuf();
  const auto golden = parse_json(text.str());
  ASSERT_TRUE(golden) << golden.error().message;
  ASSERT_GE(golden->as_array().size(), 140U);
  for (const json::value& row : golden->as_array()) {
    const std::string_view sample = row.at("text").as_string();
    for (const Encoding* encoding : {&cl100k_base(), &o200k_base()}) {
      const auto wanted = ids_of(row.at(encoding->name()));
      const auto ids = encoding->encode(sample);
      ASSERT_TRUE(ids) << ids.error().message;
      EXPECT_EQ(*ids, wanted) << encoding->name() << ": " << row.at("text");
      EXPECT_EQ(encoding->count(sample).value(), std::ssize(wanted));
      EXPECT_EQ(encoding->decode(*ids).value(), sample);
    }
  }
}

TEST(Encoding, SpaceIsWhatUnicodeSaysAndNothingElse) {
  // tiktoken's own ids: U+180E and U+FEFF are no space, U+0085 is (JavaScript sees the last two
  // the other way round, so gpt-tokenizer is no witness here).
  for (const Encoding* encoding : {&cl100k_base(), &o200k_base()}) {
    EXPECT_EQ(encoding->encode("a\u0085\u0085b")->size(),
              1 + encoding->encode("\u0085")->size() + encoding->encode("\u0085b")->size());
    EXPECT_EQ(encoding->decode(*encoding->encode("a\u180E \uFEFFb\u0085")).value(),
              "a\u180E \uFEFFb\u0085");
  }
}

TEST(Encoding, RandomTextComesBackWhole) {
  std::mt19937 random(7);
  constexpr std::array<std::string_view, 20> kBits = {"a", "B", " ",    "  ",  "\n",  "'s", "'LL",
                                                      "9", "é", "漢",   "😀",  "\t",  "_",  ".",
                                                      "ß", "ǅ", "\r\n", "the", " of", "क्"};
  for (int round = 0; round < 300; ++round) {
    std::string text;
    for (int i = static_cast<int>(random() % 200); i > 0; --i)
      text += kBits[random() % kBits.size()];
    for (const Encoding* encoding : {&cl100k_base(), &o200k_base()}) {
      const auto ids = encoding->encode(text);
      ASSERT_TRUE(ids);
      EXPECT_EQ(encoding->decode(*ids).value(), text);
      EXPECT_EQ(encoding->count(text).value(), std::ssize(*ids));
    }
  }
}

TEST(Encoding, LongPiecesAreJoinedAsShortOnesAre) {
  // One piece of letters: every cut of it up to the border of both ways gives the same as the
  // slow rule, tried by decoding and by the golden rows; here the ways must agree on prefixes.
  const Encoding& encoding = o200k_base();
  const std::string letters(97, 'z');
  const auto longer = encoding.encode(letters);
  const auto shorter = encoding.encode(letters.substr(1));
  ASSERT_TRUE(longer && shorter);
  EXPECT_LE(std::abs(std::ssize(*longer) - std::ssize(*shorter)), 1);
}

TEST(Encoding, LongRunsWithoutASpaceDoNotTakeQuadraticTime) {
  constexpr std::size_t kBytes = 1 << 18;
  std::mt19937 random(3);
  std::string noise(kBytes, 'x');
  for (char& c : noise) c = static_cast<char>('a' + random() % 26);
  for (const std::string& text :
       {std::string(kBytes, 'a'), noise, std::string(kBytes, ' '), std::string(kBytes, 'A'),
        std::string(kBytes, '\n') + "x", std::string(kBytes, ' ') + "x"}) {
    for (const Encoding* encoding : {&cl100k_base(), &o200k_base()}) {
      const auto start = std::chrono::steady_clock::now();
      const auto ids = encoding->encode(text);
      const auto took = std::chrono::steady_clock::now() - start;
      ASSERT_TRUE(ids) << ids.error().message;
      EXPECT_EQ(encoding->decode(*ids).value(), text);
      // A quadratic way would take many minutes; the limit is for that, not for speed.
      EXPECT_LT(took, std::chrono::seconds(60));
    }
  }
}

TEST(Encoding, BytesThatAreNotTextAreRefused) {
  EXPECT_EQ(o200k_base().encode("a\xFF").error().code, Errc::kInvalidArgument);
  EXPECT_EQ(o200k_base().count("\xC3").error().code, Errc::kInvalidArgument);
  EXPECT_EQ(o200k_base().decode(std::vector<TokenId>{0, 999'999}).error().code,
            Errc::kInvalidArgument);
}

TEST(Encoding, ManyThreadsMayCountAtOnce) {
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([] {
      for (int n = 0; n < 200; ++n)
        EXPECT_EQ(cl100k_base().count("Hello world, it's 2024.").value(), 9);
    });
  }
}

TEST(EncodingOf, KnowsModelsByTheirVendorsNames) {
  for (const char* model :
       {"gpt-4o", "gpt-4o-mini-2024-07-18", "gpt-4.1", "o1-preview", "o3", "o4-mini", "gpt-5",
        "chatgpt-4o-latest", "openai/gpt-4o-mini", "ft:gpt-4o-mini-2024-07-18:acme::abc"})
    EXPECT_EQ(encoding_of(model), &o200k_base()) << model;
  for (const char* model : {"gpt-4", "gpt-4-turbo-2024-04-09", "gpt-3.5-turbo", "gpt-35-turbo",
                            "text-embedding-3-small", "ft:gpt-3.5-turbo:acme::x", "davinci-002"})
    EXPECT_EQ(encoding_of(model), &cl100k_base()) << model;
  for (const char* model : {"claude-3-5-sonnet", "mistral-7b", "gemini-2.5-pro", "", "llama3",
                            "text-davinci-003", "acme/gpt-4o"})
    EXPECT_EQ(encoding_of(model), nullptr) << model;
}

}  // namespace
}  // namespace asahi::llm
