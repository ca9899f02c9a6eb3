#pragma once

#include <boost/asio/thread_pool.hpp>

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "memory/ageing/originals.h"
#include "memory/ageing/rules.h"
#include "memory/model/store.h"

namespace asahi::memory::ageing {

/// What became of a batch.
struct Moved {
  std::uint64_t scanned = 0;      ///< rows that were old enough; 0: nothing is left to do
  std::uint64_t moved = 0;        ///< that are in the target now, and gone from the source
  std::uint64_t superseded = 0;   ///< gone from the source: the target has a newer version
  std::uint64_t changed = 0;      ///< that somebody changed meanwhile: they stay
  std::uint64_t errors = 0;       ///< whose copy is not what it should be: they stay
  std::uint64_t bytes = 0;        ///< text, metadata and vectors that left the source
  std::vector<Key> kept;          ///< that were to stay; they keep their marks until `let_go`
  std::set<std::string> tenants;  ///< of rows that moved

  void add(const Moved& other);
};

/// Moves rows one tier down: scan and mark, copy, read back and compare, then remove from the
/// source. Whatever happens in between, a row is in the source, or in the target, or in both with
/// the same key (which a search counts once); what failed can be done again. Any loop, one call at
/// a time.
class Mover {
 public:
  /// `source` is a MoveGate, or the API of a process that has one; all outlive it. `originals`
  /// learns where the source's duplicates lead to from now on; null: nobody asks.
  Mover(Store& source, Store& target, boost::asio::thread_pool& work,
        Originals* originals = nullptr)
      : source_(source), target_(target), work_(work), originals_(originals) {}

  /// Of rows that a scan took, which ones stay after all.
  using Stays = std::function<Task<std::vector<bool>>(const std::vector<Eligible>&)>;
  /// What a scan takes, without those that stay. Errors: those of the stores and of `stays`; no row
  /// was lost, rows that were marked may be taken again.
  Task<Moved> batch(ScanQuery wanted, Stays stays = {});
  /// Takes the marks from rows that stayed: the run has ended.
  Task<void> let_go(std::vector<Key> kept);

 private:
  struct Row;
  Task<std::vector<Key>> keep_back(std::vector<Eligible>& due, const Stays& stays);
  Task<Moved> move(std::vector<Row>& rows);
  Task<void> copy(std::vector<Row>& rows, const std::vector<std::size_t>& which);
  Task<void> check(std::vector<Row>& rows);
  /// Makes the copies anew that are not what they should be.
  Task<void> renew(std::vector<Row>& rows);
  Task<void> end_marks(const std::vector<Key>& keys);

  Store& source_;
  Store& target_;
  boost::asio::thread_pool& work_;
  Originals* const originals_;
};

}  // namespace asahi::memory::ageing
