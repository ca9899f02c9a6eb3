#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/events/event.h"
#include "gateway/events/event_log.h"

namespace asahi::gateway {

/// Takes events off the request path: a bounded queue, one writer thread that appends them in
/// batches to the daily log and shows each to the observers (metrics, totals). `record` costs a
/// lock and a move and never waits; when the queue is full the event is counted as dropped. When
/// the disk refuses, events wait in the queue and `healthy` turns false.
class EventRecorder {
 public:
  using Observer = std::function<void(const InferenceEvent&)>;
  struct Options {
    std::string dir = "data/logs";
    std::size_t max_queued = 262'144;
    std::chrono::milliseconds batch_wait{10};        ///< gathered before one write
    std::chrono::milliseconds sync_interval{1'000};  ///< fsync at most this late
  };

  static Result<std::unique_ptr<EventRecorder>> start(Options options, const Clock& clock,
                                                      std::vector<Observer> observers);
  /// Writes what is queued, syncs, joins.
  ~EventRecorder();

  void record(InferenceEvent event);
  /// Returns when everything recorded before the call is in the log and seen by the observers and
  /// the callback, or after `limit`.
  bool flush(std::chrono::milliseconds limit);

  /// Events recorded that the log and the observers have not seen yet.
  std::uint64_t backlog() const {
    const std::scoped_lock lock(mutex_);
    return queued_total_ - written_total_;
  }

  std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }
  std::uint64_t recorded() const { return recorded_.load(std::memory_order_relaxed); }
  bool healthy() const { return healthy_.load(std::memory_order_relaxed); }
  /// Called on the writer's thread after each batch reached the log (wakes the loader). Set before
  /// the first event.
  void on_written(std::function<void()> callback) { on_written_ = std::move(callback); }

 private:
  EventRecorder(Options options, EventLog log, std::vector<Observer> observers);
  void run();

  Options options_;
  EventLog log_;
  std::vector<Observer> observers_;
  std::function<void()> on_written_;
  Logger logger_{"events"};

  mutable std::mutex mutex_;
  std::condition_variable wake_, written_;
  std::vector<InferenceEvent> queue_;
  std::uint64_t queued_total_ = 0, written_total_ = 0;
  bool stop_ = false;
  std::atomic<std::uint64_t> dropped_{0}, recorded_{0};
  std::atomic<bool> healthy_{true};
  std::thread thread_;
};

}  // namespace asahi::gateway
