#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "memory/hot/checkpoint.h"
#include "memory/hot/keyword.h"
#include "memory/hot/log.h"
#include "memory/hot/near_duplicates.h"
#include "memory/hot/table.h"
#include "memory/hot/vectors.h"
#include "memory/model/shards.h"
#include "memory/model/store.h"
#include "storage/vector/local/read_gate.h"

namespace asahi::memory::hot {

/// A change that is on the disk. Views hold until the observer returns.
struct CommittedChange {
  bool erased = false;
  Key key;
  std::optional<UpsertView> row;  ///< unless erased
};

struct EngineOptions {
  std::string folder = ":memory:";  ///< `:memory:`: lost at the end
  LogOptions log;                   ///< its folder is set from `folder`
  VectorOptions vectors;
  /// A group of writes waits this long for others to share its sync, at most 10 ms. Writes that
  /// come while one is being synced share the next anyway.
  std::chrono::microseconds group_commit{0};
  std::size_t max_queued_bytes = 256 << 20;  ///< of writes that wait; more: unavailable
  /// Vectors that may wait for the graph: each lengthens a search by some 40 ns. Writers wait while
  /// there are more, and ingestion is asked to pause from three quarters of it on.
  std::size_t max_unlinked = 200'000;
  /// After about so many writes and links, or a quarter of the rows if that is more, what a start
  /// would have to work out anew is saved beside the log, an eighth of that when there is nothing
  /// else to do. SIZE_MAX: none is written. An encrypted log has no checkpoints.
  std::size_t checkpoint_rows = 40'000;
  /// A mark of scan_eligible holds this long: the run that set it may be dead.
  std::chrono::nanoseconds migration_lease = std::chrono::hours{3};
  const Clock* clock = &system_clock();
  MakeKeywordIndex make_keyword;            ///< empty: TextKeyword
  MakeNearDuplicates make_near_duplicates;  ///< empty: ShingleDuplicates
  /// Told how long it took to look whether a memory is there already: by its hash, or, `fuzzy`, by
  /// its likeness. On the writing thread; must not wait. Empty: nobody asks.
  std::function<void(bool fuzzy, std::chrono::nanoseconds took)> looked_for_duplicates;
  /// Told of what was committed, in order, on the writing thread. For copies that can be rebuilt.
  std::function<void(std::span<const CommittedChange>)> observer;
};

/// The file with the name of a store's writings, in its folder.
inline constexpr std::string_view kFeedName = "derived.id";

/// A row as it is now, with the place of its last writing in the order of all writings.
struct Written {
  Memory memory;
  std::uint64_t sequence = 0;
  bool duplicate = false;  ///< its content is another row's, seen again
};
struct WrittenPage {
  std::vector<Written> rows;  ///< in the order of writing
  std::uint64_t upto = 0;     ///< nothing more was written up to here
};

struct EngineStats {
  OpenReport opened;
  std::uint64_t file_bytes = 0, live_bytes = 0, segments = 0;
  std::uint64_t stale_segments = 0;  ///< in the clear or under a former key: see Log
  std::uint64_t unlinked = 0;        ///< vectors not yet in a graph
  std::uint64_t table_bytes = 0;     ///< memory of tables, vectors, words and bands
  std::uint64_t groups = 0;          ///< syncs
  std::uint64_t compactions = 0, compaction_failures = 0;
  std::uint64_t checkpoints = 0, checkpoint_failures = 0;
  std::uint64_t vectors = 0;             ///< that searches compare, in a graph or one by one
  std::chrono::nanoseconds indexing{0};  ///< spent on them since the start, reading included
  std::chrono::nanoseconds wal_lag{0};   ///< the oldest write that is not on the disk waits so long
  std::uint64_t restored_rows = 0;       ///< whose words came from the checkpoint at the start
  std::uint64_t restored_links = 0;      ///< vectors whose place in a graph did
};

/// The hot tier without coroutines. One thread writes: it decides about what waits, appends it to
/// the log in one go, syncs, shows it to readers and answers. Another links vectors, a third writes
/// half-empty segments anew. All else runs on the caller's thread, beside them.
class Engine {
 public:
  template <class T>
  using Done = std::move_only_function<void(Result<T>)>;

  static Result<std::unique_ptr<Engine>> open(EngineOptions options);
  /// Finishes what was asked for.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// See Store; `done` runs on the writing thread, or at once on refusal. What can be worked out of
  /// memories before their turn is worked out here, on the caller's thread: some 10 µs each.
  void upsert(std::vector<Memory> memories, UpsertOptions options,
              Done<std::vector<UpsertOutcome>> done);
  void erase(std::vector<Key> keys, Done<std::uint64_t> done);
  void erase_system(std::string tenant, std::string system_id, Done<std::uint64_t> done);
  void erase_migrated(std::vector<std::pair<Key, Digest>> rows, Done<std::uint64_t> done);
  void scan_eligible(ScanQuery wanted, Done<std::vector<Eligible>> done);
  void replace_vectors(std::vector<NewVector> rows, Done<std::uint64_t> done);
  /// See ShardRows (moves.cc).
  void scan_shards(ShardSet wanted, std::size_t limit, Marks marks,
                   Done<std::vector<ShardRow>> done);
  void erase_moved(std::vector<std::pair<Key, Digest>> rows, Done<std::uint64_t> done);
  std::vector<std::uint64_t> shard_counts() const;

  Result<std::vector<std::optional<Memory>>> get(const std::vector<Key>& keys) const;
  Result<std::vector<std::optional<Digest>>> checksum(const std::vector<Key>& keys) const;
  Result<StorePage> search(const StoreQuery& query) const;
  /// Of all tenants when `tenant` is empty.
  TierStats stats(const std::string& tenant) const;
  std::map<std::string, std::uint64_t> models(const std::string& tenant) const;
  EngineStats engine_stats() const;
  /// It is behind with what it got: more should not be sent for a while.
  bool pressed() const;
  /// With the name of its writings: a copy that is opened in its place is followed from where the
  /// copy ends.
  Result<void> copy_to(const std::string& folder);

  // For what is derived from rows (changes.cc). Numbers grow with each writing, hold over restarts
  // and are never given twice; a row that was written anew stands at its new number only, and what
  // was erased stands nowhere.
  std::uint64_t last_written() const { return shown_.load(std::memory_order_acquire); }
  /// Rows written after `since`, at most `limit` of the first ones; there may be fewer, even none,
  /// and yet more to come: `upto` says how far it got. A damaged row is left out.
  WrittenPage written_since(std::uint64_t since, std::size_t limit) const;
  /// Until something was written after `since`, at most so long. False: nothing was.
  bool wait_written(std::uint64_t since, std::chrono::milliseconds most,
                    std::stop_token stop) const;
  /// Who derives keeps its place in the writings under this name. It lies beside the log, so that
  /// another store in its place is known as another one. Errors: unavailable (the folder cannot be
  /// written).
  Result<std::string> feed_name() const;
  /// Whether there is a row, or a duplicate, of each key.
  std::vector<bool> has(const std::vector<Key>& keys) const;

  /// Until the graphs know all vectors; for tests and measurements.
  void wait_until_linked();
  /// Until files take no more than they may, or nothing helps.
  void wait_until_compact();

 private:
  struct Shelf;
  struct Op;
  struct Incoming;
  struct Touched {
    Shelf* shelf;
    std::uint32_t slot;
    std::uint8_t before;  ///< its flags
    Incoming* row;        ///< that was put there; null: none
  };
  /// Where a row goes that leaves.
  enum class Bound : std::uint8_t {
    kTier,  ///< down or up: its duplicates went along, named in the copy's metadata
    kNode,  ///< to another node of the tier: duplicates go as rows of their own
  };
  struct Old {
    std::int64_t timestamp;
    Shelf* shelf;
    std::uint32_t slot;
    bool operator<(const Old& other) const {
      return timestamp != other.timestamp ? timestamp < other.timestamp : slot < other.slot;
    }
  };
  class Exclusive;
  class Survivors;
  class Restoring;
  struct KeptGraph {
    std::uint64_t version = 0;
    std::string file;
  };
  enum class Moment : std::uint8_t { kBusy, kIdle, kEnd };

  explicit Engine(EngineOptions options);
  Result<void> load();
  Result<void> replay(Log& log, const Frame& frame, Position position);
  Result<void> fill();
  Result<void> fill_words(Shelf& shelf);
  Result<void> fill_vectors(Shelf& shelf);
  Shelf* find_shelf(std::string_view tenant) const;
  Shelf& shelf_of(std::string_view tenant);
  std::vector<Shelf*> shelves() const;
  std::uint64_t key_hash(std::string_view system_id, std::string_view conversation_id) const;

  // The writing thread.
  void submit(Op op);
  void write_loop();
  void run_group(std::vector<Op>& ops);
  Incoming prepare(Memory memory);
  bool is_full(std::size_t weight) const;
  Result<std::vector<UpsertOutcome>> stage_upserts(std::vector<Incoming>& rows,
                                                   const UpsertOptions& options);
  Result<UpsertOutcome> stage_upsert(Shelf& shelf, Incoming& row, const UpsertOptions& options);
  Result<std::uint64_t> stage_erase(const std::vector<Key>& keys);
  Result<std::uint64_t> stage_erase_system(const std::string& tenant, const std::string& system_id);
  Result<std::uint64_t> stage_erase_unchanged(const std::vector<std::pair<Key, Digest>>& rows,
                                              Bound bound);
  std::vector<Old> oldest_of(const ScanQuery& wanted) const;
  std::vector<Old> named_in(const ScanQuery& wanted) const;
  bool is_due(const Shelf& shelf, std::uint32_t slot, const ScanQuery& wanted) const;
  Result<std::vector<Eligible>> mark_eligible(const ScanQuery& wanted);
  Result<std::uint64_t> stage_vectors(std::vector<NewVector>& rows);
  Result<bool> stage_vector(Shelf& shelf, NewVector& row);
  Result<std::vector<ShardRow>> mark_shards(const ShardSet& wanted, std::size_t limit, Marks marks);
  Result<void> take_for_move(Shelf& shelf, std::uint32_t slot, std::vector<ShardRow>& out);
  std::uint32_t model_of(Shelf& shelf, std::string_view model, std::size_t dimensions);
  std::uint32_t store(Shelf& shelf, Incoming& row);
  Result<void> store_alias(Shelf& shelf, std::uint32_t owner, const Key& owner_key,
                           const Memory& duplicate, const FieldValues& fields);
  Result<void> hand_over(Shelf& shelf, std::uint32_t owner);
  Result<void> erase_slot(Shelf& shelf, std::uint32_t slot, const Key& key, Bound bound);
  void retire(Shelf& shelf, std::uint32_t slot);
  void undo(std::size_t from);
  void apply();
  void apply_row(const Touched& each);
  void tell_observer();
  void remember_written();
  Result<void> check_width(Shelf& shelf, const Memory& memory, std::size_t place) const;

  // Readers' and writer's, with the shelf locked.
  std::uint32_t find(const Shelf& shelf, const LogReader& reader, std::string_view system_id,
                     std::string_view conversation_id, std::uint8_t flag) const;
  /// The row that a memory nearly repeats.
  std::optional<Key> nearest_of(Shelf& shelf, const LogReader& reader, const Memory& memory,
                                double threshold) const;
  template <class Look>
  auto look_for_duplicates(bool fuzzy, Look look) const;
  std::uint32_t find_content(const Shelf& shelf, const LogReader& reader,
                             const Digest& content_hash) const;
  Result<Key> read_key(const Shelf& shelf, const LogReader& reader, std::uint32_t slot) const;
  Result<Memory> read_row(const Shelf& shelf, const LogReader& reader, std::uint32_t slot) const;
  /// Of a row's vector; empty: it has none.
  std::string model_name(const Shelf& shelf, const LogReader& reader, std::uint32_t slot) const;
  Result<Memory> read_alias(const Shelf& shelf, const LogReader& reader, std::uint32_t slot) const;
  /// A row with what it was seen as, or a duplicate with its owner's content.
  Result<Memory> read_memory(const Shelf& shelf, const LogReader& reader, std::uint32_t slot) const;
  std::string with_seen_in(const Shelf& shelf, const LogReader& reader, std::uint32_t slot,
                           std::string metadata) const;
  /// By float32, best first.
  void rank_vectors(const Shelf& shelf, const LogReader& reader, const StoreQuery& query,
                    const Table::Allowed* allowed, std::size_t depth,
                    std::vector<VectorSet::Candidate>& out) const;
  bool confirmed(const Shelf& shelf, const LogReader& reader, std::uint32_t slot,
                 const std::vector<std::pair<std::string, std::string>>& check,
                 std::string& scratch) const;
  void confirm(const Shelf& shelf, const LogReader& reader, Table::Allowed& allowed) const;

  // The other threads.
  void link_loop(std::stop_token stop);
  bool link_some();
  std::size_t backlog() const;
  void compact_loop(std::stop_token stop);

  // Checkpoints: of the start, then of the linking thread, then of the end.
  bool keeps_checkpoints() const;
  std::string checkpoint_folder() const;
  VectorOptions vector_options() const;
  void begin_restoring();
  void end_restoring();
  void adopt_graphs(Shelf& shelf);
  Result<SavedShelf> save_shelf(Shelf& shelf, std::size_t& graphs);
  Result<void> save_checkpoint();
  void checkpoint_if_due(Moment moment);

  const EngineOptions options_;
  const std::uint64_t seed_;
  std::unique_ptr<Log> log_;
  OpenReport opened_;
  mutable std::shared_mutex shelves_mutex_;
  std::map<std::string, std::unique_ptr<Shelf>, std::less<>> shelves_;

  std::vector<Touched> touched_;                   ///< by the group that is being staged
  std::vector<std::unique_ptr<Incoming>> handed_;  ///< rows that the group made itself
  std::string payload_;                            ///< scratch of the writing thread
  std::atomic<std::size_t> behind_{0};             ///< vectors that wait for the graph, of late
  std::atomic<std::int64_t> indexing_ns_{0};
  std::atomic<std::uint64_t> groups_{0}, compactions_{0}, compaction_failures_{0};

  /// The last writings, so that who follows them need not look at all rows: everything after
  /// `recent_from_` stands there.
  struct Recent {
    std::uint64_t sequence;
    Shelf* shelf;
    std::uint32_t slot;
  };
  mutable std::mutex recent_mutex_;
  std::deque<Recent> recent_;
  std::uint64_t recent_from_ = 0;
  mutable std::mutex name_mutex_;
  std::atomic<std::uint64_t> shown_{0};  ///< all up to it is seen by readers

  mutable std::mutex queue_mutex_;
  std::condition_variable queue_changed_;
  std::vector<Op> queue_;
  std::size_t queued_bytes_ = 0;
  /// When the oldest write came: of the group in work, and of those that wait.
  std::optional<Clock::Steady> in_work_since_, waiting_since_;
  bool stopping_ = false;

  mutable std::mutex work_mutex_;  ///< of the pokes below
  mutable std::condition_variable_any work_changed_;
  std::uint64_t commits_ = 0;
  bool linked_all_ = false, compacted_all_ = false;

  std::unique_ptr<Restoring> restoring_;               ///< while it starts
  std::map<const VectorSet*, KeptGraph> kept_graphs_;  ///< the last checkpoint's
  std::uint64_t generation_ = 0, rows_ = 0;            ///< of the last checkpoint
  std::uint64_t links_ = 0, saved_work_ = 0;
  std::atomic<std::uint64_t> changes_{0};
  std::atomic<std::uint64_t> checkpoints_{0}, checkpoint_failures_{0};
  std::uint64_t restored_rows_ = 0, restored_links_ = 0;

  std::jthread linker_, compactor_;
  std::thread writer_;
};

}  // namespace asahi::memory::hot
