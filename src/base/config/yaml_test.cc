#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/config/loader.h"
#include "base/config/scalars.h"
#include "base/config/yaml_tree.h"

namespace asahi::config {
namespace {

using testing::HasSubstr;

std::string error_of(std::string_view text) {
  const auto value = parse_yaml(text, "f.yaml");
  return value ? "no error: " + json::serialize(*value) : value.error().message;
}

TEST(Yaml, TypesScalarsByTheCoreSchema) {
  const auto value = parse_yaml(
      "[null, ~, '', true, FALSE, yes, 'true', 12, -0x1, 0x1F, 0o17, 017, 1.5, -2e3, .5, 1.0.0, "
      "'5', +3, 0b1, x]\n",
      "f");
  ASSERT_TRUE(value) << value.error().message;
  EXPECT_EQ(
      json::serialize(*value),
      R"([null,null,"",true,false,"yes","true",12,"-0x1",31,15,17,1.5E0,-2E3,5E-1,"1.0.0","5",3,"0b1","x"])");
  EXPECT_EQ(json::serialize(parse_yaml("", "f").value()), "null");
  EXPECT_EQ(json::serialize(parse_yaml("a: |\n  12\nb:\n- {c: d}\n", "f").value()),
            R"({"a":"12\n","b":[{"c":"d"}]})");
}

TEST(Yaml, RefusesWhatAConfigurationNeverNeeds) {
  EXPECT_THAT(error_of("a: &x 1\nb: *x"), HasSubstr("f.yaml:1:4: anchors"));
  EXPECT_THAT(error_of("a: &a [x]\nb: &b [*a,*a,*a]\nc: [*b,*b,*b]"), HasSubstr("anchors"));
  EXPECT_THAT(error_of("b: *x"), HasSubstr("f.yaml:1:"));
  EXPECT_THAT(error_of("a: 1\nb: 2\na: 3"), HasSubstr("f.yaml:3:1: the key 'a' is given twice"));
  EXPECT_THAT(error_of("a: {b: 1, b: 2}"), HasSubstr("given twice"));
  EXPECT_THAT(error_of("a: !!python/object:os.system x"), HasSubstr("tags"));
  EXPECT_THAT(error_of("a: !!str 1"), HasSubstr("tags"));
  EXPECT_THAT(error_of("a: 1\n---\nb: 2"), HasSubstr("one document"));
  EXPECT_THAT(error_of("? [a, b]\n: 1"), HasSubstr("a key must be text"));
  EXPECT_THAT(error_of("~: 1"), HasSubstr("a key is empty"));
  EXPECT_THAT(error_of("a: .inf"), HasSubstr("not a finite number"));
  EXPECT_THAT(error_of("a: [.nan]"), HasSubstr("f.yaml:1:5"));
}

TEST(Yaml, NamesThePlaceOfASyntaxError) {
  EXPECT_THAT(error_of("a: 1\nb: [1, 2"), HasSubstr("f.yaml:"));
  EXPECT_THAT(error_of("a: 'x"), HasSubstr("f.yaml:1:"));
  EXPECT_THAT(error_of("a:\n\t- b"), HasSubstr("f.yaml:2:"));
  EXPECT_THAT(error_of("a: b: c"), HasSubstr("f.yaml:1:"));
}

TEST(Yaml, HasBoundsOnSizeDepthAndCount) {
  EXPECT_EQ(parse_yaml(std::string(kMaxConfigBytes + 1, ' '), "f").error().code, Errc::kTooLarge);
  EXPECT_TRUE(parse_yaml(std::string(32, '[') + std::string(32, ']'), "f"));
  EXPECT_EQ(parse_yaml(std::string(33, '[') + std::string(33, ']'), "f").error().code,
            Errc::kTooLarge);
  std::string blocks;
  for (int i = 0; i < 40; ++i) blocks += std::string(std::size_t(i), ' ') + "a:\n";
  EXPECT_EQ(parse_yaml(blocks + std::string(40, ' ') + "b", "f").error().code, Errc::kTooLarge);
  std::string many = "[";
  for (int i = 0; i < 100'001; ++i) many += "1,";
  EXPECT_EQ(parse_yaml(many + "]", "f").error().code, Errc::kTooLarge);
}

TEST(Yaml, SurvivesHostileBytes) {
  EXPECT_THAT(error_of("a: \xff\xfe"), HasSubstr("not UTF-8"));
  EXPECT_THAT(error_of(std::string_view("\0\0\xfe\xff", 4)), HasSubstr("not UTF-8"));
  EXPECT_THAT(error_of(std::string_view("a\0:\0", 4)), HasSubstr("not UTF-8"));
  for (const char* text : {"[[[[[",
                           "{{{{{",
                           "]",
                           "}",
                           ": :",
                           "- - -",
                           "%YAML 9.9\n---\na",
                           "%",
                           "\"\\x\"",
                           "|",
                           ">-9",
                           "&",
                           "*",
                           "!",
                           "? ",
                           "'",
                           "\"",
                           "a: |\n b\n  c\n d",
                           "@",
                           "`",
                           "--- ---",
                           "..."}) {
    static_cast<void>(parse_yaml(text, "f"));  // an error or a value, never an exception
  }
}

TEST(Scalars, AreReadStrictly) {
  EXPECT_EQ(read_integer("-9223372036854775808").value, INT64_MIN);
  EXPECT_EQ(read_integer("9223372036854775808").kind, IntegerText::Kind::kTooLarge);
  for (const char* bad : {"", " 1", "1 ", "1.0", "+", "+-1", "0x", "0x-1", "1_000", "1e3", "--1"}) {
    EXPECT_EQ(read_integer(bad).kind, IntegerText::Kind::kNotAnInteger) << bad;
  }
  EXPECT_EQ(read_number("+1.5"), 1.5);
  for (const char* bad : {"", "nan", "inf", "-inf", "1e999", "0x1p3", "1,5", "1.5 ", "+-1", "."}) {
    EXPECT_FALSE(read_number(bad)) << bad;
  }
}

TEST(Scalars, SuggestOnlyWhatIsNear) {
  const std::vector<std::string> known{"port", "host", "ttl_seconds"};
  EXPECT_EQ(nearest("prot", known), "port");
  EXPECT_EQ(nearest("HOST", known), "host");
  EXPECT_EQ(nearest("ttl_secs", known), "");
  EXPECT_EQ(nearest("ttl-seconds", known), "ttl_seconds");
  EXPECT_EQ(nearest("xyz", known), "");
  EXPECT_EQ(nearest(std::string(10'000, 'a'), known), "");
}

}  // namespace
}  // namespace asahi::config
