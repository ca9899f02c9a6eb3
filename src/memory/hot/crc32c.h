#pragma once

#include <cstdint>
#include <string_view>

namespace asahi::memory::hot {

/// CRC-32C (Castagnoli, RFC 3720 §12.1) of `bytes` behind those that gave `crc`. By the CPU's
/// instruction where it has one: 8 bytes a step.
std::uint32_t crc32c(std::string_view bytes, std::uint32_t crc = 0);

}  // namespace asahi::memory::hot
