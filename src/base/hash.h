#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "base/hex.h"

namespace asahi {

using Digest256 = std::array<std::uint8_t, 32>;
using Digest128 = std::array<std::uint8_t, 16>;

Digest256 sha256(std::string_view data);
Digest256 hmac_sha256(std::string_view key, std::string_view data);
/// Only for values that a published format names MD5; never for security.
Digest128 md5(std::string_view data);

/// Keyed 128-bit digest for cache keys: SipHash-2-4 with 128-bit output, over the parts with their
/// lengths, so that no two part lists collide by concatenation. `key` is 16 bytes.
Digest128 keyed_digest(const Digest128& key, std::initializer_list<std::string_view> parts);

std::string base64_encode(std::string_view data);
/// Strict: padding required, no blanks. Nothing for other text.
std::optional<std::string> base64_decode(std::string_view text);
/// RFC 4648 §5 without padding, as in JWTs.
std::string base64url_encode(std::string_view data);
std::optional<std::string> base64url_decode(std::string_view text);

/// Compares in a time that depends on the lengths only.
bool equal_constant_time(std::string_view a, std::string_view b);

}  // namespace asahi
