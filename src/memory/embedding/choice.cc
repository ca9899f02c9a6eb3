#include "memory/embedding/choice.h"

#include <fmt/format.h>

#include <array>
#include <filesystem>

#include "base/log.h"
#include "llm/embed/onnx/onnx_embedder.h"

namespace asahi::memory {
namespace {

namespace fs = std::filesystem;

/// What sentence models of this kind were trained on; longer texts are cut.
constexpr std::size_t kMostTokens = 256;

std::unique_ptr<llm::TextEmbedder> by_hashing(const MemoryConfig& config) {
  return config.embedding.fallback == "hash_random"
             ? llm::make_random_embedder(config.embedding_dimension)
             : llm::make_local_embedder(config.embedding_dimension);
}

}  // namespace

std::string model_file(const MemoryConfig::Embedding& embedding) {
  const fs::path given(embedding.model_path);
  const fs::path folder = given / embedding.model;
  for (const fs::path& place :
       std::array{given, folder / "model.onnx", folder / "onnx" / "model.onnx"}) {
    std::error_code error;
    if (fs::is_regular_file(place, error)) return place.string();
  }
  return {};
}

ChosenEmbedder choose_embedder(const MemoryConfig& config) {
  const MemoryConfig::Embedding& embedding = config.embedding;
  const Logger logger("memory");
  ChosenEmbedder chosen{.embedder = {}, .file = model_file(embedding), .problem = {}};
  if (chosen.file.empty()) {
    chosen.embedder = by_hashing(config);
    logger.info("texts are embedded by hashing: there is no model's file",
                {{"model", embedding.model},
                 {"looked_in", embedding.model_path},
                 {"embedder", chosen.embedder->traits().tag}});
    return chosen;
  }
  auto made = llm::make_onnx_embedder({.model = chosen.file,
                                       .runtime = embedding.runtime,
                                       .pooling = llm::OnnxEmbedderOptions::Pooling::kMean,
                                       .max_tokens = kMostTokens,
                                       .width = config.embedding_dimension,
                                       .batch = embedding.batch_size,
                                       .threads = embedding.threads});
  if (made) {
    chosen.embedder = std::move(*made);
    logger.info("texts are embedded by a model",
                {{"file", chosen.file}, {"embedder", chosen.embedder->traits().tag}});
    return chosen;
  }
  chosen.problem = fmt::format("memory.embedding.{}: {}", made.error().field, made.error().message);
  chosen.embedder = by_hashing(config);
  logger.error(
      "the embedding model cannot be used; texts are embedded by hashing, and memories "
      "with the model's vectors are found by their words only",
      {{"file", chosen.file},
       {"error", chosen.problem},
       {"embedder", chosen.embedder->traits().tag}});
  chosen.file.clear();
  return chosen;
}

std::string_view embedding_mode(std::string_view tag) {
  return tag.starts_with("local-") || tag.starts_with("hash_random-") ? "fallback" : "real";
}

}  // namespace asahi::memory
