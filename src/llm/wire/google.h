#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "llm/codec.h"

/// The two halves of the Gemini format (https://ai.google.dev/api/generate-content).
namespace asahi::llm::wire::google {

/// Gemini 3 refuses a history whose calls lack the `thoughtSignature` they came with, and no other
/// shape has a place for it: it travels in the call's id, behind a mark and in the letters that
/// every vendor takes in ids (base64url).
std::string sign_tool_id(std::string_view id, std::string_view signature);
/// The signature that `sign_tool_id` put there, as Google wrote it; empty without one.
std::string signature_of(std::string_view tool_id);

Result<WireRequest> encode_chat(const ChatRequest& request, std::string_view model);
Result<ChatResponse> decode_chat(std::string_view body);
std::unique_ptr<StreamDecoder> make_stream_decoder();
Error decode_error(int status, const http::Headers& headers, std::string_view body);

}  // namespace asahi::llm::wire::google
