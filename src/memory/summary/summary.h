#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace asahi::memory {

struct SummaryOptions {
  std::size_t sentences = 3;    ///< 3 for the warm tier, 1 for the cold one
  std::size_t max_bytes = 800;  ///< longer sentences are cut at a blank and end in "…"
};
inline constexpr SummaryOptions kWarmSummary{}, kColdSummary{.sentences = 1, .max_bytes = 400};

/// The sentences of `content` that say most, in their order, blanks squeezed, joined by one blank:
/// those that share most words with the others (centroid; Radev et al. 2004), and those with names,
/// numbers and decisions that no chosen one has yet; repetitions count less. Code stands in only
/// where there is nothing else. In a chat ("Ana: …") names of speakers do not count, answers like
/// "Wow, great!" count less, and who speaks stands before every sentence. Text of few sentences
/// stays whole. Any bytes in, UTF-8 out. Of a
/// very long text 600 sentences are looked at, so that time is linear with a small factor: about 30
/// ms for a megabyte. The same text gives the same summary everywhere.
std::string summarise(std::string_view content, const SummaryOptions& options);

}  // namespace asahi::memory
