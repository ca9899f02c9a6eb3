#include "base/json.h"

#include <gtest/gtest.h>

namespace asahi {
namespace {

TEST(JsonDocument, KeepsValuesAliveInItsArena) {
  auto document = JsonDocument::parse(R"({"a":[1,2.5,"three"],"b":{"c":null}})");
  ASSERT_TRUE(document);
  EXPECT_EQ((*document)->root().at("a").at(2).as_string(), "three");
  EXPECT_TRUE((*document)->root().at("b").at("c").is_null());
}

TEST(JsonDocument, NamesTheByteWhereTheTextBreaks) {
  auto document = JsonDocument::parse(R"({"a": nope})");
  ASSERT_FALSE(document);
  EXPECT_EQ(document.error().code, Errc::kInvalidArgument);
  EXPECT_NE(document.error().message.find("at byte"), std::string::npos);
}

TEST(JsonDocument, RefusesBadUtf8AndDeepNestingAndTrailingText) {
  EXPECT_FALSE(JsonDocument::parse("\"\xff\""));
  EXPECT_FALSE(JsonDocument::parse(std::string(100, '[') + std::string(100, ']')));
  EXPECT_FALSE(JsonDocument::parse("{} {}"));
  EXPECT_FALSE(JsonDocument::parse("{\"t\": NaN}"));
  EXPECT_FALSE(JsonDocument::parse(""));
}

TEST(CanonicalJson, IsTheSameForEqualValues) {
  auto one = parse_json(R"({"b": 1.0, "a": {"y": [1, 2], "x": "\u00e9"}})");
  auto two = parse_json(R"({"a":{"x":"é","y":[1,2]},"b":1})");
  ASSERT_TRUE(one && two);
  EXPECT_EQ(canonical_json(*one), canonical_json(*two));
  EXPECT_EQ(canonical_json(*two), R"({"a":{"x":"é","y":[1,2]},"b":1})");
}

TEST(JsonString, EscapesWhatTheRfcDemands) {
  std::string out;
  append_json_string(out, std::string_view("a\"b\\\n\x01", 6));
  EXPECT_EQ(out, "\"a\\\"b\\\\\\n\\u0001\"");
}

}  // namespace
}  // namespace asahi
