#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "llm/codec.h"
#include "llm/wire/common.h"

/// What the files of OpenAI's chat and legacy completions share.
namespace asahi::llm::wire {

Result<ChatRequest> decode_openai_chat(std::shared_ptr<const JsonDocument> body);
/// Fields that chat completions and completions read alike: sampling, stop, stream, user …
void read_openai_sampling(const FieldReader& fields, ChatRequest& request);

std::string encode_openai_chat(const ChatResponse& response, const Extras& extras,
                               std::int64_t created);
std::unique_ptr<StreamEncoder> make_openai_chat_stream_encoder(const ChatRequest& request,
                                                               std::string id, std::string model,
                                                               std::int64_t created);
std::unique_ptr<StreamDecoder> make_openai_chat_stream_decoder();

/// {"error":{"message","type","param","code"}}
std::string openai_error_body(const Error& error, int status);

/// `called_tools`: a call that was forced by name, and every call of some vendors, ends in "stop".
FinishReason openai_finish(std::string_view word, bool called_tools);
/// OpenAI's word; what OpenAI has no word for is "stop".
std::string_view openai_finish_word(FinishReason reason);

/// The reasoning fields of a message or delta: reasoning_content (DeepSeek), reasoning (vLLM,
/// OpenRouter). Empty when neither is there.
std::string_view openai_reasoning_text(const json::object& message);
/// The `usage` object of an answer or chunk, wherever the vendor put it; may be null.
const json::object* openai_usage_object(const json::object& answer);
/// The error an answer with status 200 or a stream frame carries, if it carries one.
std::optional<Error> openai_embedded_error(const json::object& answer);

}  // namespace asahi::llm::wire
