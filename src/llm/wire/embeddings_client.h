#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "llm/message.h"

namespace asahi::llm::wire {

/// A client's POST /v1/embeddings in OpenAI's shape.
struct EmbeddingCall {
  EmbeddingRequest request;
  enum class Encoding { kFloat, kBase64 } encoding = Encoding::kFloat;
};

/// Most inputs of one call, as at OpenAI.
inline constexpr std::size_t kMaxEmbeddingInputs = 2'048;

/// Errors: invalid_argument with `field` ("input[3]") and the rule it breaks. Beyond OpenAI's
/// fields it takes `input_type` (Cohere) and the gateway's own.
Result<EmbeddingCall> decode_embedding_call(const JsonDocument& body);

/// {"object":"list","data":[…],"model":…,"usage":{…}} and, when not empty, `"asahi": extras`.
std::string encode_embedding_reply(const EmbeddingResponse& response,
                                   EmbeddingCall::Encoding encoding, std::string_view extras);

}  // namespace asahi::llm::wire
