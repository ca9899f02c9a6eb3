#include "memory/model/metadata.h"

namespace asahi::memory {

bool same_metadata(std::string_view written, std::string_view told) {
  if (written == told) return true;
  if (!written.ends_with('}')) return false;
  written.remove_suffix(1);
  if (!told.starts_with(written)) return false;
  told.remove_prefix(written.size());
  return told.starts_with(R"(,"seen_in":)") ||
         (written == "{" && told.starts_with(R"("seen_in":)"));
}

}  // namespace asahi::memory
