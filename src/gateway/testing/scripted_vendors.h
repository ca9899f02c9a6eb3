#pragma once
// Vendors that do what a test told them to.

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gateway/dispatch/dispatcher.h"
#include "llm/chat_model.h"
#include "net/event.h"
#include "net/loop.h"

namespace asahi::gateway::testing {

using Events = std::vector<llm::StreamEvent>;
using Batches = std::vector<Events>;
using EventKind = llm::StreamEvent::Kind;

inline llm::StreamEvent event(EventKind kind, std::string text = {}) {
  llm::StreamEvent made;
  made.kind = kind;
  made.text = std::move(text);
  return made;
}
inline llm::StreamEvent usage_event(llm::Usage usage) {
  llm::StreamEvent made = event(EventKind::kUsage);
  made.usage = usage;
  return made;
}
/// The end of a stream: why it ended, what it used, the vendor's end mark.
inline Events the_end(llm::Usage usage = {}, llm::FinishReason finish = llm::FinishReason::kStop) {
  llm::StreamEvent last = event(EventKind::kFinish);
  last.finish = finish;
  Events events{std::move(last)};
  if (usage.reported) events.push_back(usage_event(usage));
  events.push_back(event(EventKind::kDone));
  return events;
}
inline llm::ChatResponse text_answer(std::string text, llm::Usage usage = {}) {
  llm::ChatResponse response;
  response.id = "vendor-id";
  response.model = "vendor-model";
  response.parts.emplace_back(llm::TextPart{.text = std::move(text), .cache_control = {}});
  response.usage = usage;
  return response;
}
inline llm::Usage used(std::int64_t input, std::int64_t output) {
  return {.input = input, .output = output, .reported = true};
}

/// What vendors say when they do not answer; as the codecs would type it.
inline Error rate_limit(std::optional<std::chrono::milliseconds> retry_after = {}) {
  return {.code = Errc::kRateLimited,
          .message = "too many requests",
          .reason = "rate_limited",
          .upstream_status = 429,
          .retry_after = retry_after};
}
inline Error server_error() {
  return {.code = Errc::kUnavailable, .message = "overloaded", .upstream_status = 503};
}
inline Error timeout_error() { return {.code = Errc::kTimeout, .message = "no answer in time"}; }
inline Error refused_key() {
  return {.code = Errc::kUpstream,
          .message = "the vendor refused the key",
          .reason = "vendor_auth",
          .upstream_status = 401};
}
inline Error bad_request() {
  return {
      .code = Errc::kInvalidArgument, .message = "temperature is too high", .upstream_status = 400};
}
inline Error cut_stream() {
  return {.code = Errc::kUpstream, .message = "the vendor broke off", .reason = "stream_cut"};
}

/// A ChatModel with a script. One loop only.
class ScriptedVendor final : public llm::ChatModel {
 public:
  /// One call as it came in.
  struct Call {
    llm::ChatRequest request;
    std::chrono::steady_clock::time_point deadline;
    std::chrono::milliseconds idle_timeout;
    std::string request_id;
    bool own_key = false;
    Secret api_key;  ///< what the call was made with; empty: the platform's
    std::string traceparent, tracestate;
    bool cancelled = false;  ///< its client left while it was held
  };

  /// What the next call in the queue does.
  void answer(llm::ChatResponse response) { steps_.push_back({.response = std::move(response)}); }
  void answer(std::string text) { answer(text_answer(std::move(text), used(10, 20))); }
  void fail(Error error) { steps_.push_back({.error = std::move(error)}); }
  /// These batches, then the stream's end or `error`.
  void stream(Batches batches, std::optional<Error> error = std::nullopt) {
    steps_.push_back({.batches = std::move(batches), .error = std::move(error), .streams = true});
  }
  /// The step queued last waits for `release` (a stream: before its last batch).
  void hold() { steps_.back().held = true; }
  /// Lets every held call go on. Loop thread.
  void release() {
    for (net::Event* gate : gates_) gate->set();
  }

  const std::vector<Call>& calls() const { return calls_; }
  std::size_t unused_steps() const { return steps_.size(); }
  /// Streams that were thrown away before their end.
  int abandoned_streams() const { return abandoned_; }
  /// Runs at the start of every call.
  std::function<void()> on_call;

  Task<llm::ChatResponse> chat(const llm::ChatRequest& request,
                               const llm::CallContext& context) override {
    const std::size_t index = calls_.size();
    ASAHI_CO_TRY(const Step step, take(request, context));
    if (step.held && !co_await wait(context, index)) {
      co_return asahi::fail(Errc::kCancelled, "cancelled");
    }
    if (step.error) co_return std::unexpected(*step.error);
    co_return step.response;
  }

  Task<std::unique_ptr<llm::ChatStream>> stream(const llm::ChatRequest& request,
                                                const llm::CallContext& context) override {
    const std::size_t index = calls_.size();
    ASAHI_CO_TRY(Step step, take(request, context));
    if (step.error && !step.streams) co_return std::unexpected(*step.error);
    if (!step.streams) step.batches = batches_of(step.response);
    co_return std::make_unique<Stream>(*this, std::move(step), context, index);
  }

 private:
  struct Step {
    llm::ChatResponse response;
    Batches batches;
    std::optional<Error> error;
    bool streams = false;
    bool held = false;
  };

  class Stream final : public llm::ChatStream {
   public:
    Stream(ScriptedVendor& vendor, Step step, llm::CallContext context, std::size_t index)
        : vendor_(vendor), step_(std::move(step)), context_(std::move(context)), index_(index) {}
    ~Stream() override {
      if (!ended_) ++vendor_.abandoned_;
    }
    Task<Events> next() override {
      const bool last = next_ + 1 >= step_.batches.size();
      if (last && std::exchange(step_.held, false) && !co_await vendor_.wait(context_, index_)) {
        co_return asahi::fail(Errc::kCancelled, "cancelled");
      }
      if (next_ < step_.batches.size()) co_return std::move(step_.batches[next_++]);
      ended_ = true;
      if (step_.error) co_return std::unexpected(*step_.error);
      co_return Events();
    }

   private:
    ScriptedVendor& vendor_;
    Step step_;
    llm::CallContext context_;
    std::size_t index_;
    std::size_t next_ = 0;
    bool ended_ = false;
  };

  /// The unstreamed answer as a vendor would stream it.
  static Batches batches_of(const llm::ChatResponse& response) {
    Batches batches;
    llm::StreamEvent start = event(EventKind::kStart);
    start.id = response.id;
    start.model = response.model;
    batches.push_back({std::move(start)});
    std::size_t tools = 0;
    for (const llm::Part& part : response.parts) {
      Events events;
      if (const auto* text = std::get_if<llm::TextPart>(&part)) {
        events.push_back(event(EventKind::kText, text->text));
      } else if (const auto* thought = std::get_if<llm::ReasoningPart>(&part)) {
        events.push_back(event(EventKind::kReasoning, thought->text));
      } else if (const auto* call = std::get_if<llm::ToolCallPart>(&part)) {
        llm::StreamEvent begin = event(EventKind::kToolCallStart);
        begin.tool_index = tools;
        begin.tool_id = call->id;
        begin.tool_name = call->name;
        llm::StreamEvent arguments = event(EventKind::kToolCallDelta, call->arguments);
        arguments.tool_index = tools++;
        events = {std::move(begin), std::move(arguments)};
      }
      if (!events.empty()) batches.push_back(std::move(events));
    }
    batches.push_back(the_end(response.usage, response.finish));
    return batches;
  }

  Result<Step> take(const llm::ChatRequest& request, const llm::CallContext& context) {
    calls_.push_back({.request = request,
                      .deadline = context.deadline,
                      .idle_timeout = context.idle_timeout,
                      .request_id = context.request_id,
                      .own_key = !context.api_key.empty(),
                      .api_key = context.api_key,
                      .traceparent = context.traceparent,
                      .tracestate = context.tracestate});
    if (on_call) on_call();
    if (steps_.empty()) return asahi::fail(Errc::kInternal, "the script has no step for this call");
    Step step = std::move(steps_.front());
    steps_.pop_front();
    return step;
  }

  /// False when the call was cancelled meanwhile.
  Aw<bool> wait(llm::CallContext context, std::size_t index) {
    net::Event gate(*net::Loop::current());
    CancelSource::Subscription subscription;
    if (context.cancel != nullptr) {
      subscription = context.cancel->on_cancel([&gate] { gate.set(); });
    }
    gates_.insert(&gate);
    co_await gate.wait();
    gates_.erase(&gate);
    calls_[index].cancelled = context.cancel != nullptr && context.cancel->cancelled();
    co_return !calls_[index].cancelled;
  }

  std::deque<Step> steps_;
  std::vector<Call> calls_;
  std::set<net::Event*> gates_;
  int abandoned_ = 0;
};

/// Scripted vendors by provider name; made when first named.
class ScriptedVendors final : public VendorDirectory {
 public:
  ScriptedVendor& operator[](const std::string& provider) {
    auto& slot = vendors_[provider];
    if (slot == nullptr) slot = std::make_unique<ScriptedVendor>();
    return *slot;
  }
  void take_key(const std::string& provider) { without_key_.insert(provider); }
  std::size_t calls() const {
    std::size_t sum = 0;
    for (const auto& [name, vendor] : vendors_) sum += vendor->calls().size();
    return sum;
  }

  llm::ChatModel* chat(const std::string& provider, llm::Shape) override {
    return &(*this)[provider];
  }
  bool usable(const std::string& provider) const override {
    return !without_key_.contains(provider);
  }

 private:
  std::map<std::string, std::unique_ptr<ScriptedVendor>> vendors_;
  std::set<std::string> without_key_;
};

}  // namespace asahi::gateway::testing
