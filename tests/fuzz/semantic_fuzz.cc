// Any bytes as two questions: vectors are finite and of length 1, the verifier is symmetric,
// deterministic and accepts a text as itself, answers agree with themselves.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "gateway/cache/semantic/answers.h"
#include "gateway/cache/semantic/threshold.h"
#include "gateway/cache/semantic/verifier.h"
#include "llm/embed/feature_hash.h"

namespace {

using namespace asahi::gateway::semantic;
using namespace asahi::llm::text;

void require(bool holds) {
  if (!holds) std::abort();
}

void check_vector(const Words& words) {
  std::vector<float> vector(256);
  hash_features(words, vector);
  float square = 0;
  for (const float x : vector) square += x * x;
  require(std::isfinite(square) && std::abs(square - 1) < 1e-3F);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = text.find('\n');
  const std::string_view first = text.substr(0, cut);
  const std::string_view second = cut == std::string_view::npos ? "" : text.substr(cut + 1);
  const Words a = analyse(first), b = analyse(second);
  require(a.words.size() <= Words::kMaxWords);
  for (const Word& word : a.words) require(word.begin + word.length <= a.letters.size());
  check_vector(a);
  check_vector(b);
  const Comparison there = compare(a, b), back = compare(b, a);
  require(std::isfinite(there.score) && there.score >= 0 && there.score <= 1);
  require(std::abs(there.score - back.score) < 1e-3F);
  if (a.length > 0) require(compare(a, a).score > 0);
  require(compare_answers(first, first) == Agreement::kSame);
  require(compare_answers(first, second) == compare_answers(second, first));
  static_cast<void>(EntryEvidence::decode(second));
  static_cast<void>(Evidence().restore(second));
  return 0;
}
