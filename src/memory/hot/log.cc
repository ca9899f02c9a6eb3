#include "memory/hot/log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/rand.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>

#include "base/cipher.h"

namespace asahi::memory::hot {
namespace {

/// More than any group that is staged (see kMostGroup in engine.cc).
constexpr std::uint64_t kRoom = std::uint64_t{768} << 20;
constexpr std::size_t kNonce = 12, kTag = 16;
constexpr std::size_t kWriteChunk = 4 << 20;
/// A segment is written anew for this share of its bytes, or when there are many segments.
constexpr double kLeastGain = 0.05;
constexpr std::size_t kManySegments = 128;

/// Binds a sealed payload to its record; a rewritten segment has records of the same numbers.
std::string aad_of(std::uint64_t sequence, RecordType type) {
  std::string out(9, '\0');
  std::memcpy(out.data(), &sequence, sizeof(sequence));
  out[8] = static_cast<char>(type);
  return out;
}

/// Under a key of this segment alone, so random nonces do for 2^32 records (SP 800-38D §8.3).
std::string seal(const Digest256& key, std::uint64_t sequence, RecordType type,
                 std::string_view payload) {
  std::string nonce(kNonce, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(nonce.data()), kNonce) != 1) std::abort();
  return nonce + aes256_gcm_seal(key, nonce, payload, aad_of(sequence, type));
}

std::optional<std::string> unseal(const Digest256& key, std::uint64_t sequence, RecordType type,
                                  std::string_view sealed) {
  if (sealed.size() < kNonce + kTag) return std::nullopt;
  return aes256_gcm_open(key, sealed.substr(0, kNonce), sealed.substr(kNonce),
                         aad_of(sequence, type));
}

std::optional<std::uint32_t> number_of(const std::string& name) {
  if (!name.ends_with(".log")) return std::nullopt;
  std::uint32_t number = 0;
  const char* const end = name.data() + name.size() - 4;
  const auto [at, error] = std::from_chars(name.data(), end, number);
  if (error != std::errc() || at != end || number == 0) return std::nullopt;
  return number;
}

Result<void> sync_folder(const std::string& folder) {
  const File file = File::open(folder, O_RDONLY | O_DIRECTORY);
  if (!file || ::fsync(file.get()) != 0) return file_error("sync", folder);
  return {};
}

void count(Segment& segment, const Frame& frame) {
  if (frame.type == RecordType::kTombstone) {
    segment.tombstone_bytes += frame.size;
    segment.last_tombstone = frame.sequence;
  } else {
    ++segment.records;
  }
}

/// The sequence number up to which nothing superseded is left in `segment`.
std::uint64_t clean_since(const Segment& segment) {
  return segment.records.load() == segment.live_records.load() ? UINT64_MAX
                                                               : segment.head().compacted_at;
}

std::string_view bytes_of(const Digest256& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

/// The key of one segment: of the master key and the segment's salt.
Digest256 segment_key(const Digest256& master, const SegmentHead& head) {
  return hmac_sha256(bytes_of(master),
                     "asahi hot log " + std::string(head.salt.data(), head.salt.size()));
}

/// Tells a key from others without a record that it opens, and says nothing of it.
std::array<char, 8> check_of(const Digest256& key) {
  const Digest256 digest = hmac_sha256(bytes_of(key), "asahi hot log key check");
  std::array<char, 8> out{};
  std::memcpy(out.data(), digest.data(), out.size());
  return out;
}

bool is_key_of(const SegmentHead& head, const Digest256& key) {
  return head.key_check == check_of(key);
}

const Segment* find(const Segments& segments, std::uint32_t id) {
  // Newest last, and most questions are about new ones.
  for (auto at = segments.rbegin(); at != segments.rend(); ++at) {
    if ((*at)->id() == id) return at->get();
  }
  return nullptr;
}

}  // namespace

std::optional<std::string_view> LogReader::payload(Position position, std::string& scratch,
                                                   bool checked) const {
  const Segment* const segment = find(*segments_, position.segment);
  if (segment == nullptr) return std::nullopt;
  std::optional<Frame> frame;
  const std::uint32_t size = segment->size();
  if (position.offset < size) {
    frame = read_frame(segment->bytes(), position.offset, checked);
  } else if (staged_ && segment == log_->active_.get()) {
    frame = read_frame(log_->staged_, position.offset - size, false);
  }
  if (!frame) return std::nullopt;
  if (!segment->key) return frame->payload;
  auto plain = unseal(*segment->key, frame->sequence, frame->type, frame->payload);
  if (!plain) return std::nullopt;
  scratch = std::move(*plain);
  return scratch;
}

Log::Log(LogOptions options)
    : options_(std::move(options)),
      disk_(options_.disk != nullptr ? *options_.disk : real_disk()),
      segments_(std::make_shared<const Segments>()) {}

Log::~Log() = default;

std::shared_ptr<const Segments> Log::segments() const {
  const std::lock_guard lock(segments_mutex_);
  return segments_;
}

void Log::publish(Segments segments) {
  auto made = std::make_shared<const Segments>(std::move(segments));
  const std::lock_guard lock(segments_mutex_);
  segments_ = std::move(made);
}

std::string Log::path_of(std::uint32_t number) const {
  return options_.folder.empty() ? std::string() : options_.folder + "/" + segment_name(number);
}

Result<void> Log::find_key(Segment& segment) const {
  const SegmentHead& head = segment.head();
  segment.key.reset();
  segment.stale = head.encrypted != options_.key.has_value();
  if (!head.encrypted) return {};
  if (options_.key && is_key_of(head, segment_key(*options_.key, head))) {
    segment.key = segment_key(*options_.key, head);
    return {};
  }
  segment.stale = true;
  for (const Digest256& previous : options_.previous_keys) {
    const Digest256 made = segment_key(previous, head);
    if (!is_key_of(head, made)) continue;
    segment.key = made;
    return {};
  }
  const bool none = !options_.key && options_.previous_keys.empty();
  return fail(Errc::kInvalidArgument,
              none ? fmt::format("{} is encrypted; set ENCRYPTION_KEY to the key that it was "
                                 "written with",
                                 segment.path())
                   : fmt::format("{} is encrypted with another key than ENCRYPTION_KEY; put that "
                                 "one into ENCRYPTION_KEY_PREVIOUS",
                                 segment.path()));
}

SegmentHead Log::new_head(std::uint32_t first, std::uint32_t last,
                          std::uint64_t compacted_at) const {
  SegmentHead head;
  head.first = first;
  head.last = last;
  head.compacted_at = compacted_at;
  head.encrypted = options_.key.has_value();
  if (!head.encrypted) return head;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(head.salt.data()),
                 static_cast<int>(head.salt.size())) != 1) {
    std::abort();
  }
  head.key_check = check_of(segment_key(*options_.key, head));
  return head;
}

Result<std::unique_ptr<Log>> Log::open(LogOptions options, const Replay& replay,
                                       OpenReport& report) {
  std::unique_ptr<Log> log(new Log(std::move(options)));
  if (!log->options_.folder.empty()) {
    if (auto ok = log->load(replay, report); !ok) return std::unexpected(ok.error());
  }
  if (log->active_ == nullptr) {
    if (auto ok = log->roll(); !ok) return std::unexpected(ok.error());
  }
  log->durable_.store(log->next_sequence_ - 1, std::memory_order_release);
  return log;
}

Result<void> Log::load(const Replay& replay, OpenReport& report) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::create_directories(options_.folder, error);
  if (error) {
    return fail(Errc::kUnavailable,
                fmt::format("cannot make the folder {}: {}", options_.folder, error.message()));
  }
  lock_ = File::open(options_.folder + "/LOCK", O_RDWR | O_CREAT);
  if (!lock_) return file_error("open", options_.folder + "/LOCK");
  if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    return fail(Errc::kUnavailable,
                fmt::format("another process has the hot store in {} open", options_.folder));
  }
  std::vector<std::uint32_t> numbers;
  for (const auto& entry : fs::directory_iterator(options_.folder, error)) {
    const std::string name = entry.path().filename().string();
    // A segment that did not get its name was never acknowledged.
    if (name.ends_with(".log.new")) fs::remove(entry.path(), error);
    if (const auto number = number_of(name)) numbers.push_back(*number);
  }
  if (error) {
    return fail(Errc::kUnavailable,
                fmt::format("cannot read the folder {}: {}", options_.folder, error.message()));
  }
  std::ranges::sort(numbers);
  Segments segments;
  std::uint32_t covered = 0;
  for (const std::uint32_t number : numbers) {
    const std::string path = path_of(number);
    if (number <= covered) {
      // Joined with an earlier one, and not yet gone when the process ended.
      fs::remove(path, error);
      continue;
    }
    ASAHI_TRY(auto segment, Segment::open(disk_, path, next_id_, kRoom));
    ++next_id_;
    const SegmentHead& head = segment->head();
    if (head.first != number || head.first != covered + 1 || head.last < head.first) {
      return fail(Errc::kCorrupt,
                  fmt::format("{} holds segments {} to {}, expected {} next: a file of the log is "
                              "missing or misplaced; restore it from a backup",
                              path, head.first, head.last, covered + 1));
    }
    covered = head.last;
    if (auto ok = find_key(*segment); !ok) return ok;
    segments.push_back(std::move(segment));
  }
  publish(segments);
  for (const auto& segment : segments) {
    const bool last = segment == segments.back();
    if (auto ok = replay_segment(*segment, last, replay, report); !ok) return ok;
  }
  if (segments.empty()) return {};
  for (const auto& segment : segments) {
    next_sequence_ = std::max(next_sequence_, segment->head().compacted_at + 1);
  }
  active_ = segments.back();
  // A segment of the other kind (encrypted or not) is closed; so is one that was written anew.
  const bool appendable =
      !active_->stale && active_->head().compacted_at == 0 && active_->size() < segment_limit();
  return appendable ? Result<void>() : roll();
}

Result<void> Log::replay_segment(Segment& segment, bool last, const Replay& replay,
                                 OpenReport& report) {
  const std::string_view bytes = segment.bytes();
  const auto end = static_cast<std::uint32_t>(bytes.size());
  std::uint32_t offset = kSegmentHead, batch_start = kSegmentHead;
  std::vector<Frame> batch;
  const auto deliver = [&]() -> Result<void> {
    for (Frame& frame : batch) {
      std::string plain;
      if (segment.key) {
        auto opened = unseal(*segment.key, frame.sequence, frame.type, frame.payload);
        if (!opened) {
          // The key is that of the segment, and the sum is right: no crash does that.
          return fail(Errc::kCorrupt,
                      fmt::format("{} at offset {}: an encrypted record was changed or moved; "
                                  "restore the file from a backup",
                                  segment.path(), frame.offset));
        }
        plain = std::move(*opened);
        frame.payload = plain;
      }
      count(segment, frame);
      ++report.records;
      if (auto ok = replay(*this, frame, {segment.id(), frame.offset}); !ok) return ok;
    }
    batch.clear();
    return {};
  };
  const auto readable = [&](std::uint32_t at) -> std::optional<Frame> {
    auto frame = read_frame(bytes, at, true);
    if (frame && frame->sequence < next_sequence_) return std::nullopt;
    return frame;
  };
  while (offset < end) {
    if (auto frame = readable(offset)) {
      next_sequence_ = frame->sequence + 1;
      offset += frame->size;
      const bool ends = frame->ends_batch;
      batch.push_back(*frame);
      if (ends) {
        if (auto ok = deliver(); !ok) return ok;
        batch_start = offset;
      }
      continue;
    }
    // Damaged here. Where a later record knows this place to have been synced before it was
    // written, the place was acknowledged: no torn end.
    std::uint32_t next = 0;
    bool acknowledged = !last;
    for (std::uint32_t at = offset + 8; at < end && (next == 0 || !acknowledged);) {
      const auto later = readable(at);
      if (!later) {
        at += 8;
        continue;
      }
      if (next == 0) next = at;
      acknowledged = acknowledged || later->group > offset;
      at += later->size;
    }
    if (!acknowledged) break;
    if (options_.damage == Damage::kRefuse) {
      return fail(Errc::kCorrupt,
                  fmt::format("{} at offset {}: a record is damaged; restore the file from a "
                              "backup, or start with damaged records skipped",
                              segment.path(), offset));
    }
    ++report.damaged_records;
    if (auto ok = deliver(); !ok) return ok;
    if (next == 0) return {};
    batch_start = offset = next;
  }
  if (batch_start == end) return {};
  if (last) {
    report.torn_bytes += end - batch_start;
    return segment.truncate(batch_start);
  }
  if (options_.damage == Damage::kRefuse) {
    return fail(Errc::kCorrupt, fmt::format("{} at offset {}: the rest of a batch is missing; "
                                            "restore the file from a backup",
                                            segment.path(), batch_start));
  }
  ++report.damaged_records;
  return deliver();
}

std::uint64_t Log::segment_limit() const {
  return std::clamp(live_bytes() / 16, options_.smallest_segment,
                    std::max(options_.segment_bytes, options_.smallest_segment));
}

Result<void> Log::roll() {
  const std::lock_guard lock(files_);
  const std::uint32_t number = active_ == nullptr ? 1 : active_->head().last + 1;
  const SegmentHead head = new_head(number, number, 0);
  const std::string path = path_of(number);
  const std::string fresh = path.empty() ? path : path + ".new";
  ASAHI_TRY(auto made, Segment::create(disk_, fresh, head, next_id_,
                                       options_.segment_bytes + options_.smallest_segment + kRoom));
  // Under its name only with its whole head: a start never finds half of it.
  if (!path.empty()) {
    if (auto ok = place_file(fresh, path); !ok) {
      ::unlink(fresh.c_str());
      return ok;
    }
    made->renamed(path);
  }
  ++next_id_;
  if (auto ok = find_key(*made); !ok) return ok;
  Segments all = *segments();
  all.push_back(made);
  active_ = std::move(made);
  publish(std::move(all));
  return {};
}

Result<void> Log::begin() {
  if (active_->size() < segment_limit()) return {};
  return roll();
}

Log::Staged Log::stage(RecordType type, std::string_view payload) {
  last_frame_ = staged_.size();
  const Staged out{{active_->id(), active_->size() + static_cast<std::uint32_t>(last_frame_)},
                   frame_size(payload.size() + (active_->key ? kNonce + kTag : 0)),
                   next_sequence_++};
  if (active_->key) {
    append_frame(staged_, out.sequence, type, seal(*active_->key, out.sequence, type, payload));
  } else {
    append_frame(staged_, out.sequence, type, payload);
  }
  return out;
}

void Log::end_batch() {
  if (staged_.size() == batch_start_) return;
  set_ends_batch(staged_.data() + last_frame_);
  batch_start_ = staged_.size();
}

void Log::unstage(std::size_t bytes) {
  staged_.resize(bytes);
  batch_start_ = bytes;
}

Result<void> Log::commit() {
  if (staged_.empty()) return {};
  seal_frames(staged_, active_->size());
  if (auto ok = active_->append(staged_); !ok) return ok;
  for (std::uint32_t at = 0; at < staged_.size();) {
    const auto frame = read_frame(staged_, at, false);
    if (!frame) break;
    count(*active_, *frame);
    at += frame->size;
  }
  durable_.store(next_sequence_ - 1, std::memory_order_release);
  return {};
}

void Log::visit_staged(const std::function<void(const Frame&)>& take) const {
  for (std::uint32_t at = 0; at < staged_.size();) {
    auto frame = read_frame(staged_, at, false);
    if (!frame) return;
    at += frame->size;
    std::string plain;
    if (active_->key) {
      auto opened = unseal(*active_->key, frame->sequence, frame->type, frame->payload);
      if (!opened) continue;
      plain = std::move(*opened);
      frame->payload = plain;
    }
    take(*frame);
  }
}

LogReader Log::reader() const {
  LogReader out;
  out.log_ = this;
  out.segments_ = segments();
  return out;
}

LogReader Log::staging_reader() const {
  LogReader out = reader();
  out.staged_ = true;
  return out;
}

void Log::add_live(Position position, std::uint32_t size) {
  live_ += size;
  const auto all = segments();
  for (const auto& segment : *all) {
    if (segment->id() != position.segment) continue;
    segment->live_bytes += size;
    ++segment->live_records;
  }
}

void Log::drop_live(Position position, std::uint32_t size) {
  live_ -= size;
  const auto all = segments();
  for (const auto& segment : *all) {
    if (segment->id() != position.segment) continue;
    segment->live_bytes -= size;
    --segment->live_records;
  }
}

std::uint64_t Log::file_bytes() const {
  std::uint64_t sum = 0;
  for (const auto& segment : *segments()) sum += segment->size();
  return sum;
}

std::uint64_t Log::stale_segments() const {
  const auto all = segments();
  return static_cast<std::uint64_t>(
      std::ranges::count_if(*all, [](const auto& segment) { return segment->stale; }));
}

bool Log::wants_compaction() const {
  if (stale_segments() > 0) return true;
  const auto live = static_cast<double>(live_bytes());
  // Below a small segment's size there is nothing to win.
  return static_cast<double>(file_bytes()) >
         live * options_.most_space + static_cast<double>(options_.smallest_segment) / 4;
}

Segments Log::choose_victims(const Segments& all) const {
  if (all.size() < 2) return {};
  const std::size_t closed = all.size() - 1;  // the last one is being written
  const auto live = [&](std::size_t i) { return static_cast<double>(all[i]->live_bytes.load()); };
  std::size_t worst = closed;
  double most_gain = kLeastGain;
  std::uint64_t clean = UINT64_MAX;  // what may be left in the segments before
  for (std::size_t i = 0; i < closed; ++i) {
    const Segment& segment = *all[i];
    double gain = static_cast<double>(segment.size() - kSegmentHead) - live(i);
    if (segment.last_tombstone.load() > clean) {
      gain -= static_cast<double>(segment.tombstone_bytes.load());
    }
    clean = std::min(clean, clean_since(segment));
    const double share = gain / static_cast<double>(segment.size());
    if (share <= most_gain) continue;
    most_gain = share;
    worst = i;
  }
  const bool stale = worst == closed && [&] {
    for (std::size_t i = 0; i < closed; ++i) {
      if (all[i]->stale) worst = std::min(worst, i);
    }
    return worst != closed;
  }();
  if (worst == closed) {
    if (closed < kManySegments) return {};
    // Nothing to win but order: join those that became small.
    worst = 0;
    for (std::size_t i = 1; i < closed; ++i) {
      if (all[i]->size() < all[worst]->size()) worst = i;
    }
  }
  // Small neighbours come along, so that there are never many.
  std::size_t begin = worst, end = worst + 1;
  double sum = live(worst);
  const double most = static_cast<double>(segment_limit()) / 2;
  while (end < closed && sum + live(end) <= most) sum += live(end++);
  while (begin > 0 && sum + live(begin - 1) <= most) sum += live(--begin);
  if (!stale && most_gain == kLeastGain && end - begin < 2) return {};
  return Segments(all.begin() + static_cast<std::ptrdiff_t>(begin),
                  all.begin() + static_cast<std::ptrdiff_t>(end));
}

Result<std::shared_ptr<Segment>> Log::rewrite(const Segments& victims, const Segments& all,
                                              Survivors& survivors, std::vector<Moved>& places) {
  // Not what is durable: of a tombstone that the table does not know of yet `keep` keeps the row.
  const SegmentHead head = new_head(victims.front()->head().first, victims.back()->head().last,
                                    std::max<std::uint64_t>(survivors.upto(), 1));
  std::uint64_t capacity = 0;
  for (const auto& victim : victims) capacity += victim->size();
  // Sealing adds bytes to each record when a key was set since.
  if (options_.key) capacity += capacity * (kNonce + kTag) / kFrameHead;
  const std::string path = path_of(head.first);
  const std::string fresh = path.empty() ? path : path + ".new";
  std::uint32_t id = 0;
  {
    const std::lock_guard lock(files_);
    id = next_id_++;
  }
  ASAHI_TRY(auto made, Segment::create(disk_, fresh, head, id, capacity));
  const auto give_up = [&](Error error) {
    if (!fresh.empty()) ::unlink(fresh.c_str());
    return std::unexpected(std::move(error));
  };
  if (auto ok = find_key(*made); !ok) return give_up(ok.error());
  // A tombstone may go when no older record of its key can be left: every earlier segment was
  // cleaned since, or has nothing superseded. Those that are written anew now are clean as of now.
  std::uint64_t clean = UINT64_MAX;
  for (const auto& earlier : all) {
    if (earlier == victims.front()) break;
    clean = std::min(clean, clean_since(*earlier));
  }
  std::string out;
  const auto flush = [&]() -> Result<void> {
    for (std::size_t at = 0; at < out.size();) {
      char* const frame = out.data() + at;
      set_ends_batch(frame);
      std::uint32_t payload = 0;
      std::memcpy(&payload, frame + 4, sizeof(payload));
      at += frame_size(payload);
    }
    seal_frames(out, made->size());
    auto done = made->append(out);
    out.clear();
    return done;
  };
  for (const auto& victim : victims) {
    const std::string_view bytes = victim->bytes();
    for (std::uint32_t offset = kSegmentHead; offset < bytes.size();) {
      auto frame = read_frame(bytes, offset, true);
      if (!frame) {
        // Damage that a start skipped, or that came since. What is behind it must be found again.
        if (options_.damage == Damage::kSkip) {
          offset += 8;
          continue;
        }
        return give_up(fail(Errc::kCorrupt, fmt::format("{} at offset {}: a record is damaged",
                                                        victim->path(), offset))
                           .error());
      }
      offset += frame->size;
      std::string plain;
      if (victim->key) {
        auto opened = unseal(*victim->key, frame->sequence, frame->type, frame->payload);
        if (!opened) {
          return give_up(fail(Errc::kCorrupt, fmt::format("{} at offset {}: cannot be decrypted",
                                                          victim->path(), frame->offset))
                             .error());
        }
        plain = std::move(*opened);
        frame->payload = plain;
      }
      if (frame->type == RecordType::kTombstone) {
        if (frame->sequence <= clean) continue;
      } else {
        if (!survivors.keep(*frame, {victim->id(), frame->offset})) continue;
        places.push_back({made->size() + static_cast<std::uint32_t>(out.size()), 0});
      }
      const std::size_t start = out.size();
      if (made->key) {
        append_frame(out, frame->sequence, frame->type,
                     seal(*made->key, frame->sequence, frame->type, frame->payload));
      } else {
        append_frame(out, frame->sequence, frame->type, frame->payload);
      }
      frame->size = static_cast<std::uint32_t>(out.size() - start);
      if (frame->type != RecordType::kTombstone) places.back().size = frame->size;
      count(*made, *frame);
      if (out.size() < kWriteChunk) continue;
      if (auto ok = flush(); !ok) return give_up(ok.error());
    }
  }
  if (auto ok = flush(); !ok) return give_up(ok.error());
  return made;
}

Result<bool> Log::compact(Survivors& survivors) {
  const auto before = segments();
  const Segments victims = choose_victims(*before);
  if (victims.empty()) return false;
  std::vector<Moved> places;
  ASAHI_TRY(auto made, rewrite(victims, *before, survivors, places));
  const std::lock_guard lock(files_);
  const std::string path = path_of(made->head().first);
  if (!path.empty()) {
    const std::string fresh = path + ".new";
    // From here on the new file counts: its head covers the others, which a start then removes.
    if (auto ok = place_file(fresh, path); !ok) {
      ::unlink(fresh.c_str());
      return std::unexpected(ok.error());
    }
    made->renamed(path);
    for (const auto& victim : victims) {
      if (victim != victims.front()) ::unlink(victim->path().c_str());
    }
  }
  Segments both = *segments();
  const auto at = std::ranges::find(both, victims.front());
  const auto place = at - both.begin();
  both.insert(at, made);
  Segments after = both;
  after.erase(after.begin() + place + 1,
              after.begin() + place + 1 + static_cast<std::ptrdiff_t>(victims.size()));
  publish(std::move(both));
  survivors.moved(made->id(), places);
  publish(std::move(after));
  return true;
}

Result<void> Log::copy_to(const std::string& folder) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    return fail(Errc::kUnavailable,
                fmt::format("cannot make the folder {}: {}", folder, error.message()));
  }
  const std::lock_guard lock(files_);
  const auto all = segments();
  for (const auto& segment : *all) {
    const std::string to = folder + "/" + segment_name(segment->head().first);
    // What is closed never changes, it is only replaced: another name for it is a copy.
    const bool closed = segment != all->back();
    if (closed && ::link(segment->path().c_str(), to.c_str()) == 0) continue;
    const File file = File::open(to, O_WRONLY | O_CREAT | O_TRUNC);
    if (!file || !write_all(file.get(), segment->bytes()) || ::fsync(file.get()) != 0) {
      return file_error("write", to);
    }
  }
  return sync_folder(folder);
}

}  // namespace asahi::memory::hot
