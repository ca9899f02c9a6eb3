#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "telemetry/spans.h"
#include "telemetry/trace_context.h"

namespace asahi::gateway {

/// The parts of a model call (spec §3.1).
enum class Stage : std::uint8_t {
  kRequest,   ///< the whole
  kReceive,   ///< head to handler: the body, authentication, rate limits
  kParse,     ///< the body read as a request
  kPolicy,    ///< the organisation's rules, before the model is known
  kScreen,    ///< prompt injections, personal data
  kReplay,    ///< the reply of an earlier request with the same idempotency key
  kExact,     ///< tier 1
  kSemantic,  ///< tier 2
  kSteps,     ///< tier 3; what runs step by step lies inside
  kFeatures,  ///< what is known about the user, before the prompt
  kTokens,    ///< the prompt in fewer tokens
  kRouting,   ///< the choice of the model
  kBudget,    ///< limits and budgets with the chosen model; the audit entry, where demanded
  kDispatch,  ///< vendors; one kAttempt inside for each call
  kAttempt,
  kQuality,  ///< a look at the answer
  kStore,    ///< price, and what goes to the caches (which are written behind the reply)
  kReply,    ///< the reply composed
  kStream,   ///< the answer relayed while it arrives
  kCount,
};
/// "request", "cache.exact", …
std::string_view to_string(Stage stage);

/// How a stage went.
enum class Mark : std::uint8_t {
  kNone,
  kHit,
  kMiss,
  kSkipped,  ///< it was not its turn after all: nothing to do, or too busy
  kRefused,  ///< the call ends here
  kFailed,   ///< on its own; the call may go on without it
  kJoined,   ///< waited for the vendor call of an identical request
  kShared,   ///< one vendor call with others (batching)
};
std::string_view to_string(Mark mark);

/// Counts one that waits for as long as it is held.
class Ticket {
 public:
  Ticket() = default;
  Ticket(const Ticket&) = delete;
  Ticket& operator=(const Ticket&) = delete;
  ~Ticket() { give_back(); }
  /// `waiting` outlives it, and has counted it already.
  void hold(std::atomic<int>& waiting) { waiting_ = &waiting; }
  void give_back() {
    if (auto* waiting = std::exchange(waiting_, nullptr))
      waiting->fetch_sub(1, std::memory_order_relaxed);
  }

 private:
  std::atomic<int>* waiting_ = nullptr;
};

/// Where one call's time went, and whom it asked: filled by the pipeline, on one loop, then handed
/// on with the call's event. Holds nothing of prompts and answers.
struct CallTrace {
  using Index = telemetry::SpanList::Index;
  using Time = telemetry::SpanList::Time;

  explicit CallTrace(Time start) : spans(start, static_cast<std::uint8_t>(Stage::kRequest)) {}

  /// One call to one vendor.
  struct Attempt {
    Index span = telemetry::SpanList::kNone;
    std::string provider, model;  ///< the vendor's name of the model
    std::string error;            ///< a code; empty: answered
    int status = 0;               ///< of the vendor's answer, where it is known
    double first_ms = -1;         ///< of a stream: until it began; -1: none
  };
  static constexpr std::size_t kMostAttempts = 12;

  /// Given back by who takes the trace from its event, or by the trace's end.
  mutable Ticket ticket;
  telemetry::TraceContext context;  ///< the trace, and this call's own span
  std::uint64_t parent_span = 0;    ///< of the caller; 0: none
  std::string tracestate;           ///< of the caller, passed on
  bool exported = false;  ///< for the exporter too; then attempts carry their own spans on
  telemetry::SpanList spans;
  std::vector<Attempt> attempts;
  Index under = telemetry::SpanList::kRoot;  ///< where stages that begin now belong
  Index dispatch = telemetry::SpanList::kNone;
  double similarity = 0, threshold = 0;  ///< of tier 2's best candidate; 0: none
  std::string_view verdict;              ///< of tier 2 about it
  std::string cache_entry;               ///< of tier 2, that answered; empty: none did

  /// Ids of spans follow from the call's own: nothing has to be kept.
  std::uint64_t span_id(Index index) const;

  /// The number of the attempt that begins now; -1: there is no room for more.
  int begin_attempt(std::string_view provider, std::string_view model, Time now);
  void end_attempt(int number, const Error* error, Time now);
  /// A stream's first events are there; it goes on.
  void first_events(int number, Time now);
  /// What an attempt's request says about its place in the trace.
  std::string traceparent(int number) const;
  int last_attempt() const { return static_cast<int>(attempts.size()) - 1; }
};

/// One stage, from its construction to its end. `slot` outlives it; when the trace in it has been
/// handed on, what is still to come of the stage is nobody's matter.
class StageSpan {
 public:
  StageSpan(const std::shared_ptr<CallTrace>& slot, Stage stage) : slot_(slot) {
    if (slot_ == nullptr) return;
    index_ = slot_->spans.begin(static_cast<std::uint8_t>(stage), slot_->under,
                                std::chrono::steady_clock::now());
  }
  StageSpan(const StageSpan&) = delete;
  StageSpan& operator=(const StageSpan&) = delete;
  ~StageSpan() { end(); }

  void mark(Mark how) {
    if (live()) slot_->spans.mark(index_, static_cast<std::uint8_t>(how));
  }
  void end() {
    if (live()) slot_->spans.end(index_, std::chrono::steady_clock::now());
    index_ = telemetry::SpanList::kNone;
  }
  CallTrace::Index index() const { return index_; }

 private:
  bool live() const { return index_ != telemetry::SpanList::kNone && slot_ != nullptr; }
  const std::shared_ptr<CallTrace>& slot_;
  CallTrace::Index index_ = telemetry::SpanList::kNone;
};

/// Attempts that begin while it lives lie inside its stage.
class DispatchSpan {
 public:
  explicit DispatchSpan(const std::shared_ptr<CallTrace>& slot) : span_(slot, Stage::kDispatch) {
    if (slot != nullptr) slot->dispatch = span_.index();
  }
  void mark(Mark how) { span_.mark(how); }

 private:
  StageSpan span_;
};

/// Stages that begin while it lives lie inside `span`'s.
class Nest {
 public:
  Nest(const std::shared_ptr<CallTrace>& slot, const StageSpan& span) : slot_(slot) {
    if (slot_ == nullptr || span.index() == telemetry::SpanList::kNone) return;
    before_ = slot_->under;
    slot_->under = span.index();
  }
  Nest(const Nest&) = delete;
  Nest& operator=(const Nest&) = delete;
  ~Nest() {
    if (slot_ != nullptr) slot_->under = before_;
  }

 private:
  const std::shared_ptr<CallTrace>& slot_;
  CallTrace::Index before_ = telemetry::SpanList::kRoot;
};

}  // namespace asahi::gateway
