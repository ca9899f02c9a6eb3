#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "llm/embed/text_embedder.h"

namespace asahi::savings {

/// Vectors for the measures, on the measuring thread.
class Embedding {
 public:
  virtual ~Embedding() = default;
  virtual const llm::EmbedderTraits& traits() const = 0;
  /// These texts will be asked for: one that lies behind a network fetches them in batches. Errors:
  /// those of the vendor.
  virtual Result<void> prepare(std::vector<std::string> texts) = 0;
  virtual std::vector<float> of(const std::string& text) = 0;
};

std::unique_ptr<Embedding> local_embedding();

/// ASAHI_BENCH_EMBEDDER=openai|cohere|ollama, with …_URL, …_KEY, …_MODEL and …_WIDTH where the
/// vendor's usual ones do not fit; or =onnx, with …_MODEL (the file), …_TOKENIZER, …_RUNTIME,
/// …_PREFIX and …_POOLING. Null when the variable is not set. Errors: invalid_argument.
Result<std::unique_ptr<Embedding>> embedding_from_environment();

}  // namespace asahi::savings
