#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace asahi {

/// Length of the well-formed UTF-8 sequence that starts at `at` (Unicode 15, table 3-7); 0 when it
/// is ill-formed.
std::size_t utf8_length(std::string_view text, std::size_t at);

bool is_utf8(std::string_view text);

/// `text` with each byte that belongs to no well-formed sequence replaced by U+FFFD. Stops at the
/// first character border at or after `max_bytes` of output.
std::string mended_utf8(std::string_view text, std::size_t max_bytes = std::string::npos);

/// The first `max_bytes` of the text, or a few fewer, so that no character is cut in two.
std::string_view utf8_prefix(std::string_view text, std::size_t max_bytes);

/// Code points, so that limits in characters mean the same for every script.
std::size_t utf8_characters(std::string_view text);

}  // namespace asahi
