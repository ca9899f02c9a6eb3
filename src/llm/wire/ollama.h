#pragma once

#include <memory>
#include <string_view>

#include "llm/codec.h"

/// The two halves of Ollama's own chat format (/api/chat, newline-delimited JSON).
namespace asahi::llm::wire::ollama {

Result<WireRequest> encode_chat(const ChatRequest& request, std::string_view model);
Result<ChatResponse> decode_chat(std::string_view body);
std::unique_ptr<StreamDecoder> make_stream_decoder();

}  // namespace asahi::llm::wire::ollama
