#include "gateway/dispatch/text_resume.h"

#include <gtest/gtest.h>

namespace asahi::gateway {
namespace {

/// What a client sees in the end when the second stream arrives in pieces of `size`.
std::string joined(const std::string& sent, std::string_view second, std::size_t size) {
  TextResume resume(sent);
  std::string all = sent;
  for (std::size_t at = 0; at < second.size(); at += size)
    all += resume.feed(second.substr(at, size));
  return all + resume.finish();
}

TEST(TextResume, SwallowsARepetitionFromTheStart) {
  for (std::size_t size = 1; size < 30; ++size) {
    EXPECT_EQ(joined("The capital of", "The capital of France is Paris.", size),
              "The capital of France is Paris.")
        << size;
  }
}

TEST(TextResume, PassesAContinuationOn) {
  for (std::size_t size = 1; size < 20; ++size) {
    EXPECT_EQ(joined("The capital of", " France is Paris.", size),
              "The capital of France is Paris.")
        << size;
  }
}

TEST(TextResume, SwallowsAStepBackOfSeveralWords) {
  for (std::size_t size = 1; size < 20; ++size) {
    EXPECT_EQ(joined("one two three four", "three four five", size), "one two three four five")
        << size;
  }
}

TEST(TextResume, KeepsAShortChanceOverlap) {
  // "a" ends the first part by chance; swallowing it would damage the answer.
  EXPECT_EQ(joined("banana", "apples", 1), "bananaapples");
}

TEST(TextResume, KeepsAWordThatStoodNearTheEndByChance) {
  for (std::size_t size = 1; size < 20; ++size) {
    EXPECT_EQ(joined("a rose is ", "a rose, a rose", size), "a rose is a rose, a rose") << size;
  }
  EXPECT_EQ(joined("the cat and the dog ", "and the", 1), "the cat and the dog and the");
}

TEST(TextResume, AddsNothingWhenTheRestartStopsInsideWhatWasSent) {
  EXPECT_EQ(joined("The capital of France", "The capital", 3), "The capital of France");
}

TEST(TextResume, PassesEverythingWhenNothingWasSent) { EXPECT_EQ(joined("", "Hello", 2), "Hello"); }

TEST(TextResume, KeepsTheFirstPiecesOfAContinuationThatLooksLikeTheStart) {
  EXPECT_EQ(joined("The end. ", "The next part.", 2), "The end. The next part.");
}

}  // namespace
}  // namespace asahi::gateway
