#pragma once

#include <initializer_list>
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

/// What a model knows, from the version in its name: "claude-opus-4-7",
/// "claude-3-5-sonnet-20241022", "claude-opus-4.6". Source: Anthropic's migration guides of the
/// models.
struct AnthropicTraits {
  bool adaptive = false;          ///< 4.6: thinking {"type":"adaptive"} with an effort; no prefill
  bool fixed_sampling = false;    ///< 4.7: no temperature, top_p, top_k, no thinking budget
  bool thinks_by_itself = false;  ///< 5.0: a request that does not mention thinking thinks
  bool unforced = false;          ///< 5.1: thinking cannot be turned off, no tool call forced
};
AnthropicTraits anthropic_traits(std::string_view model);

/// False for thinking that is unsigned or another vendor's, which Anthropic refuses.
bool is_signed_by_anthropic(const ReasoningPart& part);
/// A tool call's id as Anthropic takes it (^[a-zA-Z0-9_-]+$); other vendors are freer.
std::string anthropic_tool_id(std::string_view id);

/// The conversation as a JSON array of alternating turns. Errors: invalid_argument for content that
/// Anthropic does not take.
Result<void> write_anthropic_messages(JsonOut& out, const ChatRequest& request,
                                      const AnthropicTraits& traits);
/// The member `system`: all system and developer messages, then `instructions`; nothing when there
/// are none.
void write_anthropic_system(JsonOut& out, const ChatRequest& request,
                            std::initializer_list<std::string_view> instructions);

/// The request body. `model`: Anthropic's own name.
Result<std::string> encode_anthropic(const ChatRequest& request, std::string_view model);

std::unique_ptr<StreamEncoder> make_anthropic_stream_encoder(std::string id, std::string model);
std::unique_ptr<StreamDecoder> make_anthropic_stream_decoder();

/// {"type":"error","error":{"type","message"},"request_id"}
std::string anthropic_error_body(const Error& error, int status, std::string_view request_id);

FinishReason anthropic_finish(std::string_view stop_reason);
std::string_view anthropic_stop_reason(FinishReason reason, std::string_view stop_sequence);

}  // namespace asahi::llm::wire
