#include "server/move/carry.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <ranges>
#include <set>

#include "base/file.h"
#include "base/hash.h"
#include "base/sha256_stream.h"

namespace asahi::server {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kPiece = 1 << 20;
constexpr std::string_view kUnfinished = ".asahi-moving";

/// Reads the whole file, piece by piece. `take`: false ends it with errno's word.
Result<std::string> read_through(const File& file, const std::string& path,
                                 const std::function<bool(std::string_view)>& take) {
  Sha256Stream sum;
  std::string piece(kPiece, '\0');
  for (;;) {
    const ssize_t got = ::read(file.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return file_error("read", path);
    if (got == 0) break;
    const std::string_view part(piece.data(), static_cast<std::size_t>(got));
    sum.add(part);
    if (!take(part)) return file_error("copy", path);
  }
  return to_hex(sum.finish());
}

Result<void> sync_folder(const std::string& path) {
  const File folder = File::open(path, O_RDONLY | O_DIRECTORY);
  if (!folder || ::fsync(folder.get()) != 0) return file_error("sync", path);
  return {};
}

}  // namespace

Result<std::string> sum_of_file(const std::string& path) {
  const File file = File::open(path, O_RDONLY | O_NOFOLLOW);
  if (!file) return file_error("open", path);
  return read_through(file, path, [](std::string_view) { return true; });
}

Result<std::string> carry_file(const std::string& from, const std::string& to) {
  const File source = File::open(from, O_RDONLY | O_NOFOLLOW);
  struct stat about{};
  if (!source || ::fstat(source.get(), &about) != 0) return file_error("open", from);
  std::error_code error;
  fs::create_directories(fs::path(to).parent_path(), error);
  if (error)
    return fail(Errc::kUnavailable,
                fmt::format("cannot make the folder of {}: {}", to, error.message()));
  const std::string fresh = to + std::string(kUnfinished);
  std::string sum;
  {
    const File copy = File::open(fresh, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (!copy) return file_error("write", fresh);
    ASAHI_TRY(sum, read_through(source, from, [&](std::string_view part) {
                return write_all(copy.get(), part);
              }));
    const std::array<timespec, 2> times = {about.st_atim, about.st_mtim};
    if (::fchmod(copy.get(), about.st_mode & 07777) != 0 ||
        ::futimens(copy.get(), times.data()) != 0 || ::fsync(copy.get()) != 0)
      return file_error("write", fresh);
    // Asked of the disk, not of what is still in memory of the writing.
    ::posix_fadvise(copy.get(), 0, 0, POSIX_FADV_DONTNEED);
    if (::lseek(copy.get(), 0, SEEK_SET) != 0) return file_error("read", fresh);
    ASAHI_TRY(const std::string read_again,
              read_through(copy, fresh, [](std::string_view) { return true; }));
    if (read_again != sum) {
      return fail(Errc::kCorrupt, fmt::format("{} reads differently after it was copied to {}; "
                                              "nothing was removed",
                                              from, to));
    }
  }
  if (::rename(fresh.c_str(), to.c_str()) != 0) return file_error("write", to);
  return sum;
}

Result<std::vector<std::string>> files_below(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code error;
  fs::recursive_directory_iterator all(folder, error);
  for (; !error && all != fs::recursive_directory_iterator(); all.increment(error)) {
    const fs::path relative = all->path().lexically_relative(folder);
    const fs::file_status status = all->symlink_status(error);
    if (error) break;
    if (fs::is_directory(status) || all->path().extension() == kUnfinished) continue;
    if (!fs::is_regular_file(status)) {
      return fail(Errc::kConflict, fmt::format("{} is no ordinary file (a link?): move it by hand",
                                               all->path().string()));
    }
    files.push_back(relative.generic_string());
  }
  if (error) {
    return fail(Errc::kUnavailable,
                fmt::format("cannot list the folder {}: {}", folder, error.message()));
  }
  std::ranges::sort(files);
  return files;
}

Result<void> remove_carried(const std::string& path) {
  ::unlink((path + std::string(kUnfinished)).c_str());
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return file_error("remove", path);
  return {};
}

void remove_empty_folders(const std::string& root) {
  std::vector<fs::path> folders;
  std::error_code ignored;
  for (fs::recursive_directory_iterator all(root, ignored), end; all != end;
       all.increment(ignored)) {
    if (!all->is_symlink(ignored) && all->is_directory(ignored)) folders.push_back(all->path());
  }
  // Those below come later in the walk; one that is not empty does not go.
  for (const fs::path& folder : folders | std::views::reverse) ::rmdir(folder.c_str());
}

Result<void> sync_folders(const std::string& root, const std::vector<std::string>& files) {
  std::set<fs::path> folders = {fs::path()};
  for (const std::string& file : files) {
    for (fs::path up = fs::path(file).parent_path(); !up.empty(); up = up.parent_path())
      folders.insert(up);
  }
  for (const fs::path& folder : folders) {
    const std::string path = folder.empty() ? root : (fs::path(root) / folder).string();
    std::error_code ignored;
    if (!fs::exists(path, ignored)) continue;
    if (auto ok = sync_folder(path); !ok) return ok;
  }
  return {};
}

}  // namespace asahi::server
