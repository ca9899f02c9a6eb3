#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "memory/cold/catalogue.h"

namespace asahi::memory::cold {

/// Whether the file's row of this id was erased.
inline bool is_buried(const ColdFile& file, std::string_view id) {
  return std::ranges::binary_search(file.tombstones, id, std::less<>());
}

inline void bury(ColdFile& file, const std::string& id) {
  const auto place = std::ranges::lower_bound(file.tombstones, id);
  if (place == file.tombstones.end() || *place != id) file.tombstones.insert(place, id);
}

inline std::uint64_t rows_alive(const ColdFile& file) {
  return file.rows - std::min<std::uint64_t>(file.rows, file.tombstones.size());
}

/// The file's object is nobody's any more, and goes when nobody can still be reading it. What its
/// row says of single memories goes at once: while memories age, many rows wait so.
inline void retire(ColdFile& file, Clock::Time now) {
  file.state = FileState::kRetired;
  file.changed = now;
  file.filter.clear();
  file.tombstones.clear();
}

}  // namespace asahi::memory::cold
