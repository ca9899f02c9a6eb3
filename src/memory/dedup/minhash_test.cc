#include "memory/dedup/minhash.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>

namespace asahi::memory::dedup {
namespace {

constexpr std::uint64_t kPrime = (std::uint64_t{1} << 61) - 1;

Fingerprint by_definition(const std::vector<std::uint32_t>& shingles) {
  Fingerprint out;
  for (std::size_t row = 0; row < out.size(); ++row) {
    const auto [a, b] = permutation(row);
    std::uint32_t least = UINT32_MAX;
    for (const std::uint32_t x : shingles) {
      __extension__ using Wide = unsigned __int128;
      const auto value = static_cast<std::uint64_t>((static_cast<Wide>(a) * x + b) % kPrime);
      least = std::min(least, static_cast<std::uint32_t>(value));
    }
    out[row] = least;
  }
  return out;
}

TEST(MinHash, EveryRowIsTheLeastValueOfItsPermutation) {
  std::mt19937 random(1);
  for (const std::size_t count : {0U, 1U, 2U, 7U, 100U, 1000U}) {
    std::vector<std::uint32_t> shingles(count);
    for (auto& x : shingles) x = static_cast<std::uint32_t>(random());
    EXPECT_EQ(minhash(shingles), by_definition(shingles)) << count;
  }
  const std::vector<std::uint32_t> edges{0, 1, UINT32_MAX, UINT32_MAX - 1, 1U << 31};
  for (const std::uint32_t x : edges) EXPECT_EQ(minhash({&x, 1}), by_definition({x})) << x;
}

TEST(MinHash, PermutationsAreAllDifferentAndInRange) {
  std::set<std::pair<std::uint64_t, std::uint64_t>> seen;
  for (std::size_t row = 0; row < 128; ++row) {
    const auto [a, b] = permutation(row);
    EXPECT_GE(a, 1U);
    EXPECT_LT(a, kPrime);
    EXPECT_LT(b, kPrime);
    seen.insert({a, b});
  }
  EXPECT_EQ(seen.size(), 128U);
}

TEST(MinHash, OrderRepeatsCaseAndSpacingChangeNothing) {
  EXPECT_EQ(fingerprint("The deploy failed at noon because the disk was full."),
            fingerprint(" the DEPLOY failed  at noon\nbecause the disk was full."));
  const std::vector<std::uint32_t> a{3, 1, 2}, b{1, 1, 2, 3, 3};
  EXPECT_EQ(minhash(a), minhash(b));
}

TEST(MinHash, StoredFingerprintsKeepTheirMeaning) {
  // Files hold these numbers: a change here makes every stored fingerprint worthless.
  const Fingerprint print =
      fingerprint("The quick brown fox jumps over the lazy dog again and again");
  EXPECT_EQ(print[0], 376420924U);
  EXPECT_EQ(print[1], 355357133U);
  EXPECT_EQ(print[127], 37494314U);
}

TEST(MinHash, SharesOfEqualRowsEstimateJaccard) {
  std::mt19937 random(5);
  for (const double want : {0.2, 0.5, 0.85, 0.95}) {
    double sum = 0, squares = 0;
    constexpr int kRounds = 200;
    for (int round = 0; round < kRounds; ++round) {
      std::vector<std::uint32_t> a, b;
      for (int i = 0; i < 400; ++i) {
        const auto x = static_cast<std::uint32_t>(random());
        const double u = std::uniform_real_distribution<>(0, 1)(random);
        if (u < want) {
          a.push_back(x);
          b.push_back(x);
        } else {
          (random() % 2 == 0 ? a : b).push_back(x);
        }
      }
      const double off = estimated_jaccard(minhash(a), minhash(b)) - want;
      sum += off;
      squares += off * off;
    }
    EXPECT_NEAR(sum / kRounds, 0, 0.012) << want;
    EXPECT_LT(std::sqrt(squares / kRounds), 1.6 * std::sqrt(want * (1 - want) / 128)) << want;
  }
}

TEST(Fingerprints, Are512BytesWhereTheyAreStored) {
  const Fingerprint print = fingerprint("one two three");
  const std::string bytes = fingerprint_bytes(print);
  EXPECT_EQ(bytes.size(), kFingerprintBytes);
  EXPECT_EQ(fingerprint_from(bytes).value(), print);
  const auto broken = fingerprint_from(bytes.substr(1));
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().code, Errc::kCorrupt);
}

}  // namespace
}  // namespace asahi::memory::dedup
