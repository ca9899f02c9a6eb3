#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "memory/search/search.h"

namespace asahi::memory {

/// How often each memory was given back since the last `take`. Bounded: what does not fit is not
/// counted, and counted as that. Thread-safe; one lock a search.
class HitCounter final : public HitObserver {
 public:
  struct Limits {
    std::size_t memories = 50'000;
    std::size_t answers = 5'000;  ///< whose memories are known when a cache gives them again
  };
  HitCounter() = default;
  explicit HitCounter(Limits limits) : limits_(limits) {}

  void returned(const std::string& answer, std::vector<Key> keys) override;
  void returned_again(const std::string& answer) override;

  struct Taken {
    std::vector<std::pair<Key, std::uint64_t>> hits;
    std::uint64_t lost = 0;  ///< hits that were not counted for want of room
  };
  Taken take();
  /// What could not be written after all.
  void put_back(Taken taken);

 private:
  struct Hash {
    std::size_t operator()(const Key& key) const;
  };
  void count(const std::vector<Key>& keys);
  void add(const Key& key, std::uint64_t hits);

  const Limits limits_;
  std::mutex mutex_;
  std::unordered_map<Key, std::uint64_t, Hash> hits_;
  std::unordered_map<std::string, std::shared_ptr<const std::vector<Key>>> answers_;
  std::deque<std::string> oldest_;  ///< answers in the order in which they came
  std::uint64_t lost_ = 0;
};

}  // namespace asahi::memory
