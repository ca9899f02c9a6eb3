#include "memory/swap/follower.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/log.h"
#include "memory/swap/copying.h"
#include "net/blocking.h"

namespace asahi::memory::swap {
namespace {

using knowledge::MemoryFeed;

const Logger& logger() {
  static const Logger instance("memory.swap");
  return instance;
}

std::unexpected<Error> of_new_side(Error error) {
  error.code = Errc::kUpstream;
  return std::unexpected(std::move(error));
}

std::unexpected<Error> of_old_side(Error error) {
  if (error.code == Errc::kUpstream) error.code = Errc::kUnavailable;
  return std::unexpected(std::move(error));
}

}  // namespace

Follower::Follower(SwapStore& store, net::Loop& loop, const Clock& clock,
                   telemetry::Registry& metrics, Options options)
    : store_(store),
      loop_(loop),
      clock_(clock),
      options_(options),
      copied_(
          metrics.counter("akosha_hot_move_rows_copied_total", "Rows written to the new backend")),
      repaired_(metrics.counter("akosha_hot_move_rows_repaired_total",
                                "Rows whose copy differed and was made anew")),
      removed_(metrics.counter("akosha_hot_move_rows_removed_total",
                               "Rows that only the new backend had")) {}

void Follower::begin(SharedBackend to, std::uint64_t left) {
  next_ = std::move(to);
  left_ = left;
  early_ = 0;
  goal_.reset();
}

void Follower::end() {
  next_.reset();
  left_ = 0;
}

net::Turns::Turn Follower::take_turn() {
  return net::run_sync<net::Turns::Turn>(loop_, [this] { return store_.turns().take(); });
}

Result<void> Follower::probe_new_side() {
  return net::run_sync<Result<void>>(
      loop_, [this] { return probe(*next_->store, options_.dimensions, clock_); });
}

Result<bool> Follower::follow_page(Move& move) {
  const net::Turns::Turn turn = take_turn();
  return follow_in_turn(move, move.position, false);
}

void Follower::begin_repeats() { repeats_cursor_ = early_ = 0; }

Result<bool> Follower::repeat_page(Move& move) {
  const net::Turns::Turn turn = take_turn();
  return follow_in_turn(move, repeats_cursor_, true);
}

Result<bool> Follower::follow_in_turn(Move& move, std::uint64_t& cursor, bool only_repeats) {
  // Before the page: what was acknowledged by now is in it, or in one before its end.
  const std::uint64_t asked = store_.written();
  auto page = store_.now()->feed->after(cursor, options_.page);
  if (!page) return of_old_side(std::move(page.error()));
  if (only_repeats) std::erase_if(page->rows, [](const auto& row) { return !row.duplicate; });
  if (!page->rows.empty()) {
    auto applied = net::run_sync<Result<Applied>>(
        loop_, [&] { return apply(*next_->store, std::move(page->rows)); });
    if (!applied) return of_new_side(std::move(applied.error()));
    move.copied += applied->rows;
    move.repaired += applied->repaired;
    early_ += applied->early;
    copied_.add(static_cast<double>(applied->rows));
    repaired_.add(static_cast<double>(applied->repaired));
  }
  cursor = page->upto;
  if (only_repeats) return page->upto >= page->end;
  left_ = page->end - std::min(page->end, cursor);
  // More may be written while a page is read: what is waited for is the end that was seen after
  // `asked` was.
  if (!goal_) goal_ = {.asked = asked, .end = page->end};
  if (cursor < goal_->end) return false;
  store_.set_followed(goal_->asked);
  goal_.reset();
  return left_ <= options_.page;
}

Result<void> Follower::follow_to_end(Move& move) {
  while (true) {
    ASAHI_TRY(const bool last, follow_in_turn(move, move.position, false));
    if (last && left_ == 0 && store_.followed() >= store_.written()) return {};
  }
}

void Follower::begin_sweep() {
  sweep_cursor_ = 0;
  swept_dirt_ = store_.dirt();
}

Result<bool> Follower::sweep_page(Move& move) {
  const SharedBackend old = store_.now();
  const net::Turns::Turn turn = take_turn();
  auto page = next_->feed->after(sweep_cursor_, options_.page);
  if (!page) return of_new_side(std::move(page.error()));
  std::vector<Key> keys;
  for (MemoryFeed::Row& row : page->rows) keys.push_back(std::move(row.memory.key));
  if (!keys.empty()) {
    auto extra = net::run_sync<Result<std::vector<Key>>>(
        loop_, [&] { return missing(*old->store, std::move(keys)); });
    if (!extra) return of_old_side(std::move(extra.error()));
    auto gone = net::run_sync<Result<std::uint64_t>>(
        loop_, [&] { return next_->store->delete_batch(std::move(*extra)); });
    if (!gone) return of_new_side(std::move(gone.error()));
    move.removed += *gone;
    removed_.add(static_cast<double>(*gone));
  }
  sweep_cursor_ = page->upto;
  if (page->upto < page->end) return false;
  store_.set_clean(swept_dirt_);
  return true;
}

Result<bool> Follower::compare_held(Move& move) {
  const SharedBackend old = store_.now();
  if (auto all = follow_to_end(move); !all) return std::unexpected(std::move(all.error()));
  auto here = net::run_sync<Result<TierStats>>(loop_, [&] { return old->store->stats(""); });
  if (!here) return of_old_side(std::move(here.error()));
  auto there = net::run_sync<Result<TierStats>>(loop_, [&] { return next_->store->stats(""); });
  if (!there) return of_new_side(std::move(there.error()));
  if (here->records == there->records) return true;
  logger().warning("the two backends of the hot tier do not have as many memories",
                   {{"old", here->records}, {"new", there->records}});
  return false;
}

}  // namespace asahi::memory::swap
