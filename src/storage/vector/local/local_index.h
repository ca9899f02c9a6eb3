#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/vector/index.h"
#include "storage/vector/local/rows.h"
#include "storage/vector/local/write_turn.h"

namespace boost::asio {
class thread_pool;
}

namespace asahi::vector {

class Segment;
struct SegmentShape;
struct Scratch;

enum class WhenFull {
  kEvictOldest,  ///< of the tenant that has most
  kRefuse,       ///< upsert fails with too_large
};

struct LocalOptions {
  Space space;
  /// Bounds over all tenants; max_bytes (about what vectors, links, ids and metadata take) 0: none.
  std::size_t max_entries = 100'000;
  std::size_t max_bytes = 0;
  WhenFull when_full = WhenFull::kEvictOldest;
  /// Told of each evicted item, on the writing thread; it must not call the index.
  std::function<void(std::string_view tenant, std::string_view id)> on_evict;
  Precision precision = Precision::kTwelveBits;
  /// Where `save` and `load` keep the index; empty: nowhere.
  std::string file;
  /// Width of the graph's search: more finds more and takes longer. 64 finds 99 of 100 nearest.
  std::size_t search_effort = 64;
  std::size_t build_effort = 128;
  /// A tenant with fewer items has no graph: they are compared one by one.
  std::size_t exact_rows = 1024;
  /// Items of a tenant that may wait for their place in the graph. A write then takes microseconds
  /// an item, every search finds it at once (what waits is compared one by one: some 40 µs per
  /// thousand of 384 numbers), and the index's writing thread links, whenever no one writes. With
  /// more waiting, writes link as many as they add and more. 0: every write links what it adds.
  std::size_t max_unlinked = 0;
  std::uint64_t seed = 1;
};

/// The index in this process: int8 codes by SIMD, one by one for few items or selective filters, by
/// an HNSW graph for many. Tenants lie in graphs of their own. Thread-safe; searches do not wait
/// for writes but for microseconds. The coroutines hand their work to threads of the index; the
/// other members work on the calling thread.
class LocalIndex final : public Index {
 public:
  /// `options.space` is checked before (check_space).
  explicit LocalIndex(LocalOptions options);
  ~LocalIndex() override;

  std::string_view backend() const override { return "local"; }
  const Space& space() const override;

  Task<void> upsert(std::string tenant, std::vector<Item> items) override;
  Task<std::vector<Hit>> query(std::string tenant, Query query) override;
  Task<void> erase(std::string tenant, std::vector<std::string> ids) override;
  Task<void> erase_where(std::string tenant, Metadata filter) override;
  Task<void> erase_all(std::string tenant) override;
  Task<std::uint64_t> count(std::string tenant) override;
  Task<void> ping() override;
  /// `save_now` on the index's writing thread.
  Task<void> save();

  /// The query without leaving the thread: some 100 µs at 100,000 items. `effort`: instead of
  /// search_effort; 0: that.
  Result<std::vector<Hit>> search(std::string_view tenant, const Query& query,
                                  std::size_t effort = 0) const;
  /// An upsert on this thread: about 0.2 to 1 ms an item in a large index. Writers wait for one
  /// another.
  Result<void> put(std::string_view tenant, std::span<const Item> items);
  /// How many of the ids were there.
  std::size_t remove(std::string_view tenant, std::span<const std::string> ids);
  std::size_t remove_all(std::string_view tenant);

  /// Items that wait for their places in the graph (LocalOptions::max_unlinked).
  std::size_t unlinked() const;
  /// Links up to `most` of them on this thread; false: none is left.
  bool link(std::size_t most);

  /// Items of all tenants; of one.
  std::size_t size() const { return entries_.load(std::memory_order_relaxed); }
  std::size_t size(std::string_view tenant) const;
  /// Wait for a write under way.
  bool contains(std::string_view tenant, std::string_view id) const;
  std::vector<std::string> ids(std::string_view tenant) const;
  std::vector<std::string> tenants() const;
  /// About what they take in memory.
  std::size_t bytes() const;

  /// In the place of `options.on_evict`; empty: nobody is told. No call of the old one is under way
  /// when it returns.
  void on_evict(std::function<void(std::string_view tenant, std::string_view id)> told);

  bool has_file() const { return !options_.file.empty(); }
  /// Writes `options.file` anew. Searches go on, writers wait. Errors: unavailable (disk full: the
  /// old file stays, the index works on), invalid_argument (no file named).
  Result<void> save_now();
  /// Replaces what is held by the file's contents; call it before use. Errors: not_found (no file),
  /// conflict (of another model, width or precision), corrupt (cut or changed): the index is then
  /// as it was, and the caller fills it from its rows.
  Result<void> load();
  /// The same from memory.
  Result<void> load_bytes(std::string_view bytes);

 private:
  using Segments = std::map<std::string, std::shared_ptr<Segment>, std::less<>>;

  std::shared_ptr<Segment> find(std::string_view tenant) const;
  Segment& find_or_add(std::string_view tenant);
  /// Room for this item, unless it takes another's place. The write mutex is held.
  Result<void> make_room(std::string_view tenant, std::string_view id);
  void evict();
  void drop_if_empty(std::string_view tenant);
  void tidy(std::string_view tenant);
  bool full() const;
  void catch_up_later(std::string_view tenant);
  void catch_up();
  bool link_next(std::size_t most);
  std::unique_ptr<SegmentShape> make_shape() const;
  std::uint64_t seed_of(std::string_view tenant) const;
  template <class Work>
  Task<void> on_writer(Work work);

  class Borrowed;
  const LocalOptions options_;
  std::function<void(std::string_view tenant, std::string_view id)> on_evict_;
  std::unique_ptr<SegmentShape> shape_;
  mutable WriteTurn write_;
  std::set<std::string, std::less<>> behind_;  ///< tenants with unlinked items; under write_
  bool catching_up_ = false;                   ///< under write_
  std::atomic<bool> stopping_{false};
  mutable std::shared_mutex segments_mutex_;  ///< of the map, not of what it points to
  Segments segments_;
  std::atomic<std::size_t> entries_{0};
  mutable std::mutex scratch_mutex_;
  mutable std::vector<std::unique_ptr<Scratch>> scratch_;
  std::atomic<std::size_t> queued_{0};
  std::unique_ptr<boost::asio::thread_pool> writer_, readers_;
};

}  // namespace asahi::vector
