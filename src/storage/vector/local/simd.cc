#include "storage/vector/local/simd.h"

#include <algorithm>

// CPUs that multiply bytes (VNNI) get code of their own.
#define HWY_WANT_AVX3_DL
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "storage/vector/local/simd.cc"
#include <hwy/foreach_target.h>
// After it: this file is compiled once for each kind of CPU.
#include <hwy/highway.h>

#if HWY_TARGET == HWY_AVX3_DL
// Highway 1.0 knows that such a CPU has VNNI, but has no name for its instruction.
#define ASAHI_VNNI __attribute__((target("avx2,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))
namespace asahi::vector::simd::vnni {
namespace {

ASAHI_VNNI inline __m256i half_of(__m512i v) {
  return _mm256_add_epi32(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
}

/// The sums of the lanes of four vectors.
ASAHI_VNNI inline __m128i sums_of(__m512i a, __m512i b, __m512i c, __m512i d) {
  const __m256i ab = _mm256_hadd_epi32(half_of(a), half_of(b));
  const __m256i cd = _mm256_hadd_epi32(half_of(c), half_of(d));
  const __m256i all = _mm256_hadd_epi32(ab, cd);
  return _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
}

ASAHI_VNNI void dot_bytes(const std::int8_t* HWY_RESTRICT query, std::int32_t query_sum,
                          const std::int8_t* const* HWY_RESTRICT rows, std::size_t count,
                          std::size_t length, std::int32_t* HWY_RESTRICT out) {
  // The instruction multiplies unsigned by signed bytes: (row + 128)·query - 128·Σ query.
  const __m512i flip = _mm512_set1_epi8(-128);
  const std::int32_t bias = query_sum * 128;
  std::size_t r = 0;
  for (; r + 4 <= count; r += 4) {
    for (std::size_t ahead = r + 8; ahead < std::min(r + 12, count); ++ahead) {
      for (std::size_t line = 0; line < length; line += kLanes) {
        __builtin_prefetch(rows[ahead] + line);
      }
    }
    const std::int8_t *const row0 = rows[r], *const row1 = rows[r + 1], *const row2 = rows[r + 2],
                             *const row3 = rows[r + 3];
    __m512i sum0 = _mm512_setzero_si512(), sum1 = sum0, sum2 = sum0, sum3 = sum0;
    for (std::size_t i = 0; i < length; i += kLanes) {
      const __m512i numbers = _mm512_load_si512(query + i);
      sum0 =
          _mm512_dpbusd_epi32(sum0, _mm512_xor_si512(_mm512_load_si512(row0 + i), flip), numbers);
      sum1 =
          _mm512_dpbusd_epi32(sum1, _mm512_xor_si512(_mm512_load_si512(row1 + i), flip), numbers);
      sum2 =
          _mm512_dpbusd_epi32(sum2, _mm512_xor_si512(_mm512_load_si512(row2 + i), flip), numbers);
      sum3 =
          _mm512_dpbusd_epi32(sum3, _mm512_xor_si512(_mm512_load_si512(row3 + i), flip), numbers);
    }
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + r),
                     _mm_sub_epi32(sums_of(sum0, sum1, sum2, sum3), _mm_set1_epi32(bias)));
  }
  for (; r < count; ++r) {
    __m512i sum = _mm512_setzero_si512();
    for (std::size_t i = 0; i < length; i += kLanes) {
      sum = _mm512_dpbusd_epi32(sum, _mm512_xor_si512(_mm512_load_si512(rows[r] + i), flip),
                                _mm512_load_si512(query + i));
    }
    out[r] = _mm512_reduce_add_epi32(sum) - bias;
  }
}

}  // namespace
}  // namespace asahi::vector::simd::vnni
#undef ASAHI_VNNI
#endif

HWY_BEFORE_NAMESPACE();
namespace asahi::vector::simd::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Wide = hn::ScalableTag<std::int32_t>;
using Words = hn::Repartition<std::int16_t, Wide>;
using Bytes = hn::Rebind<std::int8_t, Words>;

void DotRows(const std::int16_t* HWY_RESTRICT query, const std::int8_t* const* HWY_RESTRICT rows,
             std::size_t count, std::size_t length, std::int32_t* HWY_RESTRICT out) {
  const Wide wide;
  const Words words;
  const Bytes bytes;
  const std::size_t step = hn::Lanes(words);
  for (std::size_t r = 0; r < count; ++r) {
    const std::int8_t* HWY_RESTRICT row = rows[r];
    // The row after the next is on its way from memory while this one is worked on.
    if (r + 2 < count) {
      for (std::size_t line = 0; line < length; line += kLanes) {
        __builtin_prefetch(rows[r + 2] + line);
      }
    }
    auto sum0 = hn::Zero(wide), sum1 = hn::Zero(wide), sum2 = hn::Zero(wide), sum3 = hn::Zero(wide);
    for (std::size_t i = 0; i < length; i += 2 * step) {
      const auto a = hn::PromoteTo(words, hn::Load(bytes, row + i));
      const auto b = hn::PromoteTo(words, hn::Load(bytes, row + i + step));
      sum0 = hn::ReorderWidenMulAccumulate(wide, hn::LoadU(words, query + i), a, sum0, sum1);
      sum2 = hn::ReorderWidenMulAccumulate(wide, hn::LoadU(words, query + i + step), b, sum2, sum3);
    }
    const auto sum = hn::Add(hn::Add(sum0, sum1), hn::Add(sum2, sum3));
    out[r] = hn::GetLane(hn::SumOfLanes(wide, sum));
  }
}

#if HWY_TARGET == HWY_AVX3_DL

void DotBytes(const std::int8_t* HWY_RESTRICT query, std::int32_t query_sum,
              const std::int8_t* const* HWY_RESTRICT rows, std::size_t count, std::size_t length,
              std::int32_t* HWY_RESTRICT out) {
  vnni::dot_bytes(query, query_sum, rows, count, length, out);
}

#else

void DotBytes(const std::int8_t* HWY_RESTRICT query, std::int32_t /*query_sum*/,
              const std::int8_t* const* HWY_RESTRICT rows, std::size_t count, std::size_t length,
              std::int32_t* HWY_RESTRICT out) {
  const Words words;
  const Bytes bytes;
  const std::size_t step = hn::Lanes(words);
  HWY_ALIGN std::int16_t wide[kMostNumbers];
  for (std::size_t i = 0; i < length; i += step) {
    hn::Store(hn::PromoteTo(words, hn::Load(bytes, query + i)), words, wide + i);
  }
  DotRows(wide, rows, count, length, out);
}

#endif

std::int32_t SumOf(const std::int8_t* HWY_RESTRICT a, std::size_t length) {
  const Wide wide;
  const Words words;
  const Bytes bytes;
  const std::size_t step = hn::Lanes(words);
  const auto ones = hn::Set(words, 1);
  auto sum0 = hn::Zero(wide), sum1 = hn::Zero(wide);
  for (std::size_t i = 0; i < length; i += step) {
    sum0 = hn::ReorderWidenMulAccumulate(wide, hn::PromoteTo(words, hn::Load(bytes, a + i)), ones,
                                         sum0, sum1);
  }
  return hn::GetLane(hn::SumOfLanes(wide, hn::Add(sum0, sum1)));
}

std::int32_t DotHalves(const std::int16_t* HWY_RESTRICT query,
                       const std::uint8_t* HWY_RESTRICT halves, std::size_t length) {
  const Wide wide;
  const Words words;
  const Bytes bytes;
  const std::size_t step = hn::Lanes(words);
  auto sum0 = hn::Zero(wide), sum1 = hn::Zero(wide), sum2 = hn::Zero(wide), sum3 = hn::Zero(wide);
  for (std::size_t group = 0; group < length; group += kLanes) {
    const auto* const in = reinterpret_cast<const std::int8_t*>(halves) + group / 2;
    for (std::size_t i = 0; i < kLanes / 2; i += step) {
      const auto both = hn::PromoteTo(words, hn::LoadU(bytes, in + i));
      const auto lower = hn::ShiftRight<12>(hn::ShiftLeft<12>(both));
      const auto upper = hn::ShiftRight<4>(both);
      const std::int16_t* const numbers = query + group + i;
      sum0 = hn::ReorderWidenMulAccumulate(wide, hn::LoadU(words, numbers), lower, sum0, sum1);
      sum2 = hn::ReorderWidenMulAccumulate(wide, hn::LoadU(words, numbers + kLanes / 2), upper,
                                           sum2, sum3);
    }
  }
  const auto sum = hn::Add(hn::Add(sum0, sum1), hn::Add(sum2, sum3));
  return hn::GetLane(hn::SumOfLanes(wide, sum));
}

}  // namespace asahi::vector::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace asahi::vector::simd {

HWY_EXPORT(DotRows);
HWY_EXPORT(DotBytes);
HWY_EXPORT(SumOf);
HWY_EXPORT(DotHalves);

void dot_rows(const std::int16_t* query, const std::int8_t* const* rows, std::size_t count,
              std::size_t length, std::int32_t* out) {
  HWY_DYNAMIC_DISPATCH(DotRows)(query, rows, count, length, out);
}

void dot_bytes(const std::int8_t* query, std::int32_t query_sum, const std::int8_t* const* rows,
               std::size_t count, std::size_t length, std::int32_t* out) {
  HWY_DYNAMIC_DISPATCH(DotBytes)(query, query_sum, rows, count, length, out);
}

std::int32_t sum_of(const std::int8_t* a, std::size_t length) {
  return HWY_DYNAMIC_DISPATCH(SumOf)(a, length);
}

std::int32_t dot_halves(const std::int16_t* query, const std::uint8_t* halves, std::size_t length) {
  return HWY_DYNAMIC_DISPATCH(DotHalves)(query, halves, length);
}

std::string_view target() {
  const std::int64_t supported = hwy::SupportedTargets() & HWY_TARGETS;
  return hwy::TargetName(supported & -supported);
}

}  // namespace asahi::vector::simd
#endif  // HWY_ONCE
