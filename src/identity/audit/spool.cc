#include "identity/audit/spool.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "base/file.h"
#include "base/hash.h"
#include "base/ids.h"

namespace asahi::identity::audit {
namespace {

constexpr std::string_view kMagic = "ASAUDIT1";
constexpr std::uint64_t kHeader = 16;
constexpr std::uint64_t kRecordHeader = 8;
/// Entries are bounded by their columns; a longer record is none.
constexpr std::uint32_t kMaxPayload = 1 << 20;
/// A drained file is kept up to this size and written from its beginning again.
constexpr std::uint64_t kShrinkAbove = 1 << 20;
/// Read at once.
constexpr std::uint64_t kMaxChunk = 4 << 20;

std::string reason() { return std::error_code(errno, std::generic_category()).message(); }

std::uint32_t checksum(std::string_view payload) {
  const Digest256 digest = sha256(payload);
  std::uint32_t sum = 0;
  std::memcpy(&sum, digest.data(), sizeof sum);
  return sum;
}

bool write_at(int file, std::string_view bytes, std::uint64_t at) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (written < 0) {
      if (errno == EINTR) continue;
      return false;
    }
    at += static_cast<std::uint64_t>(written);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

/// What the file holds from `at` on, up to `size` bytes.
std::string read_some(int file, std::uint64_t at, std::uint64_t size) {
  std::string bytes(size, '\0');
  std::size_t have = 0;
  while (have < size) {
    const ssize_t got =
        ::pread(file, bytes.data() + have, size - have, static_cast<off_t>(at + have));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    have += static_cast<std::size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

template <class T>
T number_at(std::string_view bytes, std::size_t at) {
  T number{};
  std::memcpy(&number, bytes.data() + at, sizeof number);
  return number;
}

template <class T>
void append_number(std::string& out, T number) {
  char bytes[sizeof number];
  std::memcpy(bytes, &number, sizeof number);
  out.append(bytes, sizeof bytes);
}

}  // namespace

Result<std::unique_ptr<Spool>> Spool::create(const std::string& folder, std::uint64_t max_bytes) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    return fail(Errc::kUnavailable, fmt::format("the audit spool's folder '{}' cannot be made: {}",
                                                folder, error.message()));
  }
  const std::string path = folder + "/" + make_ulid(system_clock().now()) + ".spool";
  File file = File::open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (!file) {
    return fail(Errc::kUnavailable,
                fmt::format("the audit spool '{}' cannot be made: {}; check that the folder can be "
                            "written",
                            path, reason()));
  }
  std::unique_ptr<Spool> spool(new Spool(path, std::move(file), max_bytes));
  std::string header(kMagic);
  append_number(header, kHeader);
  if (::flock(spool->file_.get(), LOCK_EX | LOCK_NB) != 0 ||
      !write_at(spool->file_.get(), header, 0)) {
    return fail(Errc::kUnavailable,
                fmt::format("the audit spool '{}' cannot be written: {}", path, reason()));
  }
  spool->done_ = spool->end_ = kHeader;
  return spool;
}

Result<std::vector<std::unique_ptr<Spool>>> Spool::adopt(const std::string& folder) {
  std::vector<std::string> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".spool") paths.push_back(entry.path().string());
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return fail(Errc::kUnavailable, fmt::format("the audit spool's folder '{}' cannot be read: {}",
                                                folder, error.message()));
  }
  std::ranges::sort(paths);  // their names begin with the time
  std::vector<std::unique_ptr<Spool>> spools;
  for (auto& path : paths) {
    File opened = File::open(path, O_RDWR);
    if (!opened) continue;
    const int file = opened.get();
    std::unique_ptr<Spool> spool(new Spool(path, std::move(opened), 0));
    if (::flock(file, LOCK_EX | LOCK_NB) != 0) continue;  // its process lives
    struct stat status{};
    // Its owner, or another adopter, may have deleted it between our two calls.
    if (::fstat(file, &status) != 0 || status.st_nlink == 0) continue;
    const auto size = static_cast<std::uint64_t>(status.st_size);
    const std::string header = read_some(file, 0, kHeader);
    if (header.size() < kHeader) {  // killed while it made the file: nothing was in it
      std::filesystem::remove(path, error);
      continue;
    }
    if (!header.starts_with(kMagic)) continue;
    spool->end_ = size;
    spool->done_ = std::min(std::max(number_at<std::uint64_t>(header, 8), kHeader), size);
    spools.push_back(std::move(spool));
  }
  return spools;
}

Spool::~Spool() = default;

Result<void> Spool::append(const std::vector<std::string>& payloads) {
  std::string bytes;
  for (const auto& payload : payloads) {
    append_number(bytes, static_cast<std::uint32_t>(payload.size()));
    append_number(bytes, checksum(payload));
    bytes += payload;
  }
  const std::lock_guard lock(mutex_);
  const std::uint64_t size = end_ - base_;
  if (size + bytes.size() > max_bytes_) {
    return fail(Errc::kTooLarge,
                fmt::format("the audit spool '{}' is full ({} bytes)", path_, size));
  }
  if (!write_at(file_.get(), bytes, size)) {
    return fail(Errc::kUnavailable,
                fmt::format("the audit spool '{}' cannot be written: {}", path_, reason()));
  }
  end_ += bytes.size();
  return {};
}

Result<Spool::Chunk> Spool::read(std::size_t max_records) {
  std::uint64_t at = 0;
  std::uint64_t end = 0;
  std::uint64_t base = 0;
  {
    const std::lock_guard lock(mutex_);
    at = done_;
    end = end_;
    base = base_;
  }
  Chunk chunk{{}, at};
  const std::string bytes = read_some(file_.get(), at - base, std::min(end - at, kMaxChunk));
  std::size_t offset = 0;
  while (chunk.records.size() < max_records && offset < bytes.size()) {
    const std::uint64_t left = bytes.size() - offset;
    const std::uint32_t length = left < kRecordHeader ? 0 : number_at<std::uint32_t>(bytes, offset);
    if (left < kRecordHeader || length > kMaxPayload || left < kRecordHeader + length) {
      if (length <= kMaxPayload && at + bytes.size() < end) break;  // cut by kMaxChunk
      if (chunk.records.empty()) {
        return fail(Errc::kCorrupt, fmt::format("the audit spool '{}' ends in half a record at {}",
                                                path_, at - base + offset));
      }
      break;
    }
    const std::string_view payload = std::string_view(bytes).substr(offset + kRecordHeader, length);
    if (checksum(payload) != number_at<std::uint32_t>(bytes, offset + 4)) {
      if (chunk.records.empty()) {
        return fail(Errc::kCorrupt, fmt::format("the audit spool '{}' has a changed record at {}",
                                                path_, at - base + offset));
      }
      break;
    }
    chunk.records.push_back({at + offset, std::string(payload)});
    offset += kRecordHeader + length;
  }
  chunk.end = at + offset;
  return chunk;
}

void Spool::write_done() const {
  std::string bytes;
  append_number(bytes, done_ - base_);
  // When it fails, the records come again after a restart, and are found by their ids.
  write_at(file_.get(), bytes, kMagic.size());
}

void Spool::done(std::uint64_t end) {
  const std::lock_guard lock(mutex_);
  done_ = end;
  const std::uint64_t size = end_ - base_;
  if (done_ == end_ && size > kShrinkAbove && ::ftruncate(file_.get(), kHeader) == 0) {
    base_ += size - kHeader;
  }
  write_done();
}

void Spool::set_aside() {
  const std::lock_guard lock(mutex_);
  const std::string rest = read_some(file_.get(), done_ - base_, end_ - done_);
  const std::string path = path_ + ".damaged";
  const File copy = File::open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (copy) write_all(copy.get(), rest);
  done_ = end_;
  write_done();
}

bool Spool::drained() const {
  const std::lock_guard lock(mutex_);
  return done_ == end_;
}

std::uint64_t Spool::end() const {
  const std::lock_guard lock(mutex_);
  return end_;
}

void Spool::remove_if_drained() {
  if (!drained()) return;
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
}

}  // namespace asahi::identity::audit
