// Calls to Anthropic: answers, errors and credentials. anthropic_encode.cc has the requests.
#include <fmt/format.h>

#include <algorithm>

#include "llm/wire/anthropic.h"
#include "llm/wire/wire.h"

namespace asahi::llm {
namespace wire {
namespace {

constexpr std::string_view kVendor = "Anthropic";
constexpr std::string_view kVersion = "2023-06-01";

void read_block(const json::object& block, ChatResponse& response, bool& answered_by_tool) {
  auto& parts = response.parts;
  const std::string_view type = string_at(block, "type");
  const auto add_text = [&](std::string_view text) {
    // Neighbouring text blocks are one text, as they are in a stream.
    if (!parts.empty() && std::holds_alternative<TextPart>(parts.back())) {
      std::get<TextPart>(parts.back()).text += text;
    } else if (!text.empty()) {
      parts.emplace_back(TextPart{std::string(text), {}});
    }
  };
  if (type == "text") {
    add_text(string_at(block, "text"));
  } else if (type == "thinking") {
    parts.emplace_back(ReasoningPart{
        std::string(string_at(block, "thinking")), std::string(string_at(block, "signature")), {}});
  } else if (type == "redacted_thinking") {
    parts.emplace_back(ReasoningPart{{}, {}, std::string(string_at(block, "data"))});
  } else if (type == "tool_use") {
    const json::value* input = find(block, "input");
    std::string arguments = input == nullptr ? "{}" : write_json(*input);
    const std::string_view name = string_at(block, "name");
    if (name.starts_with(kAnswerToolPrefix)) {
      answered_by_tool = true;
      add_text(arguments);
      return;
    }
    parts.emplace_back(
        ToolCallPart{std::string(string_at(block, "id")), std::string(name), std::move(arguments)});
  } else {
    parts.emplace_back(OpaquePart{Shape::kAnthropic, json::value(block)});
  }
}

class AnthropicCodec final : public VendorCodec {
 public:
  Shape shape() const override { return Shape::kAnthropic; }

  Result<WireRequest> encode(const ChatRequest& request, std::string_view model) const override {
    if (auto ok = refuse_vendor_only(request, shape()); !ok) return std::unexpected(ok.error());
    ASAHI_TRY(auto body, encode_anthropic(request, model));
    WireRequest out;
    out.target = "/v1/messages";
    out.headers.add("content-type", "application/json");
    out.headers.add("anthropic-version", std::string(kVersion));
    if (request.shape == shape() && !request.anthropic_beta.empty()) {
      out.headers.add("anthropic-beta", request.anthropic_beta);
    }
    out.body = std::move(body);
    return out;
  }

  Result<ChatResponse> decode(std::string_view body) const override {
    auto document = JsonDocument::parse(body);
    if (!document) return garbage(kVendor, document.error().message);
    const auto* root = (*document)->root().if_object();
    if (root == nullptr) return garbage(kVendor, "it is not a JSON object");
    if (const auto* error = object_at(*root, "error")) {
      return std::unexpected(
          vendor_error_of_type(string_at(*error, "type"), string_at(*error, "message")));
    }
    const auto* content = array_at(*root, "content");
    if (content == nullptr) return garbage(kVendor, "it has no content");

    ChatResponse response;
    response.id = string_at(*root, "id");
    response.model = string_at(*root, "model");
    bool answered_by_tool = false;
    for (const auto& block : *content) {
      if (const auto* object = block.if_object()) read_block(*object, response, answered_by_tool);
    }
    response.finish = anthropic_finish(string_at(*root, "stop_reason"));
    const bool calls = std::ranges::any_of(response.parts, [](const Part& part) {
      return std::holds_alternative<ToolCallPart>(part);
    });
    if (answered_by_tool && !calls && response.finish == FinishReason::kToolCalls) {
      response.finish = FinishReason::kStop;
    }
    response.stop_sequence = string_at(*root, "stop_sequence");
    if (const auto* usage = object_at(*root, "usage")) {
      AnthropicUsage counts;
      counts.update(*usage);
      response.usage = counts.normalised();
    }
    response.shape = shape();
    response.original = std::move(*document);
    return response;
  }

  std::unique_ptr<StreamDecoder> stream_decoder() const override {
    return make_anthropic_stream_decoder();
  }

  Error decode_error(int status, const http::Headers& headers,
                     std::string_view body) const override {
    const auto parsed = parse_json(body);
    const auto* root = parsed ? parsed->if_object() : nullptr;
    const auto* error = root == nullptr ? nullptr : object_at(*root, "error");
    if (error == nullptr) return vendor_error(status, headers, {});
    const std::string_view type = string_at(*error, "type");
    // "not_found_error" says no more than the status does, except that here it means the model.
    const std::string_view reason = type == "not_found_error" ? "model_not_found" : "";
    return vendor_error(status, headers, string_at(*error, "message"), reason);
  }

  void authorize(http::Headers& headers, std::string_view key) const override {
    headers.set("x-api-key", std::string(key));
  }
};

}  // namespace

FinishReason anthropic_finish(std::string_view reason) {
  if (reason == "end_turn" || reason == "stop_sequence" || reason == "pause_turn") {
    return FinishReason::kStop;
  }
  if (reason == "max_tokens" || reason == "model_context_window_exceeded") {
    return FinishReason::kLength;
  }
  if (reason == "tool_use") return FinishReason::kToolCalls;
  if (reason == "refusal") return FinishReason::kContentFilter;
  return FinishReason::kUnknown;
}

std::string_view anthropic_stop_reason(FinishReason reason, std::string_view stop_sequence) {
  switch (reason) {
    case FinishReason::kLength:
      return "max_tokens";
    case FinishReason::kToolCalls:
      return "tool_use";
    case FinishReason::kContentFilter:
      return "refusal";
    case FinishReason::kStop:
    case FinishReason::kError:
    case FinishReason::kUnknown:
      return stop_sequence.empty() ? "end_turn" : "stop_sequence";
  }
  return "end_turn";
}

}  // namespace wire

std::unique_ptr<VendorCodec> make_anthropic_codec() {
  return std::make_unique<wire::AnthropicCodec>();
}

}  // namespace asahi::llm
