#include "llm/wire/google.h"

#include "llm/wire/wire.h"

namespace asahi::llm {
namespace wire::google {
namespace {

constexpr std::string_view kSignatureMark = "__sig__";

}  // namespace

std::string sign_tool_id(std::string_view id, std::string_view signature) {
  std::string out(id);
  out += kSignatureMark;
  for (const char c : signature) {
    if (c != '=') out += c == '+' ? '-' : c == '/' ? '_' : c;
  }
  return out;
}

std::string signature_of(std::string_view tool_id) {
  const auto mark = tool_id.find(kSignatureMark);
  if (mark == std::string_view::npos) return {};
  std::string out(tool_id.substr(mark + kSignatureMark.size()));
  for (char& c : out) c = c == '-' ? '+' : c == '_' ? '/' : c;
  while (out.size() % 4 != 0) out += '=';
  return out;
}

}  // namespace wire::google

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
