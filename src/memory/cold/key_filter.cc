#include "memory/cold/key_filter.h"

#include <algorithm>
#include <cstring>

#include "base/hash.h"

namespace asahi::memory::cold {

namespace {

constexpr std::size_t kBitsPerKey = 10;
constexpr unsigned kProbes = 7;
/// Part of the stored format: another key makes filters that deny what is there.
constexpr Digest128 kHashKey = {'c', 'o', 'l', 'd', ' ', 'k', 'e', 'y',
                                ' ', 'f', 'i', 'l', 't', 'e', 'r', '1'};

template <class Visit>
void probe(std::string_view key, std::size_t bits, Visit visit) {
  const Digest128 digest = keyed_digest(kHashKey, {key});
  std::uint64_t first = 0, second = 0;
  std::memcpy(&first, digest.data(), sizeof first);
  std::memcpy(&second, digest.data() + sizeof first, sizeof second);
  for (unsigned i = 0; i < kProbes; ++i) visit((first + i * second) % bits);
}

}  // namespace

KeyFilter::KeyFilter(std::size_t keys)
    : bits_((std::max<std::size_t>(keys, 8) * kBitsPerKey + 7) / 8, '\0') {}

void KeyFilter::add(std::string_view key) {
  probe(key, bits_.size() * 8, [this](std::uint64_t bit) {
    bits_[bit / 8] = static_cast<char>(bits_[bit / 8] | 1 << bit % 8);
  });
}

bool KeyFilter::may_hold(std::string_view filter, std::string_view key) {
  if (filter.empty()) return true;
  bool all = true;
  probe(key, filter.size() * 8,
        [&](std::uint64_t bit) { all = all && (filter[bit / 8] >> bit % 8 & 1) != 0; });
  return all;
}

}  // namespace asahi::memory::cold
