#include <algorithm>

#include "llm/message.h"

namespace asahi::llm {

/// The last part when it is a P, else a new one: pieces of one kind that follow each other are one
/// part, as they are in the unstreamed answer.
template <class P>
P& StreamCollector::open_part() {
  auto& parts = response_.parts;
  if (parts.empty() || !std::holds_alternative<P>(parts.back())) parts.emplace_back(P{});
  return std::get<P>(parts.back());
}

ToolCallPart& StreamCollector::tool_call(std::size_t index) {
  const auto known =
      std::ranges::find(tool_calls_, index, &std::pair<std::size_t, std::size_t>::first);
  if (known != tool_calls_.end()) {
    return std::get<ToolCallPart>(response_.parts[known->second]);
  }
  tool_calls_.emplace_back(index, response_.parts.size());
  return std::get<ToolCallPart>(response_.parts.emplace_back(ToolCallPart{}));
}

void StreamCollector::add(const StreamEvent& event) {
  using Kind = StreamEvent::Kind;
  switch (event.kind) {
    case Kind::kStart:
      // A stream that was restarted on another vendor keeps the name it began with.
      if (response_.id.empty()) response_.id = event.id;
      if (response_.model.empty()) response_.model = event.model;
      if (event.usage.reported) response_.usage = event.usage;
      return;
    case Kind::kText:
      if (event.text.empty()) return;
      open_part<TextPart>().text += event.text;
      text_ += event.text;
      return;
    case Kind::kReasoning: {
      const bool follows =
          !response_.parts.empty() && std::holds_alternative<ReasoningPart>(response_.parts.back());
      if (reasoning_closed_ && follows) response_.parts.emplace_back(ReasoningPart{});
      reasoning_closed_ = false;
      auto& part = open_part<ReasoningPart>();
      part.text += event.text;
      part.signature += event.signature;
      part.encrypted += event.encrypted;
      reasoning_closed_ = !event.signature.empty() || !event.encrypted.empty();
      return;
    }
    case Kind::kRefusal:
      if (!event.text.empty()) open_part<RefusalPart>().text += event.text;
      return;
    case Kind::kToolCallStart: {
      auto& call = tool_call(event.tool_index);
      call.id = event.tool_id;
      call.name = event.tool_name;
      return;
    }
    case Kind::kToolCallDelta:
      tool_call(event.tool_index).arguments += event.text;
      return;
    case Kind::kFinish:
      response_.finish = event.finish;
      response_.stop_sequence = event.stop_sequence;
      return;
    case Kind::kUsage:
      response_.usage = event.usage;
      return;
    case Kind::kDone:
      done_ = true;
      return;
    case Kind::kOther:
      return;
  }
}

}  // namespace asahi::llm
