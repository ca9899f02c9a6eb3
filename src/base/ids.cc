#include "base/ids.h"

#include <openssl/rand.h>

#include <array>
#include <cstring>
#include <stdexcept>

namespace asahi {
namespace {

struct RandomBuffer {
  std::array<unsigned char, 1024> bytes;
  std::size_t used = sizeof(bytes);
};

constexpr std::string_view kHex = "0123456789abcdef";
constexpr std::string_view kCrockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

}  // namespace

void random_bytes(void* out, std::size_t size) {
  thread_local RandomBuffer buffer;
  if (size > buffer.bytes.size()) {
    if (RAND_bytes(static_cast<unsigned char*>(out), static_cast<int>(size)) != 1) {
      throw std::runtime_error("the system's random generator failed");
    }
    return;
  }
  if (buffer.used + size > buffer.bytes.size()) {
    if (RAND_bytes(buffer.bytes.data(), static_cast<int>(buffer.bytes.size())) != 1) {
      throw std::runtime_error("the system's random generator failed");
    }
    buffer.used = 0;
  }
  std::memcpy(out, buffer.bytes.data() + buffer.used, size);
  // Handed out once only: a later dump of this buffer must not reveal it.
  std::memset(buffer.bytes.data() + buffer.used, 0, size);
  buffer.used += size;
}

std::uint64_t random_u64() {
  std::uint64_t value;
  random_bytes(&value, sizeof value);
  return value;
}

std::string random_id(std::string_view prefix, std::size_t digits) {
  std::string id(prefix.size() + digits, '\0');
  char* out = id.data() + prefix.copy(id.data(), prefix.size());
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    if (i % 16 == 0) bits = random_u64();
    *out++ = kHex[bits & 15];
    bits >>= 4;
  }
  return id;
}

std::string make_ulid(Clock::Time now) {
  struct Last {
    std::uint64_t ms = 0;
    std::uint16_t high = 0;
    std::uint64_t low = 0;
  };
  thread_local Last last;
  const auto ms = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count());
  if (ms == last.ms) {
    if (++last.low == 0) ++last.high;
  } else {
    last.ms = ms;
    last.low = random_u64();
    last.high = static_cast<std::uint16_t>(random_u64());
  }
  std::string id(26, '0');
  std::uint64_t value = ms;
  for (int i = 9; i >= 0; --i, value >>= 5)
    id[static_cast<std::size_t>(i)] = kCrockford[value & 31];
  unsigned __int128 random = (static_cast<unsigned __int128>(last.high) << 64) | last.low;
  for (int i = 25; i >= 10; --i, random >>= 5) {
    id[static_cast<std::size_t>(i)] = kCrockford[static_cast<std::size_t>(random & 31)];
  }
  return id;
}

std::string entity_id(std::string_view prefix, Clock::Time now) {
  return std::string(prefix) + make_ulid(now);
}

bool is_valid_request_id(std::string_view id) {
  if (id.empty() || id.size() > 24) return false;
  for (const char c : id) {
    const bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '_' || c == '-';
    if (!ok) return false;
  }
  return true;
}

}  // namespace asahi
