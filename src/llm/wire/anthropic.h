#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "llm/codec.h"
#include "llm/wire/common.h"

/// What the files of Anthropic's Messages API share.
namespace asahi::llm::wire {

/// A JSON answer is asked of Anthropic by a tool that the model has to call: the schema is the
/// tool's input. Decoders know such a call by this beginning of its name, since they see the answer
/// without the request, and turn it back into text.
inline constexpr std::string_view kAnswerToolPrefix = "answer_as_json_";
std::string answer_tool_name(std::string_view schema_name);

Result<ChatRequest> decode_anthropic(std::shared_ptr<const JsonDocument> body);

/// The request body. `model`: Anthropic's own name.
Result<std::string> encode_anthropic(const ChatRequest& request, std::string_view model);

std::unique_ptr<StreamEncoder> make_anthropic_stream_encoder(std::string id, std::string model);
std::unique_ptr<StreamDecoder> make_anthropic_stream_decoder();

/// {"type":"error","error":{"type","message"},"request_id"}
std::string anthropic_error_body(const Error& error, int status, std::string_view request_id);

FinishReason anthropic_finish(std::string_view stop_reason);
std::string_view anthropic_stop_reason(FinishReason reason, std::string_view stop_sequence);

}  // namespace asahi::llm::wire
