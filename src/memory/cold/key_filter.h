#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace asahi::memory::cold {

/// Tells of most keys that they are not in a file, without the file: a Bloom filter with 10 bits a
/// key and 7 probes, 1 % of the others pass (Bloom 1970; probes by double hashing, Kirsch and
/// Mitzenmacher 2006).
class KeyFilter {
 public:
  explicit KeyFilter(std::size_t keys);
  void add(std::string_view key);
  std::string take() { return std::move(bits_); }

  /// `filter`: what `take` gave; empty: everything may be there.
  static bool may_hold(std::string_view filter, std::string_view key);

 private:
  std::string bits_;
};

}  // namespace asahi::memory::cold
