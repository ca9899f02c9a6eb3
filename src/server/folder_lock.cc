#include "server/folder_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <filesystem>

namespace asahi::server {

Result<FolderLock> FolderLock::take(const std::string& dir) {
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  if (error)
    return fail(Errc::kUnavailable,
                fmt::format("cannot create the data folder {}: {}", dir, error.message()));
  const std::string path = dir + "/asahi.lock";
  File file = File::open(path, O_RDWR | O_CREAT);
  if (!file)
    return fail(Errc::kUnavailable, fmt::format("cannot write below the data folder {}", dir));
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    return fail(
        Errc::kUnavailable,
        fmt::format(
            "another asahi process uses the data folder {}; set ASAHI_DATA_DIR to another one",
            dir));
  }
  return FolderLock(std::move(file));
}

}  // namespace asahi::server
