#pragma once

#include <chrono>
#include <string>

#include "base/clock.h"
#include "base/task.h"
#include "storage/sql/database.h"
#include "storage/sql/migrations.h"

namespace asahi::memory {

/// Keeps copies of the tiers and rows on their way up apart. A copy is made from the hottest tier
/// down: what goes down meanwhile is in it twice and counts once, but what goes up would be in none
/// of its parts. So one of them at a time, over processes: a row in SQL, for as long as a lease;
/// whoever dies with it keeps others waiting for no longer. Errors of all: those of the database.
class UpwardTurn {
 public:
  /// `owner`: of this holder alone. All outlive it.
  UpwardTurn(sql::Database& database, const Clock& clock, std::string owner)
      : database_(database), clock_(clock), owner_(std::move(owner)) {}

  /// True: this owner's from now on for `lease`; also when it was before, unless somebody waits:
  /// then it is to be given back. False: another one's, who is told that somebody waits.
  Task<bool> take(std::chrono::milliseconds lease);
  /// Does nothing where it is another's.
  Task<void> give_back();

 private:
  sql::Database& database_;
  const Clock& clock_;
  const std::string owner_;
};

/// Version 338.
sql::Migration upward_turn_migration();

}  // namespace asahi::memory
