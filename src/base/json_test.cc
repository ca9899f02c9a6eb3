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

TEST(JsonDocument, KeepsTheTextOfTheRootsMembers) {
  const std::string text =
      " { \"a\" : 1.50 ,\n\t\"b\":{\"a\":[ true,{\"a\":\"x,}\"} ] },\"\":\"\\u00e9\" }\r\n";
  auto document = JsonDocument::parse(text);
  ASSERT_TRUE(document);
  EXPECT_EQ((*document)->text(), text);
  const json::object& root = (*document)->root().as_object();
  const std::vector<std::string_view> expected = {
      "\"a\" : 1.50", R"("b":{"a":[ true,{"a":"x,}"} ] })", R"("":"\u00e9")"};
  EXPECT_TRUE(std::ranges::equal((*document)->members(), expected));
  EXPECT_EQ((*document)->text_of(*root.find("b")), expected[1]);
  auto one = JsonDocument::parse("{\"a\":1}");
  ASSERT_TRUE(one);
  ASSERT_EQ((*one)->members().size(), 1U);
  EXPECT_EQ((*one)->members()[0], "\"a\":1");
}

// Another reader may take the other one of two values for what was meant.
TEST(JsonDocument, DoesNotCutUpWhatCanBeReadInTwoWays) {
  std::string large = "{\"a\":{";
  for (std::size_t i = 0; i <= JsonDocument::kMaxSplicedKeys; ++i)
    large += "\"k" + std::to_string(i) + "\":0,";
  large.back() = '}';
  large += '}';
  for (const std::string& text :
       {std::string(R"({"a":1,"b":2,"a":3})"),
        std::string(R"({"m":[{"c":"x","d":0,"c":"y"}],"b":2})"),
        std::string(R"({"a":1,"\u0061":2})"), std::string(R"({"a":{"\u0063":"x","c":"y"}})"),
        std::string("{}"), std::string("[{\"a\":1}]"), std::string("1"), large}) {
    auto document = JsonDocument::parse(text);
    ASSERT_TRUE(document) << text;
    EXPECT_TRUE((*document)->members().empty()) << text;
    EXPECT_EQ((*document)->text(), text);
  }
  auto twice = JsonDocument::parse(R"({"a":1,"b":2,"a":3})");
  EXPECT_TRUE((*twice)->text_of(*(*twice)->root().as_object().begin()).empty());
}

TEST(JsonString, EscapesWhereverTheByteStands) {
  for (const std::size_t size : {1U, 3U, 4U, 7U, 8U, 15U, 16U, 17U, 31U, 33U, 50U}) {
    for (std::size_t at = 0; at < size; ++at) {
      for (const auto& [byte, written] :
           {std::pair('"', "\\\""), {'\\', "\\\\"}, {'\n', "\\n"}, {'\x1f', "\\u001f"}}) {
        std::string text(size, '\xc3');
        text[at] = byte;
        std::string out, expected = '"' + std::string(at, '\xc3') + written +
                                    std::string(size - at - 1, '\xc3') + '"';
        append_json_string(out, text);
        EXPECT_EQ(out, expected);
      }
    }
    std::string out;
    append_json_string(out, std::string(size, ' '));
    EXPECT_EQ(out, '"' + std::string(size, ' ') + '"');
  }
}

TEST(CanonicalJson, IsTheSameForEqualValues) {
  auto one = parse_json(R"({"b": 1.0, "a": {"y": [1, 2], "x": "\u00e9"}})");
  auto two = parse_json(R"({"a":{"x":"é","y":[1,2]},"b":1})");
  ASSERT_TRUE(one && two);
  EXPECT_EQ(canonical_json(*one), canonical_json(*two));
  EXPECT_EQ(canonical_json(*two), R"({"a":{"x":"é","y":[1,2]},"b":1})");
}

TEST(JsonNumber, IsWrittenPlainlyAndReadsBackToItself) {
  const std::pair<double, const char*> cases[] = {
      {0, "0"},
      {-0.0, "0"},
      {1, "1"},
      {1.371, "1.371"},
      {-2.5, "-2.5"},
      {0.1 + 0.2, "0.30000000000000004"},
      {0.00005, "0.00005"},
      {1e-6, "0.000001"},
      {123456789.25, "123456789.25"},
      {1e20, "100000000000000000000"},
      {1e21, "1e+21"},
      {5e-324, "5e-324"},
      {1.7976931348623157e308, "1.7976931348623157e+308"},
  };
  for (const auto& [number, text] : cases) {
    std::string out;
    append_json_number(out, number);
    EXPECT_EQ(out, text);
    const auto read = parse_json(out);
    ASSERT_TRUE(read) << out;
    EXPECT_EQ(read->to_number<double>(), number);
  }
  std::string out;
  append_json_number(out, std::numeric_limits<double>::infinity());
  append_json_number(out, std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(out, "00");
}

TEST(WriteJson, KeepsTheOrderOfMembersAndWritesNumbersPlainly) {
  const json::value value{{"b", 98.0},
                          {"a", {1.371, -7, true, nullptr, "\"\n"}},
                          {"c", json::object{}},
                          {"d", json::array{}},
                          {"big", std::numeric_limits<std::uint64_t>::max()}};
  EXPECT_EQ(write_json(value),
            R"({"b":98,"a":[1.371,-7,true,null,"\"\n"],"c":{},"d":[],"big":18446744073709551615})");
}

TEST(JsonString, EscapesWhatTheRfcDemands) {
  std::string out;
  append_json_string(out, std::string_view("a\"b\\\n\x01", 6));
  EXPECT_EQ(out, "\"a\\\"b\\\\\\n\\u0001\"");
}

TEST(JsonString, FindsWhatNeedsAnEscapeAtEveryPlaceOfAWord) {
  for (std::size_t at = 0; at < 20; ++at) {
    for (const auto& [raw, escaped] :
         {std::pair("\"", "\\\""), {"\\", "\\\\"}, {"\n", "\\n"}, {"\x1f", "\\u001f"}}) {
      std::string text(20, 'a'), expected(20, 'a'), out;
      text.replace(at, 1, raw);
      expected.replace(at, 1, escaped);
      append_json_string(out, text);
      EXPECT_EQ(out, '"' + expected + '"');
    }
  }
}

TEST(JsonString, GoesBehindWhatIsThere) {
  std::string out, expected;
  for (std::size_t size = 0; size < 100; ++size) {
    append_json_string(out, std::string(size, 'a'));
    expected += '"' + std::string(size, 'a') + '"';
  }
  EXPECT_EQ(out, expected);
}

TEST(JsonString, LeavesEverythingElseAsItIs) {
  std::string text, out;
  for (int c = 0x20; c < 0x100; ++c) {
    if (c != '"' && c != '\\') text += static_cast<char>(c);
  }
  append_json_string(out, text);
  EXPECT_EQ(out, '"' + text + '"');
}

}  // namespace
}  // namespace asahi
