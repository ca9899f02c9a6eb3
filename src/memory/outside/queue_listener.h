#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/task.h"
#include "memory/ops/circuit.h"
#include "memory/outside/upload_queue.h"
#include "telemetry/metrics.h"

namespace asahi::memory {

/// Hears of uploads from the bucket's events instead of waiting for the next scan; scans go on and
/// find what no event told. One loop.
///
/// | Metric | What |
/// |---|---|
/// | akosha_ingestion_queue_messages_total | counter; outcome (noticed, known, passed_over, kept,
/// buried) |
class QueueListener {
 public:
  struct Options {
    /// What was given out so often without success is put aside.
    std::uint64_t most_receives = 5;
    std::chrono::seconds pause_after_error{60};
  };
  /// All outlive it.
  struct Parts {
    std::function<Task<std::vector<QueueMessage>>()> receive;
    std::function<Task<void>(std::vector<QueueMessage>)> remove;
    std::function<Task<void>(QueueMessage)> bury;
    /// Discovery::notice: whether the bundle that a key belongs to is new.
    std::function<Task<bool>(std::string key)> notice;
    telemetry::Registry& metrics;
    const Clock& clock;
  };
  QueueListener(Parts parts, Options options)
      : parts_(std::move(parts)), options_(options), circuit_(parts_.clock) {}

  /// One call of the queue, and what it gave. False: it, or the bucket, is away.
  Aw<bool> poll();
  /// Until `sleep` says that it was cancelled. A call of the queue waits by itself.
  Aw<void> run(std::function<Aw<bool>(std::chrono::nanoseconds)> sleep);
  CircuitStats circuit() const { return circuit_.stats(); }

 private:
  enum class End { kNoticed, kKnown, kPassedOver, kKept, kBury };
  Aw<End> take(QueueMessage message);
  void count(const char* outcome);

  const Parts parts_;
  const Options options_;
  Logger logger_{"memory.ingest"};
  Circuit circuit_;
};

}  // namespace asahi::memory
