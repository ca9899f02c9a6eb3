#include "gateway/cache/semantic/answers.h"

#include <gtest/gtest.h>

namespace asahi::gateway::semantic {
namespace {

TEST(Answers, AgreeWhenOnlyTheFormDiffers) {
  EXPECT_TRUE(answers_agree("Paris", "paris."));
  EXPECT_TRUE(answers_agree("  It is 3.5 km ", "it is 3.5 km"));
  EXPECT_TRUE(answers_agree("1,500", "1500.0"));
  EXPECT_TRUE(answers_agree("Paris", "The capital is Paris."));
}

TEST(Answers, AgreeWhenTheySayTheSame) {
  EXPECT_TRUE(answers_agree("You can reset the password on the login page.",
                            "The password can be reset on the login page."));
}

TEST(Answers, DifferWhereTheFactsDo) {
  EXPECT_FALSE(answers_agree("Paris", "London"));
  EXPECT_FALSE(answers_agree("42", "43"));
  EXPECT_FALSE(answers_agree("3.5", "35"));
  EXPECT_FALSE(answers_agree("Yes", "No"));
  EXPECT_FALSE(answers_agree("It is allowed.", "It is not allowed."));
  EXPECT_FALSE(answers_agree("The answer is -2", "The answer is 2"));
  EXPECT_FALSE(answers_agree("Enable the firewall first.", "Disable the firewall first."));
}

TEST(Answers, NothingAgreesWithNothing) {
  EXPECT_TRUE(answers_agree("", ""));
  EXPECT_FALSE(answers_agree("", "x"));
  EXPECT_FALSE(answers_agree("...", "!!!"));
}

TEST(Answers, VeryLongOnesAgreeOnlyWhenEqual) {
  const std::string text(100'000, 'a');
  EXPECT_TRUE(answers_agree(text, text));
  EXPECT_FALSE(answers_agree(text, text + "."));
}

}  // namespace
}  // namespace asahi::gateway::semantic
