#pragma once

#include <boost/asio/thread_pool.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/task.h"
#include "identity/audit/audit.h"
#include "memory/swap/follower.h"
#include "memory/swap/record.h"
#include "memory/swap/request.h"
#include "memory/swap/swap_store.h"
#include "net/loop.h"
#include "telemetry/metrics.h"

namespace asahi::memory::swap {

/// Moves the hot tier of a running server to another backend: copies what the old one has written
/// in the order of its writings, erases what only the new one has, compares, lets reads go over,
/// keeps both the same until the window ends, and goes back by itself when the new one fails.
///
/// One thread of its own does all that in steps of a page; whatever ends the process in between,
/// the record says where to go on. See README.md for why nothing is lost, doubled or comes back.
///
/// | Name | Type; labels |
/// |---|---|
/// | akosha_hot_move_phase | gauge, 0 or 1; phase |
/// | akosha_hot_move_writings_left | gauge: of the old side, not yet on the new one |
/// | akosha_hot_move_rows_copied_total, …_rows_repaired_total, …_rows_removed_total | counter |
/// | akosha_hot_move_fallback_reads_total | counter |
/// | akosha_hot_move_failures_total | counter: of the new side |
class Mover {
 public:
  using Open = std::function<Result<SharedBackend>(const Place&)>;
  /// All outlive it. The loops run from `start` to `stop`.
  struct Parts {
    SwapStore& store;
    sql::Database& database;
    net::LoopPool& loops;
    boost::asio::thread_pool& work;
    const Clock& clock;
    telemetry::Registry& metrics;
    identity::AuditLog* audit = nullptr;  ///< null: nobody hears of what it does by itself
    Open open;                            ///< blocking
  };
  struct Options {
    std::size_t page = 200;        ///< rows at a time
    std::size_t dimensions = 384;  ///< of a probe's vector
    RequestRules requests;
    std::string marker;                      ///< see Records
    std::chrono::milliseconds retry{1'000};  ///< after a failure
    std::chrono::milliseconds probe_every{60'000};
    std::chrono::milliseconds patience{5'000};  ///< for writes under way when sides change
  };
  Mover(Parts parts, Options options);
  ~Mover();

  /// Goes on with a move that the record has, or just tells of it; blocking, before `start`. What
  /// cannot go on ends: the old side is all there.
  void resume(Move move);
  void start();
  /// Ordinary thread, while the loops run.
  void stop();

  Result<MoveRequest> parse(const json::object& body) const {
    return parse_request(body, options_.requests);
  }
  /// Opens and probes the new backend and begins. Errors: invalid_argument (it cannot be opened
  /// so), conflict (a move is under way; it is in use; it holds memories), unavailable or upstream
  /// (the probe).
  Task<json::object> begin(std::string org_id, MoveRequest request);
  /// The old side is alone again. Errors: conflict (nothing moves).
  Task<json::object> revert(std::string reason);
  /// The new side is alone. Errors: conflict (not in the window, or it does not have everything),
  /// unavailable (writes under way do not end, the record cannot be written: nothing changed).
  Task<json::object> finish(std::string reason);
  /// {"backend", "reads", "in_step", "writings_left", "error", "circuit", "move"}.
  json::object status() const;
  /// That nothing is wrong with a move, for health.
  Result<void> check() const;

 private:
  enum class Step : std::uint8_t { kCopy, kRepeats, kSweep, kCompare, kFollow };
  /// How long to wait before the next step; `heed`: a write ends the wait.
  struct Pause {
    std::chrono::milliseconds most{0};
    bool heed = true;
  };

  void run(const std::stop_token& stop);
  Pause step();
  Pause copy_page();
  Pause sweep_page();
  void begin_sweep();
  Pause compare();
  Pause follow();
  /// Until `release`, where no write is under way any more. Errors: unavailable.
  Result<void> hold_writes();
  Result<void> finish_held(const std::string& reason);
  Pause side_failed(const Error& error);
  Pause new_side_failed(const Error& error);
  Pause old_side_failed(const Error& error);
  Result<Move> begin_now(const std::string& org_id, const MoveRequest& request);
  Result<Move> finish_now(const std::string& reason, bool by_itself);
  Result<Move> end_back(Phase phase, std::string reason, bool by_itself);
  void ended(SharedBackend left, bool by_itself);
  void note_progress();
  void show();
  void nudge(bool urgent);
  void wait(const std::stop_token& stop, Pause pause);
  void clear_retired();

  const Parts parts_;
  const Options options_;
  SwapStore& store_;
  Records records_;
  Follower follower_;  ///< under `step_mutex_`
  telemetry::Gauge &copying_, &window_, &left_gauge_;
  telemetry::Counter& failures_;

  std::mutex step_mutex_;  ///< what follows, and that sides change
  std::optional<Move> move_;
  Step step_ = Step::kCopy;
  bool compared_before_ = false, unsaved_ = false;
  std::string error_;  ///< of the last step; empty: it went well
  Clock::Steady probed_{}, noted_{};
  std::vector<SharedBackend> retired_;

  mutable std::mutex shown_mutex_;
  json::object shown_;
  std::string shown_error_;

  std::mutex wait_mutex_;
  std::condition_variable_any wait_changed_;
  bool work_ = false, urgent_ = false;
  std::jthread thread_;
};

}  // namespace asahi::memory::swap
