#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "memory/model/store.h"
#include "memory/placement/placement.h"

namespace asahi::memory {

/// A tier that several nodes keep, each the memories of its shards. Writes and look-ups go to the
/// nodes that have the systems; a search to those of the systems it asks for, or to all, at once.
///
/// While a move is under way (`before`) a memory lies on its new node, or still on its old one, or
/// on both, where the newer one counts: both are asked, the old one first, since nothing ever goes
/// back. Memories are written to the new one only.
///
/// Beyond Store's rules: a batch for several nodes is not all or nothing: after an error some nodes
/// may have their part of it; the same again changes nothing there. Duplicates are seen among the
/// memories of one node. A search that some nodes did not answer in its patience is `partial` and
/// names them (`missing`); one that none answered is an error. scan_eligible is oldest first node
/// by node, and goes on without nodes that are away unless they are all that is left.
///
/// Any loop. Destroy it when no call is under way.
class ShardedStore final : public Store {
 public:
  struct Part {
    std::string name;  ///< in a placement
    std::unique_ptr<Store> store;
  };
  struct Options {
    Tier tier = Tier::kHot;
    /// How long a search waits for a node where the caller does not say.
    std::chrono::milliseconds patience{5'000};
  };
  /// `parts`: all nodes of both placements. Errors: invalid_argument when one is missing.
  static Result<std::unique_ptr<ShardedStore>> make(Placement now, std::optional<Placement> before,
                                                    std::vector<Part> parts, Options options);

  std::span<const Part> parts() const { return parts_; }
  const Placement& placement() const { return now_; }

  Tier tier() const override { return options_.tier; }
  Task<std::vector<UpsertOutcome>> upsert_batch(std::vector<Memory> memories,
                                                UpsertOptions options) override;
  Task<std::vector<std::optional<Memory>>> get(std::vector<Key> keys) override;
  /// While a move is under way a memory that lies on both nodes may count twice, at most as many as
  /// keys.
  Task<std::uint64_t> delete_batch(std::vector<Key> keys) override;
  Task<std::uint64_t> delete_system(std::string tenant, std::string system_id) override;
  Task<StorePage> search(StoreQuery query) override;
  Task<std::vector<Eligible>> scan_eligible(ScanQuery wanted) override;
  Task<std::uint64_t> replace_vectors(std::vector<NewVector> rows) override;
  Task<std::map<std::string, std::uint64_t>> models(std::string tenant) override;
  Task<std::uint64_t> delete_migrated(std::vector<std::pair<Key, Digest>> rows) override;
  Task<std::vector<std::optional<Digest>>> checksum(std::vector<Key> keys) override;
  Task<TierStats> stats(std::string tenant) override;
  /// Each node's own copy, in a folder by its name below `folder`.
  Task<std::vector<HeldFile>> snapshot(std::string folder, HeldSums held) override;

 private:
  ShardedStore(Placement now, std::optional<Placement> before, std::vector<Part> parts,
               Options options);
  /// Places in parts_.
  std::size_t new_home(std::string_view system_id) const;
  std::size_t old_home(std::string_view system_id) const;
  std::vector<std::size_t> everywhere() const;
  /// Nodes that leave, that stay, that join: between two of a group nothing moves while weights
  /// stay as they are.
  std::vector<std::vector<std::size_t>> in_order_of_moves() const;
  std::vector<std::size_t> homes_of(const Filter& filter) const;
  /// The places of keys by the node that has them; `old`: that had them, of those that moved only.
  template <class Item, class KeyOf>
  std::vector<std::vector<std::size_t>> by_home(const std::vector<Item>& items, KeyOf key_of,
                                                bool old = false) const;
  /// Asks nodes for the keys that are theirs; the answers in the keys' order.
  template <class T, class Ask>
  Task<std::vector<std::optional<T>>> look_up(std::vector<Key> keys, Ask ask);
  /// Takes out what a node told that the memory's new node has as well.
  Aw<void> drop_moved(std::vector<std::pair<std::size_t, StorePage>>& pages);

  const Placement now_;
  const std::optional<Placement> before_;
  const std::vector<Part> parts_;
  const Options options_;
  std::vector<std::size_t> home_, old_home_;  ///< by shard
};

}  // namespace asahi::memory
