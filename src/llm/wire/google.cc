#include "llm/wire/google.h"

#include "llm/wire/wire.h"

namespace asahi::llm {
namespace {

class GoogleCodec final : public VendorCodec {
 public:
  Shape shape() const override { return Shape::kGoogle; }
  Result<WireRequest> encode(const ChatRequest& request, std::string_view model) const override {
    return wire::google::encode_chat(request, model);
  }
  Result<ChatResponse> decode(std::string_view body) const override {
    return wire::google::decode_chat(body);
  }
  std::unique_ptr<StreamDecoder> stream_decoder() const override {
    return wire::google::make_stream_decoder();
  }
  Error decode_error(int status, const http::Headers& headers,
                     std::string_view body) const override {
    return wire::google::decode_error(status, headers, body);
  }
  void authorize(http::Headers& headers, std::string_view key) const override {
    headers.set("x-goog-api-key", std::string(key));
  }
};

}  // namespace

std::unique_ptr<VendorCodec> make_google_codec() { return std::make_unique<GoogleCodec>(); }

}  // namespace asahi::llm
