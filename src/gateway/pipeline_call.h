#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/pipeline.h"
#include "gateway/traces/call_trace.h"

namespace asahi::gateway {

using SteadyTime = std::chrono::steady_clock::time_point;

/// Milliseconds since `start`.
inline double ms_since(SteadyTime start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

/// Nothing but text, in and out: no tools, media, or demanded structure.
bool is_all_text(const llm::ChatRequest& request);
/// What replies tell about a lookup in tier 2; null where it had nothing to look at.
std::shared_ptr<const SimilarityReport> similarity_report(const SemanticCache::Lookup* lookup);

/// One request's state from its arrival to its event; shared with a stream that outlives the
/// handler's frame.
struct Pipeline::Call {
  Call(http::Context& of, const Endpoint* shape)
      : endpoint(shape),
        context(&of),
        request_id(of.request_id),
        route(of.route),
        traceparent(of.request.headers.get("traceparent")),
        received(of.received),
        deadline(of.deadline),
        caller(identity::shared_principal_of(of)),
        org(caller->org_id) {}

  /// The call of the models of `plan` on this request's behalf. `cancel` outlives it.
  DispatchCall dispatch(Plan plan, CancelSource& cancel) const;

  const Endpoint* endpoint;          ///< null: embeddings
  http::Context* context;            ///< null once its client may be gone
  std::shared_ptr<CallTrace> trace;  ///< null: nobody watches, or it was handed on
  std::string request_id;
  std::string_view route;  ///< of the route table
  std::string traceparent;
  SteadyTime received, deadline;
  llm::ChatRequest chat;
  std::shared_ptr<const JsonDocument> document;  ///< the body, read
  RequestOptions options;
  std::shared_ptr<const identity::Principal> caller;
  Terms terms;
  Reservation reservation;
  bool store_allowed = true;    ///< the answer may be cached
  bool encrypt_stored = false;  ///< … but encrypted only
  /// The organisation's keys at vendors; null: none, or the call brings its own.
  std::shared_ptr<const identity::OwnKeys::Keys> own_keys;
  std::string org;
  std::string query;
  TaskDetection task;
  RouteAdvice advice;
  std::string cache_key;  ///< empty: not cacheable
  std::string idempotency_key;
  std::optional<SemanticCache::Question> question;       ///< for tier 2; empty: none
  std::shared_ptr<const SemanticCache::Lookup> similar;  ///< what it found; null: it was not asked
  std::optional<BatchItem> batch_item;  ///< it may wait for others to share a vendor call
  bool gone = false;        ///< its client left while the vendor call went on for others
  bool memorable = false;   ///< an identical body will always mean the same
  bool enrichable = false;  ///< features may help with it
  bool enriched = false;    ///< they stand before its prompt
  bool personal = false;    ///< what is known about the user may shape the answer: it is the user's
  /// Spent on steps (tier 3) whose results did not lead to an answer; part of what the call costs.
  llm::Usage spent;
  NanoUsd spent_cost;
  double spent_ms = 0;
  double lookup_ms = 0, routing_ms = 0;
  std::array<double, 4> tier_ms{-1, -1, -1, -1};  ///< as in the event
  std::vector<std::string> warnings;
  std::shared_ptr<const OptimisationReport> trimmed;  ///< null: the prompt is as it came
  std::int64_t counted_input = 0;                     ///< input tokens as counted before the call
};

}  // namespace asahi::gateway
