#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "base/result.h"
#include "identity/limits/budget_book.h"

namespace asahi::identity {

/// Keeps a BudgetBook's changes in files, so that they survive `kill -9`: records are copied into a
/// shared memory mapping, which the kernel owns from that moment on. Losing power or the kernel may
/// lose the last seconds; the database then has the sums as of its last flush.
///
/// `<file>` is a checkpoint: accounts, sums and open reservations as of segment K, and the name of
/// this node. `<file>.<n>` for n > K are segments of records since. A full segment is left behind
/// for the next one; `compact` folds those left behind into a new checkpoint, which takes the
/// other's place by rename, without touching the book in use. `<file>.lock` keeps other processes
/// away.
///
/// A record is 8-byte words: size, type and count; a checksum that covers its place as well; the
/// payload. Its first word is written last, so that a killed process leaves a whole record or none.
/// A bad record at the end (power loss, a cut copy) is dropped; one in the middle is an error.
///
/// `append_*` and `room` by one thread at a time; the rest by another.
class BudgetJournal {
 public:
  struct Options {
    std::string file;
    std::size_t segment_bytes = 4 << 20;
  };
  struct Recovered {
    std::size_t records = 0;
    std::size_t settled_at_estimate = 0;  ///< reservations that nobody settled before the end
    bool torn = false;                    ///< the last record was not whole, and is dropped
  };

  /// Reads what is there into `book` (empty before), counts open reservations as spent and writes
  /// a new checkpoint. Errors: unavailable (cannot write; another process has it), corrupt.
  static Result<std::unique_ptr<BudgetJournal>> open(Options options, BudgetBook& book,
                                                     Clock::Time now);
  ~BudgetJournal();
  BudgetJournal(const BudgetJournal&) = delete;
  BudgetJournal& operator=(const BudgetJournal&) = delete;

  /// Makes sure that a new reservation with `names` bytes of new account names, its settlement and
  /// those of all `open` ones fit. Errors: unavailable (disk full).
  Result<void> room(std::size_t open, std::size_t names);
  /// After `room`.
  void append_account(std::uint32_t number, std::string_view name);
  void append_reserve(std::uint64_t id, const BudgetBook::Open& open);
  void append_settle(std::uint64_t id, Clock::Time at, NanoUsd cost);

  /// Makes the segment that comes after the current one, if there is none: `room` then only swaps.
  Result<void> prepare();
  /// True once after each change of segments: time to `prepare` and `compact`. Any thread.
  bool take_due() {
    return due_.load(std::memory_order_relaxed) && due_.exchange(false, std::memory_order_relaxed);
  }
  /// Folds the segments left behind into the checkpoint. True when there were any.
  Result<bool> compact(Clock::Time now);

  /// Random; made with the first checkpoint, so that a new data folder is a new node.
  const std::string& node() const { return node_; }
  const Recovered& recovered() const { return recovered_; }

 private:
  struct Segment;
  explicit BudgetJournal(Options options);
  Result<void> take_lock();
  Result<void> recover(BudgetBook& book, Clock::Time now);
  Result<void> write_checkpoint(const BudgetBook& book, std::uint64_t covered, Clock::Time now);
  Result<std::unique_ptr<Segment>> make_segment(std::uint64_t number);
  void append(std::uint8_t type, std::uint16_t count, std::span<const std::uint64_t> payload,
              std::string_view tail = {});
  std::string segment_file(std::uint64_t number) const;

  Options options_;
  File lock_;
  std::string node_;
  Recovered recovered_;
  std::unique_ptr<Segment> current_;
  std::atomic<bool> due_{false};
  std::mutex swap_mutex_;                       ///< next_ and left_
  std::unique_ptr<Segment> next_;               ///< made ahead
  std::vector<std::unique_ptr<Segment>> left_;  ///< full, not yet in the checkpoint
  std::uint64_t covered_ = 0;                   ///< segments up to this one are in the checkpoint
};

}  // namespace asahi::identity
