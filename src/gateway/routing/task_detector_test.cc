#include "gateway/routing/task_detector.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace asahi::gateway {
namespace {

struct Case {
  std::string prompt;
  std::string type;
  double confidence;
};

class TaskDetectorTable : public testing::TestWithParam<Case> {};

TEST_P(TaskDetectorTable, Detects) {
  const TaskDetection found = detect_task(GetParam().prompt);
  EXPECT_EQ(found.task_type, GetParam().type) << GetParam().prompt;
  EXPECT_DOUBLE_EQ(found.confidence, GetParam().confidence) << GetParam().prompt;
}

INSTANTIATE_TEST_SUITE_P(OneMatchOfEachType, TaskDetectorTable,
                         testing::Values(Case{"Summarise the minutes", "summarization", 0.3},
                                         Case{"Why did it rain?", "reasoning", 0.3},
                                         Case{"How do I reset my router", "faq", 0.3},
                                         Case{"refactor it", "coding", 0.3},
                                         Case{"say good night in Korean", "translation", 0.3},
                                         Case{"the sentiment here", "classification", 0.3},
                                         Case{"a haiku on rain", "creative", 0.3},
                                         Case{"is this statute still in force", "legal", 0.3},
                                         Case{"hello there", "general", 0.1},
                                         Case{"", "general", 0.0},
                                         Case{" \t\r\n ", "general", 0.0}));

INSTANTIATE_TEST_SUITE_P(ConfidenceGrowsWithMatches, TaskDetectorTable,
                         testing::Values(Case{"python function", "coding", 0.5},
                                         Case{"python function class", "coding", 0.7},
                                         Case{"python function class import", "coding", 0.9},
                                         Case{"python function class import def", "coding", 0.95},
                                         Case{"python python", "coding", 0.5},
                                         // Two types: × 0.9.
                                         Case{"explain the python function", "coding", 0.45},
                                         Case{"summary of the contract", "summarization", 0.27}));

INSTANTIATE_TEST_SUITE_P(TiesGoToTheEarlierRow, TaskDetectorTable,
                         testing::Values(Case{"what is a contract", "faq", 0.27},
                                         Case{"contract, what is it", "faq", 0.27},
                                         Case{"translate the poem's lyrics", "translation", 0.27}));

INSTANTIATE_TEST_SUITE_P(
    WholeWordsOnly, TaskDetectorTable,
    testing::Values(Case{"classical importance", "general", 0.1},
                    Case{"my_function", "general", 0.1}, Case{"tags", "general", 0.1},
                    Case{"def2", "general", 0.1}, Case{"java-script", "coding", 0.3},
                    Case{"(explain)", "reasoning", 0.3}, Case{"\"why\"", "reasoning", 0.3},
                    Case{"\xE2\x80\x9Cwhy\xE2\x80\x9D", "reasoning", 0.3},
                    Case{"class\xC3\xA9", "general", 0.1},                    // classé
                    Case{"\xE7\x94\xA8python\xE5\x86\x99", "coding", 0.3}));  // Chinese around it

INSTANTIATE_TEST_SUITE_P(Phrases, TaskDetectorTable,
                         testing::Values(Case{"HOW  do\n\tI cook rice", "faq", 0.3},
                                         Case{"how do, I wonder", "general", 0.1},
                                         Case{"how do we", "general", 0.1},
                                         Case{"how do how do i", "faq", 0.3},
                                         Case{"tell me about what is here", "faq", 0.5},
                                         Case{"fix this code, then write code", "coding", 0.5},
                                         Case{"convert to in spanish", "translation", 0.5},
                                         Case{"write a poem", "creative", 0.3},
                                         Case{"write poem", "general", 0.1}));

TEST(TaskDetector, IntentIsTheFirstSentence) {
  EXPECT_EQ(detect_task("  Sum up   this.  Then stop.").intent, "Sum up this.");
  EXPECT_EQ(detect_task("Version 2.5 is out! Read it").intent, "Version 2.5 is out!");
  EXPECT_EQ(detect_task("\n\nTranslate:\nla casa").intent, "Translate:");
  EXPECT_EQ(detect_task("no end").intent, "no end");
  EXPECT_EQ(detect_task("").intent, "");
}

TEST(TaskDetector, IntentHasAtMostEightyWholeCharacters) {
  std::string prompt;
  for (int i = 0; i < 100; ++i) prompt += "\xC3\xA9";  // é
  EXPECT_EQ(detect_task(prompt).intent, prompt.substr(0, 160));
}

TEST(TaskDetector, AHintSkipsDetection) {
  const TaskDetection hinted = hinted_task("legal", "write code. now");
  EXPECT_EQ(hinted.task_type, "legal");
  EXPECT_DOUBLE_EQ(hinted.confidence, 1.0);
  EXPECT_EQ(hinted.intent, "write code.");
}

TEST(TaskDetector, BrokenUtf8IsHarmless) {
  EXPECT_EQ(detect_task("why \xC3").task_type, "reasoning");
  EXPECT_EQ(detect_task("\xFF\xFE why").task_type, "reasoning");
  EXPECT_EQ(detect_task("\xC3").task_type, "general");
}

TEST(TaskDetector, LongPromptsAreRead) {
  std::string prompt(100'000, 'x');
  EXPECT_EQ(detect_task(prompt).task_type, "general");
  for (std::size_t i = 0; i + 8 < prompt.size(); i += 8) prompt.replace(i, 8, "how do  ");
  prompt += "i explain";
  EXPECT_EQ(detect_task(prompt).task_type, "reasoning");
}

}  // namespace
}  // namespace asahi::gateway
