#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace asahi::identity {

/// What was taken within one window, oldest first, in a ring that grows and shrinks with its
/// contents. Times in nanoseconds of any clock that does not go back. Not thread-safe.
class SlidingLog {
 public:
  /// Adds to the newest entry when that began less than `span` before `now`, or at `now` itself.
  /// Times must not go back from call to call.
  void add(std::int64_t now, std::int64_t amount, std::int64_t span);
  /// Forgets entries up to and including `until`.
  void drop_until(std::int64_t until);
  /// Corrects the entry that took at `at`, added with `span`; nothing when there is none. An entry
  /// never goes below 0.
  void correct(std::int64_t at, std::int64_t by, std::int64_t span);
  /// Gives back up to `amount` from the oldest entries on.
  void give_back_oldest(std::int64_t amount);

  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  std::int64_t used() const { return used_; }
  /// Time of the newest entry; not when empty.
  std::int64_t newest() const { return entry(size_ - 1).at; }
  /// Time of the entry with which `amount` will have left in all; of the newest when there is less.
  std::int64_t leaves_with(std::int64_t amount) const;

 private:
  struct Entry {
    std::int64_t at;  ///< of the last take that it holds
    std::int64_t amount;
  };
  Entry& entry(std::size_t index) { return ring_[(head_ + index) & (capacity_ - 1)]; }
  const Entry& entry(std::size_t index) const { return ring_[(head_ + index) & (capacity_ - 1)]; }
  void resize(std::size_t capacity);
  void pop_oldest();
  void erase(std::size_t index);

  std::unique_ptr<Entry[]> ring_;
  std::uint32_t capacity_ = 0;  ///< power of two, or nothing
  std::uint32_t head_ = 0;
  std::uint32_t size_ = 0;
  std::int64_t used_ = 0;
  std::int64_t newest_since_ = 0;  ///< of the first take in the newest entry
};

}  // namespace asahi::identity
