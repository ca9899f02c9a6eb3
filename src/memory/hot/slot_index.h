#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace asahi::memory::hot {

/// Hashes to slots: open addressing, 8 bytes an entry, at most 70 % full. Several slots may have
/// one hash; the asker tells them apart by what the slots hold.
class SlotIndex {
 public:
  void insert(std::uint64_t hash, std::uint32_t slot) {
    if ((count_ + 1) * 10 > entries_.size() * 7) grow();
    place({tag_of(hash), slot + 1});
    ++count_;
  }

  void erase(std::uint64_t hash, std::uint32_t slot) {
    if (entries_.empty()) return;
    const std::size_t mask = entries_.size() - 1;
    std::size_t at = home(tag_of(hash));
    while (entries_[at].slot != slot + 1) {
      if (entries_[at].slot == 0) return;
      at = (at + 1) & mask;
    }
    // Those behind move up, so that no marks of what was there are needed.
    for (std::size_t next = (at + 1) & mask; entries_[next].slot != 0; next = (next + 1) & mask) {
      const std::size_t wish = home(entries_[next].tag);
      if (((next - wish) & mask) < ((next - at) & mask)) continue;
      entries_[at] = entries_[next];
      at = next;
    }
    entries_[at] = {};
    --count_;
  }

  /// Calls `take(slot)` for each slot that may have this hash, until it returns true.
  template <class Take>
  void find(std::uint64_t hash, Take take) const {
    if (entries_.empty()) return;
    const std::uint32_t tag = tag_of(hash);
    const std::size_t mask = entries_.size() - 1;
    for (std::size_t at = home(tag); entries_[at].slot != 0; at = (at + 1) & mask) {
      if (entries_[at].tag == tag && take(entries_[at].slot - 1)) return;
    }
  }

  std::size_t bytes() const { return entries_.capacity() * sizeof(Entry); }

 private:
  struct Entry {
    std::uint32_t tag = 0;
    std::uint32_t slot = 0;  ///< plus 1; 0: nothing here
  };
  static std::uint32_t tag_of(std::uint64_t hash) {
    return static_cast<std::uint32_t>(hash ^ (hash >> 32));
  }
  std::size_t home(std::uint32_t tag) const {
    return static_cast<std::size_t>((tag * std::uint64_t{0x9E3779B97F4A7C15}) >> 20) &
           (entries_.size() - 1);
  }
  void place(Entry entry) {
    std::size_t at = home(entry.tag);
    while (entries_[at].slot != 0) at = (at + 1) & (entries_.size() - 1);
    entries_[at] = entry;
  }
  void grow() {
    std::vector<Entry> old =
        std::exchange(entries_, std::vector<Entry>(entries_.empty() ? 16 : 2 * entries_.size()));
    for (const Entry& entry : old) {
      if (entry.slot != 0) place(entry);
    }
  }

  std::vector<Entry> entries_;
  std::size_t count_ = 0;
};

}  // namespace asahi::memory::hot
