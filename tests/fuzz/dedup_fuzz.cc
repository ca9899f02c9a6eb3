// Any bytes as a memory's text: its normal form is well-formed and its own, its shingles are a set
// of bounded size, and it is the nearest duplicate of itself.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/utf8.h"
#include "memory/dedup/duplicates.h"
#include "memory/dedup/normalise.h"
#include "memory/dedup/shingles.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace asahi;
  using namespace asahi::memory::dedup;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const std::string normal = normalised(text);
  require(is_utf8(normal));
  require(normalised(normal) == normal);
  require(normal.find("  ") == std::string::npos);
  require(normal.empty() || (normal.front() != ' ' && normal.back() != ' '));
  require(shingles(normal).size() <= normal.size());
  Duplicates index;
  const auto print = fingerprint(text);
  const auto slot = index.add(sha256(text), print, 7);
  const auto found = index.near(
      text, print, 0.85, [&](std::uint64_t) { return std::optional<std::string_view>(text); });
  require(found && found->row == 7 && found->jaccard == 1);
  index.remove(slot, sha256(text));
  require(!index.near(text, print, 0.85, nullptr) && !index.exact(sha256(text)));
  return 0;
}
