#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "base/result.h"

namespace asahi::gateway {

/// The durable log of events: `<dir>/events_YYYY-MM-DD.jsonl`, appended to in whole lines. An event
/// is durable once `append` returned: it survives `kill -9` (page cache), and power loss after the
/// next `sync`. One process per folder. Not thread-safe: belongs to the writer thread.
class EventLog {
 public:
  /// A line cut by a crash at the end of the newest file is closed with a newline, so that it stays
  /// one (skipped) line and harms no other.
  static Result<EventLog> open(std::string dir, const Clock& clock);
  ~EventLog();
  EventLog(EventLog&& other) noexcept;
  EventLog& operator=(EventLog&&) = delete;

  /// Appends complete lines to the day's file. Errors: unavailable (disk full …); then nothing or a
  /// part was written and the next append starts on a fresh line.
  Result<void> append(std::string_view lines);
  /// fsync.
  Result<void> sync();

 private:
  EventLog(std::string dir, const Clock& clock) : dir_(std::move(dir)), clock_(&clock) {}
  Result<void> roll();

  std::string dir_;
  const Clock* clock_;
  std::string day_;
  File file_;
  bool torn_ = false;
};

/// Where a reader of the log stands.
struct LogPosition {
  std::string file;  ///< name without folder; empty: before the first
  std::int64_t offset = 0;
};

/// Up to `max_bytes` of whole lines after `from`, and the position behind them. Moves on to the
/// next day's file when one is exhausted and a newer exists. No new lines: an empty batch.
struct LogBatch {
  std::vector<std::string> lines;
  LogPosition next;
};
Result<LogBatch> read_log(const std::string& dir, const LogPosition& from, std::size_t max_bytes);

/// The log's files, oldest first.
std::vector<std::string> log_files(const std::string& dir);

}  // namespace asahi::gateway
