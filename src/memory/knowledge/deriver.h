#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/clock.h"
#include "memory/knowledge/feed.h"
#include "memory/knowledge/graph_store.h"
#include "memory/knowledge/series_store.h"
#include "storage/sql/database.h"
#include "telemetry/metrics.h"

namespace asahi::memory::knowledge {

/// Keeps graph and hourly counts behind a store: follows its writings a page at a time, off the
/// path of those who write. How far it came stands in the same transaction as what it derived, so
/// that a crash loses nothing and counts nothing twice; there is no queue that could overflow.
/// Where two processes follow one store, of two that derive the same page one writes nothing.
///
/// What is gone from the stores is forgotten: at once by whoever erases (GraphStore::forget), and
/// by a slow round over all sources for what ended otherwise (retention, a crash between the two).
///
/// `start` runs it on a thread of its own; tests call `step` and `sweep`.
class Deriver {
 public:
  struct Parts {
    MemoryFeed& feed;
    GraphStore& graph;
    SeriesStore& series;
    sql::Database& db;
    const Clock& clock;
    telemetry::Registry& metrics;
  };
  struct Options {
    std::size_t page = 1'000;
    std::size_t swept_at_once = 500;
    std::chrono::milliseconds idle{1'000};      ///< between two looks where nothing is written
    std::chrono::milliseconds standby{30'000};  ///< after another process was faster
    std::chrono::hours round{24};               ///< from one round over all sources to the next
    std::chrono::minutes retention{10};         ///< between two looks for what is too old
    std::chrono::milliseconds longest_pause{30'000};  ///< after failures; from 500 ms, doubling
  };
  Deriver(Parts parts, Options options);
  ~Deriver();

  void start();
  void stop();

  /// Derives the next page. False: there was nothing. Errors: those of stores and database; it is
  /// tried again from the same place.
  Result<bool> step();
  /// Compares some sources with the stores. True: the round is complete.
  Result<bool> sweep();

 private:
  struct Place {
    std::string feed;
    std::uint64_t position = 0;
    std::uint64_t stored = 0;        ///< position that the database has; 0: none
    std::int64_t counted_ms = 0;     ///< of the latest upload that is counted
    std::uint64_t counted_upto = 0;  ///< until here only uploads after `counted_before` count
    std::int64_t counted_before = 0;
  };
  void run(std::stop_token stop);
  Result<void> find_place();
  Result<bool> next_page();
  Result<void> derive(MemoryFeed::Page page);
  Result<void> forget_vanished(const std::string& tenant, std::vector<Key> keys);
  /// Where nothing is written at every look, beside writings that do not end every `idle`.
  void housekeep();
  void pause(std::stop_token stop, std::chrono::milliseconds most);

  /// Into the gauges; what was there at the start was not added.
  void tell_size(const GraphSize& size);

  const Parts parts_;
  const Options options_;
  std::optional<Place> place_;
  std::chrono::nanoseconds rest_{0};  ///< after the page just derived
  // Of the round that runs.
  std::string tenant_;
  graph::Source last_;
  Clock::Steady next_round_{}, next_retention_{}, next_size_{}, next_housekeeping_{};

  telemetry::Counter& learned_;
  telemetry::Counter& refused_;
  telemetry::Gauge& behind_;
  telemetry::Gauge& entities_;
  telemetry::Gauge& relationships_;
  telemetry::Gauge &all_entities_, &all_edges_;  ///< the same, as kg_…
  telemetry::Counter &added_entities_, &added_edges_;
  bool sized_ = false;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;
};

}  // namespace asahi::memory::knowledge
