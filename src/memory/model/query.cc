#include "memory/model/query.h"

namespace asahi::memory {

std::string_view mode_name(SearchMode mode) {
  switch (mode) {
    case SearchMode::kSemantic:
      return "semantic";
    case SearchMode::kKeyword:
      return "keyword";
    case SearchMode::kHybrid:
      break;
  }
  return "hybrid";
}

}  // namespace asahi::memory
