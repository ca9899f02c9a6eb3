#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace asahi::memory::text {

/// `payload` behind `magic` (which names its kind and version) and 16 bytes of its SHA-256.
std::string with_digest(std::string_view magic, std::string_view payload);
/// The payload again. Errors: corrupt (cut, changed, of another kind).
Result<std::string_view> checked_payload(std::string_view magic, std::string_view bytes);

}  // namespace asahi::memory::text
