// Any text becomes tokens and comes back the same; anything else is refused.
#include <cstdint>
#include <cstdlib>

#include "base/utf8.h"
#include "llm/tokens/encoding.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace asahi;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const llm::Encoding* encoding : {&llm::cl100k_base(), &llm::o200k_base()}) {
    const auto ids = encoding->encode(text);
    if (ids.has_value() != is_utf8(text)) std::abort();
    if (!ids) continue;
    if (encoding->decode(*ids).value() != text) std::abort();
    if (encoding->count(text).value() != std::ssize(*ids)) std::abort();
  }
  return 0;
}
