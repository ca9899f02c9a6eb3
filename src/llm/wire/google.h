#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "llm/codec.h"

/// The two halves of the Gemini format (https://ai.google.dev/api/generate-content).
namespace asahi::llm::wire::google {

/// What the gateway's tool-call ids carry behind this mark: Gemini 3 refuses a history whose calls
/// lack the `thoughtSignature` they came with, and no other shape has a place for it.
inline constexpr char kSignatureMark = '~';

Result<WireRequest> encode_chat(const ChatRequest& request, std::string_view model);
Result<ChatResponse> decode_chat(std::string_view body);
std::unique_ptr<StreamDecoder> make_stream_decoder();
Error decode_error(int status, const http::Headers& headers, std::string_view body);

}  // namespace asahi::llm::wire::google
