#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "memory/access/hit_counter.h"
#include "memory/access/hits.h"
#include "net/background.h"
#include "telemetry/metrics.h"

namespace asahi::memory {

/// Counts for the searches of a process, and writes what was counted into the database from time to
/// time. What cannot be written waits, as far as there is room.
///
/// | Name | Type |
/// |---|---|
/// | akosha_access_hits_total | counter: hits that were written |
/// | akosha_access_hits_lost_total | counter: hits for which there was no room |
class HitKeeper {
 public:
  /// All outlive it.
  struct Parts {
    sql::Database& database;
    net::Loop& loop;
    const Clock& clock;
    telemetry::Registry& metrics;
  };
  explicit HitKeeper(Parts parts);

  HitObserver& counter() { return counter_; }
  void start();
  /// Writes what is left. Ordinary thread, while the loop runs.
  void stop() { background_.stop(); }
  /// What was counted since the last time; what `start` calls every ten seconds.
  Task<void> write();

 private:
  Aw<void> write_from_time_to_time(net::Background::Sleep sleep);

  const Parts parts_;
  Logger logger_{"memory.access"};
  HitCounter counter_;
  Hits hits_;
  telemetry::Counter &written_, &lost_;
  net::Background background_;
};

}  // namespace asahi::memory
