#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/policy/breaker.h"
#include "base/policy/retry.h"
#include "gateway/dispatch/text_resume.h"
#include "gateway/routing/route.h"
#include "gateway/traces/call_trace.h"
#include "identity/secrets/own_keys.h"
#include "llm/chat_model.h"

namespace asahi::gateway {

/// One model call with the models that may answer it, in order.
struct DispatchCall {
  llm::ChatRequest request;
  Plan plan;
  llm::CallContext context;
  /// Keys of the caller's organisation, used where the call brings none (`context.api_key`); null:
  /// the platform's are.
  std::shared_ptr<const identity::OwnKeys::Keys> own_keys = {};
  /// One attempt per model: whoever asks has a better way on than to ask again.
  bool once = false;
  /// Gets every attempt; outlives the call and its stream. Null: nobody watches.
  CallTrace* trace = nullptr;
};

/// The organisation's own key at a vendor; null: the platform's is used.
const Secret* own_key(const identity::OwnKeys::Keys* keys, std::string_view provider);

/// What happened on the way to an answer: for the event, the reply's warnings and the logs.
struct DispatchReport {
  const ModelProfile* model = nullptr;  ///< who answered, or was tried last
  int retries = 0;                      ///< calls beyond the first
  bool fallback = false;                ///< another model than the first answered
  double vendor_ms = 0;                 ///< time in vendor calls, pauses included
  std::vector<std::string> hops;        ///< "openai/gpt-4o: timeout after 30 s"
  /// Tokens of answers that broke off and were replaced: paid for, though nobody's final answer.
  std::vector<std::pair<const ModelProfile*, llm::Usage>> wasted;
  /// This request's part of a call that it shared with others (batching), in place of or on top of
  /// calls of its own. Its money is what the split says, not what its tokens cost alone.
  struct Shared {
    llm::Usage usage;
    NanoUsd cost;
    std::size_t size = 0;       ///< requests in that call
    bool answered = false;      ///< the answer is the shared call's
    bool mixed_owners = false;  ///< requests of others were in it: not for the cache
  };
  std::optional<Shared> shared;
};

/// A stream that goes on over a vendor's failure (issue "streams that tell the truth"): until the
/// first piece of text it simply starts again on the next model; later it asks the next model to
/// continue and joins the texts without repetition. What cannot be continued (a tool call begun, no
/// model left) ends in the vendor's error: never in a silent end.
class DispatchedStream {
 public:
  virtual ~DispatchedStream() = default;
  /// The next events; empty after the end of a whole answer.
  virtual Task<std::vector<llm::StreamEvent>> next() = 0;
  virtual const DispatchReport& report() const = 0;
  /// Nobody takes what is still to come: counts what came so far as wasted in the report.
  virtual void abandon() = 0;
};

/// Where the dispatcher finds the vendors of a plan.
class VendorDirectory {
 public:
  virtual ~VendorDirectory() = default;
  /// Null when no such provider is configured. `shape`: the client's, so that a vendor with several
  /// formats of its own (OpenAI: chat, responses) is called in the one that loses nothing.
  virtual llm::ChatModel* chat(const std::string& provider, llm::Shape shape) = 0;
  /// Has a key, needs none, or is the mock.
  virtual bool usable(const std::string& provider) const = 0;
};

/// Calls vendors: retry with back-off, one breaker per vendor, failover along the plan (spec §3.13,
/// R24–R26). Callable from any loop.
class Dispatcher {
 public:
  struct Options {
    std::chrono::milliseconds attempt_timeout{30'000};
    RetryPolicy retry;
    Breaker::Options breaker;
    /// Restart a stream after text was sent.
    bool restart_partial = true;
    /// Longest pause before a retry while another model could answer instead.
    std::chrono::milliseconds max_pause_before_failover{4'000};
  };
  /// Called on every change of a vendor's breaker and every retry or fallback: metrics.
  struct Observer {
    std::function<void(const std::string& provider)> failed, retried;
    std::function<void(const std::string& from, const std::string& to)> fell_back;
  };

  Dispatcher(Options options, VendorDirectory& vendors, const Clock& clock, Observer observer);
  ~Dispatcher();

  /// Errors: what the vendor said (invalid_argument …) when retrying cannot help; rate_limited when
  /// every vendor refused for its limits; unavailable (reason "service_unavailable",
  /// "circuit_open") otherwise; timeout; cancelled; invalid_argument with reason
  /// "configuration_error" when a vendor refuses the organisation's own key: another model would
  /// hide that, at the platform's cost. `report` is filled in either case.
  Task<llm::ChatResponse> chat(DispatchCall call, DispatchReport& report);
  /// Resumes when the first events are there, so that an early failure still has its HTTP status.
  /// On success the stream carries the report on; on failure `report` holds it.
  Task<std::unique_ptr<DispatchedStream>> open(DispatchCall call, DispatchReport& report);

  /// One vendor, with retries: vectors of different models never stand in for each other.
  /// `own_key`: of the organisation; empty: the platform's is used.
  Task<llm::EmbeddingResponse> embed(llm::Embedder& vendor, std::string provider,
                                     llm::EmbeddingRequest request,
                                     std::chrono::steady_clock::time_point deadline,
                                     CancelSource& cancel, Secret own_key = {});

  Breaker& breaker(const std::string& provider);

 private:
  friend class ResumingStream;
  /// A stream whose first events are there.
  struct Opened {
    std::unique_ptr<llm::ChatStream> stream;
    std::vector<llm::StreamEvent> first;
  };
  Task<Opened> open_from(DispatchCall& call, std::size_t& hop, DispatchReport& report);

  /// Runs `attempt` on the models from `hop` on until one succeeds; `hop` is then where it did.
  template <class Value>
  Task<Value> along_plan(
      DispatchCall& call, std::size_t& hop, DispatchReport& report,
      std::function<Task<Value>(llm::ChatModel&, const llm::ChatRequest&, const llm::CallContext&)>
          attempt);

  Options options_;
  VendorDirectory& vendors_;
  const Clock& clock_;
  Observer observer_;
  Logger logger_{"dispatch"};
  std::mutex mutex_;  // guards the map; breakers guard themselves and stay where they are
  std::unordered_map<std::string, std::unique_ptr<Breaker>> breakers_;
};

}  // namespace asahi::gateway
