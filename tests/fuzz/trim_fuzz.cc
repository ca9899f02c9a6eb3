// Trimming any text keeps its numbers, leaves the question alone, and never makes it longer.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/utf8.h"
#include "gateway/tokens/optimiser.h"

namespace {

/// Runs of digits of `text`, each of which must be in `other`.
bool keeps_digits(std::string_view text, std::string_view other) {
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = i;
    while (end < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
    if (end == i) {
      ++i;
      continue;
    }
    if (other.find(text.substr(i, end - i)) == std::string_view::npos) return false;
    i = end;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace asahi;
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (!is_utf8(text)) return 0;
  gateway::OptimiserOptions options;
  options.min_bytes = 0;
  options.max_quality_risk = gateway::QualityRisk::kHigh;
  static const gateway::TokenOptimiser optimiser(options);
  const std::string question = "What does the text say of ships and of gardens?";
  llm::ChatRequest request;
  for (const auto& [role, said] : {std::pair{llm::Role::kSystem, text},
                                   {llm::Role::kUser, text},
                                   {llm::Role::kAssistant, text},
                                   {llm::Role::kUser, question}}) {
    llm::Message message{.role = role};
    message.parts.emplace_back(llm::TextPart{.text = said, .cache_control = {}});
    request.messages.push_back(std::move(message));
  }
  (void)optimiser.optimise_now(request);
  if (request.messages.size() != 4 || request.messages[3].text() != question) std::abort();
  for (int i = 0; i < 3; ++i) {
    const std::string trimmed = request.messages[static_cast<std::size_t>(i)].text();
    if (trimmed.size() > text.size() || !is_utf8(trimmed) || !keeps_digits(text, trimmed))
      std::abort();
  }
  return 0;
}
