#pragma once

#include <string_view>

namespace asahi::memory {

/// Whether a store told of metadata what was written into it: at its end may stand `seen_in`, which
/// is not the row's own.
bool same_metadata(std::string_view written, std::string_view told);

}  // namespace asahi::memory
