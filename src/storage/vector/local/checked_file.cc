#include "storage/vector/local/checked_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "base/hash.h"

namespace asahi::vector {
namespace {

constexpr std::string_view kMagic = "asahi vectors 2\n";
constexpr std::size_t kBlock = 1024 * 1024;
constexpr std::size_t kDigest = 16;

/// In front of each block's bytes.
struct BlockHead {
  std::uint32_t size;
  std::uint32_t last;  ///< 1 on the last block, else 0
  char digest[kDigest];
};
static_assert(sizeof(BlockHead) == 8 + kDigest);

Digest256 digest_of(std::uint64_t number, bool last, std::string_view bytes) {
  const Digest256 content = sha256(bytes);
  return sha256(fmt::format("{}:{}:{}", number, last ? 1 : 0, to_hex(content)));
}

BlockHead head_of(std::uint64_t number, bool last, std::string_view bytes) {
  BlockHead head{static_cast<std::uint32_t>(bytes.size()), last ? 1U : 0U, {}};
  std::memcpy(head.digest, digest_of(number, last, bytes).data(), kDigest);
  return head;
}

std::string_view bytes_of(const BlockHead& head) {
  return {reinterpret_cast<const char*>(&head), sizeof(head)};
}

std::string words_of(int error) { return std::system_category().message(error); }

}  // namespace

CheckedWriter::CheckedWriter(std::string path)
    : path_(std::move(path)), temporary_(path_ + ".new") {
  file_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file_ < 0) {
    failed("create");
    return;
  }
  block_.reserve(kBlock);
  write_all(kMagic);
}

CheckedWriter::~CheckedWriter() {
  if (file_ < 0) return;
  ::close(file_);
  ::unlink(temporary_.c_str());
}

void CheckedWriter::failed(std::string_view what) {
  if (!state_) return;
  state_ = fail(Errc::kUnavailable,
                fmt::format("cannot {} {}: {}; the vectors stay in memory, and the file as it was",
                            what, temporary_, words_of(errno)));
}

void CheckedWriter::write_all(std::string_view bytes) {
  while (state_ && !bytes.empty()) {
    const ssize_t written = ::write(file_, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      failed("write");
      return;
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

void CheckedWriter::flush(bool last) {
  const BlockHead head = head_of(blocks_++, last, block_);
  write_all(bytes_of(head));
  write_all(block_);
  block_.clear();
}

void CheckedWriter::put(const void* data, std::size_t size) {
  std::string_view bytes(static_cast<const char*>(data), size);
  while (!bytes.empty()) {
    if (block_.size() == kBlock) flush(false);
    const std::string_view part = bytes.substr(0, kBlock - block_.size());
    block_ += part;
    bytes.remove_prefix(part.size());
  }
}

Result<void> CheckedWriter::finish() {
  flush(true);
  if (state_ && ::fsync(file_) != 0) failed("flush");
  if (state_ && ::rename(temporary_.c_str(), path_.c_str()) != 0) failed("rename");
  if (!state_) return state_;
  ::close(std::exchange(file_, -1));
  // The new name is on the disk once its folder is.
  const std::string folder = std::filesystem::path(path_).parent_path();
  const int handle = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_CLOEXEC);
  if (handle >= 0) {
    ::fsync(handle);
    ::close(handle);
  }
  return state_;
}

CheckedReader::CheckedReader(std::string_view bytes) : rest_(bytes) {
  bad_ = !rest_.starts_with(kMagic);
  if (!bad_) rest_.remove_prefix(kMagic.size());
}

bool CheckedReader::next_block() {
  if (bad_ || last_) return false;
  BlockHead head{};
  bad_ = true;
  if (rest_.size() < sizeof(head)) return false;
  std::memcpy(&head, rest_.data(), sizeof(head));
  rest_.remove_prefix(sizeof(head));
  if (head.size > kBlock || head.size > rest_.size()) return false;
  block_ = rest_.substr(0, head.size);
  rest_.remove_prefix(head.size);
  last_ = head.last == 1;
  const Digest256 digest = digest_of(blocks_++, last_, block_);
  if (std::memcmp(digest.data(), head.digest, kDigest) != 0) return false;
  bad_ = false;
  return true;
}

bool CheckedReader::get(void* to, std::size_t size) {
  char* out = static_cast<char*>(to);
  while (size > 0) {
    if (block_.empty()) {
      if (!next_block()) {
        bad_ = true;
        return false;
      }
      continue;
    }
    const std::size_t part = std::min(size, block_.size());
    std::memcpy(out, block_.data(), part);
    block_.remove_prefix(part);
    out += part;
    size -= part;
  }
  return !bad_;
}

bool CheckedReader::text(std::string& out, std::size_t most) {
  std::uint32_t size = 0;
  if (!get(size) || size > most) {
    bad_ = true;
    return false;
  }
  out.resize(size);
  return get(out.data(), size);
}

bool CheckedReader::at_end() {
  while (block_.empty() && !last_) {
    if (!next_block()) return false;
  }
  return !bad_ && last_ && block_.empty() && rest_.empty();
}

std::string checked_bytes(std::string_view contents) {
  std::string out(kMagic);
  std::uint64_t number = 0;
  do {
    const std::string_view part = contents.substr(0, kBlock);
    contents.remove_prefix(part.size());
    const BlockHead head = head_of(number++, contents.empty(), part);
    out += bytes_of(head);
    out += part;
  } while (!contents.empty());
  return out;
}

Result<MappedFile> MappedFile::open(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    return fail(errno == ENOENT ? Errc::kNotFound : Errc::kUnavailable,
                fmt::format("cannot open {}: {}", path, words_of(errno)));
  }
  MappedFile out;
  struct stat about{};
  bool good = ::fstat(file, &about) == 0;
  out.size_ = good ? static_cast<std::size_t>(about.st_size) : 0;
  if (good && out.size_ > 0) {
    void* const data = ::mmap(nullptr, out.size_, PROT_READ, MAP_PRIVATE, file, 0);
    good = data != MAP_FAILED;
    if (good) out.data_ = data;
    // All of it is about to be read, from front to back.
    if (good) ::madvise(data, out.size_, MADV_WILLNEED);
  }
  const int error = errno;
  ::close(file);
  if (!good)
    return fail(Errc::kUnavailable, fmt::format("cannot read {}: {}", path, words_of(error)));
  return out;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

}  // namespace asahi::vector
