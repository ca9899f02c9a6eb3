#include "server/folder_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <filesystem>

#include "server/move/data_move.h"

namespace asahi::server {

Result<void> FolderLock::check_not_moved(const std::string& dir) {
  ASAHI_TRY(const auto move, data_move_of(dir));
  if (!move) return {};
  if (!move->is_over()) {
    return fail(Errc::kConflict,
                fmt::format("the data of {} is on its way to {}: go on with 'asahi memory migrate "
                            "data --from-path {} --to-path {}', or undo it with 'asahi memory "
                            "migrate rollback --to-path {}'",
                            move->from, move->to, move->from, move->to, move->to));
  }
  if (!move->left) return {};
  return fail(Errc::kConflict,
              fmt::format("the data of {} was moved to {}: set ASAHI_DATA_DIR to that folder (or "
                          "AKOSHA_ENV, if it is its own); to begin anew here, remove {}/{}",
                          move->from, move->to, dir, kMoveFile));
}

Result<FolderLock> FolderLock::take(const std::string& dir) {
  ASAHI_TRY(FolderLock lock, take_to_move(dir));
  if (auto ok = check_not_moved(dir); !ok) return std::unexpected(std::move(ok.error()));
  return lock;
}

Result<FolderLock> FolderLock::take_to_move(const std::string& dir) {
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  if (error)
    return fail(Errc::kUnavailable,
                fmt::format("cannot create the data folder {}: {}", dir, error.message()));
  const std::string path = dir + "/" + std::string(kFile);
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
