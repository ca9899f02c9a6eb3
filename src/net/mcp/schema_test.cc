#include "net/mcp/schema.h"

#include <gtest/gtest.h>

namespace asahi::mcp {
namespace {

const json::object kSchema = json::parse(R"({
  "type": "object",
  "properties": {
    "query": {"type": "string", "minLength": 1, "maxLength": 5},
    "limit": {"type": "integer", "minimum": 1, "maximum": 100, "default": 10},
    "threshold": {"type": ["number", "null"], "minimum": -1, "maximum": 1},
    "mode": {"type": "string", "enum": ["semantic", "keyword"]},
    "ids": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2},
    "metadata": {"type": "object", "properties": {"source": {"type": "string"}}}
  },
  "required": ["query"],
  "additionalProperties": false
})")
                                 .as_object();

struct Broken {
  const char* arguments;
  const char* field;
  const char* rule;
};

TEST(ToolSchema, NamesTheMemberAndTheRuleItBreaks) {
  for (const Broken& one : {
           Broken{R"({})", "query", "required"},
           Broken{R"({"query": 7})", "query", "type"},
           Broken{R"({"query": ""})", "query", "at least 1"},
           Broken{R"({"query": "abcdef"})", "query", "at most 5"},
           Broken{R"({"query": "a", "limit": 0})", "limit", "at least 1"},
           Broken{R"({"query": "a", "limit": 2.5})", "limit", "integer"},
           Broken{R"({"query": "a", "threshold": 1.5})", "threshold", "at most 1"},
           Broken{R"({"query": "a", "mode": "magic"})", "mode", "one of"},
           Broken{R"({"query": "a", "ids": []})", "ids", "at least 1"},
           Broken{R"({"query": "a", "ids": ["x", 7]})", "ids[1]", "type"},
           Broken{R"({"query": "a", "metadata": {"source": 1}})", "metadata.source", "type"},
           Broken{R"({"query": "a", "colour": "red"})", "colour", "not a parameter"},
       }) {
    const auto result = check_schema(json::parse(one.arguments), kSchema);
    ASSERT_FALSE(result) << one.arguments;
    EXPECT_EQ(result.error().field, one.field);
    EXPECT_NE(result.error().message.find(one.rule), std::string::npos) << result.error().message;
  }
}

TEST(ToolSchema, CountsCharactersNotBytes) {
  EXPECT_TRUE(check_schema(json::parse(R"({"query": "日本語です"})"), kSchema));
}

TEST(ToolSchema, TakesOneOfSeveralTypesAndWholeNumbersWrittenWithAPoint) {
  EXPECT_TRUE(check_schema(json::parse(R"({"query": "a", "threshold": null})"), kSchema));
  EXPECT_TRUE(check_schema(json::parse(R"({"query": "a", "limit": 20.0})"), kSchema));
}

TEST(ToolSchema, FillsWhatIsAbsentAndLeavesWhatIsThere) {
  json::object arguments{{"query", "a"}};
  fill_defaults(arguments, kSchema);
  EXPECT_EQ(arguments, (json::object{{"query", "a"}, {"limit", 10}}));
  arguments["limit"] = 3;
  fill_defaults(arguments, kSchema);
  EXPECT_EQ(arguments["limit"], json::value(3));
}

}  // namespace
}  // namespace asahi::mcp
