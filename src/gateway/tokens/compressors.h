#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/tokens/units.h"

namespace asahi::gateway::tokens {

/// How much a compressor may leave: a share of the sentences, or a number of tokens (words × 1.3).
/// Sentences with facts, questions and instructions stay in any case (trimmed_text.h), so a text
/// may stay longer than asked for.
struct Extent {
  double ratio = 0.5;
  std::optional<std::int64_t> tokens;
};

/// The sentences that say most of the text's own subject, in their order: Σ frequency in the text
/// of words of more than 2 letters / words of the sentence (spec §3.10).
std::string compress_extractive(std::string_view text, Extent extent = {},
                                const SentenceSplitter& splitter = sentence_ends);
/// The sentences nearest to the query: keyword overlap + position bonus 1 − 0.3 · i / n.
std::string compress_document(std::string_view text, std::string_view query, Extent extent = {},
                              const SentenceSplitter& splitter = sentence_ends);
/// Wordy phrases, courtesy, repeats and runs of blanks: what every system prompt can do without.
std::string compress_template(std::string_view text,
                              const SentenceSplitter& splitter = sentence_ends);
/// The template, then the top 30 % of what is left.
std::string compress_abstractive(std::string_view text,
                                 const SentenceSplitter& splitter = sentence_ends);
/// A turn of a conversation: of more than 50 tokens it is brought towards 30, shorter ones stay.
std::string compress_turn(std::string_view text, const SentenceSplitter& splitter = sentence_ends);

}  // namespace asahi::gateway::tokens
