#include "gateway/cache/semantic/decision.h"

#include <gtest/gtest.h>

#include <deque>

namespace asahi::gateway::semantic {
namespace {

using llm::text::analyse;
using llm::text::Words;

struct DecisionTest : ::testing::Test {
  Decision ask(std::string_view query, double draw = 0.99) {
    asked = analyse(query);
    Question question;
    question.words = &asked;
    question.task = task;
    question.now_ms = 1'000;
    question.draw = draw;
    question.context_digest = context;
    return decide(question, candidates, tuner, evidence, bound);
  }
  Candidate& cached(std::string_view query, double similarity = 0.95) {
    words.push_back(analyse(query));
    evidences.emplace_back();
    Candidate candidate;
    candidate.similarity = similarity;
    candidate.words = &words.back();
    candidate.evidence = &evidences.back();
    candidate.query = query;
    candidate.task = "general";
    candidate.answer_digest = candidates.size() + 1;
    candidates.push_back(candidate);
    return candidates.back();
  }

  std::deque<Words> words;
  std::deque<EntryEvidence> evidences;
  std::vector<Candidate> candidates;
  Words asked;
  std::string_view task = "general";
  std::uint64_t context = 0;
  ThresholdTuner tuner;
  Evidence evidence;
  Bound bound;
};

TEST_F(DecisionTest, NothingCachedIsAMiss) {
  const Decision decision = ask("How do I reset my password?");
  EXPECT_EQ(decision.action, Action::kMiss);
  EXPECT_EQ(decision.reason, "nothing alike is cached");
}

TEST_F(DecisionTest, AParaphraseIsAHitAndExplainsItself) {
  cached("How do I reset my password on the old router?");
  const Decision decision = ask("What is the best way to reset my password on the old router?");
  EXPECT_EQ(decision.action, Action::kHit);
  EXPECT_EQ(decision.matched_query, "How do I reset my password on the old router?");
  EXPECT_EQ(decision.verdict, Verdict::kSame);
  EXPECT_GT(decision.score, 0.98);
  EXPECT_LE(decision.error, 0.01);
  EXPECT_EQ(decision.threshold, 0.75);
}

TEST_F(DecisionTest, AVetoIsAMissHoweverAlike) {
  cached("How do I migrate from Oslo to Bergen?", 0.999);
  const Decision decision = ask("How do I migrate from Bergen to Oslo?");
  EXPECT_EQ(decision.action, Action::kMiss);
  EXPECT_EQ(decision.verdict, Verdict::kDirection);
  EXPECT_EQ(decision.reason, "the direction is reversed");
}

TEST_F(DecisionTest, TheFirstFilterIsSimilarity) {
  cached("How do I reset my password?", 0.74);
  const Decision decision = ask("How can I reset my password?");
  EXPECT_EQ(decision.action, Action::kMiss);
  EXPECT_EQ(decision.reason, "similarity 0.7400 below 0.7500");
}

TEST_F(DecisionTest, TheLowerThresholdOfTwoTasksApplies) {
  cached("How do I reset my old router?", 0.78).task = "faq";
  task = "coding";
  EXPECT_EQ(ask("How can I reset my old router?").threshold, 0.70);
}

TEST_F(DecisionTest, ExpiredEntriesAndOtherContextsServeNobody) {
  cached("How do I reset my password?").expires_at_ms = 1'000;
  EXPECT_EQ(ask("How do I reset my password?").action, Action::kMiss);
  candidates[0].expires_at_ms = 1'001;
  EXPECT_EQ(ask("How do I reset my password?").verdict, Verdict::kSame);
  candidates[0].context_digest = 7;
  const Decision decision = ask("How do I reset my password?");
  EXPECT_EQ(decision.action, Action::kMiss);
  EXPECT_EQ(decision.verdict, Verdict::kContext);
}

TEST_F(DecisionTest, AMismatchMustNotCostMoreThanANewAnswer) {
  cached("Is the tenant of the flat liable for the broken window?", 0.86).task = "legal";
  task = "legal";
  ASSERT_TRUE(tuner.set("legal", Sensitivity::kHigh, 0.5));
  const Decision decision = ask("Is the tenant of a flat liable for the broken window?");
  EXPECT_EQ(decision.action, Action::kMiss);
  EXPECT_EQ(decision.reason, "a mismatch would cost 1.12 of a new answer");
}

TEST_F(DecisionTest, AConversationAgreesTurnByTurn) {
  const std::vector<Words> weather{analyse("How is the weather in Berlin in spring?")};
  const std::vector<Words> same{analyse("how's the weather in Berlin in the spring")};
  cached("And in Paris?").earlier = weather;
  const auto ask_after = [this](const std::vector<Words>& earlier) {
    asked = analyse("And in Paris?");
    Question question;
    question.words = &asked;
    question.earlier = earlier;
    question.task = task;
    question.draw = 0.99;
    return decide(question, candidates, tuner, evidence, bound);
  };
  EXPECT_EQ(ask_after(weather).action, Action::kHit);
  EXPECT_EQ(ask_after(same).action, Action::kHit) << ask_after(same).reason;
  for (const std::string_view before :
       {"How is the weather in Munich in spring?", "How is the weather in Berlin in autumn?",
        "Who is the mayor of Berlin?"}) {
    const std::vector<Words> other{analyse(before)};
    const Decision decision = ask_after(other);
    EXPECT_EQ(decision.action, Action::kMiss) << before;
    EXPECT_EQ(decision.verdict, Verdict::kContext) << before;
  }
  EXPECT_EQ(ask_after({}).verdict, Verdict::kContext) << "a question alone is none of those";
}

TEST_F(DecisionTest, EqualFollowUpsAfterOtherWordsAreNotEqualTexts) {
  const std::vector<Words> one{analyse("How can I repair the old garden fence?")};
  const std::vector<Words> two{analyse("How do I repair the old garden fence?")};
  const std::vector<Words> third{analyse("How to repair an old garden fence")};
  cached("And in winter?").earlier = one;
  cached("And in winter?").earlier = two;
  asked = analyse("And in winter?");
  Question question;
  question.words = &asked;
  question.earlier = third;
  question.task = task;
  question.draw = 0.99;
  EXPECT_NE(decide(question, candidates, tuner, evidence, bound).action, Action::kHit);
}

TEST_F(DecisionTest, NoThresholdGoesBelowTheLeastSimilarity) {
  cached("How do I reset my password?", 0.91);
  asked = analyse("How can I reset my password?");
  Question question;
  question.words = &asked;
  question.task = task;
  question.least_similarity = 0.92;
  EXPECT_EQ(decide(question, candidates, tuner, evidence, bound).reason,
            "similarity 0.9100 below 0.9200");
}

TEST_F(DecisionTest, WhatIsNotTrustedYetIsExplored) {
  cached("How do I clean a copper kettle from the attic?");
  const Decision decision = ask("How do I clean a copper kettle?");
  EXPECT_EQ(decision.action, Action::kExplore);
  EXPECT_FALSE(decision.trusted);
  EXPECT_GT(decision.error, 0.01);
}

TEST_F(DecisionTest, AShareOfTrustedHitsIsAudited) {
  cached("How do I reset my password on the old router?");
  const Decision decision = ask("How can I reset my password on the old router?", 0.01);
  EXPECT_EQ(decision.action, Action::kExplore);
  EXPECT_TRUE(decision.trusted);
}

TEST_F(DecisionTest, TwoEquallyNearAnswersAreOneTooMany) {
  cached("How can I repair the old garden fence?");
  cached("How do I repair the old garden fence?");
  const Decision decision = ask("How to repair an old garden fence");
  EXPECT_EQ(decision.action, Action::kExplore);
  EXPECT_EQ(decision.reason, "two cached questions are equally near");
  candidates[1].answer_digest = candidates[0].answer_digest;
  EXPECT_EQ(ask("How to repair an old garden fence").action, Action::kHit);
}

TEST_F(DecisionTest, ReportedEntriesAreLeftAlone) {
  cached("How do I reset my password on the old router?");
  evidences[0].report(1);
  EXPECT_NE(ask("How can I reset my password on the old router?").action, Action::kHit);
  evidences[0].report(1);
  EXPECT_EQ(ask("How can I reset my password on the old router?").action, Action::kMiss);
}

TEST_F(DecisionTest, TheBudgetStopsHits) {
  cached("How do I reset my password on the old router?");
  evidence.observe("coding", 0.2, false, 0.05);
  const Decision decision = ask("How can I reset my password on the old router?");
  EXPECT_EQ(decision.action, Action::kExplore);
  EXPECT_EQ(decision.reason, "too many cached answers turned out wrong lately");
}

}  // namespace
}  // namespace asahi::gateway::semantic
