#pragma once

#include <string_view>

namespace asahi::gateway {

/// Files compiled into the program by scripts/embed_files.py: the dashboard, the API document, the
/// default models.
struct EmbeddedFile {
  std::string_view name;  ///< "dashboard/index.html"
  std::string_view bytes;
};
/// Null when there is no such file.
const EmbeddedFile* embedded_file(std::string_view name);

}  // namespace asahi::gateway
