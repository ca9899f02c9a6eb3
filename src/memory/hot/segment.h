#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/hash.h"
#include "base/result.h"
#include "memory/hot/codec.h"
#include "memory/hot/disk.h"

namespace asahi::memory::hot {

/// Where a record stands: a number that each segment gets when it is opened (a segment written
/// anew is another one), and the offset of its frame.
struct Position {
  std::uint32_t segment = 0;
  std::uint32_t offset = 0;
  bool operator==(const Position&) const = default;
};

/// A record in its segment. On disk: CRC-32C of all that follows, payload's length, sequence number
/// (8), `group` (4), type, flags, 2 bytes of zero, payload, zeros up to a multiple of 8.
struct Frame {
  std::uint64_t sequence = 0;  ///< grows from record to record over all segments
  RecordType type = RecordType::kUpsert;
  bool ends_batch = true;  ///< records up to here are there together or not at all
  /// The offset at which the write began that brought the record: everything before was synced.
  std::uint32_t group = 0;
  std::uint32_t offset = 0;
  std::uint32_t size = 0;  ///< in the file, with head and padding
  std::string_view payload;
};

inline constexpr std::uint32_t kFrameHead = 24;
constexpr std::uint32_t frame_size(std::size_t payload) {
  return static_cast<std::uint32_t>((kFrameHead + payload + 7) / 8 * 8);
}
/// Appends a frame without `group`, the end of batch and the CRC, which `seal_frames` sets.
void append_frame(std::string& out, std::uint64_t sequence, RecordType type,
                  std::string_view payload);
void set_ends_batch(char* frame);
/// For all frames of a buffer that is to be written at `group`.
void seal_frames(std::string& frames, std::uint32_t group);
/// The frame at `offset` of a segment's `bytes`, or, unchecked, of frames that are to be written;
/// nothing: cut or damaged.
std::optional<Frame> read_frame(std::string_view bytes, std::uint32_t offset, bool check_crc);

/// What a segment's head says: magic, version, the numbers of the segments whose records it holds
/// (one, or those that were joined), up to which sequence number nothing superseded is left in it,
/// the salt of its key, what tells its key from others, CRC-32C. 64 bytes.
struct SegmentHead {
  std::uint32_t first = 0, last = 0;
  std::uint64_t compacted_at = 0;
  std::array<char, 16> salt{};
  bool encrypted = false;
  std::array<char, 8> key_check{};  ///< of the segment's key; zeros where it is not encrypted
};
inline constexpr std::uint32_t kSegmentHead = 64;
std::string encode_head(const SegmentHead& head);
/// Errors: corrupt (not a segment, another version).
Result<SegmentHead> parse_head(std::string_view bytes, const std::string& path);
/// "000001.log".
std::string segment_name(std::uint32_t number);

/// An append-only piece of the log: a file mapped for reading, or memory. Bytes below `size` never
/// change; any thread may read them. One thread appends.
class Segment {
 public:
  /// `path` empty: in memory. `capacity`: bytes that may come to be in it.
  static Result<std::shared_ptr<Segment>> create(Disk& disk, const std::string& path,
                                                 const SegmentHead& head, std::uint32_t id,
                                                 std::uint64_t capacity);
  /// An existing file; `room`: bytes that may come to it.
  static Result<std::shared_ptr<Segment>> open(Disk& disk, const std::string& path,
                                               std::uint32_t id, std::uint64_t room);
  ~Segment();
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  std::uint32_t id() const { return id_; }
  const SegmentHead& head() const { return head_; }
  const std::string& path() const { return path_; }
  std::uint32_t size() const { return size_.load(std::memory_order_acquire); }
  std::uint64_t capacity() const { return capacity_; }
  std::string_view bytes() const { return {base_, size()}; }

  /// All of `bytes` on the disk, or nothing of them. Errors: unavailable.
  Result<void> append(std::string_view bytes);
  /// Cuts a torn tail off. Errors: unavailable.
  Result<void> truncate(std::uint32_t size);
  /// A file written under another name has got its own.
  void renamed(const std::string& path) { path_ = path; }

  /// For payloads, where they are encrypted; set by the log before use.
  std::optional<Digest256> key;
  /// In the clear though there is a key, or under a former key: to be written anew. As `key`.
  bool stale = false;
  /// Bytes and records that are not superseded; kept by the table's owner.
  std::atomic<std::int64_t> live_bytes{0};
  std::atomic<std::int64_t> live_records{0};
  /// Records that can be superseded (not tombstones); of the appending thread and the compaction.
  std::atomic<std::int64_t> records{0};
  std::atomic<std::int64_t> tombstone_bytes{0};
  std::atomic<std::uint64_t> last_tombstone{0};  ///< sequence number

 private:
  Segment(Disk& disk, std::string path, SegmentHead head, std::uint32_t id);
  Result<void> map(std::uint64_t capacity);

  Disk& disk_;
  std::string path_;
  SegmentHead head_;
  std::uint32_t id_;
  File file_;
  const char* base_ = nullptr;
  std::uint64_t capacity_ = 0;
  std::atomic<std::uint32_t> size_{0};
  bool tail_unclear_ = false;  ///< a failed write could not be cut off yet
};

}  // namespace asahi::memory::hot
