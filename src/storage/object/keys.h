#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace asahi::object {

/// What every store takes as a key: 1 to 1,024 bytes of UTF-8 without control characters; parts of
/// 1 to 255 bytes between single '/', none of them "." or "..", none beginning with ".asahi-"
/// (names of the folder store). In a folder a key cannot also be the folder of others ("a" beside
/// "a/b"). Errors: invalid_argument.
Result<void> check_key(std::string_view key);
/// The same for a prefix of keys; it may be empty or end in the middle.
Result<void> check_prefix(std::string_view prefix);

/// Beginning of names that a folder store keeps for itself.
inline constexpr std::string_view kOwnNames = ".asahi-";

}  // namespace asahi::object
