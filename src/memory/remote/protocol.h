#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "memory/remote/wire.h"

/// What the two sides of the internal store API agree on: POST /store/v1/<name> with a Request as
/// body (wire.h), answered by 200 and a Reply, or by the status of an Error and that Error.
namespace asahi::memory::remote {

inline constexpr std::string_view kPrefix = "/store/v1/";
inline constexpr std::string_view kContentType = "application/x-akosha-store";
inline constexpr std::size_t kMaxUpsertBytes = std::size_t{256} << 20;
inline constexpr std::size_t kMaxRequestBytes = std::size_t{32} << 20;
/// `get` and `scan_eligible` stop far below it (StoreApi::Options) and say that there is more.
inline constexpr std::size_t kMaxReplyBytes = std::size_t{256} << 20;

/// Reason of a refusal: nothing was done, the same is welcome later.
inline constexpr std::string_view kBackPressure = "backpressure";

/// Whether a call that may have been carried out can be sent again: yes where that changes nothing,
/// neither in the store nor in the answer that counts.
enum class Again { kYes, kNo };

/// The row's key and sum, without its content: what a second pass needs.
using Marked = std::vector<std::pair<Key, Digest>>;

struct Hello {
  static constexpr std::string_view kName = "hello";
  static constexpr Again kAgain = Again::kYes;
  static constexpr std::chrono::milliseconds kTimeout{2'000};
  using Request = std::tuple<>;
  using Reply = Tier;
};
struct UpsertBatch {
  static constexpr std::string_view kName = "upsert_batch";
  // Adding the same memory twice changes nothing.
  static constexpr Again kAgain = Again::kYes;
  static constexpr std::chrono::milliseconds kTimeout{30'000};
  using Request = std::tuple<std::vector<Memory>, UpsertOptions>;
  using Reply = std::vector<UpsertOutcome>;
};
struct Get {
  static constexpr std::string_view kName = "get";
  static constexpr Again kAgain = Again::kYes;
  static constexpr std::chrono::milliseconds kTimeout{10'000};
  using Request = std::vector<Key>;
  /// Of the first keys; fewer than asked for: ask for the rest.
  using Reply = std::vector<std::optional<Memory>>;
};
struct DeleteBatch {
  static constexpr std::string_view kName = "delete_batch";
  // The second answer would say that nothing was there.
  static constexpr Again kAgain = Again::kNo;
  static constexpr std::chrono::milliseconds kTimeout{30'000};
  using Request = std::vector<Key>;
  using Reply = std::uint64_t;
};
struct DeleteSystem {
  static constexpr std::string_view kName = "delete_system";
  static constexpr Again kAgain = Again::kNo;
  static constexpr std::chrono::milliseconds kTimeout{120'000};
  using Request = std::tuple<std::string, std::string>;  ///< tenant, system
  using Reply = std::uint64_t;
};
struct SearchStore {
  static constexpr std::string_view kName = "search";
  static constexpr Again kAgain = Again::kYes;
  static constexpr std::chrono::milliseconds kTimeout{30'000};
  using Request = StoreQuery;
  using Reply = StorePage;
};
struct ScanEligible {
  static constexpr std::string_view kName = "scan_eligible";
  // What a lost answer named stays marked until the mark's time is over.
  static constexpr Again kAgain = Again::kNo;
  static constexpr std::chrono::milliseconds kTimeout{60'000};
  using Request = std::tuple<Clock::Time, std::uint64_t>;  ///< before, limit
  using Reply = std::tuple<std::vector<Eligible>, bool>;   ///< true: there may be more
};
/// A scan that asks for more than age: since a store may be older than who asks it, only such scans
/// go this way, and an older store says that it does not know it.
struct ScanWanted {
  static constexpr std::string_view kName = "scan_wanted";
  static constexpr Again kAgain = Again::kNo;  // as scan_eligible
  static constexpr std::chrono::milliseconds kTimeout{60'000};
  using Request = ScanQuery;
  using Reply = std::tuple<std::vector<Eligible>, bool>;  ///< true: there may be more
};
struct ReplaceVectors {
  static constexpr std::string_view kName = "replace_vectors";
  // The second answer would say that nothing was what it was.
  static constexpr Again kAgain = Again::kNo;
  static constexpr std::chrono::milliseconds kTimeout{60'000};
  using Request = std::vector<NewVector>;
  using Reply = std::uint64_t;
};
struct Models {
  static constexpr std::string_view kName = "models";
  static constexpr Again kAgain = Again::kYes;
  static constexpr std::chrono::milliseconds kTimeout{30'000};
  using Request = std::string;  ///< tenant; empty: all
  using Reply = std::map<std::string, std::uint64_t>;
};
/// scan_eligible for callers that read the rows later.
struct MarkMigrating {
  static constexpr std::string_view kName = "mark_migrating";
  static constexpr Again kAgain = Again::kNo;
  static constexpr std::chrono::milliseconds kTimeout{60'000};
  using Request = std::tuple<Clock::Time, std::uint64_t>;
  using Reply = Marked;
};
struct DeleteMigrated {
  static constexpr std::string_view kName = "delete_migrated";
  static constexpr Again kAgain = Again::kNo;
  static constexpr std::chrono::milliseconds kTimeout{60'000};
  using Request = Marked;
  using Reply = std::uint64_t;
};
// Of stores whose rows may move to other nodes of the tier (ShardRows).
struct ScanShards {
  static constexpr std::string_view kName = "scan_shards";
  static constexpr Again kAgain = Again::kNo;  // as scan_eligible
  static constexpr std::chrono::milliseconds kTimeout{60'000};
  using Request = std::tuple<ShardSet, std::uint64_t, Marks>;
  using Reply = std::tuple<std::vector<ShardRow>, bool>;  ///< true: there may be more
};
struct DeleteMoved {
  static constexpr std::string_view kName = "delete_moved";
  static constexpr Again kAgain = Again::kNo;
  static constexpr std::chrono::milliseconds kTimeout{60'000};
  using Request = Marked;
  using Reply = std::uint64_t;
};
struct ShardCounts {
  static constexpr std::string_view kName = "shard_counts";
  static constexpr Again kAgain = Again::kYes;
  static constexpr std::chrono::milliseconds kTimeout{30'000};
  using Request = std::tuple<>;
  using Reply = std::vector<std::uint64_t>;
};
/// What is written down about the placement of the tier's shards (placement/record.h): asks, or
/// writes anew where it is what the caller takes it for.
struct PlacementOf {
  static constexpr std::string_view kName = "placement";
  static constexpr Again kAgain = Again::kYes;
  static constexpr std::chrono::milliseconds kTimeout{10'000};
  /// Expected and next; nothing: only asked. The reply is what stands there now.
  using Request = std::optional<std::pair<std::string, std::string>>;
  using Reply = std::string;
};
struct Checksum {
  static constexpr std::string_view kName = "checksum";
  static constexpr Again kAgain = Again::kYes;
  static constexpr std::chrono::milliseconds kTimeout{30'000};
  using Request = std::vector<Key>;
  using Reply = std::vector<std::optional<Digest>>;
};
struct Stats {
  static constexpr std::string_view kName = "stats";
  static constexpr Again kAgain = Again::kYes;
  static constexpr std::chrono::milliseconds kTimeout{10'000};
  using Request = std::string;  ///< tenant; empty: all
  using Reply = TierStats;
};
/// A copy below the store's folder for snapshots; its files are read with the verbs behind it.
struct Snapshot {
  static constexpr std::string_view kName = "snapshot";
  static constexpr Again kAgain = Again::kNo;
  static constexpr std::chrono::milliseconds kTimeout{600'000};
  using Request = std::string;  ///< folder below the store's own for snapshots
  using Reply = bool;           ///< true
};
struct SnapshotFiles {
  static constexpr std::string_view kName = "snapshot_files";
  static constexpr Again kAgain = Again::kYes;
  static constexpr std::chrono::milliseconds kTimeout{60'000};
  using Request = std::string;
  using Reply = std::vector<std::pair<std::string, std::uint64_t>>;  ///< paths below it, and sizes
};
/// The same with their sums, for whoever need not fetch them all.
struct SnapshotSums {
  static constexpr std::string_view kName = "snapshot_sums";
  static constexpr Again kAgain = Again::kYes;
  static constexpr std::chrono::milliseconds kTimeout{600'000};
  using Request = std::string;
  using Reply = std::vector<std::pair<std::string, Digest>>;
};
struct SnapshotRead {
  static constexpr std::string_view kName = "snapshot_read";
  static constexpr Again kAgain = Again::kYes;
  static constexpr std::chrono::milliseconds kTimeout{60'000};
  /// Snapshot, path, offset, bytes: at most kMostRead.
  using Request = std::tuple<std::string, std::string, std::uint64_t, std::uint64_t>;
  using Reply = std::string;
  static constexpr std::uint64_t kMostRead = 8ULL << 20;
};
struct SnapshotDrop {
  static constexpr std::string_view kName = "snapshot_drop";
  static constexpr Again kAgain = Again::kYes;
  static constexpr std::chrono::milliseconds kTimeout{60'000};
  using Request = std::string;
  using Reply = bool;  ///< true
};
/// What was written since, for what is derived of it (knowledge/feed.h).
struct WrittenSince {
  static constexpr std::string_view kName = "written_since";
  static constexpr Again kAgain = Again::kYes;
  static constexpr std::chrono::milliseconds kTimeout{30'000};
  using Request = std::tuple<std::uint64_t, std::uint64_t>;  ///< since, limit; 0: only where it is
  /// Name of the writings, the last one, up to where these rows go; rows, and whether each is
  /// another row's duplicate.
  using Reply =
      std::tuple<std::string, std::uint64_t, std::uint64_t, std::vector<std::pair<Memory, bool>>>;
};
/// The disk below the store's files.
struct Disk {
  static constexpr std::string_view kName = "disk";
  static constexpr Again kAgain = Again::kYes;
  static constexpr std::chrono::milliseconds kTimeout{5'000};
  using Request = std::tuple<>;
  /// Folder, bytes of the disk, bytes that are free; no bytes: it is kept in memory.
  using Reply = std::tuple<std::string, std::uint64_t, std::uint64_t>;
};

}  // namespace asahi::memory::remote
