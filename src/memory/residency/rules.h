#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "memory/model/record.h"

namespace asahi::memory {

/// Which memories stay on the installation's own disks (spec/memory §4.9). A memory stays when any
/// rule names it.
struct ResidencyRules {
  std::vector<std::string> systems;  ///< ids of systems; '*' stands for any characters
  std::vector<std::string> tags;     ///< of metadata.tags
  std::vector<std::string> types;    ///< metadata.type
  bool empty() const { return systems.empty() && tags.empty() && types.empty(); }
};

bool stays_here(const ResidencyRules& rules, const Memory& memory);
/// Whether `text` is what `pattern` says, as a whole; '*' stands for any characters, or none. Takes
/// at most their lengths' product.
bool matches_pattern(std::string_view pattern, std::string_view text);

}  // namespace asahi::memory
