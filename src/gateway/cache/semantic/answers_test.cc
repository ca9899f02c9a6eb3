#include "gateway/cache/semantic/answers.h"

#include <gtest/gtest.h>

namespace asahi::gateway::semantic {
namespace {

TEST(Answers, AgreeWhenOnlyTheFormDiffers) {
  EXPECT_EQ(compare_answers("Paris", "paris."), Agreement::kSame);
  EXPECT_EQ(compare_answers("  It is 3.5 km ", "it is 3.5 km"), Agreement::kSame);
  EXPECT_EQ(compare_answers("1,500", "1500.0"), Agreement::kSame);
  EXPECT_EQ(compare_answers("Paris", "The capital is Paris."), Agreement::kSame);
}

TEST(Answers, AgreeWhenTheySayTheSame) {
  EXPECT_EQ(compare_answers("You can reset the password on the login page.",
                            "The password can be reset on the login page."),
            Agreement::kSame);
}

TEST(Answers, DifferWhereTheFactsDo) {
  EXPECT_EQ(compare_answers("Paris", "London"), Agreement::kDifferent);
  EXPECT_EQ(compare_answers("42", "43"), Agreement::kDifferent);
  EXPECT_EQ(compare_answers("3.5", "35"), Agreement::kDifferent);
  EXPECT_EQ(compare_answers("Yes", "No"), Agreement::kDifferent);
  EXPECT_EQ(compare_answers("It is allowed.", "It is not allowed."), Agreement::kDifferent);
  EXPECT_EQ(compare_answers("The answer is -2", "The answer is 2"), Agreement::kDifferent);
  EXPECT_EQ(compare_answers("Enable the firewall first.", "Disable the firewall first."),
            Agreement::kDifferent);
}

constexpr std::string_view kReset =
    "To reset your password, open the login page, click on 'Forgot password' and follow the link "
    "in "
    "the mail that you get within 5 minutes.";

TEST(Answers, LongerOnesInOtherWordsAreUnclear) {
  EXPECT_EQ(
      compare_answers(kReset,
                      "Click 'Forgot password' on the login page. You will receive a mail with a "
                      "link; open it within 24 hours and choose a new password."),
      Agreement::kUnclear);
}

TEST(Answers, LongerOnesAboutOtherThingsDiffer) {
  EXPECT_EQ(compare_answers(kReset,
                            "PostgreSQL listens on port 5432 unless its configuration file names "
                            "another one, which takes a restart of the server."),
            Agreement::kDifferent);
  EXPECT_EQ(
      compare_answers("Yes, the warranty covers the battery as long as it was charged with the "
                      "adapter in the box.",
                      "No, the warranty covers the battery only if it was charged with the "
                      "adapter in the box for a year."),
      Agreement::kDifferent);
}

TEST(Answers, NothingAgreesWithNothing) {
  EXPECT_EQ(compare_answers("", ""), Agreement::kSame);
  EXPECT_EQ(compare_answers("", "x"), Agreement::kDifferent);
  EXPECT_EQ(compare_answers("...", "!!!"), Agreement::kDifferent);
}

TEST(Answers, VeryLongOnesAgreeOnlyWhenEqual) {
  const std::string text(100'000, 'a');
  EXPECT_EQ(compare_answers(text, text), Agreement::kSame);
  EXPECT_EQ(compare_answers(text, text + "."), Agreement::kUnclear);
}

}  // namespace
}  // namespace asahi::gateway::semantic
