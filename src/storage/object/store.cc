#include "storage/object/store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/file.h"

namespace asahi::object {

Result<std::string> ObjectStore::get(const std::string& key, std::size_t max_bytes,
                                     const ReadOptions& options) {
  std::string bytes;
  const Sink sink = [&](std::string_view piece) -> Result<void> {
    if (piece.size() > max_bytes - bytes.size()) {
      return fail(Errc::kTooLarge,
                  fmt::format("object '{}' is larger than the {} bytes asked for", key, max_bytes));
    }
    bytes += piece;
    return {};
  };
  ASAHI_TRY(const ObjectInfo info, read(key, sink, options));
  static_cast<void>(info);
  return bytes;
}

Result<ObjectInfo> ObjectStore::get_file(const std::string& key, const std::string& path) {
  const std::string fresh = path + ".new";
  const auto give_up = [&](Error error) {
    ::unlink(fresh.c_str());
    return std::unexpected(std::move(error));
  };
  ObjectInfo info;
  {
    const File file = File::open(fresh, O_WRONLY | O_CREAT | O_TRUNC);
    if (!file) return file_error("write", fresh);
    auto got = read(key, [&](std::string_view piece) -> Result<void> {
      if (!write_all(file.get(), piece)) return file_error("write", fresh);
      return {};
    });
    if (!got) return give_up(std::move(got.error()));
    info = *std::move(got);
  }
  if (auto placed = place_file(fresh, path); !placed) return give_up(std::move(placed.error()));
  return info;
}

Result<void> ObjectStore::each(const std::string& prefix,
                               const std::function<bool(const ObjectInfo&)>& visit) {
  ListQuery query{.prefix = prefix};
  for (;;) {
    ASAHI_TRY(const Page page, list(query));
    for (const ObjectInfo& object : page.objects) {
      if (!visit(object)) return {};
    }
    if (page.next.empty()) return {};
    query.after = page.next;
  }
}

}  // namespace asahi::object
