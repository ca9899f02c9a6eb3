#pragma once

#include <string>
#include <string_view>

namespace asahi::gateway {

/// Appends `text` as a screen compares it: ASCII letters in lower case; accented, full-width,
/// mathematical and common look-alike letters (Cyrillic, Greek) as the Latin letter they resemble;
/// zero-width characters gone; any run of blanks as one blank, or as one newline when the run held
/// one. Other characters stay. At most as long as `text`.
void append_folded(std::string& out, std::string_view text);

}  // namespace asahi::gateway
