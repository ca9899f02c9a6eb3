#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace asahi::vector {

/// Rows by id: open addressing, 8 bytes a place, since the ids lie with the rows already.
/// `id_of(row)` gives the id of a row that is in the table. One thread at a time changes it.
class IdTable {
 public:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  /// kNone when there is none.
  template <class IdOf>
  std::uint32_t find(std::string_view id, const IdOf& id_of) const {
    const std::size_t at = place_of(id, id_of);
    return at == kNowhere ? kNone : places_[at].row;
  }
  /// The id is not in the table yet.
  void add(std::string_view id, std::uint32_t row) {
    if ((count_ + 1) * 4 > places_.size() * 3) grow();
    place({hash_of(id), row});
    ++count_;
  }
  template <class IdOf>
  void remove(std::string_view id, const IdOf& id_of) {
    std::size_t hole = place_of(id, id_of);
    if (hole == kNowhere) return;
    --count_;
    // Entries behind the hole move up, unless they stand before the place where they belong.
    for (std::size_t at = next(hole); places_[at].row != kNone; at = next(at)) {
      const std::size_t home = places_[at].hash & mask();
      if (((at - home) & mask()) < ((at - hole) & mask())) continue;
      places_[hole] = places_[at];
      hole = at;
    }
    places_[hole] = {};
  }
  std::size_t size() const { return count_; }
  std::size_t bytes() const { return places_.capacity() * sizeof(Place); }

 private:
  struct Place {
    std::uint32_t hash = 0;
    std::uint32_t row = kNone;
  };
  static constexpr std::size_t kNowhere = SIZE_MAX;

  static std::uint32_t hash_of(std::string_view id) {
    const std::size_t hash = std::hash<std::string_view>{}(id);
    return static_cast<std::uint32_t>(hash ^ hash >> 32);
  }
  std::size_t mask() const { return places_.size() - 1; }
  std::size_t next(std::size_t at) const { return (at + 1) & mask(); }

  template <class IdOf>
  std::size_t place_of(std::string_view id, const IdOf& id_of) const {
    if (places_.empty()) return kNowhere;
    const std::uint32_t hash = hash_of(id);
    for (std::size_t at = hash & mask(); places_[at].row != kNone; at = next(at)) {
      if (places_[at].hash == hash && id_of(places_[at].row) == id) return at;
    }
    return kNowhere;
  }
  void place(Place entry) {
    std::size_t at = entry.hash & mask();
    while (places_[at].row != kNone) at = next(at);
    places_[at] = entry;
  }
  void grow() {
    std::vector<Place> old(places_.empty() ? kFirst : places_.size() * 2);
    old.swap(places_);
    for (const Place& entry : old) {
      if (entry.row != kNone) place(entry);
    }
  }

  static constexpr std::size_t kFirst = 16;
  std::vector<Place> places_;  ///< a power of two
  std::size_t count_ = 0;
};

}  // namespace asahi::vector
