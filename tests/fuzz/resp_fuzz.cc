// Any bytes as replies of a Redis server: the same replies or the same refusal however the bytes
// are split, never an exception, and never more than the limits allow.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "storage/cache/redis/resp.h"

namespace {

using namespace asahi::cache;

constexpr RespLimits kLimits{.max_bytes = 4096, .max_items = 256, .max_depth = 8, .max_line = 512};

void show(const Reply& reply, std::size_t depth, std::string& out) {
  if (depth > kLimits.max_depth) std::abort();
  out += static_cast<char>('A' + static_cast<int>(reply.type));
  out += reply.text;
  out += std::to_string(reply.integer);
  if (reply.number == reply.number) out += std::to_string(reply.number);
  for (const Reply& item : reply.items) show(item, depth + 1, out);
  out += ';';
}

/// All replies as text; a refusal ends it with '!'.
std::string read(std::string_view bytes, std::size_t portion) {
  RespParser parser(kLimits);
  std::string out;
  while (!bytes.empty()) {
    std::string_view part = bytes.substr(0, portion);
    bytes.remove_prefix(part.size());
    while (!part.empty()) {
      auto reply = parser.parse(part);
      if (!reply) return out + '!';
      if (*reply) show(**reply, 0, out);
    }
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string whole = read(bytes, bytes.size() + 1);
  if (read(bytes, 1) != whole) std::abort();
  if (read(bytes, 7) != whole) std::abort();
  return 0;
}
