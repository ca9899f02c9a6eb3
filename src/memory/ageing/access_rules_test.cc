#include "memory/ageing/access_rules.h"

#include <gtest/gtest.h>

namespace asahi::memory::ageing {
namespace {

using namespace std::chrono_literals;

const Clock::Time kOld{1'000h};
const Asked kOf(std::chrono::hours age, std::uint64_t hits, bool kept = false) {
  return {.timestamp = kOld - age, .hits = hits, .kept = kept};
}

TEST(AccessRules, OldMemoriesStayWhileTheyAreAskedForOften) {
  const AccessRules rules;
  EXPECT_EQ(fate_of(rules, kOf(1h, 9), kOld), Fate::kAges);
  EXPECT_EQ(fate_of(rules, kOf(1h, 10), kOld), Fate::kKeep);
}

TEST(AccessRules, WhatWasKeptStaysUntilHardlyAnybodyAsks) {
  const AccessRules rules;
  EXPECT_EQ(fate_of(rules, kOf(1h, 2, true), kOld), Fate::kKeep);
  EXPECT_EQ(fate_of(rules, kOf(1h, 1, true), kOld), Fate::kAges);
  EXPECT_EQ(fate_of({.demote_hits = 0}, kOf(1h, 0, true), kOld), Fate::kAges);
}

TEST(AccessRules, YoungMemoriesGoEarlyOnlyWhereHardlyAnybodyAsks) {
  const AccessRules rules;
  EXPECT_EQ(fate_of(rules, kOf(-1h, 1), kOld), Fate::kDemote);
  EXPECT_EQ(fate_of(rules, kOf(-1h, 2), kOld), Fate::kStay);
  EXPECT_EQ(fate_of({.demote_hits = 0}, kOf(-1h, 0), kOld), Fate::kStay);
}

}  // namespace
}  // namespace asahi::memory::ageing
