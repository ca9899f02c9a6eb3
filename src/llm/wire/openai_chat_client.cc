// The answer side of POST /v1/chat/completions.
#include <fmt/format.h>

#include "llm/wire/openai_chat.h"
#include "llm/wire/wire.h"

namespace asahi::llm {
namespace wire {
namespace {

bool has_text(const ChatResponse& response) {
  for (const auto& part : response.parts) {
    if (std::holds_alternative<TextPart>(part)) return true;
  }
  return false;
}

void write_reasoning(JsonOut& out, const ChatResponse& response) {
  std::string text;
  bool sealed = false;
  for (const auto& part : response.parts) {
    if (const auto* reasoning = std::get_if<ReasoningPart>(&part)) {
      text += reasoning->text;
      sealed = sealed || !reasoning->signature.empty() || !reasoning->encrypted.empty();
    }
  }
  if (!text.empty()) out.member("reasoning_content", text);
  if (!sealed) return;
  // Signatures must come back with the next request; clients that keep unknown fields do that.
  out.key("reasoning_details").open_array();
  for (const auto& part : response.parts) {
    const auto* reasoning = std::get_if<ReasoningPart>(&part);
    if (reasoning == nullptr) continue;
    if (!reasoning->encrypted.empty()) {
      out.open_object()
          .member("type", "reasoning.encrypted")
          .member("data", reasoning->encrypted)
          .close_object();
    } else {
      out.open_object()
          .member("type", "reasoning.text")
          .member("text", reasoning->text)
          .member("signature", reasoning->signature)
          .close_object();
    }
  }
  out.close_array();
}

void write_message(JsonOut& out, const ChatResponse& response) {
  std::string refusal;
  bool calls = false;
  for (const auto& part : response.parts) {
    if (const auto* refused = std::get_if<RefusalPart>(&part)) refusal += refused->text;
    calls = calls || std::holds_alternative<ToolCallPart>(part);
  }
  out.open_object().member("role", "assistant").key("content");
  if (has_text(response) || (!calls && refusal.empty())) {
    out.string(response.text());
  } else {
    out.null();
  }
  out.key("refusal");
  if (refusal.empty()) {
    out.null();
  } else {
    out.string(refusal);
  }
  write_reasoning(out, response);
  if (calls) {
    out.key("tool_calls").open_array();
    for (const auto& part : response.parts) {
      const auto* call = std::get_if<ToolCallPart>(&part);
      if (call == nullptr) continue;
      out.open_object().member("id", call->id).member("type", "function");
      out.key("function")
          .open_object()
          .member("name", call->name)
          .member("arguments", call->arguments)
          .close_object();
      out.close_object();
    }
    out.close_array();
  }
  out.key("annotations").open_array().close_array();
  out.close_object();
}

std::string from_original(const JsonDocument& original, const ChatResponse& response,
                          const Extras& extras) {
  std::string text;
  text.reserve(original.text().size() + extras.size() + 64);
  JsonOut out(text);
  out.open_object().member("id", response.id);
  bool model_written = false;
  for (const auto& member : original.root().get_object()) {
    const std::string_view key = member.key();
    if (key == "id" || key == "asahi" || (key == "usage" && !response.usage.reported)) continue;
    if (key == "model") {
      out.member("model", response.model);
      model_written = true;
    } else {
      out.same(original, member);
    }
  }
  if (!model_written) out.member("model", response.model);
  if (!response.usage.reported) {  // clients count on it: the gateway's estimate stands in
    out.key("usage");
    write_openai_usage(out, response.usage);
  }
  if (!extras.empty()) out.key("asahi").raw(extras);
  out.close_object();
  return text;
}

class OpenAiChatClient final : public ClientCodec {
 public:
  Shape shape() const override { return Shape::kOpenAiChat; }

  Result<ChatRequest> decode(std::shared_ptr<const JsonDocument> body) const override {
    return decode_openai_chat(std::move(body));
  }

  std::string encode(const ChatRequest&, const ChatResponse& response, const Extras& extras,
                     std::int64_t created) const override {
    return encode_openai_chat(response, extras, created);
  }

  std::unique_ptr<StreamEncoder> stream_encoder(const ChatRequest& request, std::string id,
                                                std::string model,
                                                std::int64_t created) const override {
    return make_openai_chat_stream_encoder(request, std::move(id), std::move(model), created);
  }

  std::string encode_error(const Error& error, int status, std::string_view) const override {
    return openai_error_body(error, status);
  }
};

std::string_view error_type(const Error& error, int status) {
  if (error.reason == "insufficient_quota") return "insufficient_quota";
  switch (status) {
    case 403:
      return "permission_error";
    case 429:
      return "rate_limit_error";
    default:
      return status >= 500 ? "server_error" : "invalid_request_error";
  }
}

std::string_view error_code(const Error& error, int status) {
  if (!error.reason.empty()) return error.reason;
  switch (status) {
    case 401:
      return "invalid_api_key";
    case 429:
      return "rate_limit_exceeded";
    default:
      return {};
  }
}

}  // namespace

std::string encode_openai_chat(const ChatResponse& response, const Extras& extras,
                               std::int64_t created) {
  if (response.shape == Shape::kOpenAiChat && response.original &&
      response.original->root().is_object()) {
    return from_original(*response.original, response, extras);
  }
  std::string text;
  JsonOut out(text);
  out.open_object()
      .member("id", response.id)
      .member("object", "chat.completion")
      .member("created", created)
      .member("model", response.model);
  out.key("choices").open_array().open_object().member("index", std::int64_t{0}).key("message");
  write_message(out, response);
  out.key("logprobs").null();
  out.member("finish_reason", openai_finish_word(response.finish)).close_object().close_array();
  out.key("usage");
  write_openai_usage(out, response.usage);
  out.key("service_tier").null().key("system_fingerprint").null();
  if (!extras.empty()) out.key("asahi").raw(extras);
  out.close_object();
  return text;
}

std::string openai_error_body(const Error& error, int status) {
  std::string text;
  JsonOut out(text);
  out.open_object().key("error").open_object();
  out.member("message", error.message).member("type", error_type(error, status));
  out.key("param");
  if (error.field.empty()) {
    out.null();
  } else {
    out.string(error.field);
  }
  out.key("code");
  if (const std::string_view code = error_code(error, status); code.empty()) {
    out.null();
  } else {
    out.string(code);
  }
  out.close_object().close_object();
  return text;
}

FinishReason openai_finish(std::string_view word, bool called_tools) {
  if (word == "stop" || word == "eos" || word == "end_turn") {
    return called_tools ? FinishReason::kToolCalls : FinishReason::kStop;
  }
  if (word == "length" || word == "model_length" || word == "max_tokens") {
    return FinishReason::kLength;
  }
  if (word == "tool_calls" || word == "function_call") return FinishReason::kToolCalls;
  if (word == "content_filter") return FinishReason::kContentFilter;
  if (word == "error" || word == "insufficient_system_resource") return FinishReason::kError;
  return FinishReason::kUnknown;
}

std::string_view openai_finish_word(FinishReason reason) {
  return reason == FinishReason::kUnknown ? to_string(FinishReason::kStop) : to_string(reason);
}

}  // namespace wire

std::unique_ptr<ClientCodec> make_openai_chat_client() {
  return std::make_unique<wire::OpenAiChatClient>();
}

}  // namespace asahi::llm
