#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "memory/ops/health.h"
#include "memory/placement/rebalance.h"
#include "memory/remote/remote_store.h"
#include "memory/wiring/roles.h"

/// The processes that keep the hot tier: one, or several that have its shards among them.
namespace asahi::memory {

/// "[name[*weight]=]url", with commas between several; a node without a name is called by host and
/// port. Errors: invalid_argument naming `field`.
Result<HotList> parse_hot_list(const std::string& field, const std::string& text,
                               const remote::StoreSecrets& secrets);

struct HotNodes {
  std::unique_ptr<Store> store;
  std::vector<remote::RemoteStore*> stores;  ///< of the nodes, for what one alone can tell
  std::vector<Dependency> dependencies;      ///< of readiness; the store outlives them
};
/// The hot tier as roles use it. Asks the nodes that answer whether their memories lie where the
/// list expects them, and writes the list down where there is none; ordinary thread, while the
/// loops run. Errors: invalid_argument: the list is another one than that of the memories.
Result<HotNodes> connect_hot(const MemoryConfig& config, const StorePlaces& places,
                             net::LoopPool& loops, const Clock& clock);

/// Moves every memory to the node of the list that should have it (`asahi memory rebalance`), or
/// only counts those that would go. Ordinary thread, while the loops run. Errors: as store_places
/// and Rebalance.
Result<Rebalanced> rebalance_hot(const MemoryConfig& config, net::LoopPool& loops,
                                 const Clock& clock, bool dry_run,
                                 std::function<void(const Rebalanced&)> progress);

/// What connect_hot asks of one node. `rows` and `keeper` are the node's. Errors: invalid_argument
/// (the list is not that of its memories); others: it cannot be asked.
Task<void> check_note(std::string node, Placement now, std::optional<Placement> before,
                      ShardRows& rows, PlacementKeeper& keeper);

}  // namespace asahi::memory
