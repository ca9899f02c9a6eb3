#pragma once

#include <string>
#include <string_view>

namespace asahi {

/// Text as it may stand in HTML and XML, in quoted attributes too.
std::string escape_markup(std::string_view text);

}  // namespace asahi
