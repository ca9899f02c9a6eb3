#include "memory/text/digest.h"

#include <cstring>

#include "base/hash.h"

namespace asahi::memory::text {
namespace {

constexpr std::size_t kDigest = 16;

}  // namespace

std::string with_digest(std::string_view magic, std::string_view payload) {
  std::string out;
  out.reserve(magic.size() + kDigest + payload.size());
  out += magic;
  const Digest256 digest = sha256(payload);
  out.append(reinterpret_cast<const char*>(digest.data()), kDigest);
  out += payload;
  return out;
}

Result<std::string_view> checked_payload(std::string_view magic, std::string_view bytes) {
  if (bytes.size() < magic.size() + kDigest || !bytes.starts_with(magic))
    return fail(Errc::kCorrupt,
                "not a snapshot of the keyword index: build it again from the store");
  const std::string_view payload = bytes.substr(magic.size() + kDigest);
  const Digest256 digest = sha256(payload);
  if (std::memcmp(digest.data(), bytes.data() + magic.size(), kDigest) != 0)
    return fail(
        Errc::kCorrupt,
        "the snapshot of the keyword index is cut or changed: build it again from the store");
  return payload;
}

}  // namespace asahi::memory::text
