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

}  // namespace asahi::memory
