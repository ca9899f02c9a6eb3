#include "memory/ageing/rules.h"

#include <fmt/format.h>

#include "base/utf8.h"
#include "memory/summary/quantise.h"
#include "memory/summary/summary.h"

namespace asahi::memory::ageing {
namespace {

std::optional<Tier> parse_tier(std::string_view name) {
  for (const Tier tier : {Tier::kHot, Tier::kWarm, Tier::kCold}) {
    if (name == tier_name(tier)) return tier;
  }
  return std::nullopt;
}

}  // namespace

Result<Step> parse_step(std::string_view source, std::string_view target) {
  const auto from = parse_tier(source), to = parse_tier(target);
  if (!from || *from == Tier::kCold)
    return fail_field("source_tier", fmt::format("'{}' is not hot or warm", source.substr(0, 40)));
  const Step step = *from == Tier::kHot ? kToWarm : kToCold;
  if (to != step.target) {
    return fail_field("target_tier",
                      fmt::format("'{}': memories of the {} tier move to {}", target.substr(0, 40),
                                  tier_name(step.source), tier_name(step.target)));
  }
  return step;
}

std::optional<Step> step_named(std::string_view source, std::string_view target) {
  const auto from = parse_tier(source), to = parse_tier(target);
  for (const Step step : {kToWarm, kToCold, kToHot, kWithin}) {
    if (from == step.source && to == step.target) return step;
  }
  return std::nullopt;
}

Memory kept_form(Memory memory, Tier target) {
  if (target == Tier::kHot) return memory;
  const SummaryOptions& options = target == Tier::kCold ? kColdSummary : kWarmSummary;
  std::string summary = summarise(memory.content, options);
  // Nothing that could be called a sentence: its beginning.
  memory.content =
      summary.empty() ? mended_utf8(memory.content, options.max_bytes) : std::move(summary);
  memory.embedding = dequantised(quantise_finite(memory.embedding));
  return memory;
}

Verdict judge(const Checked& row) {
  if (row.above != row.scanned || !row.below) return Verdict::kChanged;
  if (row.outcome == UpsertOutcome::kOlder) return Verdict::kSuperseded;
  return row.below == row.expected ? Verdict::kMoved : Verdict::kMismatch;
}

}  // namespace asahi::memory::ageing
