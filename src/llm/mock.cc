// The vendor inside: answers without keys and without a network.
#include <cmath>
#include <deque>

#include "llm/mock_answer.h"
#include "llm/vendor.h"
#include "llm/wire/common.h"
#include "llm/wire/stream_frame.h"

namespace asahi::llm {
namespace {

using Kind = StreamEvent::Kind;
using mock::Plan;

Error make_error(Errc code, int status, std::string message, std::string reason = {}) {
  Error error{.code = code, .message = std::move(message), .reason = std::move(reason)};
  error.upstream_status = status;
  return error;
}

Error cut_error() {
  return make_error(Errc::kUpstream, 0, "the mock vendor broke off its answer, as the prompt asked",
                    "stream_cut");
}

/// Sleeps as long as a vendor would take. Errors: timeout at the deadline, cancelled.
Task<void> wait(std::chrono::nanoseconds time, CallContext context) {
  const auto now = std::chrono::steady_clock::now();
  const auto left =
      context.deadline == std::chrono::steady_clock::time_point::max()
          ? std::chrono::nanoseconds::max()
          : std::max(std::chrono::nanoseconds(0), std::chrono::nanoseconds(context.deadline - now));
  const auto most = std::min<std::chrono::nanoseconds>(left, context.idle_timeout);
  const bool in_time = time <= most;
  const bool slept =
      co_await net::Loop::current()->sleep_for(in_time ? time : most, context.cancel);
  if (!slept)
    co_return fail(Errc::kCancelled, "the caller went away while the mock vendor was answering");
  if (!in_time) co_return fail(Errc::kTimeout, "the mock vendor did not answer in time");
  co_return Result<void>();
}

/// The part of a call that happens before its first word.
Task<void> begin(Plan::Fault fault, std::chrono::nanoseconds latency, CallContext context) {
  if (fault == Plan::Fault::kTimeout) latency = std::chrono::nanoseconds::max();
  auto waited = co_await wait(latency, std::move(context));
  if (!waited) co_return waited;
  if (fault == Plan::Fault::kRateLimit) {
    Error error =
        make_error(Errc::kRateLimited, 429, "the mock vendor limits the rate, as the prompt asked");
    error.retry_after = std::chrono::seconds(1);
    co_return std::unexpected(std::move(error));
  }
  if (fault == Plan::Fault::kServerError) {
    co_return std::unexpected(make_error(
        Errc::kUnavailable, 500, "the mock vendor failed with status 500, as the prompt asked"));
  }
  co_return Result<void>();
}

class MockStream final : public ChatStream {
 public:
  explicit MockStream(const Plan& plan) {
    StreamEvent start;
    start.kind = Kind::kStart;
    start.id = plan.response.id;
    start.model = plan.response.model;
    steps_.push_back({std::move(start)});
    for (const Part& part : plan.response.parts) add_part(part);
    if (plan.fault == Plan::Fault::kCut) {
      steps_.resize(std::max<std::size_t>(1, steps_.size() / 2));
      cut_ = true;
      return;
    }
    std::vector<StreamEvent>& last = steps_.emplace_back();
    wire::add_event(last, Kind::kFinish).finish = plan.response.finish;
    wire::add_event(last, Kind::kUsage).usage = plan.response.usage;
    wire::add_event(last, Kind::kDone);
  }

  Task<std::vector<StreamEvent>> next() override {
    if (steps_.empty()) {
      if (cut_) co_return std::unexpected(cut_error());
      co_return std::vector<StreamEvent>();
    }
    auto step = std::move(steps_.front());
    steps_.pop_front();
    co_return step;
  }

 private:
  void add_part(const Part& part) {
    if (const auto* text = std::get_if<TextPart>(&part)) {
      for (std::string& word : mock::split_words(text->text)) {
        wire::add_event(steps_.emplace_back(), Kind::kText, std::move(word));
      }
    } else if (const auto* call = std::get_if<ToolCallPart>(&part)) {
      StreamEvent& start = wire::add_event(steps_.emplace_back(), Kind::kToolCallStart);
      start.tool_id = call->id;
      start.tool_name = call->name;
      wire::add_event(steps_.emplace_back(), Kind::kToolCallDelta, call->arguments);
    }
  }

  std::deque<std::vector<StreamEvent>> steps_;
  bool cut_ = false;
};

class MockVendor final : public ChatModel {
 public:
  explicit MockVendor(MockOptions options) : options_(options) {}

  Task<ChatResponse> chat(const ChatRequest& request, const CallContext& context) override {
    Plan plan = mock::make_plan(options_, request);
    auto ready = co_await begin(plan.fault, plan.latency, context);
    if (!ready) co_return std::unexpected(std::move(ready.error()));
    if (plan.fault == Plan::Fault::kCut) co_return std::unexpected(cut_error());
    co_return std::move(plan.response);
  }

  Task<std::unique_ptr<ChatStream>> stream(const ChatRequest& request,
                                           const CallContext& context) override {
    const Plan plan = mock::make_plan(options_, request);
    auto ready = co_await begin(plan.fault, plan.latency, context);
    if (!ready) co_return std::unexpected(std::move(ready.error()));
    co_return std::make_unique<MockStream>(plan);
  }

 private:
  MockOptions options_;
};

class MockEmbedder final : public Embedder {
 public:
  MockEmbedder(std::uint64_t seed, std::size_t dimension) : seed_(seed), dimension_(dimension) {}

  Task<EmbeddingResponse> embed(const EmbeddingRequest& request, const CallContext&) override {
    EmbeddingResponse response;
    response.model = request.model;
    response.usage.reported = true;
    const std::size_t dimension =
        request.dimensions
            ? static_cast<std::size_t>(std::max<std::int64_t>(1, *request.dimensions))
            : dimension_;
    for (const std::string& text : request.input) {
      response.vectors.push_back(vector_of(text, dimension));
      response.usage.input += estimate_tokens(text);
    }
    for (const auto& ids : request.tokens) {
      std::string text;
      for (const std::int64_t id : ids) text += std::to_string(id) + " ";
      response.vectors.push_back(vector_of(text, dimension));
      response.usage.input += static_cast<std::int64_t>(ids.size());
    }
    co_return response;
  }

 private:
  std::vector<float> vector_of(std::string_view text, std::size_t dimension) const {
    mock::Random random = mock::Random::of(seed_, text);
    std::vector<float> out(dimension);
    double sum = 0;
    for (float& x : out) {
      x = static_cast<float>(random.uniform(-1, 1));
      sum += static_cast<double>(x) * x;
    }
    const double scale = sum > 0 ? 1 / std::sqrt(sum) : 1;
    for (float& x : out) x = static_cast<float>(x * scale);
    return out;
  }

  std::uint64_t seed_;
  std::size_t dimension_;
};

}  // namespace

std::unique_ptr<ChatModel> make_mock_vendor(MockOptions options) {
  return std::make_unique<MockVendor>(options);
}

std::unique_ptr<Embedder> make_mock_embedder(std::uint64_t seed, std::size_t dimension) {
  return std::make_unique<MockEmbedder>(seed, dimension);
}

}  // namespace asahi::llm
