#pragma once

#include <future>
#include <map>
#include <string>
#include <vector>

#include "memory/hot/checkpoint.h"
#include "memory/hot/shelf.h"

namespace asahi::memory::hot {

/// A start's use of a checkpoint: rows that the log still has get the slots they had, so that words
/// and graphs, which know slots only, fit again. Those are read on a thread of their own while the
/// log is.
class Engine::Restoring {
 public:
  struct Part {
    const SavedShelf* saved = nullptr;
    bool words = false;                    ///< the keyword index is filled with `saved`'s
    std::vector<VectorSet::Graph> graphs;  ///< one for each of `saved`'s; null: to be linked
    /// The log's row at `slot` is the one that was saved.
    bool same(const Table& table, std::uint32_t slot) const;
  };

  Restoring(Engine& engine, const std::string& folder, Checkpoint checkpoint);
  Restoring(const Restoring&) = delete;
  Restoring& operator=(const Restoring&) = delete;

  /// The slot that a row had; kNoSlot: any. Asked in the order of their numbers.
  std::uint32_t slot_of(const Shelf& shelf, std::uint64_t sequence);
  /// Waits for what is being read.
  void finish() { reading_.get(); }
  /// Null: nothing of it was saved.
  Part* part_of(const Shelf& shelf);
  const Checkpoint& checkpoint() const { return checkpoint_; }

 private:
  struct Home {
    std::uint64_t sequence;
    const Shelf* shelf;
    std::uint32_t slot;
  };
  void read(const std::string& folder);

  Engine& engine_;
  const Checkpoint checkpoint_;
  std::map<const Shelf*, Part> parts_;
  std::vector<Home> homes_;  ///< by number
  std::size_t next_ = 0;
  std::future<void> reading_;  ///< last: waits before the others go
};

}  // namespace asahi::memory::hot
