#include "memory/dedup/minhash.h"

#include <fmt/format.h>

#include <array>

#include "memory/dedup/normalise.h"
#include "memory/dedup/shingles.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "memory/dedup/minhash.cc"
#include <hwy/foreach_target.h>
// After it: this file is compiled once for each kind of CPU.
#include <hwy/highway.h>

#ifndef ASAHI_MEMORY_DEDUP_MINHASH_ONCE
#define ASAHI_MEMORY_DEDUP_MINHASH_ONCE
namespace asahi::memory::dedup {

inline constexpr std::size_t kRows = 128;

/// The factors, a split into its low 32 and high 29 bits, each in a 64-bit lane.
struct alignas(64) Factors {
  std::array<std::uint64_t, kRows> low, high, add;
};

}  // namespace asahi::memory::dedup
#endif

HWY_BEFORE_NAMESPACE();
namespace asahi::memory::dedup::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// least[i]: the running minima, in 64-bit lanes.
void Rows(const Factors& factors, const std::uint32_t* HWY_RESTRICT shingles, std::size_t count,
          std::uint64_t* HWY_RESTRICT least) {
  const hn::ScalableTag<std::uint64_t> wide;
  const hn::Repartition<std::uint32_t, decltype(wide)> narrow;
  const std::size_t lanes = hn::Lanes(wide);
  const auto prime = hn::Set(wide, (std::uint64_t{1} << 61) - 1);
  const auto low29 = hn::Set(wide, (std::uint64_t{1} << 29) - 1);
  const auto low32 = hn::Set(wide, 0xFFFFFFFF);
  for (std::size_t row = 0; row < kRows; row += lanes) {
    const auto a_low = hn::BitCast(narrow, hn::Load(wide, factors.low.data() + row));
    const auto a_high = hn::BitCast(narrow, hn::Load(wide, factors.high.data() + row));
    const auto b = hn::Load(wide, factors.add.data() + row);
    auto best = hn::Load(wide, least + row);
    for (std::size_t i = 0; i < count; ++i) {
      const auto x = hn::BitCast(narrow, hn::Set(wide, shingles[i]));
      // a·x = high·2^32 + low, where 2^61 counts as 1: high·2^32 = (high >> 29) + (high << 32).
      const auto low = hn::MulEven(a_low, x);
      const auto high = hn::MulEven(a_high, x);
      auto sum = hn::Add(hn::And(low, prime), hn::ShiftRight<61>(low));
      sum = hn::Add(sum, hn::ShiftRight<29>(high));
      sum = hn::Add(sum, hn::ShiftLeft<32>(hn::And(high, low29)));
      sum = hn::Add(sum, b);
      sum = hn::Add(hn::And(sum, prime), hn::ShiftRight<61>(sum));
      // Now at most prime + 3; below zero the difference is huge.
      sum = hn::Min(sum, hn::Sub(sum, prime));
      best = hn::Min(best, hn::And(sum, low32));
    }
    hn::Store(best, wide, least + row);
  }
}

}  // namespace asahi::memory::dedup::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace asahi::memory::dedup {

HWY_EXPORT(Rows);

namespace {

constexpr std::uint64_t kPrime = (std::uint64_t{1} << 61) - 1;

/// SplitMix64 (Steele, Lea, Flood 2014) from a fixed seed: stored fingerprints outlive programs.
constexpr Factors kFactors = [] {
  Factors out{};
  std::uint64_t state = 0x417361686931ULL;  // "Asahi1"
  const auto next = [&] {
    std::uint64_t z = (state += 0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
    z = (z ^ z >> 27) * 0x94D049BB133111EB;
    return z ^ z >> 31;
  };
  for (std::size_t i = 0; i < kRows; ++i) {
    const std::uint64_t a = next() % (kPrime - 1) + 1;
    out.low[i] = a & 0xFFFFFFFF;
    out.high[i] = a >> 32;
    out.add[i] = next() % kPrime;
  }
  return out;
}();

}  // namespace

Fingerprint minhash(std::span<const std::uint32_t> shingles) {
  static_assert(std::tuple_size_v<Fingerprint> == kRows);
  alignas(64) std::array<std::uint64_t, kRows> least;
  least.fill(0xFFFFFFFF);
  HWY_DYNAMIC_DISPATCH(Rows)(kFactors, shingles.data(), shingles.size(), least.data());
  Fingerprint out;
  for (std::size_t i = 0; i < kRows; ++i) out[i] = static_cast<std::uint32_t>(least[i]);
  return out;
}

Fingerprint fingerprint(std::string_view content) { return minhash(shingles(normalised(content))); }

double estimated_jaccard(const Fingerprint& a, const Fingerprint& b) {
  int equal = 0;
  for (std::size_t i = 0; i < kRows; ++i) equal += a[i] == b[i] ? 1 : 0;
  return static_cast<double>(equal) / static_cast<double>(kRows);
}

std::string fingerprint_bytes(const Fingerprint& fingerprint) {
  std::string out;
  out.reserve(kFingerprintBytes);
  for (const std::uint32_t row : fingerprint) {
    for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>(row >> shift);
  }
  return out;
}

Result<Fingerprint> fingerprint_from(std::string_view bytes) {
  if (bytes.size() != kFingerprintBytes)
    return fail(Errc::kCorrupt, fmt::format("a fingerprint has {} bytes, this one {}",
                                            kFingerprintBytes, bytes.size()));
  Fingerprint out{};
  for (std::size_t i = 0; i < bytes.size(); ++i)
    out[i / 4] |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i])) << 8 * (i % 4);
  return out;
}

std::pair<std::uint64_t, std::uint64_t> permutation(std::size_t row) {
  return {kFactors.low[row] | kFactors.high[row] << 32, kFactors.add[row]};
}

}  // namespace asahi::memory::dedup
#endif
