#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace asahi::memory::dedup {

/// What a text is compared by: hashes of its word 3-shingles, or of its 5-character shingles where
/// it has fewer than kShortText words. No pair across that border reaches a Jaccard of 0.85 in
/// words: six shingles beside five give 0.83. Words end at blanks; Chinese, Japanese and
/// South-East Asian characters, which are written without blanks, are words of their own. A text
/// shorter than one shingle is one shingle. In the order of the text, repeats included; the hashes
/// are the same on every machine and for ever (fingerprints are stored).
/// `normal`: what `normalised` gave.
std::vector<std::uint32_t> shingles(std::string_view normal);

inline constexpr std::size_t kShortText = 8;

/// As a set: sorted, each once.
std::vector<std::uint32_t> shingle_set(std::string_view normal);

/// |a ∩ b| / |a ∪ b| of two such sets; two empty ones are equal: 1.
double jaccard(std::span<const std::uint32_t> a, std::span<const std::uint32_t> b);

}  // namespace asahi::memory::dedup
