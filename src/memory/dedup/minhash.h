#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "memory/model/record.h"

namespace asahi::memory::dedup {

/// MinHash with 128 permutations: row i is the least of (a_i·x + b_i) mod (2^61 − 1), cut to its
/// low 32 bits, over all shingles x; a_i and b_i come from a fixed seed. The share of equal rows
/// of two fingerprints estimates the Jaccard index of their shingle sets (Broder 1997), with a
/// standard error of 0.03 at 0.85. No shingles: all rows 2^32 − 1. About 25 ns a shingle on
/// AVX-512.
Fingerprint minhash(std::span<const std::uint32_t> shingles);

/// Of a memory's text: `minhash(shingles(normalised(content)))`.
Fingerprint fingerprint(std::string_view content);

/// The share of equal rows.
double estimated_jaccard(const Fingerprint& a, const Fingerprint& b);

inline constexpr std::size_t kFingerprintBytes = 512;
/// As it is stored: rows in order, little-endian. `bytes` must be kFingerprintBytes long;
/// errors of reading: corrupt.
std::string fingerprint_bytes(const Fingerprint& fingerprint);
Result<Fingerprint> fingerprint_from(std::string_view bytes);

/// The factors of row `row`, for those who check: {a, b}, 1 ≤ a < 2^61 − 1, 0 ≤ b < 2^61 − 1.
std::pair<std::uint64_t, std::uint64_t> permutation(std::size_t row);

}  // namespace asahi::memory::dedup
