#pragma once

#include <cstdint>
#include <string_view>

#include "llm/message.h"

namespace asahi::llm {

struct TokenCount {
  std::int64_t tokens = 0;
  bool exact = false;  ///< counted with the model's vocabulary; else estimated
};

/// Bytes of the request's texts, definitions and schemas left out.
std::size_t text_bytes(const ChatRequest& request);

/// How many input tokens a request will be for a model. Any thread.
class TokenCounter {
 public:
  virtual ~TokenCounter() = default;
  /// `model`: the vendor's name for it.
  virtual TokenCount count(const ChatRequest& request, std::string_view model) const = 0;
  virtual TokenCount count(std::string_view text, std::string_view model) const = 0;
};

/// Counts for models of OpenAI, estimates for all others: ⌊words × 1.3⌋ (`estimate_tokens`).
///
/// A request is its texts, the names and roles of its messages (3 tokens each and 3 for the
/// answer's beginning, as OpenAI's cookbook counts chat models), and its tool calls. What OpenAI
/// adds for tools, schemas, images, audio and files is not published; such requests are counted as
/// well as possible (definitions as their JSON, media not at all) and are not `exact`.
///
/// Texts of more than `max_exact_bytes` together are estimated: an exact count costs about 30 ns a
/// byte, which a request must not wait for when it is long.
class VocabularyCounter final : public TokenCounter {
 public:
  explicit VocabularyCounter(std::size_t max_exact_bytes = SIZE_MAX)
      : max_exact_bytes_(max_exact_bytes) {}
  TokenCount count(const ChatRequest& request, std::string_view model) const override;
  TokenCount count(std::string_view text, std::string_view model) const override;

 private:
  std::size_t max_exact_bytes_;
};

}  // namespace asahi::llm
