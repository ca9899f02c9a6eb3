#pragma once

#include <string_view>

namespace asahi::gateway {

/// From here on an answer is flagged.
inline constexpr double kHallucinationFlagged = 0.5;

/// Signs that an answer is made up, 0 to 1 (gateway spec §3.14): certain and hedging words in one
/// sentence +0.3; sentences that contradict each other +0.25 a pair, up to 0.5; links and papers of
/// a suspicious form +0.2 each, up to 0.6; numbers that differ from those of `facts`, the texts
/// that were supplied, and do not follow from them, +0.25 each, up to 0.5. Code is left out. Pure;
/// the caller bounds the lengths.
double hallucination_score(std::string_view answer, std::string_view facts);

/// The parts of the score, each at its cap at most.
double mixed_certainty(std::string_view answer);
double contradictions(std::string_view answer);
double suspicious_sources(std::string_view answer, std::string_view facts);
double number_conflicts(std::string_view answer, std::string_view facts);

}  // namespace asahi::gateway
