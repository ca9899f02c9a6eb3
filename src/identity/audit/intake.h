#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "identity/audit/audit.h"
#include "storage/sql/completion.h"

namespace asahi::identity::audit {

/// Somebody who waits for an entry to be stored. Told once, by whoever comes first: the writer or
/// the deadline.
class Waiter {
 public:
  using Steady = std::chrono::steady_clock::time_point;

  Waiter(sql::Done<std::string> done, Steady deadline)
      : deadline_(deadline), done_(std::move(done)) {}

  Steady deadline() const { return deadline_; }
  /// True when this call was the one that told.
  bool tell(Result<std::string> outcome);
  bool told() const;
  /// Marks the entry as being written: from now on a deadline leaves its outcome open. False when
  /// the waiter has been told already, and the entry must not be stored any more.
  bool take();
  bool taken() const;
  /// The attempt has certainly failed.
  void release();

 private:
  const Steady deadline_;
  mutable std::mutex mutex_;
  sql::Done<std::string> done_;
  bool told_ = false;
  bool taken_ = false;
};

/// What was recorded and not yet looked at: the only part of the log that request threads touch.
class Intake {
 public:
  struct Item {
    AuditEntry entry;
    Clock::Time at;
    std::shared_ptr<Waiter> waiter;  ///< null: nobody waits
  };
  struct Taken {
    std::deque<Item> items;
    std::uint64_t dropped = 0;  ///< since the last time
    bool stopping = false;
  };

  explicit Intake(std::size_t max_queued) : max_queued_(max_queued) {}

  /// False when full or stopping. Wakes the reader when it sleeps, which it does only while nothing
  /// comes.
  bool put(Item item);
  /// Counts an entry that was refused for another reason, which the caller logs.
  void count_refusal();
  /// Waits for items, up to `deadline` when there is one; lets some gather for `linger` unless
  /// somebody waits for one.
  Taken take(std::optional<std::chrono::steady_clock::time_point> deadline,
             std::chrono::milliseconds linger);
  /// Ends the lingering.
  void hurry();
  void stop();

  std::uint64_t accepted() const;
  std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  const std::size_t max_queued_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Item> items_;
  std::uint64_t accepted_ = 0;
  bool asleep_ = false;
  bool urgent_ = false;
  bool stopping_ = false;
  std::atomic<std::uint64_t> dropped_{0};
  std::uint64_t told_drops_ = 0;
};

}  // namespace asahi::identity::audit
