#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gateway/answer.h"
#include "gateway/cache/request_memo.h"
#include "gateway/routing/route.h"
#include "gateway/tokens/report.h"
#include "llm/codec.h"
#include "net/http/context.h"

namespace asahi::gateway {

/// One step of a composed request (tier 3).
struct StepReport {
  std::string id, type;  ///< "step_1", "summarize"
  bool cached = false;
};

/// What tier 2 found nearest, and what it made of it.
struct SimilarityReport {
  double similarity = 0, threshold = 0;  ///< 0 to 1
  double error = 1;                      ///< pessimistic chance that the answer is wrong
  std::string verdict;                   ///< of the verifier: "same", "number", "negation" …
  std::string reason;                    ///< for people
  std::string matched_query;
  std::string entry_id;
  bool checked = false;  ///< the model was asked to check a cached answer
};

/// How a request was answered: everything that replies, events and metrics tell about it.
struct Outcome {
  std::shared_ptr<const Answer> answer;
  bool hit = false;
  int tier = 0;         ///< 1–3 on hits
  bool shared = false;  ///< joined the vendor call of an identical request (single flight)
  RoutingMode mode = RoutingMode::kAutopilot;
  std::string routing_reason;
  std::string task_type;
  bool fallback_used = false;
  std::vector<Alternative> alternatives;
  /// What the screen made of the profile's quality; empty: the answer was not looked at.
  std::optional<double> measured_quality;
  std::optional<bool> hallucination;  ///< signs of invention; empty as above
  llm::Usage consumed;                ///< now: zero on hits
  NanoUsd cost, baseline;
  std::size_t batch_size = 0;  ///< requests that shared the vendor call; 0: it had its own
  NanoUsd batching_savings;    ///< against a call of its own, on the same model
  bool vendor_batch = false;   ///< answered by the vendor's batch API, at its lower price
  double lookup_ms = 0, routing_ms = 0, vendor_ms = 0, post_ms = 0, total_ms = 0;
  int retries = 0;
  bool enriched = false;                            ///< features stood before the prompt
  std::shared_ptr<const SimilarityReport> similar;  ///< null: tier 2 had nothing near
  std::vector<StepReport> steps;  ///< of a composed request; empty: it was asked as a whole
  std::vector<std::string> warnings;
  std::shared_ptr<const OptimisationReport> trimmed;  ///< null: the prompt went out as it came
  NanoUsd trim_savings;  ///< what the tokens that were not sent would have cost

  NanoUsd savings() const { return baseline - cost; }
};

/// The `asahi` object of vendor-shaped replies.
std::string asahi_object(const Outcome& outcome, std::string_view request_id);
/// The whole body of POST /infer (spec §2.1). `escaped_text`: the answer as a JSON string with
/// quotes.
std::string native_body(const Outcome& outcome, std::string_view request_id,
                        std::string_view response_id, std::string_view timestamp,
                        std::string_view escaped_text);

/// An id of the kind that a shape's clients know: "chatcmpl-…", "msg_…", "resp_…".
std::string response_id(llm::Shape shape);

/// Writes a cached answer for a shape once, and cuts it where each hit differs: id and `asahi`.
ReplyTemplate make_template(const llm::ClientCodec& codec, const llm::ChatRequest& request,
                            const Answer& answer, std::int64_t created);

/// Every part of the answer has events that say the same; vendors' own blocks and media have none.
bool is_streamable(const llm::ChatResponse& response);
/// The answer as the events of a stream: words one by one, tool calls whole.
std::vector<llm::StreamEvent> as_events(const llm::ChatResponse& response);

/// The native streaming shape: `data: {"type":"token","text":…}`, then `{"type":"done", …the body
/// of /infer…}` and
/// `[DONE]`; a failure is `event: error`.
std::unique_ptr<llm::StreamEncoder> make_native_stream_encoder();

}  // namespace asahi::gateway
