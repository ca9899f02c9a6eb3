#include "identity/private_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/ids.h"

namespace asahi::identity {
namespace {

constexpr std::size_t kMaxFileBytes = 16 * 1024;

class File {
 public:
  File(const std::string& path, int flags)
      : handle_(::open(path.c_str(), flags | O_CLOEXEC, 0600)) {}
  ~File() {
    if (handle_ >= 0) ::close(handle_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int get() const { return handle_; }

 private:
  int handle_;
};

std::unexpected<Error> io_error(const std::string& path, std::string_view what) {
  return fail(Errc::kUnavailable,
              fmt::format("{}: cannot {}: {}", path, what, std::strerror(errno)));
}

/// A complete file beside `path`; returns its name.
Result<std::string> write_draft(const std::string& path, const Secret& content) {
  std::string draft = path + random_id(".", 12) + ".tmp";
  const File file(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW);
  const std::string& text = content.reveal();
  if (file.get() < 0 ||
      ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      ::fsync(file.get()) != 0) {
    auto failed = io_error(path, "write");
    ::unlink(draft.c_str());
    return failed;
  }
  return draft;
}

}  // namespace

Result<Secret> read_private_file(const std::string& path) {
  const File file(path, O_RDONLY);
  struct stat about{};
  if (file.get() < 0 || ::fstat(file.get(), &about) != 0) return io_error(path, "read");
  if (!S_ISREG(about.st_mode) || (about.st_mode & 077) != 0) {
    return fail(Errc::kInvalidArgument,
                fmt::format("{} holds a secret and must be a file that only its owner can "
                            "read; run chmod 600 on it",
                            path));
  }
  std::string text(kMaxFileBytes, '\0');
  const ssize_t size = ::read(file.get(), text.data(), text.size());
  if (size < 0) return io_error(path, "read");
  text.resize(static_cast<std::size_t>(size));
  return Secret(std::move(text));
}

Result<void> write_private_file(const std::string& path, const Secret& content) {
  ASAHI_TRY(const std::string draft, write_draft(path, content));
  if (::rename(draft.c_str(), path.c_str()) == 0) return {};
  auto failed = io_error(path, "write");
  ::unlink(draft.c_str());
  return failed;
}

Result<void> add_private_file(const std::string& path, const Secret& content) {
  ASAHI_TRY(const std::string draft, write_draft(path, content));
  const bool linked = ::link(draft.c_str(), path.c_str()) == 0 || errno == EEXIST;
  auto failed = io_error(path, "write");
  ::unlink(draft.c_str());
  if (!linked) return failed;
  return {};
}

}  // namespace asahi::identity
