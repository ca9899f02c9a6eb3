#pragma once

#include <cstdint>

#include "base/clock.h"

namespace asahi::memory::ageing {

/// What searches ask for decides, too, in which tier a memory is (spec/memory §4.6, C-44), beside
/// its age. Off by default.
///
/// - A hot memory that is old enough to go stays while it is asked for often (`promote_hits`), and
///   from then on until hardly anybody does (fewer than `demote_hits`): so nothing goes down one
///   night and up the next.
/// - A warm memory that is asked for often comes back, if the warm tier has its whole text.
/// - A hot memory that hardly anybody asks for goes before it is old, once hits have been counted
///   for as long as they count.
struct AccessRules {
  bool enabled = false;
  std::uint64_t promote_hits = 10;
  std::uint64_t demote_hits = 2;  ///< 0: nothing goes early
  int window_days = 7;            ///< hits of so many days count, today among them
  int min_age_days = 3;           ///< what is younger stays
};

/// What is known of a hot memory that may go.
struct Asked {
  Clock::Time timestamp;
  std::uint64_t hits = 0;  ///< within the window
  bool kept = false;       ///< it was asked for often, and has stayed or come back for it
};

enum class Fate : std::uint8_t {
  kAges,    ///< old, and not asked for: it goes
  kDemote,  ///< young, but hardly asked for: it goes
  kStay,    ///< it may go later
  kKeep,    ///< old, but asked for
};
/// `old`: memories from before that are old. Younger ones than `min_age_days` are not asked about.
inline Fate fate_of(const AccessRules& rules, const Asked& memory, Clock::Time old) {
  if (memory.timestamp < old) {
    const std::uint64_t enough = memory.kept ? rules.demote_hits : rules.promote_hits;
    return memory.hits >= enough && memory.hits > 0 ? Fate::kKeep : Fate::kAges;
  }
  return memory.hits < rules.demote_hits ? Fate::kDemote : Fate::kStay;
}

}  // namespace asahi::memory::ageing
