#include "llm/wire/openai_responses.h"

#include <fmt/format.h>

#include "llm/wire/openai_embeddings.h"
#include "llm/wire/wire.h"

namespace asahi::llm {
namespace {

using namespace wire;

class ResponsesCodec final : public VendorCodec {
 public:
  Shape shape() const override { return Shape::kOpenAiResponses; }
  Result<WireRequest> encode(const ChatRequest& request, std::string_view model) const override {
    return responses::encode_request(request, model);
  }
  Result<ChatResponse> decode(std::string_view body) const override {
    return responses::decode_response(body);
  }
  std::unique_ptr<StreamDecoder> stream_decoder() const override {
    return responses::make_stream_decoder();
  }

  Error decode_error(int status, const http::Headers& headers,
                     std::string_view body) const override {
    const auto parsed = parse_json(body);
    const auto* root = parsed ? parsed->if_object() : nullptr;
    const auto* error = root == nullptr ? nullptr : object_at(*root, "error");
    if (error == nullptr) return vendor_error(status, headers, body.substr(0, 1'000));
    const auto code = string_at(*error, "code");
    return vendor_error(status, headers, string_at(*error, "message"),
                        code.empty() ? string_at(*error, "type") : code);
  }

  void authorize(http::Headers& headers, std::string_view key) const override {
    headers.set("authorization", fmt::format("Bearer {}", key));
  }

  Result<WireRequest> encode_embedding(const EmbeddingRequest& request,
                                       std::string_view model) const override {
    return encode_openai_embedding(request, model);
  }
  Result<EmbeddingResponse> decode_embedding(std::string_view body) const override {
    return decode_openai_embedding(body);
  }
};

}  // namespace

std::unique_ptr<VendorCodec> make_openai_responses_codec() {
  return std::make_unique<ResponsesCodec>();
}

}  // namespace asahi::llm
