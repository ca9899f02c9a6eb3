#include "base/file.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace asahi {
namespace {

Result<void> sync_folder_of(const std::string& path) {
  const auto parent = std::filesystem::path(path).parent_path();
  const File folder = File::open(parent.empty() ? "." : parent.string(), O_RDONLY | O_DIRECTORY);
  if (!folder || ::fsync(folder.get()) != 0) return file_error("sync the folder of", path);
  return {};
}

}  // namespace

File File::open(const std::string& path, int flags, mode_t mode) {
  return File(::open(path.c_str(), flags | O_CLOEXEC, mode));
}

void File::close() {
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

bool write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return false;
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

std::unexpected<Error> file_error(std::string_view doing, const std::string& path) {
  return fail(Errc::kUnavailable,
              fmt::format("cannot {} {}: {}", doing, path, std::strerror(errno)));
}

Result<void> replace_file(const std::string& path, std::string_view content, mode_t mode) {
  const std::string fresh = path + ".new";
  const auto give_up = [&] {
    auto failure = file_error("write", path);
    ::unlink(fresh.c_str());
    return failure;
  };
  {
    const File file = File::open(fresh, O_WRONLY | O_CREAT | O_TRUNC, mode);
    // Synced before it gets its name: else a power cut could leave the name with nothing behind it.
    if (!file || !write_all(file.get(), content) || ::fsync(file.get()) != 0) return give_up();
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) return give_up();
  return sync_folder_of(path);
}

Result<void> place_file(const std::string& fresh, const std::string& path) {
  {
    const File file = File::open(fresh, O_WRONLY);
    if (!file || ::fsync(file.get()) != 0) return file_error("sync", fresh);
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) return file_error("write", path);
  return sync_folder_of(path);
}

}  // namespace asahi
