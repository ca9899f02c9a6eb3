#include "llm/testing/scripted_model.h"

#include "llm/wire/stream_frame.h"

namespace asahi::llm_testing {
namespace {

using Kind = llm::StreamEvent::Kind;
using Batches = std::vector<std::vector<llm::StreamEvent>>;

class ScriptedStream final : public llm::ChatStream {
 public:
  ScriptedStream(Batches batches, std::optional<Error> error)
      : batches_(batches.begin(), batches.end()), error_(std::move(error)) {}

  Task<std::vector<llm::StreamEvent>> next() override {
    if (batches_.empty()) {
      if (error_) co_return std::unexpected(*error_);
      co_return std::vector<llm::StreamEvent>();
    }
    auto batch = std::move(batches_.front());
    batches_.pop_front();
    co_return batch;
  }

 private:
  std::deque<std::vector<llm::StreamEvent>> batches_;
  std::optional<Error> error_;
};

Batches batches_of(const llm::ChatResponse& response) {
  Batches out;
  llm::StreamEvent& start = llm::wire::add_event(out.emplace_back(), Kind::kStart);
  start.id = response.id;
  start.model = response.model;
  std::size_t calls = 0;
  for (const llm::Part& part : response.parts) {
    auto& batch = out.emplace_back();
    if (const auto* text = std::get_if<llm::TextPart>(&part)) {
      llm::wire::add_event(batch, Kind::kText, text->text);
    } else if (const auto* call = std::get_if<llm::ToolCallPart>(&part)) {
      llm::StreamEvent& event = llm::wire::add_event(batch, Kind::kToolCallStart);
      event.tool_index = calls;
      event.tool_id = call->id;
      event.tool_name = call->name;
      llm::wire::add_event(batch, Kind::kToolCallDelta, call->arguments).tool_index = calls++;
    }
  }
  auto& last = out.emplace_back();
  llm::wire::add_event(last, Kind::kFinish).finish = response.finish;
  llm::wire::add_event(last, Kind::kUsage).usage = response.usage;
  llm::wire::add_event(last, Kind::kDone);
  return out;
}

}  // namespace

void ScriptedModel::answer(llm::ChatResponse response) {
  steps_.push_back({.batches = batches_of(response)});
}

void ScriptedModel::answer(std::string text) {
  llm::ChatResponse response;
  response.id = "scripted";
  response.parts.emplace_back(llm::TextPart{.text = std::move(text)});
  answer(std::move(response));
}

void ScriptedModel::fail(Error error) {
  steps_.push_back({.error = std::move(error), .fails_at_once = true});
}

void ScriptedModel::stream_events(Batches batches, std::optional<Error> error) {
  steps_.push_back({.batches = std::move(batches), .error = std::move(error)});
}

Result<ScriptedModel::Step> ScriptedModel::take(const llm::ChatRequest& request) {
  requests_.push_back(request);
  if (steps_.empty()) return asahi::fail(Errc::kInternal, "the script has no answer for this call");
  Step step = std::move(steps_.front());
  steps_.pop_front();
  if (step.fails_at_once) return std::unexpected(*step.error);
  return step;
}

Task<llm::ChatResponse> ScriptedModel::chat(const llm::ChatRequest& request,
                                            const llm::CallContext&) {
  ASAHI_CO_TRY(const Step step, take(request));
  if (step.error) co_return std::unexpected(*step.error);
  llm::StreamCollector collector;
  for (const auto& batch : step.batches) {
    for (const auto& event : batch) collector.add(event);
  }
  co_return collector.response();
}

Task<std::unique_ptr<llm::ChatStream>> ScriptedModel::stream(const llm::ChatRequest& request,
                                                             const llm::CallContext&) {
  ASAHI_CO_TRY(Step step, take(request));
  co_return std::make_unique<ScriptedStream>(std::move(step.batches), std::move(step.error));
}

}  // namespace asahi::llm_testing
