#include "storage/columnar/private_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <utility>

#include "base/file.h"
#include "base/ids.h"

namespace asahi::columnar {

namespace {

namespace fs = std::filesystem;
constexpr std::string_view kPrefix = "asahi-private-";
constexpr const char* kLock = ".lock";

/// Folders of this name whose lock nobody holds.
void sweep(const fs::path& parent) {
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(parent, ignored)) {
    if (!entry.path().filename().string().starts_with(kPrefix)) continue;
    const File lock = File::open((entry.path() / kLock).string(), O_RDWR | O_NOFOLLOW);
    if (!lock || ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) continue;
    fs::remove_all(entry.path(), ignored);
  }
}

}  // namespace

Result<PrivateFolder> PrivateFolder::make(const std::string& parent) {
  std::error_code failed;
  const fs::path above = parent.empty() ? fs::temp_directory_path(failed) : fs::path(parent);
  fs::create_directories(above, failed);
  sweep(above);
  std::string path = (above / fmt::format("{}XXXXXX", kPrefix)).string();
  if (::mkdtemp(path.data()) == nullptr) return file_error("make a folder in", above.string());
  // Locked before it has its name: another's sweep never finds it without its owner.
  const std::string lock_path = path + "/" + kLock;
  File lock = File::open(lock_path + ".new", O_RDWR | O_CREAT | O_EXCL, 0600);
  if (!lock || ::flock(lock.get(), LOCK_EX) != 0 ||
      ::rename((lock_path + ".new").c_str(), lock_path.c_str()) != 0) {
    auto failure = file_error("lock", lock_path);
    fs::remove_all(path, failed);
    return failure;
  }
  return PrivateFolder(std::move(path), std::move(lock));
}

PrivateFolder::PrivateFolder(PrivateFolder&& other) noexcept
    : path_(std::exchange(other.path_, {})), lock_(std::move(other.lock_)), files_(other.files_) {}

PrivateFolder::~PrivateFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

std::string PrivateFolder::file(const std::string& ending) {
  return fmt::format("{}/{}-{}{}", path_, random_id("", 16), ++files_, ending);
}

}  // namespace asahi::columnar
