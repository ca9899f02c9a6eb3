#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "memory/model/store.h"
#include "memory/ops/circuit.h"
#include "memory/swap/place.h"
#include "net/waiting.h"
#include "telemetry/metrics.h"

namespace asahi::memory::swap {

/// The hot tier on one backend, or on its way from one to another (Mover makes the way).
///
/// While it moves, the old side decides about everything and has everything: outcomes, ageing's
/// marks, what goes. The new side follows it: writes by the order of the old side's writings,
/// erasures at once, in turn with them. In the window (`reads`) searches and look-ups ask the new
/// side, and a write is acknowledged when both have it; where the new side fails or is behind, the
/// old one answers. So putting everything back is at every moment just to stop asking the new side.
///
/// Any loop. Without a move it costs a lock and a counter for a call.
class SwapStore final : public Store {
 public:
  struct Options {
    /// A write whose copy takes longer is acknowledged without; then the old side is read.
    std::chrono::milliseconds patience{5'000};
    int failures = 5;  ///< of the new side in a row that end a move
  };
  /// `clock`, `metrics` outlive it.
  SwapStore(SharedBackend only, const Clock& clock, telemetry::Registry& metrics, Options options);

  Tier tier() const override { return Tier::kHot; }
  Task<std::vector<UpsertOutcome>> upsert_batch(std::vector<Memory> memories,
                                                UpsertOptions options) override;
  Task<std::vector<std::optional<Memory>>> get(std::vector<Key> keys) override;
  Task<std::uint64_t> delete_batch(std::vector<Key> keys) override;
  Task<std::uint64_t> delete_system(std::string tenant, std::string system_id) override;
  Task<StorePage> search(StoreQuery query) override;
  Task<std::vector<Eligible>> scan_eligible(ScanQuery wanted) override;
  Task<std::uint64_t> delete_migrated(std::vector<std::pair<Key, Digest>> rows) override;
  Task<std::uint64_t> replace_vectors(std::vector<NewVector> rows) override;
  Task<std::map<std::string, std::uint64_t>> models(std::string tenant) override;
  Task<std::vector<std::optional<Digest>>> checksum(std::vector<Key> keys) override;
  /// Of the side that decides; where that is away in the window, of the new one.
  Task<TierStats> stats(std::string tenant) override;
  Task<std::vector<HeldFile>> snapshot(std::string folder, HeldSums held) override;

  /// The side that decides.
  SharedBackend now() const;
  bool pressed() const;
  hot::EngineStats engine_stats() const;

  // What follows is Mover's; ordinary threads unless it is a Task.

  /// `wake` is called, from any thread, when there is something to follow or to look after.
  void call_on_work(std::function<void()> wake);
  /// From now on erasures meet `to`, too, and what is written is counted.
  void begin(SharedBackend to);
  /// Erasures that began before are over.
  bool all_erasures_meet_both() const;
  /// Counts writings as they are asked for: what was acknowledged before is in the feed.
  std::uint64_t written() const;
  std::uint64_t followed() const;
  /// The new side has what was written up to there.
  void set_followed(std::uint64_t written);
  /// The new side may have too much: an erasure failed there. Grows with each.
  std::uint64_t dirt() const;
  /// It has been looked through since it was so dirty.
  void set_clean(std::uint64_t dirt);
  bool clean() const;
  /// From now on reads go to the new side while it is clean and follows.
  void begin_window();
  bool reads_next() const;
  /// Calls that fail while the new side is suspected already count as one; each time that Mover
  /// looks after it counts.
  enum class FoundBy : std::uint8_t { kCall, kMover };
  /// The new side failed: the old one is read until `trust`. A call wakes Mover.
  void failed(FoundBy by);
  /// It did what it was asked for: failures before it do not count any more.
  void worked();
  /// It failed so often in a row that the move is to end.
  bool failed_for_good() const;
  /// It passed a probe.
  void trust();
  bool suspected() const;
  CircuitStats circuit() const;  ///< of the new side
  /// For pages and erasures of the new side: one at a time.
  net::Turns& turns() { return turns_; }
  /// Until no write is under way; new ones wait until `release`. Errors: unavailable.
  Task<void> hold(std::chrono::milliseconds patience);
  void release();
  /// The side that is asked no more; it may be asked still by calls under way. Both wake who waits.
  SharedBackend keep_now();
  SharedBackend adopt_next();

 private:
  struct Sides {
    SharedBackend now, next;
  };
  using OnOld = std::function<Task<std::uint64_t>(Store&)>;
  using OnNew = std::function<Task<void>(Store& old, Store& followed)>;

  Task<SharedBackend> begin_write();
  /// Its number; nothing: nobody waits for a copy.
  std::optional<std::uint64_t> end_write();
  std::uint64_t count_write();
  Aw<void> copied(std::uint64_t number);
  Task<std::uint64_t> erase(OnOld on_old, OnNew on_new);
  template <class T>
  Task<T> read(std::function<Task<T>(Store&)> call);
  SharedBackend read_side() const;
  bool reads_next_locked() const;
  void end_move_locked();
  void wake();

  const Clock& clock_;
  const Options options_;
  telemetry::Counter& fallbacks_;
  std::function<void()> wake_;
  net::Turns turns_;
  net::Changes changes_;
  mutable std::mutex mutex_;
  SharedBackend now_, next_;  ///< next_ null: nothing moves
  std::shared_ptr<Circuit> circuit_;
  bool window_ = false, suspected_ = false, held_ = false;
  std::size_t writing_ = 0, erasing_alone_ = 0;
  std::uint64_t written_ = 0, followed_ = 0;
  std::uint64_t given_up_ = 0;  ///< nobody waits for the copies of writings up to here
  std::uint64_t dirt_ = 1, cleaned_ = 0;
};

}  // namespace asahi::memory::swap
