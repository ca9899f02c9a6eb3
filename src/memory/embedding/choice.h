#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "llm/embed/text_embedder.h"
#include "memory/config.h"

namespace asahi::memory {

/// The embedder that the settings ask for: a model's file where there is one, else vectors by
/// hashing. Starting never waits for, or fails for want of, a model (spec/memory §3.7).
struct ChosenEmbedder {
  std::unique_ptr<llm::TextEmbedder> embedder;
  std::string file;  ///< of the model; empty: hashing
  /// Why the model that was found cannot be used; empty: it is used, or there is none.
  std::string problem;
};
ChosenEmbedder choose_embedder(const MemoryConfig& config);

/// The model's file below memory.embedding.model_path: the path itself, `<model>/model.onnx` or
/// `<model>/onnx/model.onnx`; empty: none of them is there.
std::string model_file(const MemoryConfig::Embedding& embedding);

/// "real" for vectors of a model, "fallback" for those by hashing; by the embedder's tag.
std::string_view embedding_mode(std::string_view tag);

}  // namespace asahi::memory
