#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

/// Scalar products of quantised vectors, on the widest instructions that this CPU has. Lengths are
/// multiples of kLanes; rows are aligned to kLanes bytes.
namespace asahi::vector::simd {

inline constexpr std::size_t kLanes = 64;
/// The longest query of dot_bytes.
inline constexpr std::size_t kMostNumbers = 8192;

/// out[r] = Σ query[i]·rows[r][i] for each of `count` rows. The sums must fit in 32 bits.
void dot_rows(const std::int16_t* query, const std::int8_t* const* rows, std::size_t count,
              std::size_t length, std::int32_t* out);

/// The same for a query of bytes, whose sum (`sum_of`) is given: a third of the time where the CPU
/// multiplies bytes (AVX-512 VNNI). `query` is aligned as rows are.
void dot_bytes(const std::int8_t* query, std::int32_t query_sum, const std::int8_t* const* rows,
               std::size_t count, std::size_t length, std::int32_t* out);

/// Σ a[i].
std::int32_t sum_of(const std::int8_t* a, std::size_t length);

/// Σ query[i]·low[i] with low[i] in [-8, 7], two in a byte: of each 64 numbers byte j holds number
/// j in its lower half and number j + 32 in its upper one.
std::int32_t dot_halves(const std::int16_t* query, const std::uint8_t* halves, std::size_t length);

/// The instructions in use, say "AVX3_DL".
std::string_view target();

}  // namespace asahi::vector::simd
