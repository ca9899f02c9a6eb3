#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "memory/hot/segment.h"

namespace asahi::memory::hot {

/// What a start does about damage that is not a torn end.
enum class Damage : std::uint8_t {
  kRefuse,  ///< Errors: corrupt, naming segment and offset
  kSkip,    ///< goes on behind it, and counts. What a lost tombstone hid comes back
};

struct LogOptions {
  std::string folder;                      ///< of one shard; empty: in memory
  std::uint64_t segment_bytes = 64 << 20;  ///< a segment is closed at about this size
  /// A small store closes its segments at a sixteenth of its live bytes, but not below this.
  std::uint64_t smallest_segment = 1 << 20;
  /// Closed segments are written anew when files take more than this times the live bytes.
  double most_space = 1.2;
  Damage damage = Damage::kRefuse;
  /// Payloads by AES-256-GCM, each segment under a key of its own made of this one and a salt.
  std::optional<Digest256> key;
  /// Segments of these are read, too. What is not written with `key` (with none: in the clear) is
  /// written anew by compactions, whatever it would gain.
  std::vector<Digest256> previous_keys;
  Disk* disk = nullptr;  ///< null: the machine's
};

struct OpenReport {
  std::uint64_t records = 0;
  std::uint64_t torn_bytes = 0;       ///< cut off the end: never acknowledged
  std::uint64_t damaged_records = 0;  ///< places skipped
};

/// The segments at one moment.
using Segments = std::vector<std::shared_ptr<Segment>>;

class Log;

/// Reads payloads. Holds the segments of the moment when it was made, so their files may meanwhile
/// be replaced. The positions asked for must have been read under the same lock (see Log::compact).
class LogReader {
 public:
  /// `checked`: verifies the CRC. Decrypted payloads lie in `scratch`. Nothing: damaged or gone.
  std::optional<std::string_view> payload(Position position, std::string& scratch,
                                          bool checked = false) const;

 private:
  friend class Log;
  const Log* log_ = nullptr;
  std::shared_ptr<const Segments> segments_;
  bool staged_ = false;
};

/// The log: what it holds is what the store holds. Records are appended to the last of a row of
/// segment files and are durable when `commit` returns. A superseded record goes when its segment
/// is written anew in the place of the old one, so that the order of records never changes.
/// `stage`, `end_batch`, `commit`, `abort` belong to one thread, `compact` to another.
class Log {
 public:
  /// Gets each record in order, payload decrypted. The log may be read meanwhile.
  using Replay = std::function<Result<void>(Log& log, const Frame&, Position)>;
  /// Errors: corrupt (also a record that was changed), unavailable, invalid_argument (a key is
  /// missing or another one: then nothing was written).
  static Result<std::unique_ptr<Log>> open(LogOptions options, const Replay& replay,
                                           OpenReport& report);
  ~Log();

  struct Staged {
    Position position;
    std::uint32_t size;  ///< in the file
    std::uint64_t sequence;
  };
  /// Makes room for the next group. Errors: unavailable.
  Result<void> begin();
  Staged stage(RecordType type, std::string_view payload);
  /// The records since the last end are there together or not at all.
  void end_batch();
  std::size_t staged_bytes() const { return staged_.size(); }
  /// Forgets what was staged beyond `bytes`.
  void unstage(std::size_t bytes);
  /// Errors: unavailable; then nothing of it is or will be on the disk. What was staged stays
  /// readable until `unstage(0)`, whether it worked or not.
  Result<void> commit();
  /// What was staged, in order, payload decrypted.
  void visit_staged(const std::function<void(const Frame&)>& take) const;

  LogReader reader() const;
  /// For the appending thread: sees what is staged, too.
  LogReader staging_reader() const;

  /// A record of `size` bytes counts as live from now on, or no longer.
  void add_live(Position position, std::uint32_t size);
  void drop_live(Position position, std::uint32_t size);

  std::uint64_t file_bytes() const;
  std::uint64_t live_bytes() const { return static_cast<std::uint64_t>(live_.load()); }
  std::uint64_t segment_count() const { return segments()->size(); }
  /// Segments that are in the clear or under a former key, though there is another one now.
  std::uint64_t stale_segments() const;
  std::uint64_t durable_sequence() const { return durable_.load(std::memory_order_acquire); }

  struct Moved {
    std::uint32_t offset, size;
  };
  /// What a compaction asks of the owner of the table.
  class Survivors {
   public:
    virtual ~Survivors() = default;
    /// `keep` knows of what the records up to this number superseded or erased; the table may be
    /// behind what is durable. Asked before the first `keep`.
    virtual std::uint64_t upto() const = 0;
    /// True: the record still counts. Asked in the order of the records.
    virtual bool keep(const Frame& frame, Position position) = 0;
    /// The records kept, in order, stand at these places of segment `id` now. Positions are
    /// changed under locks that keep their readers out; the old ones hold until this returns.
    virtual void moved(std::uint32_t id, const std::vector<Moved>& places) = 0;
  };
  /// Whether files take more than their share.
  bool wants_compaction() const;
  /// Writes the segment with the smallest live share anew, joined with small neighbours. False:
  /// nothing to gain. A crash at any moment leaves the old or the new files. Errors: unavailable
  /// (disk full: the old ones stay).
  Result<bool> compact(Survivors& survivors);

  /// Links or copies what is durable into `folder`. Errors: unavailable.
  Result<void> copy_to(const std::string& folder);

 private:
  friend class LogReader;
  explicit Log(LogOptions options);
  std::shared_ptr<const Segments> segments() const;
  void publish(Segments segments);
  Result<void> load(const Replay& replay, OpenReport& report);
  Result<void> replay_segment(Segment& segment, bool last, const Replay& replay,
                              OpenReport& report);
  Result<void> roll();
  SegmentHead new_head(std::uint32_t first, std::uint32_t last, std::uint64_t compacted_at) const;
  /// Sets a segment's key, and whether it is the one of now. Errors: invalid_argument.
  Result<void> find_key(Segment& segment) const;
  std::uint64_t segment_limit() const;
  Segments choose_victims(const Segments& all) const;
  Result<std::shared_ptr<Segment>> rewrite(const Segments& victims, const Segments& all,
                                           Survivors& survivors, std::vector<Moved>& places);
  std::string path_of(std::uint32_t number) const;

  const LogOptions options_;
  Disk& disk_;
  File lock_;
  mutable std::mutex segments_mutex_;
  std::shared_ptr<const Segments> segments_;  ///< in the order of their records
  std::shared_ptr<Segment> active_;           ///< the last of them
  std::mutex files_;  ///< against two changes of the set of segments at once
  std::uint32_t next_id_ = 1;
  std::string staged_;
  std::size_t batch_start_ = 0, last_frame_ = 0;
  std::uint64_t next_sequence_ = 1;
  std::atomic<std::uint64_t> durable_{0};
  std::atomic<std::int64_t> live_{0};
};

}  // namespace asahi::memory::hot
