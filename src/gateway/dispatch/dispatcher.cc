#include "gateway/dispatch/dispatcher.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/ids.h"
#include "llm/vendor.h"

namespace asahi::gateway {
namespace {

using std::chrono::milliseconds;

/// The vendor turned the call down for reasons that any other vendor or moment would share.
bool is_callers_fault(const Error& error) {
  switch (error.code) {
    case Errc::kInvalidArgument:
    case Errc::kTooLarge:
    case Errc::kCancelled:
    case Errc::kForbidden:
    case Errc::kNotFound:
      return true;
    default:
      return false;
  }
}

/// Refused credentials or limits say nothing about the vendor's health.
bool counts_against_vendor(const Error& error) {
  return error.reason != "vendor_auth" && error.reason != "no_vendor_key" &&
         error.code != Errc::kRateLimited && !is_callers_fault(error);
}

/// The attempt that a failure of `hop` leads to; past the end when none does.
std::size_t next_hop(const Plan& plan, std::size_t hop, const Error& error) {
  const auto trigger = trigger_of(error);
  for (++hop; hop < plan.attempts.size(); ++hop) {
    if (trigger && plan.attempts[hop].triggers.has(*trigger)) return hop;
  }
  return plan.attempts.size();
}

/// Batches of events that are held back while they only open the stream: a vendor's keep-alives
/// must get through in time.
constexpr int kHeldBatches = 4;

bool says_nothing_yet(const std::vector<llm::StreamEvent>& events) {
  using Kind = llm::StreamEvent::Kind;
  return !events.empty() && std::ranges::all_of(events, [](const llm::StreamEvent& event) {
    return event.kind == Kind::kStart || event.kind == Kind::kOther || event.kind == Kind::kUsage;
  });
}

/// An attempt of a watched call; does nothing where nobody watches.
class Watched {
 public:
  Watched(CallTrace* trace, const ModelProfile& model)
      : trace_(trace),
        number_(trace == nullptr ? -1
                                 : trace->begin_attempt(model.provider, model.vendor_model,
                                                        std::chrono::steady_clock::now())) {}
  /// What the vendor is told about the call's place in its trace.
  void place(llm::CallContext& context) const {
    if (trace_ == nullptr) return;
    if (trace_->exported) context.traceparent = trace_->traceparent(number_);
    context.tracestate = trace_->tracestate;
  }
  void failed(const Error& error) const { end(&error); }
  void answered() const { end(nullptr); }
  /// Its stream has begun and goes on.
  void began() const {
    if (trace_ != nullptr) trace_->first_events(number_, std::chrono::steady_clock::now());
  }

 private:
  void end(const Error* error) const {
    if (trace_ != nullptr) trace_->end_attempt(number_, error, std::chrono::steady_clock::now());
  }
  CallTrace* trace_;
  int number_;
};

double jitter() { return static_cast<double>(random_u64() >> 11) * 0x1.0p-53; }

milliseconds until(std::chrono::steady_clock::time_point deadline,
                   std::chrono::steady_clock::time_point now) {
  if (deadline == std::chrono::steady_clock::time_point::max()) return milliseconds::max();
  return std::chrono::duration_cast<milliseconds>(deadline - now);
}

Error nobody_answered(const std::vector<Error>& errors, const DispatchReport& report) {
  std::string hops;
  for (const std::string& hop : report.hops)
    hops += fmt::format("{}{}", hops.empty() ? "" : "; ", hop);
  const bool all_limited = !errors.empty() && std::ranges::all_of(errors, [](const Error& e) {
    return e.code == Errc::kRateLimited;
  });
  const bool all_open = !errors.empty() && std::ranges::all_of(errors, [](const Error& e) {
    return e.reason == "circuit_open";
  });
  const bool no_key = !errors.empty() && std::ranges::all_of(errors, [](const Error& e) {
    return e.reason == "no_vendor_key";
  });
  Error error;
  error.where = std::source_location::current();
  if (all_limited) {
    error.code = Errc::kRateLimited;
    error.reason = "rate_limited";
    error.message = fmt::format("every vendor refused for its rate limit ({}); retry later", hops);
    for (const Error& one : errors) {
      if (one.retry_after && (!error.retry_after || *one.retry_after < *error.retry_after))
        error.retry_after = one.retry_after;
    }
  } else {
    error.code = Errc::kUnavailable;
    error.reason = all_open ? "circuit_open" : "service_unavailable";
    error.message = no_key ? fmt::format(
                                 "no vendor key is configured for this model ({}); set it in the "
                                 "environment, send "
                                 "provider_api_key, or start with --mock",
                                 hops)
                           : fmt::format("no vendor answered ({}); retry later", hops);
    error.retry_after = std::chrono::seconds(30);
  }
  return error;
}

/// Nobody but the organisation can mend this, so it hears of it instead of getting the answer of
/// another vendor on another account.
std::unexpected<Error> refused_own_key(const std::string& provider) {
  auto refused = fail(
      Errc::kInvalidArgument,
      fmt::format("{} refused the key that your organisation has set for it; set a valid one with "
                  "POST /providers/keys, or remove it with DELETE /providers/keys/{} to use the "
                  "platform's",
                  provider, provider));
  refused.error().reason = "configuration_error";
  return refused;
}

}  // namespace

const Secret* own_key(const identity::OwnKeys::Keys* keys, std::string_view provider) {
  if (keys == nullptr) return nullptr;
  const auto found = keys->find(provider);
  return found == keys->end() ? nullptr : &found->second;
}

Dispatcher::Dispatcher(Options options, VendorDirectory& vendors, const Clock& clock,
                       Observer observer)
    : options_(std::move(options)),
      vendors_(vendors),
      clock_(clock),
      observer_(std::move(observer)) {}

Dispatcher::~Dispatcher() = default;

Breaker& Dispatcher::breaker(const std::string& provider) {
  const std::scoped_lock lock(mutex_);
  auto& slot = breakers_[provider];
  if (slot == nullptr) slot = std::make_unique<Breaker>(options_.breaker);
  return *slot;
}

template <class Value>
Task<Value> Dispatcher::along_plan(
    DispatchCall& call, std::size_t& hop, DispatchReport& report,
    std::function<Task<Value>(llm::ChatModel&, const llm::ChatRequest&, const llm::CallContext&)>
        attempt) {
  const auto started = std::chrono::steady_clock::now();
  std::vector<Error> errors;
  for (; hop < call.plan.attempts.size(); hop = next_hop(call.plan, hop, errors.back())) {
    const ModelProfile& model = *call.plan.attempts[hop].model;
    const auto label = [&](std::string_view what) {
      return fmt::format("{}/{}: {}", model.provider, model.name, what);
    };
    llm::ChatModel* vendor = vendors_.chat(model.provider, call.request.shape);
    const Secret* own =
        call.context.api_key.empty() ? own_key(call.own_keys.get(), model.provider) : nullptr;
    if (vendor == nullptr ||
        (!vendors_.usable(model.provider) && call.context.api_key.empty() && own == nullptr)) {
      report.hops.push_back(label("no key configured"));
      auto missing = fail(Errc::kUnavailable, "no vendor key");
      missing.error().reason = "no_vendor_key";
      Watched(call.trace, model).failed(missing.error());
      errors.push_back(missing.error());
      continue;
    }
    Breaker& guard = breaker(model.provider);
    const bool last = hop + 1 >= call.plan.attempts.size();
    if (report.model != nullptr && report.model != &model && observer_.fell_back) {
      observer_.fell_back(report.model->provider, model.provider);
    }
    report.fallback = hop > 0;
    report.model = &model;
    for (int number = 1;; ++number) {
      if (!guard.allow(clock_.steady_now())) {
        report.hops.push_back(label("circuit open"));
        auto open = fail(Errc::kUnavailable, "the circuit breaker is open");
        open.error().reason = "circuit_open";
        Watched(call.trace, model).failed(open.error());
        errors.push_back(open.error());
        break;
      }
      call.request.model = model.vendor_model;
      llm::CallContext context = call.context;
      if (own != nullptr) context.api_key = *own;
      // A stream may take as long as the request; what it may not do is fall silent.
      if (!call.request.stream) {
        context.deadline =
            std::min(call.context.deadline, clock_.steady_now() + options_.attempt_timeout);
      }
      context.idle_timeout = options_.attempt_timeout;
      const Watched watched(call.trace, model);
      watched.place(context);
      auto outcome = co_await attempt(*vendor, call.request, context);
      report.vendor_ms =
          std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - started)
              .count();
      if (outcome) {
        guard.succeeded();
        if (call.request.stream) {
          watched.began();
        } else {
          watched.answered();
        }
        co_return std::move(outcome);
      }
      Error& error = outcome.error();
      watched.failed(error);
      if (call.context.cancel != nullptr && call.context.cancel->cancelled()) {
        guard.released();
        co_return fail(Errc::kCancelled, "the client went away");
      }
      report.hops.push_back(label(error.message));
      if (counts_against_vendor(error)) {
        guard.failed(clock_.steady_now());
        if (observer_.failed) observer_.failed(model.provider);
      } else {
        guard.released();
      }
      if (is_callers_fault(error)) co_return std::unexpected(std::move(error));
      if (own != nullptr && error.reason == "vendor_auth")
        co_return refused_own_key(model.provider);
      const milliseconds left = until(call.context.deadline, clock_.steady_now());
      if (left <= milliseconds(0)) {
        co_return fail(Errc::kTimeout,
                       fmt::format("the request's time is over ({})", report.hops.back()));
      }
      auto pause = retry_delay(options_.retry, number, error, jitter(), left);
      if (call.once) pause.reset();
      if (pause && !last && *pause > options_.max_pause_before_failover) pause.reset();
      errors.push_back(std::move(error));
      if (!pause) break;
      if (observer_.retried) observer_.retried(model.provider);
      ++report.retries;
      if (!co_await net::Loop::current()->sleep_for(*pause, call.context.cancel)) {
        co_return fail(Errc::kCancelled, "the client went away");
      }
    }
    if (!last) ++report.retries;
  }
  Error error = nobody_answered(errors, report);
  logger_.warning("no vendor answered",
                  {{"request_id", call.context.request_id}, {"error", error.message}});
  co_return std::unexpected(std::move(error));
}

Task<llm::ChatResponse> Dispatcher::chat(DispatchCall call, DispatchReport& report) {
  std::size_t hop = 0;
  call.request.stream = false;
  auto answer = co_await along_plan<llm::ChatResponse>(
      call, hop, report,
      [](llm::ChatModel& vendor, const llm::ChatRequest& request, const llm::CallContext& context) {
        return vendor.chat(request, context);
      });
  co_return answer;
}

Task<Dispatcher::Opened> Dispatcher::open_from(DispatchCall& call, std::size_t& hop,
                                               DispatchReport& report) {
  call.request.stream = true;
  auto opened = co_await along_plan<Opened>(
      call, hop, report,
      [](llm::ChatModel& vendor, const llm::ChatRequest& request,
         const llm::CallContext& context) -> Task<Opened> {
        ASAHI_CO_TRY(auto stream, co_await vendor.stream(request, context));
        ASAHI_CO_TRY(auto first, co_await stream->next());
        // A vendor that fails right after its opening frames fails like one that never began: with
        // a status, elsewhere.
        for (int held = 1; held < kHeldBatches && says_nothing_yet(first); ++held) {
          ASAHI_CO_TRY(auto more, co_await stream->next());
          first.insert(first.end(), std::make_move_iterator(more.begin()),
                       std::make_move_iterator(more.end()));
        }
        co_return Opened{std::move(stream), std::move(first)};
      });
  co_return opened;
}

Task<llm::EmbeddingResponse> Dispatcher::embed(llm::Embedder& vendor, std::string provider,
                                               llm::EmbeddingRequest request,
                                               std::chrono::steady_clock::time_point deadline,
                                               CancelSource& cancel, Secret own_key) {
  Breaker& guard = breaker(provider);
  for (int number = 1;; ++number) {
    if (!guard.allow(clock_.steady_now())) {
      auto open = fail(Errc::kUnavailable,
                       fmt::format("the circuit breaker of {} is open; retry later", provider));
      open.error().reason = "circuit_open";
      open.error().retry_after = options_.breaker.open_for;
      co_return open;
    }
    llm::CallContext context;
    context.deadline = std::min(deadline, clock_.steady_now() + options_.attempt_timeout);
    context.idle_timeout = options_.attempt_timeout;
    context.cancel = &cancel;
    context.api_key = own_key;
    auto outcome = co_await vendor.embed(request, context);
    if (outcome) {
      guard.succeeded();
      co_return outcome;
    }
    if (counts_against_vendor(outcome.error())) {
      guard.failed(clock_.steady_now());
      if (observer_.failed) observer_.failed(provider);
    } else {
      guard.released();
    }
    if (!own_key.empty() && outcome.error().reason == "vendor_auth")
      co_return refused_own_key(provider);
    const milliseconds left = until(deadline, clock_.steady_now());
    const auto pause = retry_delay(options_.retry, number, outcome.error(), jitter(), left);
    if (is_callers_fault(outcome.error()) || !pause) co_return outcome;
    if (observer_.retried) observer_.retried(provider);
    if (!co_await net::Loop::current()->sleep_for(*pause, &cancel))
      co_return fail(Errc::kCancelled, "the client went away");
  }
}

/// See DispatchedStream.
class ResumingStream final : public DispatchedStream {
 public:
  ResumingStream(Dispatcher& dispatcher, DispatchCall call, std::size_t hop,
                 Dispatcher::Opened opened, DispatchReport report)
      : dispatcher_(dispatcher),
        call_(std::move(call)),
        hop_(hop),
        current_(std::move(opened)),
        report_(std::move(report)) {}

  const DispatchReport& report() const override { return report_; }

  void abandon() override { note_waste(*call_.plan.attempts[hop_].model); }

  Task<std::vector<llm::StreamEvent>> next() override {
    for (;;) {
      std::vector<llm::StreamEvent> out;
      if (ended_) co_return out;
      auto events = co_await read();
      if (events) {
        if (events->empty()) {
          ended_ = true;
          end_attempt(nullptr);
          co_return out;
        }
        take(std::move(*events), out);
        if (!out.empty()) co_return out;
        continue;
      }
      Error error = std::move(events.error());
      end_attempt(&error);
      if (call_.context.cancel != nullptr && call_.context.cancel->cancelled()) {
        abandon();
        co_return std::unexpected(std::move(error));
      }
      auto restarted = co_await restart(std::move(error));
      if (!restarted) co_return std::unexpected(std::move(restarted.error()));
    }
  }

 private:
  Task<std::vector<llm::StreamEvent>> read() {
    if (!current_.first.empty()) co_return std::exchange(current_.first, {});
    co_return co_await current_.stream->next();
  }

  void take(std::vector<llm::StreamEvent> events, std::vector<llm::StreamEvent>& out) {
    using Kind = llm::StreamEvent::Kind;
    for (llm::StreamEvent& event : events) {
      if (restarts_ > 0) {
        // Frames of the second vendor do not continue the first one's: the client gets frames built
        // from their meaning.
        event.has_raw = event.frame_follows = false;
        event.raw.clear();
        event.raw_event.clear();
        if (event.kind == Kind::kStart || event.kind == Kind::kOther) continue;
        // The client has seen one train of thought; a second one would contradict it.
        if (event.kind == Kind::kReasoning && other_output_) continue;
        if (event.kind == Kind::kText) {
          event.text = resume_.feed(event.text);
          if (event.text.empty()) continue;
        } else if (event.kind == Kind::kFinish || event.kind == Kind::kDone) {
          llm::StreamEvent rest;
          rest.kind = Kind::kText;
          rest.text = resume_.finish();
          if (!rest.text.empty()) {
            sent_ += rest.text;
            out.push_back(std::move(rest));
          }
        }
      }
      if (event.kind == Kind::kText) sent_ += event.text;
      if (event.kind == Kind::kReasoning || event.kind == Kind::kRefusal) other_output_ = true;
      if (event.kind == Kind::kToolCallStart || event.kind == Kind::kToolCallDelta)
        tool_call_ = true;
      if (event.kind == Kind::kUsage) usage_ = event.usage;
      out.push_back(std::move(event));
    }
  }

  /// Goes on with the next model, or says why that cannot be: `error` then.
  Task<bool> restart(Error error) {
    const ModelProfile& broken = *call_.plan.attempts[hop_].model;
    report_.hops.push_back(
        fmt::format("{}/{}: {} (mid-stream)", broken.provider, broken.name, error.message));
    if (counts_against_vendor(error)) {
      dispatcher_.breaker(broken.provider).failed(dispatcher_.clock_.steady_now());
      if (dispatcher_.observer_.failed) dispatcher_.observer_.failed(broken.provider);
    }
    current_.stream.reset();
    // Paid for, whether somebody replaces it or not.
    note_waste(broken);
    const bool partial = !sent_.empty();
    // A vendor that broke off may be asked again only when nothing else is left and nothing was
    // shown yet.
    const bool another = hop_ + 1 < call_.plan.attempts.size();
    if (is_callers_fault(error) || tool_call_ ||
        (partial && !dispatcher_.options_.restart_partial) ||
        (!another && (partial || other_output_)) || restarts_ >= kMaxRestarts) {
      co_return std::unexpected(std::move(error));
    }
    if (another) ++hop_;
    if (partial) ask_to_continue();
    ++restarts_;
    ++report_.retries;
    resume_ = TextResume(sent_);
    auto opened = co_await dispatcher_.open_from(call_, hop_, report_);
    if (!opened) co_return std::unexpected(std::move(error));
    current_ = std::move(*opened);
    co_return true;
  }

  /// What the broken answer cost: the vendor's own numbers where it sent any, else an estimate.
  void note_waste(const ModelProfile& broken) {
    llm::Usage usage = usage_;
    usage.input = std::max(usage.input, llm::estimate_tokens(call_.request));
    const std::string fresh = sent_.substr(std::min(wasted_text_, sent_.size()));
    usage.output = std::max(usage.output, llm::estimate_tokens(fresh));
    wasted_text_ = sent_.size();
    usage_ = {};
    if (usage.output > 0 || usage.reported) report_.wasted.emplace_back(&broken, usage);
  }

  void ask_to_continue() {
    if (continuation_) call_.request.messages.resize(call_.request.messages.size() - 2);
    continuation_ = true;
    llm::Message partial{.role = llm::Role::kAssistant};
    partial.parts.emplace_back(llm::TextPart{.text = sent_, .cache_control = {}});
    llm::Message please{.role = llm::Role::kUser};
    please.parts.emplace_back(
        llm::TextPart{.text = "Your previous answer was cut off. Continue it exactly where it "
                              "stops, without repeating any of it and "
                              "without any introduction.",
                      .cache_control = {}});
    call_.request.messages.push_back(std::move(partial));
    call_.request.messages.push_back(std::move(please));
    call_.request.messages_changed = true;
  }

  void end_attempt(const Error* error) {
    if (call_.trace != nullptr)
      call_.trace->end_attempt(call_.trace->last_attempt(), error,
                               std::chrono::steady_clock::now());
  }

  static constexpr int kMaxRestarts = 3;

  Dispatcher& dispatcher_;
  DispatchCall call_;
  std::size_t hop_;
  Dispatcher::Opened current_;
  DispatchReport report_;
  TextResume resume_{""};
  std::string sent_;             // text the client has
  std::size_t wasted_text_ = 0;  // part of it already counted as waste
  llm::Usage usage_;
  bool tool_call_ = false, other_output_ = false, continuation_ = false, ended_ = false;
  int restarts_ = 0;
};

Task<std::unique_ptr<DispatchedStream>> Dispatcher::open(DispatchCall call,
                                                         DispatchReport& report) {
  std::size_t hop = 0;
  auto opened = co_await open_from(call, hop, report);
  if (!opened) co_return std::unexpected(std::move(opened.error()));
  std::unique_ptr<DispatchedStream> stream =
      std::make_unique<ResumingStream>(*this, std::move(call), hop, std::move(*opened), report);
  co_return stream;
}

}  // namespace asahi::gateway
