#include "llm/embed/feature_hash.h"

#include <algorithm>
#include <cmath>

namespace asahi::llm::text {
namespace {

// How much each kind of feature says beside the word itself.
constexpr float kGroupShare = 0.45F;
constexpr float kPairShare = 0.35F;
constexpr float kGramShare = 0.45F;
constexpr float kTypeShare = 0.35F;
constexpr float kCommonShare = 0.5F;

std::uint64_t mix(std::uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccd;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53;
  return x ^ (x >> 33);
}

class Sum {
 public:
  explicit Sum(std::span<float> out) : out_(out) {}

  void add(std::uint64_t kind, std::uint64_t feature, float weight) {
    const std::uint64_t hash = mix(feature * 31 + kind);
    place(static_cast<std::uint32_t>(hash), weight);
    place(static_cast<std::uint32_t>(hash >> 32), weight);
  }

 private:
  void place(std::uint32_t hash, float weight) {
    // The high bits choose the place (any width), the lowest the sign.
    const std::size_t at = (static_cast<std::uint64_t>(hash & ~1u) * out_.size()) >> 32;
    out_[at] += (hash & 1) != 0 ? weight : -weight;
  }

  std::span<float> out_;
};

}  // namespace

void hash_features(const Words& words, std::span<float> out) {
  std::ranges::fill(out, 0.0F);
  Sum sum(out);
  std::uint64_t before = 0;
  for (std::size_t i = 0; i < words.words.size(); ++i) {
    const Word& word = words.words[i];
    float weight = static_cast<float>(word.weight) / 64.0F;
    // The second time a word says less than the first.
    int seen = 0;
    for (std::size_t k = 0; k < i; ++k) seen += words.words[k].hash == word.hash ? 1 : 0;
    if (seen > 0) weight *= 1.0F / static_cast<float>(1 + seen);
    const bool aliased = word.word_class != WordClass::kNone;
    const std::uint64_t id =
        aliased ? (static_cast<std::uint64_t>(word.word_class) << 40 | word.member) : word.hash;
    sum.add(1, id, weight);
    bool grouped = false;
    for (const GroupSide group : word.groups) {
      if (group == 0) break;
      // Opposites are near neighbours too; the verifier tells them apart.
      sum.add(2, group / 4, weight * kGroupShare * (grouped ? kCommonShare : 1.0F));
      grouped = true;
    }
    if (before != 0) sum.add(3, before * 0x9e3779b97f4a7c15 + id, weight * kPairShare);
    before = id;
    if (word.is(Word::kNumber) || aliased || word.length < 5) continue;
    const std::string_view letters = words.stem_of(word);
    const float share = weight * kGramShare / std::sqrt(static_cast<float>(letters.size()));
    for (std::size_t k = 0; k + 3 <= letters.size(); ++k) {
      sum.add(4, word_hash(letters.substr(k, 3)), share);
    }
  }
  sum.add(5, static_cast<std::uint64_t>(words.type), kTypeShare);
  if (words.language != 0) sum.add(6, words.language, kTypeShare);
  if (words.rest != 0) sum.add(7, words.rest, 1.0F);
  float square = 0;
  for (const float x : out) square += x * x;
  // Two places of opposite sign may have met: the vector stays a unit vector all the same.
  if (square <= 0) {
    out[0] = 1;
    return;
  }
  const float scale = 1.0F / std::sqrt(square);
  for (float& x : out) x *= scale;
}

}  // namespace asahi::llm::text
