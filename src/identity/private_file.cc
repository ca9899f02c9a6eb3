#include "identity/private_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/file.h"
#include "base/ids.h"

namespace asahi::identity {
namespace {

constexpr std::size_t kMaxFileBytes = 16 * 1024;

/// A complete file beside `path`; returns its name.
Result<std::string> write_draft(const std::string& path, const Secret& content) {
  std::string draft = path + random_id(".", 12) + ".tmp";
  const File file = File::open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (!file || !write_all(file.get(), content.reveal()) || ::fsync(file.get()) != 0) {
    auto failed = file_error("write", path);
    ::unlink(draft.c_str());
    return failed;
  }
  return draft;
}

}  // namespace

Result<Secret> read_private_file(const std::string& path) {
  const File file = File::open(path, O_RDONLY);
  struct stat about{};
  if (!file || ::fstat(file.get(), &about) != 0) return file_error("read", path);
  if (!S_ISREG(about.st_mode) || (about.st_mode & 077) != 0) {
    return fail(Errc::kInvalidArgument,
                fmt::format("{} holds a secret and must be a file that only its owner can "
                            "read; run chmod 600 on it",
                            path));
  }
  std::string text(kMaxFileBytes, '\0');
  const ssize_t size = ::read(file.get(), text.data(), text.size());
  if (size < 0) return file_error("read", path);
  text.resize(static_cast<std::size_t>(size));
  return Secret(std::move(text));
}

Result<void> write_private_file(const std::string& path, const Secret& content) {
  ASAHI_TRY(const std::string draft, write_draft(path, content));
  if (::rename(draft.c_str(), path.c_str()) == 0) return {};
  auto failed = file_error("write", path);
  ::unlink(draft.c_str());
  return failed;
}

Result<void> add_private_file(const std::string& path, const Secret& content) {
  ASAHI_TRY(const std::string draft, write_draft(path, content));
  const bool linked = ::link(draft.c_str(), path.c_str()) == 0 || errno == EEXIST;
  auto failed = file_error("write", path);
  ::unlink(draft.c_str());
  if (!linked) return failed;
  return {};
}

}  // namespace asahi::identity
