#pragma once

#include <fcntl.h>
#include <sys/types.h>

#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace asahi {

/// An open file; closed with its owner.
class File {
 public:
  File() = default;
  /// Takes the descriptor over; negative: not open.
  explicit File(int descriptor) : descriptor_(descriptor) {}
  /// open(2) with `flags` and O_CLOEXEC. On failure the file is not open and errno says why.
  static File open(const std::string& path, int flags, mode_t mode = 0640);

  ~File() { close(); }
  File(File&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  File& operator=(File&& other) noexcept {
    if (this != &other) {
      close();
      descriptor_ = std::exchange(other.descriptor_, -1);
    }
    return *this;
  }

  int get() const { return descriptor_; }
  explicit operator bool() const { return descriptor_ >= 0; }
  void close();

 private:
  int descriptor_ = -1;
};

/// Everything of `bytes` at the file's position, through interruptions and short writes. False:
/// errno says why; a part may be written.
bool write_all(int descriptor, std::string_view bytes);

/// unavailable: "cannot {doing} {path}: {what errno says}".
std::unexpected<Error> file_error(std::string_view doing, const std::string& path);

/// Puts `content` in the place of what stands at `path`, durably: after a crash at any moment the
/// whole old or the whole new content is there. Uses `{path}.new`; one caller per path at a time.
/// Errors: unavailable. Blocking.
Result<void> replace_file(const std::string& path, std::string_view content, mode_t mode = 0640);

/// Puts the written file `fresh` in the place of `path`, durably, as above. Errors: unavailable.
Result<void> place_file(const std::string& fresh, const std::string& path);

}  // namespace asahi
