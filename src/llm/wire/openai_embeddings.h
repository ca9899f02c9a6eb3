#pragma once

#include <string_view>

#include "llm/codec.h"

namespace asahi::llm::wire {

/// POST /v1/embeddings, as every OpenAI-shaped vendor takes it.
Result<WireRequest> encode_openai_embedding(const EmbeddingRequest& request,
                                            std::string_view model);
/// Vectors in the order of the inputs, given as floats or as base64 little-endian floats. Errors:
/// upstream.
Result<EmbeddingResponse> decode_openai_embedding(std::string_view body);

}  // namespace asahi::llm::wire
