#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "llm/embed/text_embedder.h"
#include "memory/measure/errors.h"
#include "telemetry/metrics.h"

namespace asahi::memory {

/// An embedder that counts (spec/memory §8.2). `mode`: real or fallback (embedding_mode).
///
/// | Name | Type; labels |
/// |---|---|
/// | embedding_generated_total, embedding_batch_generated_total | counter; mode |
/// | embedding_text_length | histogram; mode: bytes of a text |
/// | akosha_embedding_batch_size, embedding_batch_size | histogram; mode: texts of a batch |
/// | akosha_embedding_generation_duration_seconds | histogram; model_type (mode): of a batch |
class MeasuredEmbedder final : public llm::TextEmbedder {
 public:
  /// `metrics`, `clock` outlive it.
  MeasuredEmbedder(std::unique_ptr<llm::TextEmbedder> inner, telemetry::Registry& metrics,
                   const Clock& clock);

  const llm::EmbedderTraits& traits() const override { return inner_->traits(); }
  std::optional<llm::Embedded> try_embed(std::string_view text) override;
  std::optional<llm::Embedded> try_embed(std::string_view text,
                                         const llm::text::Words& words) override;
  Task<std::vector<llm::Embedded>> embed(std::vector<std::string> texts, llm::EmbedPurpose purpose,
                                         llm::CallContext context) override;

 private:
  void count(std::size_t bytes, bool made);

  const std::unique_ptr<llm::TextEmbedder> inner_;
  telemetry::Registry& metrics_;
  const Clock& clock_;
  telemetry::Counter& texts_;
  telemetry::Counter& batches_;
  telemetry::Histogram& length_;
  telemetry::Histogram &batch_size_, &batch_texts_;
  telemetry::Histogram& seconds_;
};

}  // namespace asahi::memory
