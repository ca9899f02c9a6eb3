#include "gateway/cache/semantic/threshold.h"

#include <gtest/gtest.h>

#include <random>

namespace asahi::gateway::semantic {
namespace {

constexpr std::string_view kTask = "faq";

TEST(UpperError, IsTheOneSidedLimitOfACount) {
  // 0 of 300: 1 − 0.1^(1/300) is 0.77 %; 3 of 100: the Poisson limit is 6.7.
  EXPECT_NEAR(upper_error(0, 300, 0.9), 0.0077, 0.0003);
  EXPECT_NEAR(upper_error(3, 100, 0.9), 0.0668, 0.001);
  EXPECT_EQ(upper_error(0, 0, 0.9), 1);
  EXPECT_EQ(upper_error(10, 5, 0.9), 1);
}

TEST(EntryEvidence, TrustsItsKindUntilItKnowsBetter) {
  EntryEvidence entry;
  EXPECT_DOUBLE_EQ(entry.error(0.9, 0.02), 0.02);
  for (int i = 0; i < 20; ++i) entry.add(0.9, true);
  EXPECT_NEAR(entry.error(0.95, 0.02), 0.015, 1e-9);
  // What was right at 0.9 says nothing about 0.5.
  EXPECT_DOUBLE_EQ(entry.error(0.5, 0.02), 0.02);
}

TEST(EntryEvidence, OneErrorCloses) {
  EntryEvidence entry;
  for (int i = 0; i < 5; ++i) entry.add(0.95, true);
  entry.add(0.95, false);
  EXPECT_GT(entry.error(0.95, 0.005), 0.05);
  EXPECT_GT(entry.error(0.90, 0.005), entry.error(0.95, 0.005));
}

TEST(EntryEvidence, LearnsWhereItsAnswersBeginToServe) {
  EntryEvidence entry;
  for (int i = 0; i < 11; ++i) entry.add(0.7 + 0.005 * i, false);
  for (int i = 0; i < 13; ++i) entry.add(0.9 + 0.005 * i, true);
  EXPECT_GT(entry.error(0.72, 0.001), 0.9);
  EXPECT_LT(entry.error(0.99, 0.001), 0.03);
}

TEST(EntryEvidence, AReportCloses) {
  EntryEvidence entry;
  entry.report(0.9);
  EXPECT_EQ(entry.error(0.9, 0.001), 1);
  EXPECT_EQ(entry.error(0.5, 0.001), 1);
  EXPECT_FALSE(entry.disabled());
  entry.report(0.95);
  EXPECT_TRUE(entry.disabled());
  EXPECT_EQ(entry.error(1.0, 0.001), 1);
}

TEST(EntryEvidence, IsBounded) {
  EntryEvidence entry;
  for (int i = 0; i < 1'000; ++i) entry.add(0.9, i % 2 == 0);
  EXPECT_EQ(entry.size(), EntryEvidence::kKept);
  EXPECT_LE(sizeof(EntryEvidence), 64u);
}

TEST(EntryEvidence, ComesBackAsItWas) {
  EntryEvidence entry;
  for (int i = 0; i < 40; ++i) entry.add(0.5 + 0.01 * i, i % 3 != 0);
  entry.report(0.8);
  const auto read = EntryEvidence::decode(entry.encode());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->encode(), entry.encode());
  EXPECT_NEAR(read->error(0.9, 0.01), entry.error(0.9, 0.01), 1e-9);
  for (const std::string_view bad : {"", "2 0 0", "1 300 0", "1 0 40000", "1 0 0 70000"})
    EXPECT_FALSE(EntryEvidence::decode(bad)) << bad;
}

TEST(KindEvidence, HoldsMoreTheBetterTheScore) {
  const KindEvidence kind;
  const Bound bound;
  double before = 1;
  for (const double score : {0.2, 0.6, 0.9, 0.96, 0.985, 0.995}) {
    EXPECT_LE(kind.error(score, bound), before) << score;
    before = kind.error(score, bound);
  }
  EXPECT_LE(kind.error(0.99, bound), 0.01);
  EXPECT_GT(kind.error(0.95, bound), 0.01);
}

TEST(KindEvidence, AFewErrorsOutweighTheBelief) {
  KindEvidence kind;
  const Bound bound;
  for (int i = 0; i < 6; ++i) kind.add(0.99, false);
  EXPECT_GT(kind.error(0.99, bound), 0.01);
}

TEST(KindEvidence, EarnsTrustAtLowScores) {
  KindEvidence kind;
  const Bound bound;
  EXPECT_GT(kind.error(0.6, bound), 0.1);
  for (int i = 0; i < 400; ++i) kind.add(0.6, true);
  EXPECT_LE(kind.error(0.6, bound), 0.01);
  // Better scores profit, worse ones do not.
  EXPECT_LE(kind.error(0.95, bound), 0.01);
  EXPECT_GT(kind.error(0.3, bound), 0.1);
}

Bound bound_of(double delta) {
  Bound bound;
  bound.delta = delta;
  return bound;
}

void ask(RiskBudget& budget, int times) {
  for (int i = 0; i < times; ++i) budget.asked();
}

TEST(RiskBudget, LooksCloserWhileItIsYoung) {
  const Bound bound = bound_of(0.01);
  RiskBudget budget;
  EXPECT_DOUBLE_EQ(budget.audit(bound), 0.15);
  ask(budget, 1'000);
  EXPECT_DOUBLE_EQ(budget.audit(bound), 0.1);
  ask(budget, 9'000);
  EXPECT_DOUBLE_EQ(budget.audit(bound), 0.05);
}

TEST(RiskBudget, ServesNothingUntilThereIsRoomForAnotherFind) {
  const Bound bound = bound_of(0.01);
  RiskBudget budget;
  ask(budget, 300);
  budget.found_wrong(budget.audit(bound));
  EXPECT_EQ(budget.audit(bound), 1);
  ask(budget, 1'000);
  EXPECT_EQ(budget.audit(bound), 1);
  ask(budget, 300);
  EXPECT_LT(budget.audit(bound), 0.5) << "then it opens by degrees";
  ask(budget, 2'000);
  EXPECT_EQ(budget.audit(bound), 0.05);
}

TEST(RiskBudget, OneFindDoesNotCloseAnOldCache) {
  const Bound bound = bound_of(0.01);
  RiskBudget budget;
  ask(budget, 7'000);
  budget.found_wrong(budget.audit(bound));
  EXPECT_LT(budget.audit(bound), 0.1);
}

TEST(RiskBudget, NeverRisksMoreThanTheNextFindMayCost) {
  for (const double delta : {0.005, 0.01, 0.03}) {
    const Bound bound = bound_of(delta);
    RiskBudget budget;
    ask(budget, static_cast<int>(20 / delta));
    for (int i = 0; i < 100'000; ++i) {
      budget.asked();
      const double share = budget.audit(bound);
      if (share < 1) budget.found_wrong(share);
      ASSERT_LE(budget.estimated_wrong(), delta * static_cast<double>(budget.questions()));
    }
  }
}

TEST(RiskBudget, WithoutAuditsOnlyReportsCount) {
  Bound bound = bound_of(0.01);
  bound.audit = 0;
  RiskBudget budget;
  EXPECT_EQ(budget.audit(bound), 0);
  budget.reported();
  EXPECT_EQ(budget.audit(bound), 1);
  ask(budget, 100);
  EXPECT_EQ(budget.audit(bound), 0);
}

// Whoever makes the stream: what is served wrongly stays below δ of the questions.
TEST(Evidence, HoldsTheBoundAgainstBetrayal) {
  for (const double delta : {0.005, 0.01, 0.03}) {
    Evidence evidence;
    std::vector<EntryEvidence> entries(200);
    std::mt19937 random(3);
    std::uniform_real_distribution<double> unit;
    Bound bound;
    bound.delta = delta;
    int wrong = 0;
    const int questions = 20'000;
    for (int i = 0; i < questions; ++i) {
      EntryEvidence& entry = entries[random() % entries.size()];
      const bool correct = i % 4'000 < 3'000;
      const double score = 0.99;
      evidence.asked();
      const auto trust = evidence.trust(kTask, score, entry, bound);
      const bool trusted = trust.audit < 1 && trust.error <= delta;
      if (trusted && unit(random) >= trust.audit) {
        wrong += correct ? 0 : 1;
        continue;
      }
      entry.add(score, correct);
      evidence.observe(kTask, score, correct, trusted ? trust.audit : 0);
    }
    EXPECT_LE(wrong, delta * questions) << delta;
  }
}

TEST(Evidence, ComesBackAsItWas) {
  Evidence evidence, other;
  for (int i = 0; i < 50; ++i) {
    evidence.asked();
    evidence.observe(i % 2 == 0 ? "faq" : "coding", 0.5 + 0.009 * i, i % 7 != 0, 0.05);
  }
  ASSERT_TRUE(other.restore(evidence.encode()));
  EXPECT_EQ(other.questions(), 50u);
  EXPECT_EQ(other.encode(), evidence.encode());
  for (const std::string_view bad :
       {"", "[]", "{}", R"({"asked":-1,"wrong":0,"spread":0,"kinds":{}})",
        R"({"asked":1,"wrong":0,"kinds":{}})",
        R"({"asked":1,"wrong":0,"spread":0,"kinds":{"faq":"x"}})"})
    EXPECT_FALSE(other.restore(bad)) << bad;
  EXPECT_EQ(other.encode(), evidence.encode());
}

TEST(Evidence, AddsUpWhatSeveralProcessesLearned) {
  const auto learn = [](Evidence& evidence, int questions, bool correct) {
    for (int i = 0; i < questions; ++i) {
      evidence.asked();
      evidence.observe(kTask, 0.9, correct, 0.05);
    }
  };
  Evidence one, two;
  std::string stored;
  const auto share = [&stored](Evidence& evidence) {
    const auto merged = evidence.merge(stored);
    ASSERT_TRUE(merged);
    stored = merged->text;
    evidence.adopt(*merged);
  };
  learn(one, 10, true);
  share(one);
  learn(two, 5, false);
  share(two);
  EXPECT_EQ(two.questions(), 15u);
  share(one);
  share(two);  // nothing new: nothing is counted twice
  EXPECT_EQ(one.questions(), 15u);
  EXPECT_EQ(two.questions(), 15u);
  EXPECT_NEAR(one.estimated_wrong(), 5 * 19, 1e-9);
  // What comes between the sum and its storing is not lost.
  const auto merged = one.merge(stored);
  learn(one, 1, true);
  one.adopt(*merged);
  EXPECT_EQ(one.questions(), 16u);
  share(one);
  share(two);
  EXPECT_EQ(two.questions(), 16u);
  EXPECT_FALSE(one.merge("{"));
}

TEST(EntryEvidence, JoinsTheStrictestOfTwo) {
  EntryEvidence one, two;
  for (int i = 0; i < 30; ++i) one.add(0.9 + 0.001 * i, true);
  two.add(0.95, false);
  two.report(0.9);
  one.merge(two);
  EXPECT_EQ(one.size(), EntryEvidence::kKept);
  EXPECT_EQ(one.wrong(), 2u);
  EXPECT_EQ(one.reports(), 1u);
  const std::string before = one.encode();
  one.merge(two);
  EXPECT_EQ(one.encode(), before);
}

TEST(Evidence, KeepsABoundedNumberOfTasks) {
  Evidence evidence;
  for (int i = 0; i < 1'000; ++i) evidence.observe("task" + std::to_string(i), 0.9, true, 0);
  EXPECT_LT(evidence.encode().size(), 64u * 400);
}

}  // namespace
}  // namespace asahi::gateway::semantic
