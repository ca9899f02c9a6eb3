#include "llm/wire/ollama.h"

#include <fmt/format.h>

#include "llm/wire/common.h"
#include "llm/wire/embedding_json.h"
#include "llm/wire/wire.h"

namespace asahi::llm {
namespace {

using namespace wire;

class OllamaCodec final : public VendorCodec {
 public:
  Shape shape() const override { return Shape::kOllama; }
  Result<WireRequest> encode(const ChatRequest& request, std::string_view model) const override {
    return ollama::encode_chat(request, model);
  }
  Result<ChatResponse> decode(std::string_view body) const override {
    return ollama::decode_chat(body);
  }
  std::unique_ptr<StreamDecoder> stream_decoder() const override {
    return ollama::make_stream_decoder();
  }

  Error decode_error(int status, const http::Headers& headers,
                     std::string_view body) const override {
    const auto parsed = parse_json(body);
    const auto* root = parsed ? parsed->if_object() : nullptr;
    return vendor_error(status, headers,
                        root == nullptr ? body.substr(0, 1'000) : string_at(*root, "error"));
  }

  void authorize(http::Headers& headers, std::string_view key) const override {
    headers.set("authorization", fmt::format("Bearer {}", key));
  }

  Result<WireRequest> encode_embedding(const EmbeddingRequest& request,
                                       std::string_view model) const override {
    if (!request.tokens.empty()) {
      return fail_field(
          "input", "Ollama embeds texts, not token ids; send strings or choose an OpenAI model");
    }
    WireRequest wire;
    wire.target = "/api/embed";
    wire.headers.set("content-type", "application/json");
    JsonOut out(wire.body);
    out.open_object().member("model", model).key("input").open_array();
    for (const auto& text : request.input) out.string(text);
    out.close_array();
    if (request.dimensions) out.member("dimensions", *request.dimensions);
    out.close_object();
    return wire;
  }

  Result<EmbeddingResponse> decode_embedding(std::string_view body) const override {
    const auto document = JsonDocument::parse(body);
    if (!document) return garbage("Ollama", document.error().message);
    const auto* root = (*document)->root().if_object();
    if (root == nullptr) return garbage("Ollama", "it is not a JSON object");
    if (const auto error = string_at(*root, "error"); !error.empty()) {
      return std::unexpected(vendor_error_of_type({}, error));
    }
    const auto* rows = array_at(*root, "embeddings");
    auto vectors = rows == nullptr ? std::nullopt : read_vectors(*rows);
    if (!vectors) return garbage("Ollama", "`embeddings` is not a list of vectors of one width");
    EmbeddingResponse response;
    response.model = string_at(*root, "model");
    response.vectors = std::move(*vectors);
    if (find(*root, "prompt_eval_count") != nullptr) {
      response.usage.reported = true;
      response.usage.input = std::max<std::int64_t>(0, int_at(*root, "prompt_eval_count"));
    }
    return response;
  }
};

}  // namespace

std::unique_ptr<VendorCodec> make_ollama_codec() { return std::make_unique<OllamaCodec>(); }

}  // namespace asahi::llm
