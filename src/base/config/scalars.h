#pragma once
// Strict readers of single values, after the core schema of YAML 1.2.2, section 10.3.2.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace asahi::config {

struct IntegerText {
  enum class Kind { kInteger, kTooLarge, kNotAnInteger };
  Kind kind;
  std::int64_t value = 0;
};

/// [-+]?[0-9]+, 0o[0-7]+ or 0x[0-9a-fA-F]+, nothing before or after.
IntegerText read_integer(std::string_view text);
/// A finite decimal number; empty for anything else, infinities and NaN included.
std::optional<double> read_number(std::string_view text);
/// true, True, TRUE, false, False, FALSE.
std::optional<bool> read_core_bool(std::string_view text);
/// 1/true/yes/on and 0/false/no/off in any case: what the environment may say.
std::optional<bool> read_loose_bool(std::string_view text);
/// Comma separated, blanks around items and empty items dropped.
std::vector<std::string> split_list(std::string_view text);

/// The candidate that `word` was probably meant to be; empty when none is near.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace asahi::config
