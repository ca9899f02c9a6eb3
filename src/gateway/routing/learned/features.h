#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "gateway/routing/learned/story.h"

namespace asahi::gateway::learned {

/// What a router may look at: the form of a prompt as numbers, and its words and pairs of words as
/// hashed counts. Nothing of an answer, nothing of who asks. About 9 KiB, meant for the stack.
struct Features {
  /// Groups of the numbers, for explanations.
  enum Group : std::uint8_t { kLength, kNumbers, kSymbols, kStructure, kStory, kWords };
  static constexpr std::size_t kGroups = 6;
  static constexpr std::size_t kShapes = 24;  ///< numbers about lengths, signs and lines
  static constexpr std::size_t kMarks = 48;   ///< counts of single small words ("not", "each", …)
  static constexpr std::size_t kForms = kShapes + kMarks + Story::kForms;
  static constexpr std::size_t kMostWords = 1'024;
  static constexpr std::uint32_t kBuckets = 1U << 16;

  struct Word {
    std::uint32_t bucket;
    float count;  ///< 1 + ln(occurrences)
  };
  std::array<float, kForms> form{};
  std::array<Word, kMostWords> words;
  std::size_t word_count = 0;

  std::span<const Word> found() const { return {words.data(), word_count}; }
  static Group group_of(std::size_t form);
  /// The form is the count of a single word.
  static constexpr bool is_mark(std::size_t form) {
    return form >= kShapes && form < kShapes + kMarks;
  }
};
std::string_view to_string(Features::Group group);

/// Reads the first 1,536 and the last 512 bytes of a prompt: what is longer says little more, and a
/// decision must not take longer for it. Allocates nothing.
void read_features(std::string_view prompt, Features& out);

}  // namespace asahi::gateway::learned
