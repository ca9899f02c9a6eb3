#include "storage/vector/local/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "storage/vector/local/simd.cc"
#include <hwy/foreach_target.h>
// After it: this file is compiled once for each kind of CPU.
#include <hwy/highway.h>

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

std::int32_t Dot(const std::int8_t* HWY_RESTRICT a, const std::int8_t* HWY_RESTRICT b,
                 std::size_t length) {
  const Wide wide;
  const Words words;
  const Bytes bytes;
  const std::size_t step = hn::Lanes(words);
  auto sum0 = hn::Zero(wide), sum1 = hn::Zero(wide), sum2 = hn::Zero(wide), sum3 = hn::Zero(wide);
  for (std::size_t i = 0; i < length; i += 2 * step) {
    sum0 = hn::ReorderWidenMulAccumulate(wide, hn::PromoteTo(words, hn::Load(bytes, a + i)),
                                         hn::PromoteTo(words, hn::Load(bytes, b + i)), sum0, sum1);
    sum2 = hn::ReorderWidenMulAccumulate(wide, hn::PromoteTo(words, hn::Load(bytes, a + i + step)),
                                         hn::PromoteTo(words, hn::Load(bytes, b + i + step)), sum2,
                                         sum3);
  }
  const auto sum = hn::Add(hn::Add(sum0, sum1), hn::Add(sum2, sum3));
  return hn::GetLane(hn::SumOfLanes(wide, sum));
}

}  // namespace asahi::vector::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace asahi::vector::simd {

HWY_EXPORT(DotRows);
HWY_EXPORT(Dot);

void dot_rows(const std::int16_t* query, const std::int8_t* const* rows, std::size_t count,
              std::size_t length, std::int32_t* out) {
  HWY_DYNAMIC_DISPATCH(DotRows)(query, rows, count, length, out);
}

std::int32_t dot(const std::int8_t* a, const std::int8_t* b, std::size_t length) {
  return HWY_DYNAMIC_DISPATCH(Dot)(a, b, length);
}

std::string_view target() {
  const std::int64_t supported = hwy::SupportedTargets() & HWY_TARGETS;
  return hwy::TargetName(supported & -supported);
}

}  // namespace asahi::vector::simd
#endif  // HWY_ONCE
