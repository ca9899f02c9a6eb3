#include "llm/codec.h"

namespace asahi::llm {

Result<WireRequest> VendorCodec::encode_embedding(const EmbeddingRequest&, std::string_view) const {
  return fail(Errc::kInvalidArgument,
              "this vendor has no embeddings; choose an embedding model of another vendor");
}

Result<EmbeddingResponse> VendorCodec::decode_embedding(std::string_view) const {
  return fail(Errc::kInvalidArgument,
              "this vendor has no embeddings; choose an embedding model of another vendor");
}

}  // namespace asahi::llm
