// Legacy POST /v1/completions: a prompt is one user message to a chat model.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "llm/wire/openai_chat.h"
#include "llm/wire/wire.h"
#include "net/http/server.h"
#include "net/sse/parser.h"

namespace asahi::llm {
namespace wire {
namespace {

constexpr auto kFields = std::to_array<std::string_view>({"agent_id",
                                                          "allow_batching",
                                                          "allow_fallback",
                                                          "asahi",
                                                          "best_of",
                                                          "bypass_cache",
                                                          "chain_id",
                                                          "cost_budget",
                                                          "cost_sensitivity",
                                                          "document_id",
                                                          "echo",
                                                          "enrich_with_features",
                                                          "fallback_models",
                                                          "frequency_penalty",
                                                          "intervention_mode",
                                                          "latency_budget_ms",
                                                          "latency_preference",
                                                          "logit_bias",
                                                          "logprobs",
                                                          "max_tokens",
                                                          "model",
                                                          "model_endpoint_id",
                                                          "n",
                                                          "optimize_tokens",
                                                          "organization_id",
                                                          "presence_penalty",
                                                          "prompt",
                                                          "provider_api_key",
                                                          "quality_preference",
                                                          "quality_threshold",
                                                          "request_id",
                                                          "routing_mode",
                                                          "seed",
                                                          "semantic_cache",
                                                          "session_id",
                                                          "stop",
                                                          "stream",
                                                          "stream_options",
                                                          "suffix",
                                                          "task_id",
                                                          "task_type",
                                                          "temperature",
                                                          "top_p",
                                                          "user",
                                                          "user_id"});
static_assert(std::ranges::is_sorted(kFields));

void read_prompt(const FieldReader& fields, ChatRequest& request) {
  Check& check = fields.check();
  const Path path = fields.path("prompt");
  const json::value* prompt = fields.any("prompt");
  if (prompt == nullptr) {
    check.missing(path);
    return;
  }
  const auto* text = prompt->if_string();
  if (const auto* list = prompt->if_array()) {
    if (list->size() == 1) text = list->front().if_string();
    if (text == nullptr) {
      check.rule(
          path,
          "Invalid 'prompt': this gateway answers one prompt per request, given as a string "
          "or as an array of one string; token arrays and several prompts are not supported.",
          "invalid_type");
      return;
    }
  }
  if (text == nullptr) {
    check.wrong_type(path, "a string or an array of one string", *prompt);
    return;
  }
  if (text->empty()) {
    check.rule(path, "Invalid 'prompt': empty string. Expected at least one character.",
               "empty_string");
    return;
  }
  Message message;
  message.parts.emplace_back(TextPart{std::string(*text), {}});
  request.messages.push_back(std::move(message));
}

/// What chat models, which answer these requests, cannot do.
void refuse_unsupported(const FieldReader& fields) {
  Check& check = fields.check();
  const auto refuse = [&](std::string_view key) {
    check.rule(fields.path(key),
               fmt::format("Unsupported parameter: '{}' is not supported here, because completions "
                           "are answered by chat models.",
                           key),
               "unsupported_parameter");
  };
  if (fields.boolean("echo").value_or(false)) refuse("echo");
  if (const auto suffix = fields.string("suffix"); suffix && !suffix->empty()) refuse("suffix");
  if (fields.integer("logprobs", 0, 5)) refuse("logprobs");
  if (fields.integer("best_of", 1, 20).value_or(1) != 1) refuse("best_of");
}

Result<ChatRequest> decode_completion(std::shared_ptr<const JsonDocument> body) {
  Check check(Wording::kOpenAi);
  const auto* object = body->root().if_object();
  if (object == nullptr) {
    return fail(Errc::kInvalidArgument,
                "the request body must be a JSON object, as in {\"model\": …, \"prompt\": …}");
  }
  const Path root;
  const FieldReader fields(*object, root, check);
  ChatRequest request;
  fields.allow_only(kFields);
  read_prompt(fields, request);
  read_openai_sampling(fields, request);
  refuse_unsupported(fields);
  if (!check.ok()) return check.failure();
  request.shape = Shape::kOpenAiCompletions;
  request.original = std::move(body);
  return request;
}

std::string_view finish_word(FinishReason reason) {
  // The shape knows stop, length and content_filter.
  return reason == FinishReason::kToolCalls ? "stop" : openai_finish_word(reason);
}

class CompletionStreamEncoder final : public StreamEncoder {
 public:
  CompletionStreamEncoder(bool with_usage, std::string_view id, std::string_view model,
                          std::int64_t created)
      : with_usage_(with_usage) {
    JsonOut json(prefix_);
    json.open_object()
        .member("id", id)
        .member("object", "text_completion")
        .member("created", created)
        .member("model", model);
    json.key("choices").open_array().open_object().key("text");
  }

  void encode(const StreamEvent& event, std::string& out) override {
    const bool text = event.kind == StreamEvent::Kind::kText;
    if ((!text && event.kind != StreamEvent::Kind::kRefusal) || event.text.empty()) return;
    chunk_ = prefix_;
    append_json_string(chunk_, event.text);
    chunk_ += R"(,"index":0,"logprobs":null,"finish_reason":null}])";
    if (with_usage_) chunk_ += ",\"usage\":null";
    chunk_ += '}';
    sse::append_event(out, {}, chunk_);
  }

  void finish(const ChatResponse& final, const Extras& extras, std::string& out) override {
    chunk_ = prefix_;
    JsonOut json(chunk_);
    json.string("").member("index", std::int64_t{0}).key("logprobs").null();
    json.member("finish_reason", finish_word(final.finish)).close_object().close_array();
    if (with_usage_) {
      json.key("usage");
      write_openai_usage(json, final.usage);
    }
    if (!extras.empty()) json.key("asahi").raw(extras);
    json.close_object();
    sse::append_event(out, {}, chunk_);
    sse::append_event(out, {}, "[DONE]");
  }

  void fail(const Error& error, std::string_view, std::string& out) override {
    sse::append_event(out, {}, openai_error_body(error, http::http_status(error.code)));
  }

 private:
  bool with_usage_;
  std::string prefix_, chunk_;
};

class CompletionsClient final : public ClientCodec {
 public:
  Shape shape() const override { return Shape::kOpenAiCompletions; }

  Result<ChatRequest> decode(std::shared_ptr<const JsonDocument> body) const override {
    return decode_completion(std::move(body));
  }

  std::string encode(const ChatRequest&, const ChatResponse& response, const Extras& extras,
                     std::int64_t created) const override {
    std::string answer;
    for (const auto& part : response.parts) {
      if (const auto* text = std::get_if<TextPart>(&part)) answer += text->text;
      if (const auto* refusal = std::get_if<RefusalPart>(&part)) answer += refusal->text;
    }
    std::string text;
    JsonOut out(text);
    out.open_object()
        .member("id", response.id)
        .member("object", "text_completion")
        .member("created", created)
        .member("model", response.model);
    out.key("choices").open_array().open_object();
    out.member("text", answer).member("index", std::int64_t{0}).key("logprobs").null();
    out.member("finish_reason", finish_word(response.finish)).close_object().close_array();
    out.key("usage");
    write_openai_usage(out, response.usage);
    if (!extras.empty()) out.key("asahi").raw(extras);
    out.close_object();
    return text;
  }

  std::unique_ptr<StreamEncoder> stream_encoder(const ChatRequest& request, std::string id,
                                                std::string model,
                                                std::int64_t created) const override {
    return std::make_unique<CompletionStreamEncoder>(request.stream_usage, id, model, created);
  }

  std::string encode_error(const Error& error, int status, std::string_view) const override {
    return openai_error_body(error, status);
  }
};

}  // namespace
}  // namespace wire

std::unique_ptr<ClientCodec> make_openai_completions_client() {
  return std::make_unique<wire::CompletionsClient>();
}

}  // namespace asahi::llm
