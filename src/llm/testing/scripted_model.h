#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "llm/chat_model.h"

namespace asahi::llm_testing {

/// A ChatModel that says what the test told it to, in order, and remembers what it was asked. One
/// loop only.
class ScriptedModel final : public llm::ChatModel {
 public:
  /// The next answer, whole or streamed.
  void answer(llm::ChatResponse response);
  void answer(std::string text);
  /// The next call fails before its first event.
  void fail(Error error);
  /// The next stream gives these batches; then its end, or `error`.
  void stream_events(std::vector<std::vector<llm::StreamEvent>> batches,
                     std::optional<Error> error = std::nullopt);

  Task<llm::ChatResponse> chat(const llm::ChatRequest& request,
                               const llm::CallContext& context) override;
  Task<std::unique_ptr<llm::ChatStream>> stream(const llm::ChatRequest& request,
                                                const llm::CallContext& context) override;

  const std::vector<llm::ChatRequest>& requests() const { return requests_; }

 private:
  struct Step {
    std::vector<std::vector<llm::StreamEvent>> batches;
    std::optional<Error> error;
    bool fails_at_once = false;
  };
  Result<Step> take(const llm::ChatRequest& request);

  std::deque<Step> steps_;
  std::vector<llm::ChatRequest> requests_;
};

}  // namespace asahi::llm_testing
