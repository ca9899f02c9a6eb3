#include "memory/residency/rules.h"

#include <algorithm>

#include "memory/hot/table.h"

namespace asahi::memory {

bool matches_pattern(std::string_view pattern, std::string_view text) {
  std::size_t at = 0, in = 0;
  // Behind the last '*', and where it began to stand for more.
  std::size_t star = std::string_view::npos, from = 0;
  while (at < text.size()) {
    if (in < pattern.size() && pattern[in] == '*') {
      star = ++in;
      from = at;
    } else if (in < pattern.size() && pattern[in] == text[at]) {
      ++in;
      ++at;
    } else if (star != std::string_view::npos) {
      in = star;
      at = ++from;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', in) == std::string_view::npos;
}

bool stays_here(const ResidencyRules& rules, const Memory& memory) {
  const auto named = [&](std::string_view field, const std::vector<std::string>& values) {
    return std::ranges::any_of(values, [&](const std::string& value) {
      return hot::metadata_matches(memory.metadata, field, value);
    });
  };
  return std::ranges::any_of(rules.systems,
                             [&](const std::string& pattern) {
                               return matches_pattern(pattern, memory.key.system_id);
                             }) ||
         named("tags", rules.tags) || named("type", rules.types);
}

}  // namespace asahi::memory
