#pragma once

#include <cstdint>
#include <span>

/// What NFKC with lower case needs of Unicode. Tables: unicode_data.cc.
namespace asahi::memory::dedup {

/// Every `step`th character from `first` to `last` folds to the one `difference` further on.
struct FoldRun {
  char32_t first, last;
  std::uint8_t step;
  std::int32_t difference;
};
/// `from` folds to `length` characters of the pool (none: it is invisible).
struct FoldMany {
  char32_t from;
  std::uint16_t at;
  std::uint8_t length;
};
/// Characters whose canonical combining class is `kind`; all others have 0.
struct MarkRange {
  char32_t first, last;
  std::uint8_t kind;
};
/// `first` and `second` are written `whole` (primary composites; Hangul goes by arithmetic).
struct Pair {
  char32_t first, second, whole;
};
/// Sorted by their first members.
std::span<const FoldRun> fold_runs();
std::span<const FoldMany> fold_many();
std::span<const char32_t> fold_pool();
std::span<const MarkRange> mark_ranges();
std::span<const Pair> pairs();

}  // namespace asahi::memory::dedup
