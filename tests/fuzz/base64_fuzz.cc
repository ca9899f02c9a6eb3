// Some bytes have one Base64 text of each kind: whatever is read is written back the same, so that
// a signed or stored value has no second spelling.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/hash.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace asahi;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto bytes = base64_decode(text); bytes && base64_encode(*bytes) != text) std::abort();
  if (const auto bytes = base64url_decode(text); bytes && base64url_encode(*bytes) != text)
    std::abort();
  if (base64_decode(base64_encode(text)) != text) std::abort();
  if (base64url_decode(base64url_encode(text)) != text) std::abort();
  return 0;
}
