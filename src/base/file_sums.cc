#include "base/file_sums.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.h"
#include "base/sha256_stream.h"

namespace asahi {
namespace {

constexpr std::size_t kPiece = 1 << 20;

}  // namespace

Result<FileSums::Sum> FileSums::of(const std::string& path) {
  const File file = File::open(path, O_RDONLY);
  struct stat about{};
  if (!file || ::fstat(file.get(), &about) != 0) return file_error("read", path);
  const Identity identity{about.st_dev, about.st_ino, static_cast<std::uint64_t>(about.st_size),
                          about.st_mtim.tv_sec * 1'000'000'000LL + about.st_mtim.tv_nsec};
  {
    const std::scoped_lock lock(mutex_);
    const auto found = known_.find(identity);
    if (found != known_.end()) return Sum{std::get<2>(identity), found->second};
  }
  Sha256Stream sum;
  std::uint64_t size = 0;
  std::string piece(kPiece, '\0');
  while (true) {
    const ssize_t got = ::read(file.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return file_error("read", path);
    if (got == 0) break;
    sum.add(std::string_view(piece).substr(0, static_cast<std::size_t>(got)));
    size += static_cast<std::uint64_t>(got);
  }
  const Digest256 digest = sum.finish();
  const std::scoped_lock lock(mutex_);
  ++read_;
  // One that grew meanwhile is no file that is written once.
  if (size == std::get<2>(identity)) {
    if (known_.size() >= most_) known_.clear();
    known_[identity] = digest;
  }
  return Sum{size, digest};
}

std::uint64_t FileSums::read() const {
  const std::scoped_lock lock(mutex_);
  return read_;
}

}  // namespace asahi
