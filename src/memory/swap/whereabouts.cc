#include "memory/swap/whereabouts.h"

#include "base/log.h"

namespace asahi::memory::swap {
namespace {

const Logger& logger() {
  static const Logger instance("memory.swap");
  return instance;
}

/// Ends a move whose old side is no more.
Result<void> end_without_old(Records& records, Move& move, const Clock& clock, std::string reason) {
  move.phase = move.phase == Phase::kWindow ? Phase::kFinished : Phase::kAborted;
  move.ended = clock.now();
  move.reason = std::move(reason);
  logger().error("the move of the hot tier cannot be taken back any more",
                 {{"move", move.id}, {"phase", phase_name(move.phase)}, {"reason", move.reason}});
  return records.save(move);
}

}  // namespace

Result<Whereabouts> find_hot(Records& records, const Place& configured, const Mover::Open& open,
                             const Clock& clock) {
  ASAHI_TRY(Records::State state, records.load());
  Whereabouts found{.backend = {}, .move = std::move(state.last)};
  Place place = state.settled.value_or(configured);
  if (found.move && found.move->active()) {
    place = found.move->from;
    if (place.in_memory()) {
      if (found.move->phase == Phase::kWindow) place = found.move->to;
      if (auto ok = end_without_old(records, *found.move, clock,
                                    "the old backend was in memory, and the process has ended");
          !ok) {
        return std::unexpected(std::move(ok.error()));
      }
    }
  }
  if (place != configured) {
    logger().warning("the hot tier is where the record of its moves says, not the settings",
                     {{"record", place.text()},
                      {"settings", configured.text()},
                      {"mend", "set memory.hot to what the record says"}});
  }
  ASAHI_TRY(found.backend, open(place));
  if (!found.move || !found.move->active()) return found;
  ASAHI_TRY(const auto feed, found.backend->feed->place());
  if (feed.name == found.move->from_feed) return found;
  if (found.move->phase == Phase::kWindow) {
    ASAHI_TRY(found.backend, open(found.move->to));
  }
  if (auto ok = end_without_old(records, *found.move, clock,
                                "another store stands in the place of the old backend");
      !ok) {
    return std::unexpected(std::move(ok.error()));
  }
  return found;
}

}  // namespace asahi::memory::swap
