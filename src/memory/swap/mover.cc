#include "memory/swap/mover.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "base/ids.h"
#include "base/log.h"
#include "memory/swap/copying.h"
#include "net/blocking.h"

namespace asahi::memory::swap {
namespace {

using knowledge::MemoryFeed;
using std::chrono::milliseconds;

constexpr milliseconds kIdle{60'000};
constexpr milliseconds kWindowPause{1'000};
constexpr milliseconds kSoon{20};
constexpr std::chrono::seconds kNoteEvery{2};

const Logger& logger() {
  static const Logger instance("memory.swap");
  return instance;
}

telemetry::Gauge& phase_gauge(telemetry::Registry& metrics, Phase phase) {
  return metrics.gauge("akosha_hot_move_phase", "The hot tier moves to another backend: 1",
                       {{"phase", std::string(phase_name(phase))}});
}

}  // namespace

Mover::Mover(Parts parts, Options options)
    : parts_(std::move(parts)),
      options_(std::move(options)),
      store_(parts_.store),
      records_(parts_.database, options_.marker),
      follower_(store_, parts_.loops.at(0), parts_.clock, parts_.metrics,
                {.page = options_.page, .dimensions = options_.dimensions}),
      copying_(phase_gauge(parts_.metrics, Phase::kCopying)),
      window_(phase_gauge(parts_.metrics, Phase::kWindow)),
      left_gauge_(parts_.metrics.gauge("akosha_hot_move_writings_left",
                                       "Writings of the old backend that the new one lacks")),
      failures_(parts_.metrics.counter("akosha_hot_move_failures_total",
                                       "Steps of a move that the new backend failed")) {
  store_.call_on_work([this] { nudge(false); });
  const std::lock_guard lock(step_mutex_);
  show();
}

Mover::~Mover() {
  stop();
  store_.call_on_work({});
}

void Mover::start() {
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

void Mover::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
  const std::lock_guard lock(step_mutex_);
  if (move_ && move_->active()) note_progress();
}

Result<void> Mover::hold_writes() {
  return net::run_sync<Result<void>>(parts_.loops.at(0),
                                     [this] { return store_.hold(options_.patience); });
}

void Mover::nudge(bool urgent) {
  const std::lock_guard lock(wait_mutex_);
  work_ = true;
  urgent_ = urgent_ || urgent;
  wait_changed_.notify_all();
}

void Mover::wait(const std::stop_token& stop, Pause pause) {
  std::unique_lock lock(wait_mutex_);
  if (pause.most > milliseconds(0)) {
    wait_changed_.wait_for(lock, stop, pause.most,
                           [&] { return urgent_ || (pause.heed && work_); });
  }
  work_ = urgent_ = false;
}

void Mover::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    Pause pause{.most = kIdle, .heed = false};
    {
      const std::lock_guard lock(step_mutex_);
      if (unsaved_ && move_) unsaved_ = !records_.save(*move_);
      if (move_ && move_->active()) pause = step();
      clear_retired();
      if (!retired_.empty() || unsaved_) pause.most = std::min(pause.most, options_.retry);
      show();
    }
    wait(stop, pause);
  }
}

/// Their last calls are over: they are closed here, where that may wait for the disk.
void Mover::clear_retired() {
  std::erase_if(retired_, [](const SharedBackend& each) { return each.use_count() == 1; });
}

void Mover::show() {
  const bool active = move_ && move_->active();
  const bool in_window = active && move_->phase == Phase::kWindow;
  copying_.set(active && !in_window ? 1 : 0);
  window_.set(in_window ? 1 : 0);
  left_gauge_.set(active ? static_cast<double>(follower_.left()) : 0);
  json::object out{{"backend", store_.now()->place.to_json()},
                   {"move", move_ ? json::value(move_json(*move_)) : json::value(nullptr)},
                   {"writings_left", active ? json::value(follower_.left()) : json::value(nullptr)},
                   {"error", error_.empty() ? json::value(nullptr) : json::value(error_)}};
  const std::lock_guard lock(shown_mutex_);
  shown_ = std::move(out);
  shown_error_ = active ? error_ : "";
}

json::object Mover::status() const {
  json::object out;
  {
    const std::lock_guard lock(shown_mutex_);
    out = shown_;
  }
  const bool next = store_.reads_next();
  out["reads"] = next ? "new" : "old";
  const json::value& move = out.at("move");
  const bool active = move.is_object() && move.at("ended_at").is_null();
  if (!active) out["reads"] = nullptr;
  out["circuit"] = active ? json::value(circuit_json("hot", store_.circuit())) : nullptr;
  return out;
}

Result<void> Mover::check() const {
  const std::lock_guard lock(shown_mutex_);
  if (shown_error_.empty()) return {};
  return fail(Errc::kUnavailable, "the move of the hot tier: " + shown_error_);
}

// ---- Steps.

Mover::Pause Mover::step() {
  switch (step_) {
    case Step::kCopy:
    case Step::kRepeats:
      return copy_page();
    case Step::kSweep:
      return sweep_page();
    case Step::kCompare:
      return compare();
    case Step::kFollow:
      return follow();
  }
  return {};
}

Mover::Pause Mover::new_side_failed(const Error& error) {
  error_ = error.message;
  failures_.add();
  store_.failed(SwapStore::FoundBy::kMover);
  if (!store_.failed_for_good()) {
    logger().warning("the new backend of the hot tier failed; it is tried again",
                     {{"move", move_->id}, {"error", error.message}});
    return {.most = options_.retry, .heed = false};
  }
  const Phase phase = move_->phase == Phase::kWindow ? Phase::kReverted : Phase::kAborted;
  std::ignore = end_back(phase, "the new backend failed: " + error.message, true);
  return {.most = kSoon};
}

Mover::Pause Mover::old_side_failed(const Error& error) {
  if (error_ != error.message) {
    logger().warning("the old backend of the hot tier cannot be followed; it is tried again",
                     {{"move", move_->id}, {"error", error.message}});
  }
  error_ = error.message;
  return {.most = options_.retry, .heed = false};
}

void Mover::note_progress() {
  noted_ = parts_.clock.steady_now();
  // An older place costs a little time, no row.
  if (auto noted = records_.note(*move_); !noted)
    logger().warning("the move's progress cannot be noted", {{"error", noted.error().message}});
}

Mover::Pause Mover::side_failed(const Error& error) {
  return error.code == Errc::kUpstream ? new_side_failed(error) : old_side_failed(error);
}

Mover::Pause Mover::copy_page() {
  if (!store_.all_erasures_meet_both()) return {.most = kSoon, .heed = false};
  const bool repeats = step_ == Step::kRepeats;
  const auto last = repeats ? follower_.repeat_page(*move_) : follower_.follow_page(*move_);
  if (!last) return side_failed(last.error());
  error_.clear();
  if (move_->phase == Phase::kCopying) store_.worked();
  if (parts_.clock.steady_now() - noted_ > kNoteEvery) note_progress();
  if (!*last) return {};
  if (!repeats && follower_.left_out_repeats()) {
    // Once more over all, now that what they repeat is there.
    step_ = Step::kRepeats;
    follower_.begin_repeats();
    return {};
  }
  begin_sweep();
  return {};
}

Mover::Pause Mover::sweep_page() {
  if (move_->phase == Phase::kWindow && store_.written() > store_.followed()) {
    if (const auto last = follower_.follow_page(*move_); !last) return side_failed(last.error());
  }
  const auto last = follower_.sweep_page(*move_);
  if (!last) return side_failed(last.error());
  error_.clear();
  if (!*last) return {};
  if (!store_.clean()) {
    begin_sweep();
    return {};
  }
  step_ = move_->phase == Phase::kWindow ? Step::kFollow : Step::kCompare;
  return {};
}

void Mover::begin_sweep() {
  step_ = Step::kSweep;
  follower_.begin_sweep();
}

Mover::Pause Mover::compare() {
  // Most of what came since is copied before anybody waits.
  const auto last = follower_.follow_page(*move_);
  if (!last) return side_failed(last.error());
  if (follower_.left() > options_.page) return {};
  if (auto able = follower_.probe_new_side(); !able) return new_side_failed(able.error());
  const net::Turns::Turn turn = follower_.take_turn();
  if (auto held = hold_writes(); !held) return old_side_failed(held.error());
  auto same = follower_.compare_held(*move_);
  if (same && *same && store_.clean()) {
    Move next = *move_;
    next.phase = Phase::kWindow;
    next.window_since = parts_.clock.now();
    if (auto saved = records_.save(next); !saved) {
      store_.release();
      return old_side_failed(saved.error());
    }
    move_ = next;
    step_ = Step::kFollow;
    probed_ = parts_.clock.steady_now();
    error_.clear();
    show();  // nobody sees that the new side is read while the move is said to copy
    store_.begin_window();
    store_.set_followed(store_.written());
    store_.release();
    logger().info("the hot tier is read from its new backend",
                  {{"move", next.id}, {"from", next.from.text()}, {"to", next.to.text()}});
    return {};
  }
  store_.release();
  if (!same) return side_failed(same.error());
  // An erasure failed meanwhile, or something is there twice or not at all: all of it once more.
  if (!*same && std::exchange(compared_before_, true)) {
    std::ignore = end_back(Phase::kAborted,
                           "the new backend does not have as many memories as the old one, also "
                           "after everything was compared a second time",
                           true);
    return {.most = kSoon};
  }
  if (!*same) move_->position = 0;
  step_ = Step::kCopy;
  return {};
}

Mover::Pause Mover::follow() {
  if (store_.failed_for_good()) {
    std::ignore = end_back(Phase::kReverted, "the new backend failed calls in a row", true);
    return {.most = kSoon};
  }
  const Clock::Steady now = parts_.clock.steady_now();
  const bool due = now - probed_ >= options_.probe_every;
  if (store_.suspected() || due) {
    probed_ = now;
    if (auto able = follower_.probe_new_side(); !able) return new_side_failed(able.error());
    store_.trust();
    // A probe that answers is no answer to calls that failed; a quiet minute is.
    if (due) store_.worked();
  }
  if (store_.written() > store_.followed()) {
    const auto last = follower_.follow_page(*move_);
    if (!last) return side_failed(last.error());
    error_.clear();
    if (now - noted_ > kNoteEvery) note_progress();
    return {};
  }
  if (!store_.clean()) {
    begin_sweep();
    return {};
  }
  error_.clear();
  if (parts_.clock.now() >= move_->revert_until()) {
    if (auto done = finish_now("the time in which one can go back is over", true); !done)
      return old_side_failed(done.error());
    return {.most = kSoon};
  }
  return {.most = kWindowPause};
}

// ---- What people ask for, and ends.

Result<Move> Mover::begin_now(const std::string& org_id, const MoveRequest& request) {
  const std::lock_guard lock(step_mutex_);
  if (move_ && move_->active()) {
    return fail(Errc::kConflict,
                "the hot tier is moving already: finish or revert that move first");
  }
  const SharedBackend old = store_.now();
  if (old->place == request.to ||
      (!request.to.path.empty() && !old->place.path.empty() && !old->place.in_memory() &&
       overlap(request.to.path, old->place.path))) {
    return fail(Errc::kConflict, fmt::format("the hot tier is on {} already", request.to.text()));
  }
  if (std::ranges::any_of(retired_, [&](const auto& each) { return each->place == request.to; }))
    return fail(Errc::kConflict, "that backend is being closed; try again in a moment");
  ASAHI_TRY(const MemoryFeed::Place from, old->feed->place());
  ASAHI_TRY(SharedBackend next, parts_.open(request.to));
  ASAHI_TRY(const MemoryFeed::Place to, next->feed->place());
  if (from.name == to.name) {
    return fail(Errc::kConflict,
                fmt::format("{} is where the hot tier is already", request.to.text()));
  }
  net::Loop& loop = parts_.loops.at(0);
  if (auto able = net::run_sync<Result<void>>(
          loop, [&] { return probe(*next->store, options_.dimensions, parts_.clock); });
      !able) {
    able.error().message = "the probe of the new backend: " + able.error().message;
    return std::unexpected(std::move(able.error()));
  }
  ASAHI_TRY(const TierStats holds,
            net::run_sync<Result<TierStats>>(loop, [&] { return next->store->stats(""); }));
  if (holds.records > 0 && !request.replace) {
    return fail(Errc::kConflict,
                fmt::format("{} holds {} memories; with \"replace\": true those that the present "
                            "backend does not have are erased",
                            request.to.text(), holds.records));
  }
  // The record knows moves by the order of their ids: a clock that was set back does not change it.
  Clock::Time started = parts_.clock.now();
  if (move_) started = std::max(started, move_->started + milliseconds(1));
  Move move{.id = entity_id("hbm_", started),
            .org_id = org_id,
            .phase = Phase::kCopying,
            .from = old->place,
            .to = request.to,
            .from_feed = from.name,
            .to_feed = to.name,
            .revert_for = request.revert_for,
            .started = started};
  if (auto saved = records_.save(move); !saved) return std::unexpected(std::move(saved.error()));
  follower_.begin(next, from.end);
  move_ = move;
  step_ = Step::kCopy;
  compared_before_ = false;
  error_.clear();
  store_.begin(std::move(next));
  logger().info("the hot tier moves to another backend",
                {{"move", move.id}, {"from", move.from.text()}, {"to", move.to.text()}});
  show();
  nudge(true);
  return move;
}

void Mover::resume(Move move) {
  const std::lock_guard lock(step_mutex_);
  move_ = std::move(move);
  if (!move_->active()) {
    show();
    return;
  }
  auto next = parts_.open(move_->to);
  std::string wrong;
  if (!next) {
    wrong = next.error().message;
  } else if (const auto place = (*next)->feed->place(); !place) {
    wrong = place.error().message;
  } else if (place->name != move_->to_feed) {
    wrong = "another store stands in the new backend's place";
  }
  if (!wrong.empty()) {
    std::ignore = end_back(move_->phase == Phase::kWindow ? Phase::kReverted : Phase::kAborted,
                           "at the start the new backend could not be opened: " + wrong, true);
    show();
    return;
  }
  follower_.begin(*next, 0);
  store_.begin(*next);
  const auto from = store_.now()->feed->place();
  // Restored from a copy that ended before: numbers begin again there.
  if (from && from->end < move_->position) move_->position = 0;
  step_ = Step::kCopy;
  if (move_->phase == Phase::kWindow) store_.begin_window();
  logger().info("the move of the hot tier goes on",
                {{"move", move_->id}, {"phase", phase_name(move_->phase)}});
  show();
}

void Mover::ended(SharedBackend left, bool by_itself) {
  if (left != nullptr) retired_.push_back(std::move(left));
  follower_.end();
  error_.clear();
  logger().info(
      "the move of the hot tier ended",
      {{"move", move_->id}, {"phase", phase_name(move_->phase)}, {"reason", move_->reason}});
  if (by_itself && parts_.audit != nullptr) {
    parts_.audit->record({.org_id = move_->org_id,
                          .user_id = "system",
                          .action = fmt::format("memory.backend.{}", phase_name(move_->phase)),
                          .resource = "memory/hot",
                          .details = move_json(*move_)});
  }
  show();
  nudge(true);
}

Result<Move> Mover::end_back(Phase phase, std::string reason, bool by_itself) {
  Move last = *move_;
  last.phase = phase;
  last.ended = parts_.clock.now();
  last.reason = std::move(reason);
  // The old side has everything: it is alone now, whether that can be written down yet or not.
  unsaved_ = !records_.save(last);
  move_ = last;
  ended(store_.keep_now(), by_itself);
  return last;
}

Result<void> Mover::finish_held(const std::string& reason) {
  // Nothing to follow: then the old side may be away.
  if (store_.written() > store_.followed()) {
    if (auto all = follower_.follow_to_end(*move_); !all) return all;
  }
  if (!store_.reads_next()) {
    return fail(Errc::kConflict,
                "the new backend does not have everything yet: wait until \"reads\" is \"new\"");
  }
  Move last = *move_;
  last.phase = Phase::kFinished;
  last.ended = parts_.clock.now();
  last.reason = reason;
  if (auto saved = records_.save(last); !saved) return saved;
  move_ = last;
  return {};
}

Result<Move> Mover::finish_now(const std::string& reason, bool by_itself) {
  // Erasures wait for their turn, writes are held.
  net::Turns::Turn turn = follower_.take_turn();
  if (auto held = hold_writes(); !held) return std::unexpected(std::move(held.error()));
  auto done = finish_held(reason);
  if (!done) {
    store_.release();
    return std::unexpected(std::move(done.error()));
  }
  SharedBackend old = store_.adopt_next();
  store_.release();
  turn.end();
  ended(std::move(old), by_itself);
  return *move_;
}

Task<json::object> Mover::begin(std::string org_id, MoveRequest request) {
  ASAHI_CO_TRY(const Move move, co_await net::run_blocking(parts_.work, [this, org_id, request] {
                 return begin_now(org_id, request);
               }));
  co_return status();
}

Task<json::object> Mover::revert(std::string reason) {
  ASAHI_CO_TRY(const Move move, co_await net::run_blocking(parts_.work, [this, reason] {
                 const std::lock_guard lock(step_mutex_);
                 if (!move_ || !move_->active())
                   return Result<Move>(fail(Errc::kConflict, "the hot tier does not move"));
                 return end_back(
                     move_->phase == Phase::kWindow ? Phase::kReverted : Phase::kAborted, reason,
                     false);
               }));
  co_return status();
}

Task<json::object> Mover::finish(std::string reason) {
  ASAHI_CO_TRY(const Move move, co_await net::run_blocking(parts_.work, [this, reason] {
                 const std::lock_guard lock(step_mutex_);
                 if (!move_ || move_->phase != Phase::kWindow) {
                   return Result<Move>(
                       fail(Errc::kConflict,
                            "nothing can be finished: reads have not gone over to a new backend"));
                 }
                 return finish_now(reason, false);
               }));
  co_return status();
}

}  // namespace asahi::memory::swap
