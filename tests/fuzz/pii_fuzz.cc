// Any bytes as a text to be masked: finding and masking agree, masking again finds nothing that was
// not there, valid UTF-8 stays valid, and what is not a find stays byte for byte in place.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/utf8.h"
#include "gateway/governance/guard/injection.h"
#include "gateway/governance/guard/pii.h"
#include "gateway/governance/guard/pii_scanner.h"

namespace {

using namespace asahi;
using namespace asahi::gateway;

void require(bool holds) {
  if (!holds) std::abort();
}

const InjectionScreen& screen() {
  static const auto made = InjectionScreen::make({"open * the * door", "zz*zz*zy"});
  return **made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  PiiScanner scanner(text);
  std::size_t end = 0;
  PiiTypes found;
  while (const auto hit = scanner.next()) {
    require(hit->begin >= end && hit->end > hit->begin && hit->end <= size);
    end = hit->end;
    found.add(hit->type);
  }
  require(found == find_pii(text));
  std::string masked(text);
  require(mask(masked) == found);
  require(found.empty() == (masked == text));
  if (is_utf8(text)) require(is_utf8(masked));
  static_cast<void>(screen().find(text));
  return 0;
}
