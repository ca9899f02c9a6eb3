#include "server/commands/threshold_labels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asahi::server {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(ThresholdLabels, ReadsBothSpellings) {
  const auto pairs = read_labels(
      "{\"a\": \"x\", \"b\": \"y\", \"same\": true}\r\n\n"
      "{\"query_a\": \"u\", \"query_b\": \"v\", \"label\": 0, \"task\": \"faq\", \"id\": 7}",
      "f");
  ASSERT_TRUE(pairs) << pairs.error().message;
  ASSERT_EQ(pairs->size(), 2U);
  EXPECT_TRUE((*pairs)[0].same);
  EXPECT_EQ((*pairs)[0].task, "general");
  EXPECT_EQ((*pairs)[1].a, "u");
  EXPECT_FALSE((*pairs)[1].same);
  EXPECT_EQ((*pairs)[1].task, "faq");
}

TEST(ThresholdLabels, NamesLineFieldAndRuleOfEveryFault) {
  const auto pairs = read_labels(
      "{\"a\": \"x\", \"b\": \"y\", \"same\": true}\n"
      "{\"a\": \"x\", \"same\": true}\n"
      "{\"a\": 5, \"b\": \" \", \"same\": 2}\n"
      "{\"a\": \"x\", \"query_a\": \"x\", \"b\": \"y\", \"same\": true}\n"
      "{\"a\": \"x\", \"b\": \"y\", \"same\": true, \"task\": \"a: b\"}\n"
      "not json\n"
      "[]\n",
      "labels.jsonl");
  ASSERT_FALSE(pairs);
  EXPECT_EQ(pairs.error().code, Errc::kInvalidArgument);
  EXPECT_THAT(
      pairs.error().message,
      AllOf(HasSubstr("labels.jsonl:2: b (or query_b) is missing"),
            HasSubstr("labels.jsonl:3: a must be a text"),
            HasSubstr("labels.jsonl:3: b must be a text that is not blank"),
            HasSubstr("labels.jsonl:3: same must be true, false, 1 or 0"),
            HasSubstr("labels.jsonl:4: a and query_a are the same field"),
            HasSubstr("labels.jsonl:5: task must be"), HasSubstr("labels.jsonl:6: is no JSON"),
            HasSubstr("labels.jsonl:7: must be an object")));
}

TEST(ThresholdLabels, BoundsTheListOfFaults) {
  std::string text;
  for (int i = 0; i < 500; ++i) text += "{}\n";
  const auto pairs = read_labels(text, "f");
  ASSERT_FALSE(pairs);
  EXPECT_LT(pairs.error().message.size(), 2'000U);
  EXPECT_THAT(pairs.error().message, HasSubstr("and 1480 more faults"));
}

TEST(ThresholdLabels, WantsAtLeastOnePair) {
  EXPECT_FALSE(read_labels("", "f"));
  EXPECT_FALSE(read_labels("\n \n", "f"));
}

}  // namespace
}  // namespace asahi::server
