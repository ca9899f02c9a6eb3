#include <fmt/format.h>

#include "llm/wire/common.h"
#include "llm/wire/embedding_json.h"
#include "llm/wire/openai_embeddings.h"

namespace asahi::llm::wire {
namespace {

std::optional<std::vector<float>> read_embedding(const json::object& item) {
  if (const auto* numbers = array_at(item, "embedding")) return read_vector(*numbers);
  return vector_from_base64(string_at(item, "embedding"));
}

}  // namespace

Result<WireRequest> encode_openai_embedding(const EmbeddingRequest& request,
                                            std::string_view model) {
  WireRequest wire;
  wire.target = "/v1/embeddings";
  wire.headers.set("content-type", "application/json");
  JsonOut out(wire.body);
  out.open_object().member("model", model).key("input").open_array();
  for (const auto& text : request.input) out.string(text);
  for (const auto& ids : request.tokens) {
    out.open_array();
    for (const std::int64_t id : ids) out.integer(id);
    out.close_array();
  }
  // Floats rather than base64: not every OpenAI-shaped vendor knows the latter.
  out.close_array().member("encoding_format", "float");
  if (request.dimensions) out.member("dimensions", *request.dimensions);
  if (!request.user.empty()) out.member("user", request.user);
  out.close_object();
  return wire;
}

Result<EmbeddingResponse> decode_openai_embedding(std::string_view body) {
  const auto document = JsonDocument::parse(body);
  if (!document) return garbage("the embeddings vendor", document.error().message);
  const auto* root = (*document)->root().if_object();
  if (root == nullptr) return garbage("the embeddings vendor", "it is not a JSON object");
  if (const auto* error = object_at(*root, "error")) {
    return std::unexpected(vendor_error_of_type(
        string_at(*error, "type"), string_at(*error, "message"), string_at(*error, "code")));
  }
  const auto* data = array_at(*root, "data");
  if (data == nullptr) return garbage("the embeddings vendor", "it has no array `data`");
  EmbeddingResponse response;
  response.model = string_at(*root, "model");
  response.vectors.resize(data->size());
  for (std::size_t i = 0; i < data->size(); ++i) {
    const auto* item = (*data)[i].if_object();
    auto vector = item == nullptr ? std::nullopt : read_embedding(*item);
    if (!vector || vector->empty()) {
      return garbage("the embeddings vendor", fmt::format("data[{}].embedding is not a vector", i));
    }
    // `index` counts, not the order of arrival.
    const std::int64_t index = int_at(*item, "index", static_cast<std::int64_t>(i));
    if (index < 0 || static_cast<std::size_t>(index) >= data->size() ||
        !response.vectors[static_cast<std::size_t>(index)].empty()) {
      return garbage("the embeddings vendor",
                     fmt::format("data[{}].index {} is out of range or repeated", i, index));
    }
    response.vectors[static_cast<std::size_t>(index)] = std::move(*vector);
  }
  if (const auto* usage = object_at(*root, "usage")) response.usage = read_openai_usage(*usage);
  return response;
}

}  // namespace asahi::llm::wire
