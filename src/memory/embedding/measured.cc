#include "memory/embedding/measured.h"

#include <chrono>
#include <utility>

#include "memory/embedding/choice.h"

namespace asahi::memory {
namespace {

const std::vector<double> kSeconds = {.01, .05, .1, .25, .5, 1, 2.5, 5, 10};
const std::vector<double> kTexts = {1, 2, 4, 8, 16, 32, 64, 128};
const std::vector<double> kBytes = {50, 100, 250, 500, 1'000, 2'500, 5'000, 10'000};

}  // namespace

MeasuredEmbedder::MeasuredEmbedder(std::unique_ptr<llm::TextEmbedder> inner,
                                   telemetry::Registry& metrics, const Clock& clock)
    : inner_(std::move(inner)),
      metrics_(metrics),
      clock_(clock),
      texts_(metrics.counter("embedding_generated_total", "Texts embedded.",
                             {{"mode", std::string(embedding_mode(traits().tag))}})),
      batches_(metrics.counter("embedding_batch_generated_total", "Batches of texts embedded.",
                               {{"mode", std::string(embedding_mode(traits().tag))}})),
      length_(metrics.histogram("embedding_text_length", "Bytes of texts embedded.", kBytes,
                                {{"mode", std::string(embedding_mode(traits().tag))}})),
      batch_size_(metrics.histogram("akosha_embedding_batch_size", "Texts of a batch.", kTexts,
                                    {{"mode", std::string(embedding_mode(traits().tag))}})),
      batch_texts_(metrics.histogram("embedding_batch_size", "Texts of a batch.", kTexts,
                                     {{"mode", std::string(embedding_mode(traits().tag))}})),
      seconds_(metrics.histogram("akosha_embedding_generation_duration_seconds",
                                 "Time of a batch, waiting included.", kSeconds,
                                 {{"model_type", std::string(embedding_mode(traits().tag))}})) {}

void MeasuredEmbedder::count(std::size_t bytes, bool made) {
  if (!made) return;
  texts_.add();
  length_.observe(static_cast<double>(bytes));
}

std::optional<llm::Embedded> MeasuredEmbedder::try_embed(std::string_view text) {
  auto made = inner_->try_embed(text);
  count(text.size(), made.has_value());
  return made;
}

std::optional<llm::Embedded> MeasuredEmbedder::try_embed(std::string_view text,
                                                         const llm::text::Words& words) {
  auto made = inner_->try_embed(text, words);
  count(text.size(), made.has_value());
  return made;
}

Task<std::vector<llm::Embedded>> MeasuredEmbedder::embed(std::vector<std::string> texts,
                                                         llm::EmbedPurpose purpose,
                                                         llm::CallContext context) {
  const auto begun = std::chrono::steady_clock::now();
  std::vector<std::size_t> lengths;
  lengths.reserve(texts.size());
  for (const std::string& text : texts) lengths.push_back(text.size());
  auto made = co_await inner_->embed(std::move(texts), purpose, std::move(context));
  if (!made) {
    count_error(metrics_, clock_, Part::kVectorIndexer, made.error());
    co_return made;
  }
  for (const std::size_t length : lengths) count(length, true);
  batches_.add();
  batch_size_.observe(static_cast<double>(lengths.size()));
  batch_texts_.observe(static_cast<double>(lengths.size()));
  seconds_.observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
  co_return made;
}

}  // namespace asahi::memory
