#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "memory/ingest/ledger.h"
#include "memory/model/reach.h"
#include "memory/model/shards.h"
#include "memory/model/store.h"

namespace asahi::memory {

/// What is known of one agent system.
struct SystemSummary {
  std::string system_id;
  std::map<std::string, std::uint64_t> records;  ///< by tier that counts them
  std::uint64_t uploads = 0;
  std::optional<Clock::Time> last_upload;
  std::uint32_t shard = 0;
};

/// The systems within reach by id: those with memories in a tier, and those that uploaded. `only`:
/// this one; empty: all. A tier that does not answer is left out. Errors: those of the ledger.
Task<std::vector<SystemSummary>> systems_of(std::vector<Store*> stores, Ledger& ledger, Reach reach,
                                            std::string only);

/// What a system's memories in the tiers that are searched at once are like (spec/memory §3.9).
struct SystemProfile {
  /// Of each: values with how many memories have them, most first, at most 20.
  using Counts = std::vector<std::pair<std::string, std::uint64_t>>;
  Counts languages, sources, projects, users, kinds;
  /// Memories by the day they are of, the last 30 days that have some; oldest first.
  Counts days;
  std::uint64_t memories = 0;  ///< that the above are counted over
  bool partial = false;        ///< a tier did not answer
};

/// From the facets of hot and warm; cold files are not read for it. Never fails: a tier that does
/// not answer is left out (`partial`).
Aw<SystemProfile> profile_of(std::vector<Store*> stores, std::string tenant, std::string system_id);

}  // namespace asahi::memory
