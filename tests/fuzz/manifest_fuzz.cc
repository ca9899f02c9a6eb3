// A manifest that is accepted holds its limits, names no file outside its folder, and one that is
// refused says at least one and at most five rules.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/json.h"
#include "memory/ingest/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace asahi::memory;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const asahi::Clock::Time now{std::chrono::seconds{1'795'000'000}};
  const auto manifest = parse_manifest(text, now);
  if (!manifest) {
    if (manifest.error().empty() || manifest.error().size() > kMaxViolations) std::abort();
    const asahi::Error error = violations_error(manifest.error(), "manifest.");
    if (!asahi::parse_json("{" + error.details + "}")) std::abort();
  } else {
    if (manifest->conversation_count > kMaxConversations || manifest->files.empty()) std::abort();
    for (const std::string& file : manifest->files) {
      if (file.empty() || file.find_first_of("/~\\") != std::string::npos || file.contains("..") ||
          file.contains('\0'))
        std::abort();
    }
    if (manifest->uploaded_at > now + std::chrono::minutes(5)) std::abort();
  }
  if (const auto place = parse_bundle_prefix(text)) {
    const auto again = parse_bundle_prefix(bundle_prefix(*place));
    if (!again || *again != *place) std::abort();
  }
  return 0;
}
