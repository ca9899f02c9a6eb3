#include <fmt/format.h>

#include "llm/wire/common.h"
#include "llm/wire/embedding_json.h"
#include "llm/wire/wire.h"

namespace asahi::llm {
namespace {

using namespace wire;

constexpr std::size_t kMaxTexts = 96;

// Only embed-v4 and later models choose their width; older ones refuse the field even with their
// own width in it.
std::optional<std::int64_t> fixed_width(std::string_view model) {
  const bool old = model.find("-v3.0") != std::string_view::npos ||
                   model.find("-v2.0") != std::string_view::npos;
  if (!old) return std::nullopt;
  if (model.find("light-v2") != std::string_view::npos) return 1'024;
  if (model.find("light") != std::string_view::npos) return 384;
  if (model == "embed-english-v2.0") return 4'096;
  if (model == "embed-multilingual-v2.0") return 768;
  return 1'024;
}

/// Cohere's embeddings, version 2 (https://docs.cohere.com/reference/embed).
class CohereCodec final : public VendorCodec {
 public:
  Shape shape() const override { return Shape::kNative; }

  Result<WireRequest> encode(const ChatRequest&, std::string_view model) const override {
    return no_chat(model);
  }
  Result<ChatResponse> decode(std::string_view) const override { return no_chat("Cohere"); }
  std::unique_ptr<StreamDecoder> stream_decoder() const override {
    return std::make_unique<NoStream>();
  }

  Error decode_error(int status, const http::Headers& headers,
                     std::string_view body) const override {
    const auto parsed = parse_json(body);
    const auto* root = parsed ? parsed->if_object() : nullptr;
    // Cohere answers 498 to a token that it has blocked.
    if (status == 498) status = 401;
    return vendor_error(status, headers,
                        root == nullptr ? body.substr(0, 1'000) : string_at(*root, "message"));
  }

  void authorize(http::Headers& headers, std::string_view key) const override {
    headers.set("authorization", fmt::format("Bearer {}", key));
  }

  Result<WireRequest> encode_embedding(const EmbeddingRequest& request,
                                       std::string_view model) const override {
    if (!request.tokens.empty()) {
      return fail_field(
          "input", "Cohere embeds texts, not token ids; send strings or choose an OpenAI model");
    }
    if (request.input.size() > kMaxTexts) {
      return fail_field("input", fmt::format("Cohere takes at most {} texts in one call, got {}",
                                             kMaxTexts, request.input.size()));
    }
    const auto width = fixed_width(model);
    if (width && request.dimensions && *request.dimensions != *width) {
      return fail_field("dimensions",
                        fmt::format("the model {} has {} dimensions and no others, got {}", model,
                                    *width, *request.dimensions));
    }
    WireRequest wire;
    wire.target = "/v2/embed";
    wire.headers.set("content-type", "application/json");
    JsonOut out(wire.body);
    out.open_object().member("model", model);
    out.member("input_type", request.input_type.empty() ? "search_document" : request.input_type);
    out.key("embedding_types").open_array().string("float").close_array();
    if (request.dimensions && !width) out.member("output_dimension", *request.dimensions);
    out.key("texts").open_array();
    for (const auto& text : request.input) out.string(text);
    out.close_array().close_object();
    return wire;
  }

  Result<EmbeddingResponse> decode_embedding(std::string_view body) const override {
    const auto document = JsonDocument::parse(body);
    if (!document) return garbage("Cohere", document.error().message);
    const auto* root = (*document)->root().if_object();
    if (root == nullptr) return garbage("Cohere", "it is not a JSON object");
    const auto* embeddings = object_at(*root, "embeddings");
    const auto* rows = embeddings == nullptr ? nullptr : array_at(*embeddings, "float");
    auto vectors = rows == nullptr ? std::nullopt : read_vectors(*rows);
    if (!vectors)
      return garbage("Cohere", "embeddings.float is not a list of vectors of one width");
    EmbeddingResponse response;
    response.vectors = std::move(*vectors);
    const auto* meta = object_at(*root, "meta");
    const auto* billed = meta == nullptr ? nullptr : object_at(*meta, "billed_units");
    if (billed != nullptr && find(*billed, "input_tokens") != nullptr) {
      response.usage.reported = true;
      response.usage.input = std::max<std::int64_t>(0, int_at(*billed, "input_tokens"));
    }
    return response;
  }

 private:
  class NoStream final : public StreamDecoder {
   public:
    Result<void> feed(std::string_view, std::vector<StreamEvent>&) override {
      return no_chat("Cohere");
    }
    Result<void> finish(std::vector<StreamEvent>&) override { return no_chat("Cohere"); }
  };

  static std::unexpected<Error> no_chat(std::string_view model) {
    return fail_field(
        "model", fmt::format("{} makes embeddings and cannot chat; choose a chat model", model));
  }
};

}  // namespace

std::unique_ptr<VendorCodec> make_cohere_codec() { return std::make_unique<CohereCodec>(); }

}  // namespace asahi::llm
