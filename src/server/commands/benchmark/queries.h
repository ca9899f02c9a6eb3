#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace asahi::server::benchmark {

/// What a request is about, as far as its cost and the risk of a wrong answer are concerned.
enum class Category : std::uint8_t {
  kQuestions,
  kLookAlikes,  ///< alike in words, not in meaning: they must not share an answer
  kAssistants,  ///< wordy system prompts
  kCoding,
  kReasoning,
  kSummaries,
  kCompositions,  ///< comparisons and lists of questions
  kConversations,
  kSorting,  ///< classification and extraction
  kTranslations,
  kCreative,
};
inline constexpr std::size_t kCategories = 11;
std::string_view to_string(Category category);

/// One meaning: whatever its wording, one answer serves it, and an answer to any other topic does
/// not.
struct Topic {
  Category category = Category::kQuestions;
  std::string_view family;                  ///< look-alikes that are asked together; else empty
  std::string_view system;                  ///< system prompt
  std::string_view document;                ///< stands below the wording
  std::array<std::string_view, 4> history;  ///< user, assistant, user, assistant
  std::array<std::string_view, 3> wordings;

  std::size_t wording_count() const;
  /// The last user message.
  std::string prompt(std::size_t wording) const;
};

/// The set of `asahi benchmark`, written for it. Order and ids (places in it) are stable within a
/// version.
const std::vector<Topic>& topics();

/// Parts of the set, by file.
std::span<const Topic> question_topics();
std::span<const Topic> look_alike_topics();
std::span<const Topic> task_topics();
std::span<const Topic> context_topics();

}  // namespace asahi::server::benchmark
