#pragma once

#include <array>
#include <cstdint>
#include <random>
#include <vector>

#include "storage/vector/local/rows.h"

namespace asahi::vector {

/// A row with its cosine to what is looked for.
struct Near {
  float similarity;
  std::uint32_t row;
};

/// What one search needs; used again by later ones.
struct Scratch {
  std::vector<std::uint64_t> seen;  ///< a bit per row
  std::vector<Near> pool;           ///< best first
  std::vector<Near> found;          ///< best first: the pool's rows that may be answered
  std::vector<std::uint32_t> ids;   ///< rows compared at once
  std::vector<const std::int8_t*> rows;
  std::vector<std::int32_t> products;
  std::vector<float> similarities;  ///< of `ids` to one row
  std::vector<Near> order;
  std::vector<std::uint8_t> allowed;  ///< a byte per row, with a filter
};

/// Keeps the best `most` in order, best first.
void offer(std::vector<Near>& best, std::size_t most, Near candidate);

/// The navigable small world over one tenant's rows (Malkov and Yashunin, arXiv:1603.09320):
/// layers of links between near rows, walked greedily from a single entry. Dead rows stay passable
/// until their place is used again.
///
/// Planning a change only reads, so searches may run beside it; applying one needs them kept out.
/// One writer at a time. Deterministic by seed and order of insertion.
class Graph {
 public:
  Graph(Rows& rows, std::uint64_t seed) : rows_(rows), random_(seed) {}

  /// A link list that is to be replaced.
  struct Change {
    std::uint32_t row;
    std::uint8_t level;
    std::uint8_t count;
    std::array<std::uint32_t, kBaseLinks> links;
  };
  using Plan = std::vector<Change>;

  bool empty() const { return entry_ == kNoRow; }
  std::uint32_t entry() const { return entry_; }

  /// The layers that a new row takes part in.
  std::size_t draw_level();
  /// Gives a row that is in no list room for its links. Searches kept out.
  void prepare(std::uint32_t row, std::size_t level);
  /// How to link a prepared row in; `effort` candidates are looked at.
  Plan plan_insert(std::uint32_t row, std::size_t effort, std::size_t row_count, Scratch& scratch);
  /// Searches kept out. Afterwards the row is part of the graph.
  void apply_insert(std::uint32_t row, const Plan& plan);
  /// How its neighbours do without a dead row. Lists further off may still name it: harmless, since
  /// a row is always judged by the vector that it holds.
  Plan plan_remove(std::uint32_t row, Scratch& scratch) const;
  /// Searches kept out. Afterwards the row is free.
  void apply_remove(std::uint32_t row, const Plan& plan, std::size_t row_count);

  /// Walks the lowest layer; `scratch.found` gets up to `wanted` rows for which `allowed` (a byte a
  /// row; null: all) holds.
  void search(const Probe& probe, std::size_t effort, std::size_t wanted,
              const Blocks<std::uint8_t>* live, const std::uint8_t* allowed, std::size_t row_count,
              Scratch& scratch) const;

  /// For files. Errors of what is given are the reader's to find.
  void restore(std::uint32_t entry) { entry_ = entry; }

 private:
  template <class Offer>
  void walk(const Probe& probe, Near start, std::size_t effort, std::size_t level,
            std::size_t row_count, Scratch& scratch, Offer take) const;
  Near descend(const Probe& probe, std::size_t level, Scratch& scratch) const;
  /// Into `scratch.similarities`: of a row and the first `count` of `scratch.ids`.
  void between(std::uint32_t base, std::size_t count, Scratch& scratch) const;
  bool linked_at(std::uint32_t row, std::size_t level) const {
    return rows_.in_graph[row] != 0 && rows_.level[row] >= level;
  }
  /// Adds those of `candidates` (best first) that are nearer to the base than to one another and to
  /// what `out` has.
  void select(const std::vector<Near>& candidates, std::size_t most, Change& out) const;
  /// Into `scratch.order`: `scratch.ids`, the nearest to the base first.
  void sort_by_nearness(std::uint32_t base, Scratch& scratch) const;
  void apply(const Plan& plan);

  Rows& rows_;
  std::uint32_t entry_ = kNoRow;
  std::mt19937_64 random_;
};

}  // namespace asahi::vector
