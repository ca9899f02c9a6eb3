#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "memory/rank/conversations.h"
#include "memory/rank/question.h"
#include "memory/text/index.h"

namespace asahi::memory::rank {

/// How memories of one conversation support each other. None of these numbers was fitted closely:
/// docs/benchmarks.md, "Memory", shows how flat the result lies around them.
struct EvidenceOptions {
  /// How many of the best single memories are looked at, 1 to 10,000.
  std::size_t candidates = 256;
  /// A word counts this much in memories one and two places away; the memory's own count 1.
  std::array<double, 2> neighbours = {0.5, 0.25};
  double session = 0.2;        ///< of what the session as a whole holds of the question
  double named_speaker = 0.8;  ///< more, when the question names who said it and not all
  double asks = 0.2;           ///< less, for a memory that is a question itself
  double tells_time = 0.2;     ///< more, when the question asks when and the memory tells a time
  double named_time = 0.3;     ///< more, within the time that the question names
  double order = 0.1;          ///< at most more, towards the end of time that is asked for
  /// Less, for the neighbours of one that stands higher already: what is asked about twice was
  /// often said twice, at different times.
  double repeated = 0.05;
};

/// A memory in its place, and why.
struct Ranked {
  std::uint32_t document = 0;
  double score = 0;
  int keyword_rank = 0;  ///< by its own words alone, from 1; 0: only its neighbours match
  float bm25 = 0;        ///< of its own words
  double window = 0;     ///< with its neighbours
  double session = 0;    ///< added for the session
  double factor = 1;     ///< speaker, questions, times
  bool named_speaker = false, named_time = false;
  std::uint64_t own_terms = 0;     ///< bits: terms of the question in the memory itself
  std::uint64_t nearby_terms = 0;  ///< bits: only in its neighbours
};

/// Ranks what `index` finds for the question by the evidence of conversations: BM25 over weighted
/// windows (BM25F, Robertson, Zaragoza & Taylor, CIKM 2004, the neighbours being further fields),
/// speaker, time. `options.limit` of `search` is replaced by the candidates'. Sorted by score
/// falling, time falling, document rising; at most `limit`. About 0.1 ms for 256 candidates.
std::vector<Ranked> rank_conversation(const Question& question, const text::Index& index,
                                      const Conversations& conversations,
                                      text::SearchOptions search, std::size_t limit,
                                      const EvidenceOptions& options = {});

}  // namespace asahi::memory::rank
