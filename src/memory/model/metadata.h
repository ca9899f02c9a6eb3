#pragma once

#include <string_view>

namespace asahi::memory {

/// Whether a store told of metadata what was written into it, but for the list `seen_in`, to which
/// it adds.
bool same_metadata(std::string_view written, std::string_view told);

}  // namespace asahi::memory
