#pragma once

#include <memory>

#include "llm/codec.h"

namespace asahi::llm {

/// The vendor formats. `make_openai_chat_codec` also serves DeepSeek, Mistral, Vercel and any
/// OpenAI-shaped URL.
std::unique_ptr<VendorCodec> make_openai_chat_codec();
std::unique_ptr<VendorCodec> make_openai_responses_codec();
std::unique_ptr<VendorCodec> make_anthropic_codec();
std::unique_ptr<VendorCodec> make_google_codec();
std::unique_ptr<VendorCodec> make_ollama_codec();
std::unique_ptr<VendorCodec> make_cohere_codec();  ///< embeddings only

/// The client-facing shapes.
std::unique_ptr<ClientCodec> make_openai_chat_client();
std::unique_ptr<ClientCodec> make_openai_completions_client();
std::unique_ptr<ClientCodec> make_openai_responses_client();
std::unique_ptr<ClientCodec> make_anthropic_client();

}  // namespace asahi::llm
