#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "storage/vector/index.h"
#include "storage/vector/local/graph.h"
#include "storage/vector/local/id_table.h"
#include "storage/vector/local/payload.h"
#include "storage/vector/local/read_gate.h"
#include "storage/vector/local/rows.h"

namespace asahi::vector {

class CheckedReader;
class CheckedWriter;

/// What all tenants of an index have in common.
struct SegmentShape {
  Space space;
  Precision precision = Precision::kTwelveBits;
  std::size_t build_effort = 128;
  std::size_t search_effort = 64;
  std::size_t exact_rows = 1024;
  std::size_t max_unlinked = 0;
  std::uint64_t seed = 1;
  FieldNames names;
};

/// An item in the form in which it is kept.
struct PreparedItem {
  Quantised vector;
  Payload payload;
  std::vector<std::uint32_t> digests;  ///< of the filter fields, in their order
};
/// Errors: too_large (names of fields).
Result<PreparedItem> prepare_item(SegmentShape& shape, const Item& item);

/// One tenant's items: arrays of rows, searched one by one while they are few or a filter leaves
/// few, else by the graph. Members that change are for one writer at a time; searches may run
/// beside it and wait microseconds at most.
class Segment {
 public:
  Segment(SegmentShape& shape, std::uint64_t seed);

  /// Puts the item in the place of one with the same id, or adds it.
  void put(PreparedItem item);
  bool erase(std::string_view id);
  bool holds(std::string_view id) const { return row_of(id) != kNoRow; }
  std::vector<std::string> ids() const;
  std::size_t erase_where(const Metadata& filter);
  /// The id of what went; empty when there was nothing.
  std::string evict_oldest();

  /// Rows that have no place in the graph yet, but should: searches compare them one by one.
  std::size_t unlinked() const { return unlinked_.load(std::memory_order_relaxed); }
  /// Gives up to `most` of them their places.
  void link(std::size_t most);

  void search(const Probe& probe, const Query& query, std::size_t effort, Scratch& scratch,
              std::vector<Hit>& hits) const;

  std::size_t size() const { return live_.load(std::memory_order_relaxed); }
  /// About what it takes in memory.
  std::size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  /// Rows that hold nothing any more, but are kept for the graph or for later items.
  std::size_t dead_rows() const { return row_count_ - size(); }
  /// The same items in new arrays, oldest first.
  std::unique_ptr<Segment> rebuilt() const;

  /// The writer's, too: nothing changes meanwhile.
  void write(CheckedWriter& out) const;
  /// Into a new segment. The file keeps digests of `columns` filter fields a row; they count only
  /// if the fields are `same` as the index's. False: the file is damaged.
  struct FileColumns {
    std::size_t count;
    bool same;
  };
  [[nodiscard]] bool read(CheckedReader& in, FileColumns columns);

 private:
  using Exclusive = std::unique_lock<ReadGate>;

  std::uint32_t take_row();
  std::uint32_t row_of(std::string_view id) const;
  void count_unlinked();
  void forget(std::uint32_t row);
  void set_oldest_last(std::uint32_t row);
  void leave_order(std::uint32_t row);
  void count_bytes();
  bool read_row(std::uint32_t row, CheckedReader& in, FileColumns columns, std::string& buffer);
  /// Fills a byte per row: alive and, by digest, matching. Returns how many.
  std::size_t allow(const Metadata& filter, std::vector<std::uint8_t>& allowed) const;
  void scan(const Probe& probe, const std::uint8_t* allowed, std::size_t wanted,
            Scratch& scratch) const;
  void scan_pending(const Probe& probe, const std::uint8_t* allowed, std::size_t wanted,
                    Scratch& scratch) const;
  void compare(const Probe& probe, std::size_t wanted, Scratch& scratch) const;

  SegmentShape& shape_;
  const std::uint64_t seed_;
  mutable ReadGate gate_;
  Rows rows_;
  Graph graph_;
  std::size_t row_count_ = 0;
  std::vector<std::uint32_t> pending_;  ///< alive, not yet in the graph
  std::vector<std::uint32_t> free_;     ///< neither alive nor in the graph
  std::deque<std::uint32_t> dead_;      ///< in the graph only, oldest first
  std::uint32_t oldest_ = kNoRow, newest_ = kNoRow;
  IdTable by_id_;
  std::size_t payload_bytes_ = 0;
  Scratch writing_;
  std::atomic<std::size_t> live_{0};
  std::atomic<std::size_t> bytes_{0};
  std::atomic<std::size_t> unlinked_{0};
};

}  // namespace asahi::vector
