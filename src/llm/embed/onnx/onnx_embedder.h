#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "base/result.h"

namespace asahi::llm {

class TextEmbedder;

struct OnnxEmbedderOptions {
  std::string model;  ///< model.onnx of a sentence embedding model of BERT's kind
  /// vocab.txt or tokenizer.json; empty: the one beside the model or one folder above.
  std::string tokenizer;
  /// libonnxruntime.so.1; empty: beside this program, else where the system looks.
  std::string runtime;
  enum class Pooling {
    kAuto,  ///< the model's own sentence_embedding, else the mean
    kMean,  ///< of all tokens (all-MiniLM, e5)
    kFirst  ///< the first token's (bge): "cls"
  } pooling = Pooling::kAuto;
  std::string prefix;             ///< before each text, as the model was trained: "query: " for e5
  std::size_t max_tokens = 512;   ///< longer texts are cut
  std::size_t width = 0;          ///< that the model must have; 0: any
  std::size_t batch = 32;         ///< texts in one run
  std::size_t threads = 1;        ///< runs at a time
  std::size_t max_waiting = 256;  ///< calls; more are refused
  std::chrono::milliseconds timeout{30'000};
};

/// Vectors by a model file that the user supplies, on threads of its own. Its tag tells the
/// contents of model and tokeniser, pooling and prefix: other files, other vectors. Errors here:
/// invalid_argument with the field (`model`, `tokenizer`, `runtime`, `dimension`) when something is
/// missing, cannot be read, or is of another kind; the model embeds once to prove itself. Errors of
/// `embed`: timeout, cancelled, unavailable (too many wait), upstream.
Result<std::unique_ptr<TextEmbedder>> make_onnx_embedder(OnnxEmbedderOptions options);

}  // namespace asahi::llm
