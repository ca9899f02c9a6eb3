// The answer side of POST /v1/responses.
#include <fmt/format.h>

#include "llm/wire/openai_chat.h"
#include "llm/wire/openai_responses.h"
#include "llm/wire/wire.h"

namespace asahi::llm {
namespace wire::responses {
namespace {

struct Echo {
  std::string_view key;
  std::string_view fallback;
};

// What a response repeats of its request, and what it says when the request left it out.
constexpr auto kEchoes = std::to_array<Echo>({
    {"instructions", "null"},
    {"max_output_tokens", "null"},
    {"max_tool_calls", "null"},
    {"metadata", "{}"},
    {"parallel_tool_calls", "true"},
    {"previous_response_id", "null"},
    {"reasoning", R"({"effort":null,"summary":null})"},
    {"safety_identifier", "null"},
    {"temperature", "1.0"},
    {"text", R"({"format":{"type":"text"}})"},
    {"tool_choice", R"("auto")"},
    {"tools", "[]"},
    {"top_logprobs", "0"},
    {"top_p", "1.0"},
    {"truncation", R"("disabled")"},
    {"user", "null"},
});

bool includes_encrypted(const json::object& request) {
  const auto* include = array_at(request, "include");
  if (include == nullptr) return false;
  for (const auto& item : *include) {
    if (item.is_string() && item.get_string() == "reasoning.encrypted_content") return true;
  }
  return false;
}

void write_usage(JsonOut& out, const Usage& usage) {
  out.open_object().member("input_tokens", usage.input).key("input_tokens_details").open_object();
  out.member("cached_tokens", usage.cached_input);
  if (usage.cache_write_input + usage.cache_write_1h_input > 0) {
    out.member("cache_write_tokens", usage.cache_write_input + usage.cache_write_1h_input);
  }
  out.close_object()
      .member("output_tokens", usage.output)
      .key("output_tokens_details")
      .open_object();
  out.member("reasoning_tokens", usage.reasoning_output).close_object();
  out.member("total_tokens", usage.total()).close_object();
}

/// The output items of an answer that came in neutral form.
class OutputWriter {
 public:
  OutputWriter(const ResponseWriter& response, JsonOut& out) : response_(response), out_(out) {}

  void write(const std::vector<Part>& parts, FinishReason finish) {
    status_ = finish == FinishReason::kLength || finish == FinishReason::kContentFilter
                  ? "incomplete"
                  : "completed";
    out_.open_array();
    for (const Part& part : parts) {
      if (const auto* text = std::get_if<TextPart>(&part)) {
        open_message();
        write_text_part(out_, text->text);
      } else if (const auto* refusal = std::get_if<RefusalPart>(&part)) {
        open_message();
        write_refusal_part(out_, refusal->text);
      } else if (const auto* call = std::get_if<ToolCallPart>(&part)) {
        close_message();
        write_call_item(out_, response_.item_id("fc", index_++), "completed", call->id, call->name,
                        call->arguments);
      } else if (const auto* thought = std::get_if<ReasoningPart>(&part)) {
        close_message();
        const auto encrypted = response_.wants_encrypted()
                                   ? encrypted_of(thought->signature, thought->encrypted)
                                   : std::string();
        if (thought->text.empty() && encrypted.empty()) continue;
        write_reasoning_item(out_, response_.item_id("rs", index_++), thought->text, encrypted);
      }
    }
    close_message();
    out_.close_array();
  }

 private:
  void open_message() {
    if (std::exchange(open_, true)) return;
    out_.open_object().member("id", response_.item_id("msg", index_++)).member("type", "message");
    out_.member("status", status_).member("role", "assistant").key("content").open_array();
  }

  void close_message() {
    if (std::exchange(open_, false)) out_.close_array().close_object();
  }

  const ResponseWriter& response_;
  JsonOut& out_;
  std::string_view status_;
  std::size_t index_ = 0;
  bool open_ = false;
};

// The vendor's own object with the names and the extras of ours.
std::string from_original(const JsonDocument& original, const ChatResponse& response,
                          const Extras& extras) {
  std::string text;
  text.reserve(original.text().size() + extras.size() + 64);
  JsonOut out(text);
  out.open_object().member("id", response.id);
  for (const auto& member : original.root().get_object()) {
    const std::string_view key = member.key();
    if (key == "id" || key == "model" || key == "asahi") continue;
    out.same(original, member);
  }
  out.member("model", response.model);
  if (!extras.empty()) out.key("asahi").raw(extras);
  out.close_object();
  return text;
}

class ResponsesClient final : public ClientCodec {
 public:
  Shape shape() const override { return Shape::kOpenAiResponses; }
  Result<ChatRequest> decode(std::shared_ptr<const JsonDocument> body) const override {
    return decode_request(std::move(body));
  }
  std::string encode(const ChatRequest& request, const ChatResponse& response, const Extras& extras,
                     std::int64_t created) const override {
    return encode_response(request, response, extras, created);
  }
  std::unique_ptr<StreamEncoder> stream_encoder(const ChatRequest& request, std::string id,
                                                std::string model,
                                                std::int64_t created) const override {
    return make_stream_encoder(request, std::move(id), std::move(model), created);
  }
  std::string encode_error(const Error& error, int status, std::string_view) const override {
    return openai_error_body(error, status);
  }
};

}  // namespace

std::string_view status_of(FinishReason finish) {
  switch (finish) {
    case FinishReason::kLength:
    case FinishReason::kContentFilter:
      return "incomplete";
    case FinishReason::kError:
      return "failed";
    default:
      return "completed";
  }
}

void write_output(const ResponseWriter& response, JsonOut& out, const std::vector<Part>& parts,
                  FinishReason finish) {
  OutputWriter(response, out).write(parts, finish);
}

std::string encrypted_of(std::string_view signature, std::string_view encrypted) {
  if (!encrypted.empty() || signature.empty()) return std::string(encrypted);
  return fmt::format("{}{}", kSignaturePrefix, signature);
}

void write_text_part(JsonOut& out, std::string_view text) {
  out.open_object().member("type", "output_text").member("text", text);
  out.key("annotations")
      .open_array()
      .close_array()
      .key("logprobs")
      .open_array()
      .close_array()
      .close_object();
}

void write_refusal_part(JsonOut& out, std::string_view text) {
  out.open_object().member("type", "refusal").member("refusal", text).close_object();
}

void write_reasoning_item(JsonOut& out, std::string_view id, std::string_view text,
                          std::string_view encrypted) {
  out.open_object();
  if (!id.empty()) out.member("id", id);
  out.member("type", "reasoning").key("summary").open_array();
  if (!text.empty())
    out.open_object().member("type", "summary_text").member("text", text).close_object();
  out.close_array();
  if (!encrypted.empty()) out.member("encrypted_content", encrypted);
  out.close_object();
}

void write_call_item(JsonOut& out, std::string_view id, std::string_view status,
                     std::string_view call_id, std::string_view name, std::string_view arguments) {
  out.open_object().member("id", id).member("type", "function_call").member("status", status);
  out.member("call_id", call_id).member("name", name).member("arguments", arguments).close_object();
}

ResponseWriter::ResponseWriter(const ChatRequest& request, std::string id, std::string model,
                               std::int64_t created)
    : id_(std::move(id)), model_(std::move(model)), created_(created) {
  const auto* original = request.shape == Shape::kOpenAiResponses && request.original != nullptr
                             ? request.original->root().if_object()
                             : nullptr;
  JsonOut out(settings_);
  for (const Echo& echo : kEchoes) {
    out.key(echo.key);
    const json::value* value = original == nullptr ? nullptr : find(*original, echo.key);
    if (value == nullptr) {
      out.raw(echo.fallback);
    } else {
      out.value(*value);
    }
  }
  wants_encrypted_ = original != nullptr && includes_encrypted(*original);
}

std::string ResponseWriter::item_id(std::string_view prefix, std::size_t index) const {
  const auto underscore = id_.find('_');
  const std::string_view tail =
      underscore == std::string::npos ? id_ : std::string_view(id_).substr(underscore + 1);
  return fmt::format("{}_{}_{}", prefix, tail, index);
}

void ResponseWriter::write(JsonOut& out, std::string_view status, FinishReason finish,
                           std::string_view output, const Usage* usage,
                           std::string_view extras) const {
  out.open_object().member("id", id_).member("object", "response").member("created_at", created_);
  out.member("status", status).member("background", false).key("error");
  if (status == "failed") {
    out.open_object().member("code", "server_error");
    out.member("message", "the vendor ended the answer with an error").close_object();
  } else {
    out.null();
  }
  out.key("incomplete_details");
  if (status == "incomplete") {
    const bool filtered = finish == FinishReason::kContentFilter;
    out.open_object()
        .member("reason", filtered ? "content_filter" : "max_output_tokens")
        .close_object();
  } else {
    out.null();
  }
  out.member("model", model_).key("output").raw(output).raw(settings_);
  // Nothing is kept here, whatever the request asked for.
  out.member("store", false).key("usage");
  if (usage == nullptr) {
    out.null();
  } else {
    write_usage(out, *usage);
  }
  if (!extras.empty()) out.key("asahi").raw(extras);
  out.close_object();
}

std::string encode_response(const ChatRequest& request, const ChatResponse& response,
                            const Extras& extras, std::int64_t created) {
  if (response.shape == Shape::kOpenAiResponses && response.original != nullptr &&
      response.original->root().is_object()) {
    return from_original(*response.original, response, extras);
  }
  const ResponseWriter writer(request, response.id, response.model, created);
  std::string items;
  JsonOut items_out(items);
  write_output(writer, items_out, response.parts, response.finish);
  std::string text;
  JsonOut out(text);
  writer.write(out, status_of(response.finish), response.finish, items, &response.usage, extras);
  return text;
}

}  // namespace wire::responses

std::unique_ptr<ClientCodec> make_openai_responses_client() {
  return std::make_unique<wire::responses::ResponsesClient>();
}

}  // namespace asahi::llm
