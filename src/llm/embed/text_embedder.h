#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "llm/chat_model.h"
#include "llm/embed/words.h"

namespace asahi::llm {

/// What sets one embedder's vectors apart. Vectors with different tags never meet.
struct EmbedderTraits {
  std::string tag;  ///< "local-1/256", "cohere/embed-english-v3.0/1024": names an index
  std::size_t width = 0;
  /// The spec's similarity thresholds were written for neural embeddings, whose paraphrases lie
  /// near 0.9. `similarity = max(0, cosine)^exponent` moves another embedder's cosines to that
  /// scale; it keeps their order.
  double exponent = 1;

  double similarity(double cosine) const;
};

/// A unit vector and whose it is. `traits` lives as long as the embedder.
struct Embedded {
  std::shared_ptr<const std::vector<float>> vector;
  const EmbedderTraits* traits = nullptr;
};

enum class EmbedPurpose : std::uint8_t { kQuery, kDocument };

/// Texts to unit vectors for the semantic cache and the retrieval of memories. Any loop. Errors:
/// those of the vendor; upstream for a wrong count, width or a vector without direction.
class TextEmbedder {
 public:
  virtual ~TextEmbedder() = default;
  /// What `embed` gives as long as nothing fails.
  virtual const EmbedderTraits& traits() const = 0;
  /// The vector when it can be had without waiting; else nothing.
  virtual std::optional<Embedded> try_embed(std::string_view text) = 0;
  /// The same for a caller that has analysed the text.
  virtual std::optional<Embedded> try_embed(std::string_view text, const text::Words&) {
    return try_embed(text);
  }
  /// One per text, all of this embedder.
  virtual Task<std::vector<Embedded>> embed(std::vector<std::string> texts, EmbedPurpose purpose,
                                            CallContext context) = 0;
};

/// Cosine of two unit vectors, held within [-1, 1]; 0 for different widths.
double cosine(std::span<const float> a, std::span<const float> b);
/// Of one with each of `rows` (vectors of its width, one after the other).
std::vector<double> cosines(std::span<const float> a, std::span<const float> rows);
/// Scales to length 1. Errors: upstream when there is no direction (all zero, not finite).
Result<void> make_unit(std::span<float> vector);

/// Feature hashing of words (feature_hash.h): no model file, no network, the same on every machine.
/// `width`: 64 to 4096.
std::unique_ptr<TextEmbedder> make_local_embedder(std::size_t width = 256);
/// Gaussian vectors seeded from the text's SHA-256: equal texts meet, no others; the same on every
/// machine, without any likeness of meaning or words.
std::unique_ptr<TextEmbedder> make_random_embedder(std::size_t width);
/// Vectors that follow from a hash of the text: equal texts meet, no others. For tests.
std::unique_ptr<TextEmbedder> make_mock_text_embedder(std::uint64_t seed, std::size_t width);

struct VendorEmbedderOptions {
  std::string provider;  ///< "cohere", "openai", "ollama"
  std::string model;
  std::size_t width = 1024;
  bool send_width = false;  ///< the model chooses its width by `dimensions` (OpenAI's third ones)
  std::size_t batch = 96;   ///< texts in one call
  std::chrono::milliseconds timeout{30'000};  ///< of all attempts for one batch
  /// Waits before each retry; a vendor's Retry-After wins.
  std::vector<std::chrono::milliseconds> waits{std::chrono::seconds{1}, std::chrono::seconds{2},
                                               std::chrono::seconds{4}};
  std::chrono::milliseconds longest_wait{20'000};  ///< a longer Retry-After is a failure
  /// Sleeps on the caller's loop; false when cancelled. Empty: the loop's own. Tests replace it.
  std::function<Aw<bool>(std::chrono::nanoseconds, CancelSource*)> sleep;
};
/// `vendor` outlives the embedder.
std::unique_ptr<TextEmbedder> make_vendor_embedder(Embedder& vendor, VendorEmbedderOptions options);

/// Remembers the last `capacity` query vectors of `inner`, least recently used out first.
class MemoEmbedder final : public TextEmbedder {
 public:
  MemoEmbedder(std::unique_ptr<TextEmbedder> inner, std::size_t capacity);
  const EmbedderTraits& traits() const override { return inner_->traits(); }
  std::optional<Embedded> try_embed(std::string_view text) override;
  std::optional<Embedded> try_embed(std::string_view text, const text::Words& words) override;
  Task<std::vector<Embedded>> embed(std::vector<std::string> texts, EmbedPurpose purpose,
                                    CallContext context) override;
  std::size_t size() const;

 private:
  struct Item {
    std::string text;
    Embedded value;
  };
  std::optional<Embedded> find(std::string_view text);
  void keep(std::string text, Embedded value);

  std::unique_ptr<TextEmbedder> inner_;
  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::list<Item> items_;  // latest first
  std::unordered_map<std::string_view, std::list<Item>::iterator> index_;
};

}  // namespace asahi::llm
