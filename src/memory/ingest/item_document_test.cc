#include "memory/ingest/item_document.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <charconv>
#include <limits>
#include <random>

namespace asahi::memory {
namespace {

using ::testing::ElementsAre;

std::optional<std::vector<float>> apart(std::string_view text) {
  auto found = find_vector(text);
  if (!found) return std::nullopt;
  return std::move(found->numbers);
}

TEST(ItemDocument, ReadsTheVectorApartFromTheRest) {
  const auto item = ItemDocument::parse(
      R"( {"id":"a \"x\" \\","metadata":{"embedding":[9],"tags":["]"]},"embedding" : [1, -2.5e-1 ,0],"n":1.5} )");
  ASSERT_TRUE(item);
  ASSERT_NE(item->numbers(), nullptr);
  EXPECT_THAT(*item->numbers(), ElementsAre(1.0F, -0.25F, 0.0F));
  const json::object& object = item->root().get_object();
  EXPECT_TRUE(object.at("embedding").is_null());
  EXPECT_EQ(write_json(object.at("metadata")), R"({"embedding":[9],"tags":["]"]})");
  EXPECT_EQ(object.at("id").get_string(), R"(a "x" \)");
  EXPECT_EQ(object.at("n").get_double(), 1.5);
}

TEST(ItemDocument, LeavesToTheParserWhatIsNotPlain) {
  for (const char* text :
       {R"({"embedding":[1,"2"]})", R"({"embedding":[1,[2]]})", R"({"embedding":"x"})",
        R"({"embedding":[1,]})", R"({"embedding":[01]})", R"({"embedding":[1.]})",
        R"({"embedding":[.5]})", R"({"embedding":[+1]})", R"({"embedding":[1e]})",
        R"({"embedding":[NaN]})", R"({"embedding":[1e99]})", R"({"embedding":[1)",
        R"({"embedding":[1],"embedding":[2]})", R"({"em\u0062edding":[1]})", R"([1])", "", "{",
        R"({"content":"x"})", R"({"a":}})"}) {
    EXPECT_FALSE(find_vector(text)) << text;
  }
  // The last of two names counts, as with any other.
  const auto twice = ItemDocument::parse(R"({"embedding":[1],"em\u0062edding":[2]})");
  ASSERT_TRUE(twice);
  EXPECT_EQ(write_json(twice->root()), R"({"embedding":[2]})");
}

TEST(ItemDocument, NamesThePlaceOfAFaultInWhatWasSent) {
  const std::string text = R"({"embedding":[1,2,3],"content":nope})";
  const auto whole = JsonDocument::parse(text);
  const auto item = ItemDocument::parse(text);
  ASSERT_FALSE(item);
  EXPECT_EQ(item.error().message, whole.error().message);
}

TEST(ItemDocument, ReadsNumbersAsExactlyAsTheLibrary) {
  std::mt19937_64 random(7);
  std::vector<std::string> texts = {"0",
                                    "-0",
                                    "1",
                                    "123456789012345678901234567890",
                                    "1e-310",
                                    "5E+5",
                                    "0.1",
                                    "3.4028234e38",
                                    "1e22",
                                    "1e-22",
                                    "9007199254740993",
                                    "1.00000005960464477539"};
  for (int i = 0; i < 20'000; ++i) {
    const double x = std::uniform_real_distribution<double>(-1, 1)(random);
    const int power = static_cast<int>(random() % 60) - 30;
    texts.push_back(fmt::format("{}", static_cast<float>(x)));
    texts.push_back(fmt::format("{}", x));
    texts.push_back(fmt::format("{:.{}f}", x * 1e6, random() % 18));
    texts.push_back(fmt::format("{:.8g}e{}", x, power));
  }
  for (const std::string& text : texts) {
    double expected = 0;
    const auto end = text.data() + text.size();
    if (text.contains('e') && (text.contains("e.") || text.find('e') != text.rfind('e'))) continue;
    if (std::from_chars(text.data(), end, expected).ec != std::errc{}) continue;
    const auto read = apart("{\"embedding\":[" + text + "]}");
    ASSERT_TRUE(read) << text;
    ASSERT_EQ(read->size(), 1U);
    ASSERT_EQ(read->front(), static_cast<float>(expected)) << text;
  }
}

}  // namespace
}  // namespace asahi::memory
