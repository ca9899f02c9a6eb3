#include "memory/hot/segment.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "memory/hot/crc32c.h"

namespace asahi::memory::hot {
namespace {

constexpr std::string_view kMagic = "ASAHILOG";
constexpr std::uint32_t kVersion = 1;
constexpr std::uint8_t kEndsBatch = 1;

template <class T>
T load(const char* from) {
  T value{};
  std::memcpy(&value, from, sizeof(T));
  return value;
}
template <class T>
void store(char* to, T value) {
  std::memcpy(to, &value, sizeof(T));
}

std::uint32_t crc_of(const char* frame, std::uint32_t payload) {
  return crc32c({frame + 4, kFrameHead - 4 + std::size_t{payload}});
}

}  // namespace

bool Disk::write_at(int file, std::string_view bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0) {
      if (errno == EINTR) continue;
      return false;
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
  return true;
}

bool Disk::sync(int file) { return ::fdatasync(file) == 0; }

Disk& real_disk() {
  static Disk disk;
  return disk;
}

void append_frame(std::string& out, std::uint64_t sequence, RecordType type,
                  std::string_view payload) {
  const std::size_t start = out.size();
  out.resize(start + frame_size(payload.size()));
  char* const frame = out.data() + start;
  store(frame + 4, static_cast<std::uint32_t>(payload.size()));
  store(frame + 8, sequence);
  frame[20] = static_cast<char>(type);
  std::memcpy(frame + kFrameHead, payload.data(), payload.size());
}

void set_ends_batch(char* frame) { frame[21] = static_cast<char>(kEndsBatch); }

void seal_frames(std::string& frames, std::uint32_t group) {
  for (std::size_t at = 0; at < frames.size();) {
    char* const frame = frames.data() + at;
    const auto payload = load<std::uint32_t>(frame + 4);
    store(frame + 16, group);
    store(frame, crc_of(frame, payload));
    at += frame_size(payload);
  }
}

std::optional<Frame> read_frame(std::string_view bytes, std::uint32_t offset, bool check_crc) {
  if (bytes.size() < std::size_t{offset} + kFrameHead) return std::nullopt;
  const char* const at = bytes.data() + offset;
  const auto payload = load<std::uint32_t>(at + 4);
  const std::size_t left = bytes.size() - offset;
  if (payload > left - kFrameHead || frame_size(payload) > left) return std::nullopt;
  Frame out;
  out.sequence = load<std::uint64_t>(at + 8);
  out.group = load<std::uint32_t>(at + 16);
  const auto type = static_cast<std::uint8_t>(at[20]);
  const auto flags = static_cast<std::uint8_t>(at[21]);
  if (type < 1 || type > 3 || flags > 1 || at[22] != 0 || at[23] != 0) return std::nullopt;
  if (check_crc && out.group > offset) return std::nullopt;
  out.type = static_cast<RecordType>(type);
  out.ends_batch = flags == kEndsBatch;
  out.offset = offset;
  out.size = frame_size(payload);
  out.payload = {at + kFrameHead, payload};
  if (check_crc && load<std::uint32_t>(at) != crc_of(at, payload)) return std::nullopt;
  return out;
}

std::string encode_head(const SegmentHead& head) {
  std::string out(kSegmentHead, '\0');
  char* const at = out.data();
  std::memcpy(at, kMagic.data(), kMagic.size());
  store(at + 8, kVersion);
  store(at + 12, static_cast<std::uint32_t>(head.encrypted ? 1 : 0));
  store(at + 16, head.first);
  store(at + 20, head.last);
  store(at + 24, head.compacted_at);
  std::memcpy(at + 32, head.salt.data(), head.salt.size());
  std::memcpy(at + 48, head.key_check.data(), head.key_check.size());
  store(at + kSegmentHead - 4, crc32c({at, kSegmentHead - 4}));
  return out;
}

Result<SegmentHead> parse_head(std::string_view bytes, const std::string& path) {
  const auto damaged = [&](std::string_view what) {
    return fail(Errc::kCorrupt, fmt::format("{} at offset 0: {}", path, what));
  };
  if (bytes.size() < kSegmentHead) return damaged("shorter than the head of a log segment");
  const char* const at = bytes.data();
  if (bytes.substr(0, kMagic.size()) != kMagic) return damaged("not a log segment");
  if (load<std::uint32_t>(at + kSegmentHead - 4) != crc32c({at, kSegmentHead - 4})) {
    return damaged("the head of the log segment is damaged; restore the file from a backup");
  }
  if (const auto version = load<std::uint32_t>(at + 8); version != kVersion) {
    return damaged(
        fmt::format("version {} of the log; this program reads version {}", version, kVersion));
  }
  SegmentHead head;
  head.encrypted = load<std::uint32_t>(at + 12) != 0;
  head.first = load<std::uint32_t>(at + 16);
  head.last = load<std::uint32_t>(at + 20);
  head.compacted_at = load<std::uint64_t>(at + 24);
  std::memcpy(head.salt.data(), at + 32, head.salt.size());
  std::memcpy(head.key_check.data(), at + 48, head.key_check.size());
  return head;
}

std::string segment_name(std::uint32_t number) { return fmt::format("{:06}.log", number); }

Segment::Segment(Disk& disk, std::string path, SegmentHead head, std::uint32_t id)
    : disk_(disk), path_(std::move(path)), head_(head), id_(id) {}

Segment::~Segment() {
  if (base_ != nullptr) ::munmap(const_cast<char*>(base_), capacity_);
}

Result<void> Segment::map(std::uint64_t capacity) {
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  capacity_ = (capacity + page - 1) / page * page;
  const bool in_memory = path_.empty();
  void* const at = ::mmap(nullptr, capacity_, in_memory ? PROT_READ | PROT_WRITE : PROT_READ,
                          in_memory ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED,
                          in_memory ? -1 : file_.get(), 0);
  if (at == MAP_FAILED) return file_error("map", in_memory ? "memory for the log" : path_);
  base_ = static_cast<const char*>(at);
  return {};
}

Result<std::shared_ptr<Segment>> Segment::create(Disk& disk, const std::string& path,
                                                 const SegmentHead& head, std::uint32_t id,
                                                 std::uint64_t capacity) {
  std::shared_ptr<Segment> made(new Segment(disk, path, head, id));
  if (!path.empty()) {
    made->file_ = File::open(path, O_RDWR | O_CREAT | O_TRUNC);
    if (!made->file_) return file_error("create", path);
  }
  if (auto ok = made->map(kSegmentHead + capacity); !ok) return std::unexpected(ok.error());
  if (auto ok = made->append(encode_head(head)); !ok) {
    if (!path.empty()) ::unlink(path.c_str());
    return std::unexpected(ok.error());
  }
  return made;
}

Result<std::shared_ptr<Segment>> Segment::open(Disk& disk, const std::string& path,
                                               std::uint32_t id, std::uint64_t room) {
  File file = File::open(path, O_RDWR);
  struct stat status{};
  if (!file || ::fstat(file.get(), &status) != 0) return file_error("open", path);
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size > UINT32_MAX) {
    return fail(Errc::kCorrupt, fmt::format("{} has {} bytes: no log segment has", path, size));
  }
  std::shared_ptr<Segment> made(new Segment(disk, path, {}, id));
  made->file_ = std::move(file);
  if (auto ok = made->map(size + room + 1); !ok) return std::unexpected(ok.error());
  made->size_.store(static_cast<std::uint32_t>(size), std::memory_order_release);
  ASAHI_TRY(made->head_, parse_head(made->bytes(), path));
  return made;
}

Result<void> Segment::append(std::string_view bytes) {
  const std::uint32_t end = size();
  if (end + bytes.size() > capacity_) {
    return fail(Errc::kInternal, "a log segment was to grow beyond its mapping");
  }
  if (path_.empty()) {
    std::memcpy(const_cast<char*>(base_) + end, bytes.data(), bytes.size());
  } else {
    if (tail_unclear_) {
      if (auto ok = truncate(end); !ok) return ok;
    }
    if (!disk_.write_at(file_.get(), bytes, end) || !disk_.sync(file_.get())) {
      auto failure = file_error("write", path_);
      // Nothing of it may be found by the next start. Where even that fails, the next append tries
      // again before it writes.
      tail_unclear_ = true;
      if (auto ok = truncate(end); !ok) failure.error().message += "; " + ok.error().message;
      return failure;
    }
  }
  size_.store(static_cast<std::uint32_t>(end + bytes.size()), std::memory_order_release);
  return {};
}

Result<void> Segment::truncate(std::uint32_t size) {
  if (::ftruncate(file_.get(), static_cast<off_t>(size)) != 0 || ::fsync(file_.get()) != 0) {
    return file_error("cut off the torn end of", path_);
  }
  size_.store(size, std::memory_order_release);
  tail_unclear_ = false;
  return {};
}

}  // namespace asahi::memory::hot
