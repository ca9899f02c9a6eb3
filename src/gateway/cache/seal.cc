#include "gateway/cache/seal.h"

namespace asahi::gateway {

std::optional<std::string> Seal::close(std::string_view plain, std::string_view context) const {
  const auto ring = ring_ == nullptr ? nullptr : ring_->get();
  if (ring == nullptr) return std::nullopt;
  return std::string(kMark) + ring->encrypt(plain, context);
}

std::optional<std::string> Seal::open(std::string_view stored, std::string_view context) const {
  const auto ring = ring_ == nullptr ? nullptr : ring_->get();
  if (ring != nullptr) {
    if (auto plain = ring->decrypt(stored.substr(kMark.size()), context)) return std::move(*plain);
  }
  if (!told_.exchange(true)) {
    logger_.warning(
        "an encrypted entry cannot be opened and counts as a miss; further ones are not told",
        {{"reason",
          ring == nullptr ? "there is no encryption key" : "no key of the ring opens it"}});
  }
  return std::nullopt;
}

}  // namespace asahi::gateway
