#pragma once

#include <optional>
#include <string>

#include "base/hash.h"
#include "llm/message.h"

namespace asahi::gateway {

/// The content of an attached file of plain text; empty for other files and for ones that are only
/// named (a URL, a file id).
inline std::optional<std::string> file_text(const llm::FilePart& file) {
  if (!file.media_type.starts_with("text/") || file.data.empty()) return std::nullopt;
  return base64_decode(file.data);
}

}  // namespace asahi::gateway
