#pragma once

#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "memory/model/record.h"

namespace asahi::memory::knowledge {

/// What was written into a store, in the order of writing, as whoever derives from it needs it.
/// Numbers grow, hold over restarts and are never given twice. Blocking; any ordinary thread.
class MemoryFeed {
 public:
  struct Row {
    Memory memory;
    bool duplicate = false;  ///< the same content as another row's, seen again
  };
  struct Page {
    std::vector<Row> rows;   ///< as they are now: a row stands where it was written last
    std::uint64_t upto = 0;  ///< the page holds everything written until here
    std::uint64_t end = 0;   ///< of the last writing
  };
  struct Place {
    std::string name;       ///< of the store's writings: numbers of another name mean nothing here
    std::uint64_t end = 0;  ///< of the last writing
  };
  virtual ~MemoryFeed() = default;
  /// Errors, as of all here: unavailable, timeout.
  virtual Result<Place> place() = 0;
  /// Until something was written after `since`. False: nothing was for so long.
  virtual bool wait(std::uint64_t since, std::chrono::milliseconds most, std::stop_token stop) = 0;
  /// Errors: conflict where the store is another one by now than `place` said.
  virtual Result<Page> after(std::uint64_t since, std::size_t limit) = 0;
  /// Whether each memory is in any tier.
  virtual Result<std::vector<bool>> present(std::vector<Key> keys) = 0;
};

}  // namespace asahi::memory::knowledge
