#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace asahi {

/// Fills with random bytes; cryptographic quality (OpenSSL), buffered per thread so that an id
/// costs well under a microsecond.
void random_bytes(void* out, std::size_t size);
std::uint64_t random_u64();

/// `prefix` + `digits` random lower-case hex digits: "req_" + 12 for requests, "resp_" + 12,
/// "chatcmpl-" + 24.
std::string random_id(std::string_view prefix, std::size_t digits);

/// 26-character ULID (Crockford base 32): 48-bit milliseconds, 80 random bits. Ids made on one
/// thread in one millisecond are increasing. https://github.com/ulid/spec
std::string make_ulid(Clock::Time now);

/// `prefix` + a 128-bit time-ordered id, for entities.
std::string entity_id(std::string_view prefix, Clock::Time now);

/// True for `[A-Za-z0-9_-]{1,24}`, the ids that callers may choose (gateway spec R55).
bool is_valid_request_id(std::string_view id);

}  // namespace asahi
