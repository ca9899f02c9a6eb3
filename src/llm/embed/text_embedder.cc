#include "llm/embed/text_embedder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/hash.h"
#include "llm/embed/feature_hash.h"
#include "llm/mock_answer.h"

namespace asahi::llm {
namespace {

// Raised whenever the words, weights or features behind the local vectors change: stored vectors of
// an older version are then another model's.
constexpr int kLocalVersion = 1;
// Chosen so that paraphrases of our own making have the similarities that §3.3 expects of them.
constexpr double kLocalExponent = 0.5;

/// Those that always answer at once.
class InstantEmbedder : public TextEmbedder {
 public:
  explicit InstantEmbedder(EmbedderTraits traits) : traits_(std::move(traits)) {}

  const EmbedderTraits& traits() const override { return traits_; }

  Task<std::vector<Embedded>> embed(std::vector<std::string> texts, EmbedPurpose,
                                    CallContext) override {
    std::vector<Embedded> out;
    out.reserve(texts.size());
    for (const std::string& text : texts) out.push_back(*try_embed(text));
    co_return out;
  }

 protected:
  const EmbedderTraits traits_;
};

class LocalEmbedder final : public InstantEmbedder {
 public:
  explicit LocalEmbedder(std::size_t width)
      : InstantEmbedder({fmt::format("local-{}/{}", kLocalVersion, width), width, kLocalExponent}) {
  }

  std::optional<Embedded> try_embed(std::string_view text) override {
    return try_embed(text, text::analyse(text));
  }
  std::optional<Embedded> try_embed(std::string_view, const text::Words& words) override {
    auto vector = std::make_shared<std::vector<float>>(traits_.width);
    text::hash_features(words, *vector);
    return Embedded{std::move(vector), &traits_};
  }
};

class RandomEmbedder final : public InstantEmbedder {
 public:
  explicit RandomEmbedder(std::size_t width)
      : InstantEmbedder({fmt::format("hash_random-1/{}", width), width, 1}) {}

  std::optional<Embedded> try_embed(std::string_view text) override {
    const Digest256 digest = sha256(text);
    std::uint64_t state = 0;
    for (std::size_t i = 0; i < sizeof state; ++i) state = state << 8U | digest[i];
    // SplitMix64 (Steele, Lea, Flood 2014), and Box and Muller's transform.
    const auto uniform = [&state] {
      std::uint64_t z = (state += 0x9e3779b97f4a7c15ULL);
      z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
      z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
      constexpr double kToOne = 1.0 / 9007199254740992.0;  // 2^-53
      return (static_cast<double>((z ^ (z >> 31U)) >> 11U) + 0.5) * kToOne;
    };
    auto vector = std::make_shared<std::vector<float>>(traits_.width);
    for (float& x : *vector) {
      const double radius = std::sqrt(-2 * std::log(uniform()));
      x = static_cast<float>(radius * std::cos(2 * std::numbers::pi * uniform()));
    }
    if (!make_unit(*vector)) vector->front() = 1;
    return Embedded{std::move(vector), &traits_};
  }
};

class MockTextEmbedder final : public InstantEmbedder {
 public:
  MockTextEmbedder(std::uint64_t seed, std::size_t width)
      : InstantEmbedder({fmt::format("mock-{}/{}", seed, width), width, 1}), seed_(seed) {}

  std::optional<Embedded> try_embed(std::string_view text) override {
    mock::Random random = mock::Random::of(seed_, text);
    auto vector = std::make_shared<std::vector<float>>(traits_.width);
    for (float& x : *vector) x = static_cast<float>(random.uniform(-1, 1));
    if (!make_unit(*vector)) vector->front() = 1;
    return Embedded{std::move(vector), &traits_};
  }

 private:
  const std::uint64_t seed_;
};

}  // namespace

double EmbedderTraits::similarity(double cosine) const {
  const double positive = std::clamp(cosine, 0.0, 1.0);
  return exponent == 1 ? positive : std::pow(positive, exponent);
}

double cosine(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) return 0;
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return std::clamp(sum, -1.0, 1.0);
}

std::vector<double> cosines(std::span<const float> a, std::span<const float> rows) {
  std::vector<double> out;
  if (a.empty()) return out;
  out.reserve(rows.size() / a.size());
  for (std::size_t at = 0; at + a.size() <= rows.size(); at += a.size())
    out.push_back(cosine(a, rows.subspan(at, a.size())));
  return out;
}

Result<void> make_unit(std::span<float> vector) {
  double square = 0;
  for (const float x : vector) square += static_cast<double>(x) * x;
  if (!(square > 1e-24) || !std::isfinite(square)) {
    return fail(Errc::kUpstream,
                "an embedding has no direction (all zero or not finite); its model cannot be used "
                "for the semantic cache");
  }
  const double scale = 1 / std::sqrt(square);
  for (float& x : vector) x = static_cast<float>(x * scale);
  return {};
}

std::unique_ptr<TextEmbedder> make_local_embedder(std::size_t width) {
  return std::make_unique<LocalEmbedder>(std::clamp<std::size_t>(width, 64, 4096));
}

std::unique_ptr<TextEmbedder> make_random_embedder(std::size_t width) {
  return std::make_unique<RandomEmbedder>(std::max<std::size_t>(width, 2));
}

std::unique_ptr<TextEmbedder> make_mock_text_embedder(std::uint64_t seed, std::size_t width) {
  return std::make_unique<MockTextEmbedder>(seed, std::max<std::size_t>(width, 2));
}

MemoEmbedder::MemoEmbedder(std::unique_ptr<TextEmbedder> inner, std::size_t capacity)
    : inner_(std::move(inner)), capacity_(capacity) {}

std::optional<Embedded> MemoEmbedder::find(std::string_view text) {
  const std::scoped_lock lock(mutex_);
  const auto found = index_.find(text);
  if (found == index_.end()) return std::nullopt;
  items_.splice(items_.begin(), items_, found->second);
  return found->second->value;
}

void MemoEmbedder::keep(std::string text, Embedded value) {
  // Long texts are not asked twice often enough to be worth their room.
  constexpr std::size_t kLongest = 4'096;
  if (capacity_ == 0 || text.size() > kLongest) return;
  const std::scoped_lock lock(mutex_);
  if (index_.contains(text)) return;
  items_.push_front({std::move(text), std::move(value)});
  index_.emplace(items_.front().text, items_.begin());
  if (items_.size() <= capacity_) return;
  index_.erase(items_.back().text);
  items_.pop_back();
}

std::size_t MemoEmbedder::size() const {
  const std::scoped_lock lock(mutex_);
  return items_.size();
}

std::optional<Embedded> MemoEmbedder::try_embed(std::string_view text) {
  if (auto known = find(text)) return known;
  auto made = inner_->try_embed(text);
  if (made) keep(std::string(text), *made);
  return made;
}

std::optional<Embedded> MemoEmbedder::try_embed(std::string_view text, const text::Words& words) {
  if (auto known = find(text)) return known;
  auto made = inner_->try_embed(text, words);
  if (made) keep(std::string(text), *made);
  return made;
}

Task<std::vector<Embedded>> MemoEmbedder::embed(std::vector<std::string> texts,
                                                EmbedPurpose purpose, CallContext context) {
  // Documents come once: only queries are worth remembering.
  if (purpose == EmbedPurpose::kDocument) {
    co_return co_await inner_->embed(std::move(texts), purpose, std::move(context));
  }
  std::vector<Embedded> out(texts.size());
  std::vector<std::string> missing;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (auto known = find(texts[i])) {
      out[i] = std::move(*known);
    } else {
      missing.push_back(texts[i]);
      places.push_back(i);
    }
  }
  if (missing.empty()) co_return out;
  auto made = co_await inner_->embed(missing, purpose, context);
  if (!made) co_return std::unexpected(std::move(made.error()));
  for (std::size_t i = 0; i < places.size(); ++i) {
    out[places[i]] = (*made)[i];
    keep(std::move(missing[i]), std::move((*made)[i]));
  }
  co_return out;
}

}  // namespace asahi::llm
