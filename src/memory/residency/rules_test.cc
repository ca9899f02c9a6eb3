#include "memory/residency/rules.h"

#include <gtest/gtest.h>

namespace asahi::memory {
namespace {

Memory said(const std::string& system, const std::string& metadata = "{}") {
  Memory one;
  one.key = {"acme", system, "m"};
  one.metadata = metadata;
  return one;
}

TEST(MatchesPattern, StarsStandForAnything) {
  EXPECT_TRUE(matches_pattern("clinic", "clinic"));
  EXPECT_FALSE(matches_pattern("clinic", "clinics"));
  EXPECT_TRUE(matches_pattern("clinic-*", "clinic-7"));
  EXPECT_TRUE(matches_pattern("*-hr-*", "eu-hr-2"));
  EXPECT_FALSE(matches_pattern("*-hr-*", "eu-hr"));
  EXPECT_TRUE(matches_pattern("a*b*c", "abbbxc"));
  EXPECT_FALSE(matches_pattern("a*b*c", "abbbx"));
  EXPECT_TRUE(matches_pattern("*", ""));
  EXPECT_FALSE(matches_pattern("", "x"));
  EXPECT_FALSE(matches_pattern("CLINIC", "clinic")) << "ids tell capitals apart";
}

TEST(ResidencyRules, KeepsWhatAnyRuleNames) {
  const ResidencyRules rules{
      .systems = {"clinic-*"}, .tags = {"health"}, .types = {"medical_record"}};
  EXPECT_TRUE(stays_here(rules, said("clinic-1")));
  EXPECT_TRUE(stays_here(rules, said("desk", R"({"tags":["lunch","health"]})")));
  EXPECT_TRUE(stays_here(rules, said("desk", R"({"tags":"health"})")));
  EXPECT_TRUE(stays_here(rules, said("desk", R"({"type":"medical_record"})")));
  EXPECT_FALSE(stays_here(rules, said("desk", R"({"tags":["healthy"],"type":"note"})")));
  EXPECT_FALSE(stays_here(rules, said("desk", R"({"project":"health"})")));
  EXPECT_FALSE(stays_here({}, said("clinic-1"))) << "no rule, nothing";
}

}  // namespace
}  // namespace asahi::memory
