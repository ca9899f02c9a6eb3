#include "storage/object/pieces.h"

#include <unistd.h>

#include <cerrno>

namespace asahi::object {

Result<ObjectInfo> send_pieces(const File& from, const std::string& path, Upload& upload) {
  constexpr std::size_t kPiece = 256 * 1024;
  std::string piece(kPiece, '\0');
  for (;;) {
    const ssize_t got = ::read(from.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return file_error("read", path);
    if (got == 0) return upload.finish();
    auto written = upload.write({piece.data(), static_cast<std::size_t>(got)});
    if (!written) return std::unexpected(written.error());
  }
}

}  // namespace asahi::object
