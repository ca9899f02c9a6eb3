#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "memory/model/store.h"

namespace asahi::memory::ageing {

/// One step: hot to warm, warm to cold.
struct Step {
  Tier source = Tier::kHot;
  Tier target = Tier::kWarm;
  bool operator==(const Step&) const = default;
};
inline constexpr Step kToWarm{Tier::kHot, Tier::kWarm}, kToCold{Tier::kWarm, Tier::kCold};
/// Up again, by access rules only (access_rules.h).
inline constexpr Step kToHot{Tier::kWarm, Tier::kHot};
/// Memories stay where they are and get new vectors (reembedding.h), in the hot and warm tier.
inline constexpr Step kWithin{Tier::kHot, Tier::kHot};

/// Errors: invalid_argument naming source_tier or target_tier: memories go one step down.
Result<Step> parse_step(std::string_view source, std::string_view target);

/// Any of these; nothing: there is no such step.
std::optional<Step> step_named(std::string_view source, std::string_view target);

/// What `target` keeps of a memory (spec/memory §4.1): three sentences (warm) or one (cold), a
/// vector of one byte a number. Everything else is carried, also the hash of the whole text.
Memory kept_form(Memory memory, Tier target);

/// What is known of a row after its copy was made and read back.
struct Checked {
  Digest scanned{};   ///< of the row as the scan gave it
  Digest expected{};  ///< of what the target should keep
  UpsertOutcome outcome = UpsertOutcome::kStored;
  std::optional<Digest> above, below;  ///< what source and target have now; nothing: no such row
};

enum class Verdict : std::uint8_t {
  kMoved,       ///< the copy is right: the source's row goes
  kSuperseded,  ///< the target has a newer version: the source's row goes
  /// The row was changed meanwhile, or the copy erased (an erasure begins below): the row stays,
  /// the copy goes, if this run made it.
  kChanged,
  kMismatch,  ///< the copy is not what it should be: the source's row stays
};
Verdict judge(const Checked& row);

}  // namespace asahi::memory::ageing
