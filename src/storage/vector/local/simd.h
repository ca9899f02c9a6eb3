#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

/// Scalar products of quantised vectors, on the widest instructions that this CPU has. Lengths are
/// multiples of kLanes; rows are aligned to kLanes bytes.
namespace asahi::vector::simd {

inline constexpr std::size_t kLanes = 64;

/// out[r] = Σ query[i]·rows[r][i] for each of `count` rows. The sums must fit in 32 bits.
void dot_rows(const std::int16_t* query, const std::int8_t* const* rows, std::size_t count,
              std::size_t length, std::int32_t* out);

/// Σ a[i]·b[i].
std::int32_t dot(const std::int8_t* a, const std::int8_t* b, std::size_t length);

/// The instructions in use, say "AVX3_DL".
std::string_view target();

}  // namespace asahi::vector::simd
