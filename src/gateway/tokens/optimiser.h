#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/thread_pool.hpp>

#include "base/log.h"
#include "gateway/tokens/relevance.h"
#include "gateway/tokens/report.h"
#include "gateway/tokens/units.h"
#include "llm/chat_model.h"
#include "llm/embed/text_embedder.h"
#include "llm/message.h"

namespace asahi::gateway {

struct OptimiserOptions {
  bool enabled = true;
  double min_relevance = 0.3;  ///< sentences below may go, 0 to 1
  tokens::Scoring scoring = tokens::Scoring::kKeyword;
  std::size_t max_history_turns = 5;  ///< answers further back lose what is not relevant now
  double extractive_top_ratio = 0.5;  ///< share of a text's sentences that stays in any case
  std::size_t max_few_shot_examples = 3;
  double diversity_weight = 0.2;
  QualityRisk max_quality_risk = QualityRisk::kMedium;
  double system_boost = 0.2;           ///< relevance that parts of system prompts get for free
  std::size_t min_bytes = 600;         ///< of text that may be touched; less is not worth the look
  std::size_t inline_bytes = 8 << 10;  ///< more is worked on away from the event loop
  std::chrono::milliseconds embedding_timeout{200};
  tokens::SentenceSplitter splitter = tokens::sentence_ends;
};

struct OptimizationConfig;
/// As the settings say (`optimization`).
OptimiserOptions optimiser_options(const OptimizationConfig& config);

/// Says requests in fewer tokens before they are sent (spec §3.10, GW-056 to GW-059), within the
/// promise that README.md states: the question is never touched, and every number, name, code span,
/// URL, quotation, negation and constraint of what is trimmed is still there. No vendor is asked.
/// Callable from any loop.
class TokenOptimiser {
 public:
  /// `embedder`: for `scoring` embedding, may be null (keywords score then).
  explicit TokenOptimiser(OptimiserOptions options,
                          std::unique_ptr<llm::TextEmbedder> embedder = nullptr);
  ~TokenOptimiser();

  const OptimiserOptions& options() const { return options_; }

  /// Trims the request's messages in place. `examples`: how many messages pairs behind the leading
  /// system messages come from a pool of examples. On the caller's thread, without embeddings.
  OptimisationReport optimise_now(llm::ChatRequest& request, std::size_t examples = 0) const;

  /// True when the request has enough text for a look: cheap, for every request.
  bool is_worth_trying(const llm::ChatRequest& request) const;

  /// The same from a loop: large requests are worked on by a thread of this class's own, and so are
  /// all with scoring by embedding, whose vectors are had first (`context`'s deadline holds, and
  /// `embedding_timeout`). Trouble leaves the request as it was, or scores by keyword.
  Aw<OptimisationReport> optimise(llm::ChatRequest& request, std::size_t examples,
                                  const llm::CallContext& context);

 private:
  struct Draft;
  Aw<OptimisationReport> optimise_by_vectors(std::shared_ptr<llm::ChatRequest> work,
                                             std::size_t examples, llm::CallContext context);

  OptimiserOptions options_;
  std::unique_ptr<llm::TextEmbedder> embedder_;
  Logger logger_{"tokens"};
  std::once_flag started_;
  std::unique_ptr<boost::asio::thread_pool> pool_;
  std::atomic<int> waiting_{0};
};

}  // namespace asahi::gateway
