// The answer side of POST /v1/messages.
#include "llm/wire/anthropic.h"
#include "llm/wire/wire.h"

namespace asahi::llm {
namespace wire {
namespace {

void write_part(JsonOut& out, const Part& part) {
  if (const auto* text = std::get_if<TextPart>(&part)) {
    // Without `citations`: Vercel's SDK refuses a null there.
    out.open_object().member("type", "text").member("text", text->text).close_object();
  } else if (const auto* refusal = std::get_if<RefusalPart>(&part)) {
    out.open_object().member("type", "text").member("text", refusal->text).close_object();
  } else if (const auto* thought = std::get_if<ReasoningPart>(&part)) {
    if (!thought->encrypted.empty()) {
      out.open_object()
          .member("type", "redacted_thinking")
          .member("data", thought->encrypted)
          .close_object();
    } else {
      out.open_object()
          .member("type", "thinking")
          .member("thinking", thought->text)
          .member("signature", thought->signature)
          .close_object();
    }
  } else if (const auto* call = std::get_if<ToolCallPart>(&part)) {
    out.open_object()
        .member("type", "tool_use")
        .member("id", call->id)
        .member("name", call->name)
        .key("input")
        .raw(arguments_object(call->arguments))
        .close_object();
  } else if (const auto* opaque = std::get_if<OpaquePart>(&part)) {
    if (opaque->shape == Shape::kAnthropic) out.value(opaque->value);
  }
}

std::string from_original(const JsonDocument& original, const ChatResponse& response,
                          const Extras& extras) {
  std::string text;
  text.reserve(original.text().size() + extras.size() + 64);
  JsonOut out(text);
  out.open_object();
  for (const auto& member : original.root().get_object()) {
    const std::string_view key = member.key();
    if (key == "asahi") continue;
    if (key == "id") {
      out.member("id", response.id);
    } else if (key == "model") {
      out.member("model", response.model);
    } else {
      out.same(original, member);
    }
  }
  if (!extras.empty()) out.key("asahi").raw(extras);
  out.close_object();
  return text;
}

std::string_view error_type(const Error& error, int status) {
  if (error.reason == "overloaded") return "overloaded_error";
  switch (status) {
    case 401:
      return "authentication_error";
    case 402:
      return "billing_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
    case 529:
      return "overloaded_error";
    case 504:
      return "timeout_error";
    default:
      return status >= 500 ? "api_error" : "invalid_request_error";
  }
}

class AnthropicClient final : public ClientCodec {
 public:
  Shape shape() const override { return Shape::kAnthropic; }

  Result<ChatRequest> decode(std::shared_ptr<const JsonDocument> body) const override {
    return decode_anthropic(std::move(body));
  }

  std::string encode(const ChatRequest&, const ChatResponse& response, const Extras& extras,
                     std::int64_t) const override {
    if (response.shape == shape() && response.original && response.original->root().is_object()) {
      return from_original(*response.original, response, extras);
    }
    std::string text;
    JsonOut out(text);
    out.open_object()
        .member("id", response.id)
        .member("type", "message")
        .member("role", "assistant")
        .member("model", response.model);
    out.key("content").open_array();
    for (const auto& part : response.parts) write_part(out, part);
    out.close_array();
    out.member("stop_reason", anthropic_stop_reason(response.finish, response.stop_sequence));
    out.key("stop_sequence");
    if (response.stop_sequence.empty()) {
      out.null();
    } else {
      out.string(response.stop_sequence);
    }
    out.key("usage");
    write_anthropic_usage(out, response.usage);
    if (!extras.empty()) out.key("asahi").raw(extras);
    out.close_object();
    return text;
  }

  std::unique_ptr<StreamEncoder> stream_encoder(const ChatRequest&, std::string id,
                                                std::string model, std::int64_t) const override {
    return make_anthropic_stream_encoder(std::move(id), std::move(model));
  }

  std::string encode_error(const Error& error, int status,
                           std::string_view request_id) const override {
    return anthropic_error_body(error, status, request_id);
  }
};

}  // namespace

std::string anthropic_error_body(const Error& error, int status, std::string_view request_id) {
  std::string text;
  JsonOut out(text);
  out.open_object().member("type", "error").key("error").open_object();
  out.member("type", error_type(error, status)).member("message", error.message).close_object();
  out.key("request_id");
  if (request_id.empty()) {
    out.null();
  } else {
    out.string(request_id);
  }
  out.close_object();
  return text;
}

}  // namespace wire

std::unique_ptr<ClientCodec> make_anthropic_client() {
  return std::make_unique<wire::AnthropicClient>();
}

}  // namespace asahi::llm
