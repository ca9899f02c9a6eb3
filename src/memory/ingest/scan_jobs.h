#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "memory/ingest/discovery.h"
#include "memory/ingest/ledger.h"

namespace asahi::memory {

/// A look into the bucket that somebody asked for.
struct ScanJob {
  enum class State : std::uint8_t { kQueued, kRunning, kDone, kFailed };
  std::string id;         ///< "scan_" + ULID
  std::string system_id;  ///< empty: all
  UploadPriority priority = UploadPriority::kNormal;
  State state = State::kQueued;
  Clock::Time asked_at{};
  std::optional<Clock::Time> ended_at;
  std::uint64_t discovered = 0;  ///< uploads that were new
  std::string error;
};
std::string_view state_name(ScanJob::State state);

/// The looks that were asked for, and what became of the latest ones; they last as long as the
/// process, what they found is in the ledger. Thread-safe.
class ScanJobs {
 public:
  static constexpr std::size_t kKept = 100;
  /// So many systems at most are looked into by name at once; more: all.
  static constexpr std::size_t kByName = 20;

  std::string add(std::string system_id, UploadPriority priority, Clock::Time now);

  /// What the next scan is to look into: everything, where nobody asked or somebody asked for it.
  struct Scan {
    std::vector<std::string> ids;      ///< of the jobs that it serves
    std::vector<std::string> systems;  ///< empty: all
    UploadPriority priority = UploadPriority::kNormal;
  };
  Scan begin();
  void end(const Scan& scan, const Discovery::Found& found, Clock::Time now);

  std::optional<ScanJob> find(const std::string& id) const;
  /// The latest first.
  std::vector<ScanJob> latest(std::size_t most) const;

 private:
  mutable std::mutex mutex_;
  std::deque<ScanJob> jobs_;  ///< oldest first
};

}  // namespace asahi::memory
