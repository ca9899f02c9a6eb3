#include "memory/model/metadata.h"

#include "base/json.h"

namespace asahi::memory {

bool same_metadata(std::string_view written, std::string_view told) {
  if (written == told) return true;
  // Nothing else is ever added.
  if (!told.contains("\"seen_in\"")) return false;
  auto before = parse_json(written), after = parse_json(told);
  if (!before || !before->is_object() || !after || !after->is_object()) return false;
  before->get_object().erase("seen_in");
  after->get_object().erase("seen_in");
  return *before == *after;
}

}  // namespace asahi::memory
