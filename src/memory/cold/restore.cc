#include "memory/cold/restore.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "base/sha256_stream.h"

namespace asahi::memory::cold {
namespace {

std::string object_path(const std::string& folder, const ColdFile& file) {
  return folder + "/objects/" + file.key;
}

Result<Digest> sum_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(Errc::kCorrupt, fmt::format("{} is missing", path));
  Sha256Stream sum;
  std::string piece(1 << 20, '\0');
  while (in.read(piece.data(), static_cast<std::streamsize>(piece.size())) || in.gcount() > 0)
    sum.add(std::string_view(piece).substr(0, static_cast<std::size_t>(in.gcount())));
  if (in.bad()) return fail(Errc::kUnavailable, fmt::format("{} cannot be read", path));
  return sum.finish();
}

/// Whether this very object lies in the store.
Result<bool> lies_there(object::ObjectStore& objects, const ColdFile& file) {
  ASAHI_TRY(const auto info, objects.head(file.key));
  if (!info || info->size != file.bytes) return false;
  Sha256Stream sum;
  auto read = objects.read(file.key, [&sum](std::string_view bytes) -> Result<void> {
    sum.add(bytes);
    return {};
  });
  if (!read && read.error().code == Errc::kNotFound) return false;
  if (!read) return std::unexpected(read.error());
  return sum.finish() == file.sha256;
}

}  // namespace

Result<std::vector<ColdFile>> read_snapshot(const std::string& folder) {
  const std::string list = folder + "/catalogue";
  if (!std::filesystem::exists(list))
    return fail(Errc::kCorrupt, "the cold tier of the backup has no list of its files");
  ASAHI_TRY(auto files, FileCatalogue(list).load());
  for (const ColdFile& file : files) {
    ASAHI_TRY(const Digest sum, sum_of(object_path(folder, file)));
    if (sum != file.sha256)
      return fail(Errc::kCorrupt,
                  fmt::format("{} of the backup's cold tier does not have its sum", file.key));
  }
  return files;
}

Result<std::uint64_t> put_objects(object::ObjectStore& objects, const std::string& folder,
                                  const std::vector<ColdFile>& files) {
  std::uint64_t put = 0;
  for (const ColdFile& file : files) {
    ASAHI_TRY(const bool there, lies_there(objects, file));
    if (there) continue;
    if (auto done = objects.put_file(file.key, object_path(folder, file)); !done)
      return std::unexpected(done.error());
    ASAHI_TRY(const bool good, lies_there(objects, file));
    if (!good) {
      return fail(Errc::kCorrupt, fmt::format("{} does not hold what was written to it: {}",
                                              objects.where(), file.key));
    }
    ++put;
  }
  return put;
}

Result<std::vector<ColdFile>> replace_catalogue(Catalogue& catalogue,
                                                const std::vector<ColdFile>& files) {
  constexpr int kTries = 5;
  for (int i = 1;; ++i) {
    ASAHI_TRY(auto before, catalogue.load());
    std::set<std::string_view> kept;
    for (const ColdFile& file : files) kept.insert(file.key);
    CatalogueChange change{.removed = {}, .put = files};
    for (const ColdFile& file : before) {
      if (!kept.contains(file.key)) change.removed.push_back(file.key);
    }
    auto done = catalogue.commit(change);
    if (done) return before;
    // Another process was faster.
    if (done.error().code != Errc::kConflict || i == kTries) return std::unexpected(done.error());
  }
}

}  // namespace asahi::memory::cold
