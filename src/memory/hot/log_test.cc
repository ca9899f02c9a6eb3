#include "memory/hot/log.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <fstream>
#include <map>

#include "base/sha256_stream.h"
#include "memory/hot/crc32c.h"
#include "memory/hot/testing/samples.h"

namespace asahi::memory::hot {
namespace {

using hot_testing::TemporaryFolder;

struct Entry {
  RecordType type;
  std::string payload;
  bool operator==(const Entry&) const = default;
};

struct Opened {
  std::unique_ptr<Log> log;
  std::vector<Entry> entries;
  OpenReport report;
  std::optional<Error> error;
};

Opened open_log(const std::string& folder, LogOptions options = {}) {
  Opened out;
  options.folder = folder;
  auto log = Log::open(
      std::move(options),
      [&](Log&, const Frame& frame, Position) -> Result<void> {
        out.entries.push_back({frame.type, std::string(frame.payload)});
        return {};
      },
      out.report);
  if (log) {
    out.log = std::move(*log);
  } else {
    out.error = log.error();
  }
  return out;
}

Result<void> write_batch(Log& log, const std::vector<std::string>& payloads) {
  if (auto ok = log.begin(); !ok) return ok;
  for (const std::string& payload : payloads) log.stage(RecordType::kUpsert, payload);
  log.end_batch();
  auto done = log.commit();
  log.unstage(0);
  return done;
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << bytes;
}

TEST(Crc32c, IsThatOfRfc3720) {
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAU);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62A8AB43U);
  EXPECT_EQ(crc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(crc32c("6789", crc32c("12345")), 0xE3069283U);
}

TEST(HotLog, GivesBackWhatWasCommittedInOrder) {
  const TemporaryFolder folder;
  {
    auto opened = open_log(folder.path());
    ASSERT_TRUE(write_batch(*opened.log, {"one", "two"}));
    ASSERT_TRUE(write_batch(*opened.log, {std::string(100'000, 'x')}));
    opened.log->stage(RecordType::kTombstone, "never committed");
  }
  auto again = open_log(folder.path());
  ASSERT_TRUE(again.log);
  EXPECT_EQ(again.entries, (std::vector<Entry>{{RecordType::kUpsert, "one"},
                                               {RecordType::kUpsert, "two"},
                                               {RecordType::kUpsert, std::string(100'000, 'x')}}));
  EXPECT_EQ(again.report.torn_bytes, 0U);
}

TEST(HotLog, HasOneProcessAtATime) {
  const TemporaryFolder folder;
  const auto first = open_log(folder.path());
  const auto second = open_log(folder.path());
  ASSERT_TRUE(second.error);
  EXPECT_EQ(second.error->code, Errc::kUnavailable);
}

TEST(HotLog, CutsATornTailAtEveryByteBackToWholeBatches) {
  const TemporaryFolder folder;
  {
    auto opened = open_log(folder.path());
    ASSERT_TRUE(write_batch(*opened.log, {"first"}));
    ASSERT_TRUE(write_batch(*opened.log, {"second a", "second b", "second c"}));
  }
  const std::string path = folder.path() + "/000001.log";
  const std::string whole = read_file(path);
  const std::size_t first_end = kSegmentHead + frame_size(5);
  for (std::size_t size = kSegmentHead; size <= whole.size(); ++size) {
    write_file(path, whole.substr(0, size));
    auto opened = open_log(folder.path());
    ASSERT_TRUE(opened.log) << size;
    const std::size_t expected = size == whole.size() ? 4 : size >= first_end ? 1 : 0;
    ASSERT_EQ(opened.entries.size(), expected) << size;
    // And it goes on from there.
    ASSERT_TRUE(write_batch(*opened.log, {"third"}));
    opened.log.reset();
    ASSERT_EQ(open_log(folder.path()).entries.size(), expected + 1) << size;
  }
}

TEST(HotLog, TellsDamageFromATornTail) {
  const TemporaryFolder folder;
  {
    auto opened = open_log(folder.path());
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(write_batch(*opened.log, {std::string(40, 'a')}));
  }
  const std::string path = folder.path() + "/000001.log";
  const std::string whole = read_file(path);
  const std::size_t frame = frame_size(40);
  for (std::size_t byte = kSegmentHead; byte < whole.size(); ++byte) {
    std::string flipped = whole;
    flipped[byte] = static_cast<char>(flipped[byte] ^ 0x10);
    write_file(path, flipped);
    const std::size_t which = (byte - kSegmentHead) / frame;
    auto refused = open_log(folder.path());
    if (which == 3) {
      // Nothing behind it says that it was synced: as after a power cut.
      ASSERT_TRUE(refused.log) << byte;
      ASSERT_EQ(refused.entries.size(), 3U) << byte;
      continue;
    }
    ASSERT_TRUE(refused.error) << byte;
    ASSERT_EQ(refused.error->code, Errc::kCorrupt);
    const std::string place =
        "000001.log at offset " + std::to_string(kSegmentHead + which * frame);
    ASSERT_NE(refused.error->message.find(place), std::string::npos) << refused.error->message;
    auto skipped = open_log(folder.path(), {.damage = Damage::kSkip});
    ASSERT_TRUE(skipped.log) << byte;
    ASSERT_EQ(skipped.entries.size(), 3U) << byte;
    ASSERT_EQ(skipped.report.damaged_records, 1U) << byte;
  }
}

TEST(HotLog, RefusesAMissingSegmentAndADamagedHead) {
  const TemporaryFolder folder;
  {
    auto opened = open_log(folder.path(), {.segment_bytes = 4096, .smallest_segment = 4096});
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(write_batch(*opened.log, {std::string(5000, 'a')}));
  }
  const std::string path = folder.path() + "/000002.log";
  const std::string whole = read_file(path);
  std::string flipped = whole;
  flipped[20] = static_cast<char>(flipped[20] ^ 1);
  write_file(path, flipped);
  EXPECT_EQ(open_log(folder.path()).error->code, Errc::kCorrupt);
  std::filesystem::remove(path);
  const auto missing = open_log(folder.path());
  ASSERT_TRUE(missing.error);
  EXPECT_NE(missing.error->message.find("missing"), std::string::npos);
  write_file(path, whole);
  EXPECT_EQ(open_log(folder.path()).entries.size(), 4U);
}

/// Has room for so many bytes, and says ENOSPC for the rest after a part of it.
class SmallDisk final : public Disk {
 public:
  bool write_at(int file, std::string_view bytes, std::uint64_t offset) override {
    if (bytes.size() <= room) {
      room -= bytes.size();
      return Disk::write_at(file, bytes, offset);
    }
    Disk::write_at(file, bytes.substr(0, room), offset);
    room = 0;
    errno = ENOSPC;
    return false;
  }
  bool sync(int file) override {
    if (!fail_sync) return Disk::sync(file);
    errno = EIO;
    return false;
  }
  std::size_t room = SIZE_MAX;
  bool fail_sync = false;
};

TEST(HotLog, LeavesNothingOfAWriteThatTheDiskHasNoRoomFor) {
  const TemporaryFolder folder;
  SmallDisk disk;
  auto opened = open_log(folder.path(), {.disk = &disk});
  ASSERT_TRUE(write_batch(*opened.log, {"kept"}));
  for (const std::size_t room : {0, 10, 100, 1000}) {
    disk.room = room;
    const auto refused = write_batch(*opened.log, {std::string(2000, 'x'), "more"});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::kUnavailable);
  }
  disk.room = SIZE_MAX;
  disk.fail_sync = true;
  EXPECT_FALSE(write_batch(*opened.log, {"not synced"}));
  disk.fail_sync = false;
  ASSERT_TRUE(write_batch(*opened.log, {"kept, too"}));
  opened.log.reset();
  const auto again = open_log(folder.path());
  EXPECT_EQ(again.entries, (std::vector<Entry>{{RecordType::kUpsert, "kept"},
                                               {RecordType::kUpsert, "kept, too"}}));
}

TEST(HotLog, EncryptsPayloadsAndNeedsTheKeyAgain) {
  const TemporaryFolder folder;
  const Digest256 key = sha256("a key"), other = sha256("another key");
  {
    auto opened = open_log(folder.path(), {.key = key});
    ASSERT_TRUE(write_batch(*opened.log, {"the deploy failed at noon"}));
  }
  EXPECT_EQ(read_file(folder.path() + "/000001.log").find("deploy"), std::string::npos);
  EXPECT_EQ(open_log(folder.path()).error->code, Errc::kInvalidArgument);
  EXPECT_EQ(open_log(folder.path(), {.key = other}).error->code, Errc::kInvalidArgument);
  auto again = open_log(folder.path(), {.key = key});
  ASSERT_TRUE(again.log);
  EXPECT_EQ(again.entries[0].payload, "the deploy failed at noon");
}

TEST(HotLog, ARecordThatWasChangedOrMovedIsNoTornEnd) {
  const TemporaryFolder folder;
  const Digest256 key = sha256("a key");
  {
    auto opened = open_log(folder.path(), {.key = key});
    ASSERT_TRUE(write_batch(*opened.log, {"the first", "the other"}));
  }
  const std::string path = folder.path() + "/000001.log";
  const std::string good = read_file(path);
  const auto size = frame_size(std::string("the first").size() + 28);
  const auto refused = [&](std::string bytes) {
    // Whoever may write the file makes the sums right, too.
    std::string frames = bytes.substr(kSegmentHead);
    seal_frames(frames, kSegmentHead);
    write_file(path, bytes.substr(0, kSegmentHead) + frames);
    const auto opened = open_log(folder.path(), {.key = key});
    EXPECT_FALSE(opened.log);
    return opened.error ? opened.error->code : Errc::kInternal;
  };
  std::string changed = good;
  changed[kSegmentHead + kFrameHead + 14] ^= 1;
  EXPECT_EQ(refused(changed), Errc::kCorrupt);
  // The payloads change places: each opens at its own place only.
  std::string moved = good;
  const std::size_t first = kSegmentHead + kFrameHead, second = first + size;
  for (std::size_t i = 0; i < size - kFrameHead; ++i)
    std::swap(moved[first + i], moved[second + i]);
  EXPECT_EQ(refused(moved), Errc::kCorrupt);
  // A torn end is cut off as ever.
  write_file(path, good.substr(0, good.size() - 3));
  const auto torn = open_log(folder.path(), {.key = key});
  ASSERT_TRUE(torn.log);
  EXPECT_GT(torn.report.torn_bytes, 0U);
}

TEST(HotLog, AWrongKeyIsNoticedWithoutARecordAndNothingIsWritten) {
  const TemporaryFolder folder;
  ASSERT_TRUE(open_log(folder.path(), {.key = sha256("a key")}).log);
  const std::string before = read_file(folder.path() + "/000001.log");
  for (const auto& options : {LogOptions{}, LogOptions{.key = sha256("another")},
                              LogOptions{.previous_keys = {sha256("another")}}}) {
    const auto refused = open_log(folder.path(), options);
    ASSERT_TRUE(refused.error);
    EXPECT_EQ(refused.error->code, Errc::kInvalidArgument);
    EXPECT_NE(refused.error->message.find("ENCRYPTION_KEY"), std::string::npos);
  }
  EXPECT_EQ(read_file(folder.path() + "/000001.log"), before);
  EXPECT_FALSE(std::ifstream(folder.path() + "/000002.log").good());
}

TEST(HotLog, WritesPlainSegmentsBesideThoseOfBeforeAKeyWasSet) {
  const TemporaryFolder folder;
  const Digest256 key = sha256("a key");
  {
    auto opened = open_log(folder.path());
    ASSERT_TRUE(write_batch(*opened.log, {"plain"}));
  }
  {
    auto opened = open_log(folder.path(), {.key = key});
    ASSERT_TRUE(opened.log);
    ASSERT_TRUE(write_batch(*opened.log, {"sealed"}));
  }
  EXPECT_EQ(open_log(folder.path(), {.key = key}).entries.size(), 2U);
}

/// Keeps the last record of each payload's first byte, as a table would.
class LastOfEach final : public Log::Survivors {
 public:
  explicit LastOfEach(Log& log) : log_(log) {}
  void add(const Log::Staged& staged, char name) {
    if (const auto at = places_.find(name); at != places_.end()) {
      log_.drop_live(at->second.position, at->second.size);
    }
    places_[name] = {staged.position, staged.size};
    log_.add_live(staged.position, staged.size);
  }
  void remove(char name) {
    log_.drop_live(places_[name].position, places_[name].size);
    places_.erase(name);
  }
  std::uint64_t upto() const override { return std::min(upto_, log_.durable_sequence()); }
  /// As a table that has not heard yet of what was written after `sequence`.
  void stay_at(std::uint64_t sequence) { upto_ = sequence; }
  bool keep(const Frame& frame, Position position) override {
    const auto at = places_.find(frame.payload[0]);
    if (at == places_.end() || at->second.position != position) return false;
    kept_.push_back(frame.payload[0]);
    return true;
  }
  void moved(std::uint32_t id, const std::vector<Log::Moved>& places) override {
    for (std::size_t i = 0; i < kept_.size(); ++i) {
      Place& place = places_[kept_[i]];
      log_.add_live({id, places[i].offset}, places[i].size);
      log_.drop_live(place.position, place.size);
      place = {{id, places[i].offset}, places[i].size};
    }
    kept_.clear();
  }
  std::string payload(char name) const {
    std::string scratch;
    return std::string(log_.reader().payload(places_.at(name).position, scratch, true).value());
  }

 private:
  struct Place {
    Position position;
    std::uint32_t size;
  };
  Log& log_;
  std::uint64_t upto_ = UINT64_MAX;
  std::map<char, Place> places_;
  std::vector<char> kept_;
};

/// Commits a record of `name`, and before it the tombstone of another: the table does not hear
/// of that.
void put(Log& log, LastOfEach& table, char name, std::size_t size, std::string_view erased = "") {
  ASSERT_TRUE(log.begin());
  if (!erased.empty()) log.stage(RecordType::kTombstone, erased);
  table.add(log.stage(RecordType::kUpsert, name + std::string(size, name)), name);
  log.end_batch();
  ASSERT_TRUE(log.commit());
  log.unstage(0);
}

TEST(HotLog, WritesHalfEmptySegmentsAnewAndReadersDoNotNotice) {
  const TemporaryFolder folder;
  std::map<char, std::string> expected;
  {
    auto opened = open_log(folder.path(), {.segment_bytes = 4096, .smallest_segment = 4096});
    Log& log = *opened.log;
    LastOfEach table(log);
    for (int i = 0; i < 200; ++i) {
      const char name = static_cast<char>('a' + i % 7);
      const std::string payload = name + std::string(500, static_cast<char>('0' + i % 10));
      ASSERT_TRUE(log.begin());
      table.add(log.stage(RecordType::kUpsert, payload), name);
      log.end_batch();
      ASSERT_TRUE(log.commit());
      log.unstage(0);
      expected[name] = payload;
      while (log.wants_compaction()) {
        const auto done = log.compact(table);
        ASSERT_TRUE(done);
        if (!*done) break;
      }
      for (const auto& [each, text] : expected) ASSERT_EQ(table.payload(each), text);
    }
    EXPECT_LT(log.file_bytes(), log.live_bytes() + 3 * 4096);
  }
  const auto again = open_log(folder.path());
  ASSERT_TRUE(again.log) << again.error->message;
  std::map<char, std::string> read;
  for (const Entry& entry : again.entries) read[entry.payload[0]] = entry.payload;
  EXPECT_EQ(read, expected);
}

TEST(HotLog, KeepsATombstoneWhileAnOlderRecordMayBeLeft) {
  const TemporaryFolder folder;
  const LogOptions options{.segment_bytes = 4096, .smallest_segment = 4096};
  auto opened = open_log(folder.path(), options);
  Log& log = *opened.log;
  LastOfEach table(log);
  put(log, table, 'a', 100);
  put(log, table, 'b', 5000);  // closes segment 1 with both
  put(log, table, 'c', 5000, "a");
  table.remove('a');           // segment 2 has the tombstone
  put(log, table, 'c', 5001);  // segment 3; segment 2 is but garbage and the tombstone now
  put(log, table, 'd', 5000);
  const auto count = [&](RecordType type) {
    const TemporaryFolder copy;
    EXPECT_TRUE(log.copy_to(copy.path()));
    const auto entries = open_log(copy.path(), options).entries;
    return std::ranges::count_if(entries, [&](const Entry& e) { return e.type == type; });
  };
  EXPECT_EQ(count(RecordType::kTombstone), 1);
  // The emptiest first: segment 2. Segment 1 still has the row, so the tombstone stays.
  ASSERT_TRUE(log.compact(table).value());
  EXPECT_EQ(count(RecordType::kTombstone), 1);
  // Once nothing superseded is left before it, it goes.
  table.remove('b');
  while (log.compact(table).value()) {
  }
  EXPECT_EQ(count(RecordType::kTombstone), 0);
  EXPECT_EQ(table.payload('c'), "c" + std::string(5001, 'c'));
}

TEST(HotLog, KeepsATombstoneOfWhichTheTableHadNotHeardWhenItsRowWasWrittenAnew) {
  const TemporaryFolder folder;
  const LogOptions options{.segment_bytes = 4096, .smallest_segment = 4096};
  auto opened = open_log(folder.path(), options);
  Log& log = *opened.log;
  LastOfEach table(log);
  put(log, table, 'a', 100);
  put(log, table, 'b', 3000);
  put(log, table, 'b', 3000);  // closes segment 1, half of which is garbage
  table.stay_at(log.durable_sequence());
  put(log, table, 'c', 5000, "a");
  // Between the commit and what it does to the table: segment 1 is written anew, and keeps the row.
  ASSERT_TRUE(log.compact(table).value());
  table.remove('a');
  table.stay_at(UINT64_MAX);
  put(log, table, 'c', 5000);  // segment 3; segment 2 is but garbage and the tombstone now
  put(log, table, 'd', 5000);
  ASSERT_TRUE(log.compact(table).value());
  const TemporaryFolder copy;
  ASSERT_TRUE(log.copy_to(copy.path()));
  bool there = false;
  for (const Entry& entry : open_log(copy.path(), options).entries) {
    if (entry.payload[0] == 'a') there = entry.type == RecordType::kUpsert;
  }
  EXPECT_FALSE(there);
}

TEST(HotLog, FindsItsFilesAfterACrashAmidACompaction) {
  const TemporaryFolder folder;
  const LogOptions options{.segment_bytes = 4096, .smallest_segment = 4096};
  auto opened = open_log(folder.path(), options);
  Log& log = *opened.log;
  LastOfEach table(log);
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(log.begin());
    const char name = static_cast<char>('a' + i % 5);
    table.add(log.stage(RecordType::kUpsert, name + std::string(500, 'x')), name);
    log.end_batch();
    ASSERT_TRUE(log.commit());
    log.unstage(0);
  }
  const TemporaryFolder before;
  ASSERT_TRUE(log.copy_to(before.path()));
  while (log.compact(table).value()) {
  }
  // As if the joined file had got its name, and those that it covers had not gone yet.
  const TemporaryFolder mixed;
  std::filesystem::copy(before.path(), mixed.path(),
                        std::filesystem::copy_options::overwrite_existing);
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    std::filesystem::copy(entry.path(), mixed.path() + "/" + entry.path().filename().string(),
                          std::filesystem::copy_options::overwrite_existing);
  }
  write_file(mixed.path() + "/000003.log.new", "half of a segment");
  const auto again = open_log(mixed.path(), options);
  ASSERT_TRUE(again.log) << again.error->message;
  std::map<char, int> names;
  for (const Entry& entry : again.entries) ++names[entry.payload[0]];
  EXPECT_EQ(names.size(), 5U);
  EXPECT_FALSE(std::filesystem::exists(mixed.path() + "/000003.log.new"));
}

}  // namespace
}  // namespace asahi::memory::hot
