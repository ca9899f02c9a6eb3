#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/hash.h"
#include "base/ids.h"
#include "identity/keys/api_keys.h"

namespace asahi::identity {
namespace {

constexpr std::size_t kLeast = 32;

class File {
 public:
  File(const std::string& path, int flags)
      : handle_(::open(path.c_str(), flags | O_CLOEXEC, 0600)) {}
  ~File() {
    if (handle_ >= 0) ::close(handle_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int handle() const { return handle_; }

 private:
  int handle_;
};

Result<Secret> read_file(const std::string& path) {
  const File file(path, O_RDONLY);
  if (file.handle() < 0) {
    if (errno == ENOENT) return fail(Errc::kNotFound, "no such file");
    return fail(Errc::kUnavailable, fmt::format("cannot read {}: {}", path, std::strerror(errno)));
  }
  std::string text(256, '\0');
  const ssize_t got = ::read(file.handle(), text.data(), text.size());
  text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  if (text.size() < kLeast) {
    return fail(Errc::kCorrupt, fmt::format("{} must hold at least {} characters; put the pepper "
                                            "back from a backup, or remove the file "
                                            "and issue all API keys anew",
                                            path, kLeast));
  }
  return Secret(std::move(text));
}

}  // namespace

Result<Secret> read_pepper(const Secret& given, const std::string& data_dir) {
  if (!given.empty()) {
    if (given.reveal().size() >= kLeast) return given;
    return fail(Errc::kInvalidArgument,
                fmt::format("ASAHI_KEY_PEPPER must have at least {} characters", kLeast));
  }
  const std::string path = data_dir + "/key_pepper";
  auto found = read_file(path);
  if (found || found.error().code != Errc::kNotFound) return found;

  std::error_code ignored;
  std::filesystem::create_directories(data_dir, ignored);
  std::string bytes(32, '\0');
  random_bytes(bytes.data(), bytes.size());
  const std::string text =
      to_hex(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()) + '\n';
  // Written whole under another name and linked: of several processes that start together one wins,
  // all read the same.
  const std::string draft = path + random_id(".", 12);
  {
    const File file(draft, O_WRONLY | O_CREAT | O_EXCL);
    if (file.handle() < 0 ||
        ::write(file.handle(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
        ::fsync(file.handle()) != 0) {
      return fail(Errc::kUnavailable,
                  fmt::format("cannot write {}: {}; set ASAHI_KEY_PEPPER instead", draft,
                              std::strerror(errno)));
    }
  }
  const bool linked = ::link(draft.c_str(), path.c_str()) == 0 || errno == EEXIST;
  ::unlink(draft.c_str());
  if (!linked)
    return fail(Errc::kUnavailable, fmt::format("cannot make {}: {}", path, std::strerror(errno)));
  return read_file(path);
}

}  // namespace asahi::identity
