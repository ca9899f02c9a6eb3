#include "memory/backup/backup.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "base/ids.h"
#include "base/sha256_stream.h"

namespace asahi::memory {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kManifest = "/manifest.json";
constexpr std::size_t kMaxManifest = 256 << 20;
constexpr std::size_t kPiece = 1 << 20;
/// 2: with the rows of the database. What 1 has is read as before.
constexpr int kFormat = 2;

std::unexpected<Error> bad_manifest(std::string why) {
  return fail(Errc::kCorrupt, "the backup's manifest " + std::move(why));
}

/// Stays below its folder, whatever a manifest says.
bool is_safe_path(std::string_view path) {
  if (path.empty() || path.size() > 1000 || path.front() == '/' ||
      path.find('\0') != std::string_view::npos)
    return false;
  for (const fs::path& part : fs::path(path)) {
    if (part == ".." || part == "." || part.empty()) return false;
  }
  return true;
}

std::string key_of(const std::string& id, const BackupFile& file) {
  return id + "/" + file.tier + "/" + file.path;
}

Result<BackupFile> describe(const std::string& tier, const std::string& root,
                            const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(Errc::kUnavailable, fmt::format("{} cannot be read", path));
  BackupFile file{.tier = tier, .path = fs::relative(path, root).generic_string(), .sha256 = {}};
  Sha256Stream sum;
  std::string piece(kPiece, '\0');
  while (in.read(piece.data(), static_cast<std::streamsize>(piece.size())) || in.gcount() > 0) {
    sum.add(std::string_view(piece).substr(0, static_cast<std::size_t>(in.gcount())));
    file.size += static_cast<std::uint64_t>(in.gcount());
  }
  if (in.bad()) return fail(Errc::kUnavailable, fmt::format("{} cannot be read", path));
  file.sha256 = to_hex(sum.finish());
  return file;
}

/// Reads an object through `sink`; whether it is what the manifest says.
Result<bool> matches(object::ObjectStore& store, const std::string& key, const BackupFile& file,
                     const object::Sink& sink) {
  Sha256Stream sum;
  std::uint64_t size = 0;
  auto read = store.read(key, [&](std::string_view bytes) -> Result<void> {
    sum.add(bytes);
    size += bytes.size();
    return sink(bytes);
  });
  if (!read && read.error().code == Errc::kNotFound) return false;
  // A file without bytes has no range to read in some stores.
  if (!read && !(file.size == 0 && read.error().code == Errc::kInvalidArgument))
    return std::unexpected(read.error());
  return size == file.size && to_hex(sum.finish()) == file.sha256;
}

Result<void> nowhere(std::string_view) { return {}; }

Result<std::vector<std::string>> ids_of(object::ObjectStore& store) {
  std::vector<std::string> ids;
  std::string after;
  do {
    ASAHI_TRY(const object::Page page,
              store.list({.prefix = "bak_", .after = after, .folders = true}));
    for (std::string folder : page.folders) {
      if (folder.ends_with('/')) folder.pop_back();
      if (check_backup_id(folder)) ids.push_back(std::move(folder));
    }
    after = page.next;
  } while (!after.empty());
  std::ranges::sort(ids, std::greater{});
  return ids;
}

}  // namespace

std::uint64_t BackupManifest::bytes() const {
  std::uint64_t all = 0;
  for (const BackupFile& file : files) all += file.size;
  return all;
}

bool BackupManifest::has(std::string_view tier) const {
  return std::ranges::find(files, tier, &BackupFile::tier) != files.end();
}

json::object manifest_json(const BackupManifest& manifest) {
  json::array files;
  for (const BackupFile& file : manifest.files) {
    files.push_back(json::object{
        {"tier", file.tier}, {"path", file.path}, {"size", file.size}, {"sha256", file.sha256}});
  }
  return {{"backup_id", manifest.id},
          {"format", kFormat},
          {"created_at", format_rfc3339(manifest.created_at)},
          {"version", manifest.version},
          {"files", std::move(files)}};
}

Result<BackupManifest> parse_backup_manifest(std::string_view text) {
  auto parsed = parse_json(text);
  if (!parsed || !parsed->is_object()) return bad_manifest("is no JSON object");
  const json::object& root = parsed->get_object();
  const auto text_of = [](const json::object& from, std::string_view name) -> std::string {
    const json::value* value = from.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string())
                                                  : std::string{};
  };
  BackupManifest manifest{
      .id = text_of(root, "backup_id"), .version = text_of(root, "version"), .files = {}};
  if (!check_backup_id(manifest.id)) return bad_manifest("has no id");
  const json::value* format = root.if_contains("format");
  if (format == nullptr || (*format != 1 && *format != kFormat))
    return bad_manifest("has a format that is not known here: restore it with a newer version");
  ASAHI_TRY(manifest.created_at, parse_rfc3339(text_of(root, "created_at")));
  const json::value* files = root.if_contains("files");
  if (files == nullptr || !files->is_array()) return bad_manifest("lists no files");
  for (const json::value& one : files->get_array()) {
    if (!one.is_object()) return bad_manifest("has a file that is no object");
    const json::object& given = one.get_object();
    BackupFile file{.tier = text_of(given, "tier"),
                    .path = text_of(given, "path"),
                    .sha256 = text_of(given, "sha256")};
    const json::value* size = given.if_contains("size");
    boost::system::error_code error;
    if (size != nullptr && size->is_number()) file.size = size->to_number<std::uint64_t>(error);
    if (size == nullptr || error || file.sha256.size() != 64 || !is_safe_path(file.path) ||
        (file.tier != "hot" && file.tier != "warm" && file.tier != "cold" && file.tier != kSqlPart))
      return bad_manifest(fmt::format("has a file that cannot be: '{}'", file.path.substr(0, 100)));
    manifest.files.push_back(std::move(file));
  }
  return manifest;
}

std::string make_backup_id(Clock::Time now) {
  std::string stamp = format_rfc3339(now).substr(0, 19);  // 2026-11-22T14:00:00
  std::erase_if(stamp, [](char c) { return c == '-' || c == ':'; });
  return "bak_" + stamp + "Z_" + random_id("", 6);
}

Result<void> check_backup_id(std::string_view id) {
  const bool good =
      id.starts_with("bak_") && id.size() > 4 && id.size() <= 64 &&
      std::ranges::all_of(id, [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
  if (good) return {};
  return fail_field("backup_id", fmt::format("'{}' is no id of a backup", id.substr(0, 80)));
}

Result<BackupManifest> write_backup(object::ObjectStore& store, const std::string& folder,
                                    const std::vector<std::string>& tiers, std::string id,
                                    Clock::Time now, std::string version) {
  BackupManifest manifest{
      .id = std::move(id), .created_at = now, .version = std::move(version), .files = {}};
  for (const std::string& tier : tiers) {
    const std::string root = folder + "/" + tier;
    std::error_code error;
    std::vector<std::string> paths;
    for (fs::recursive_directory_iterator at(root, error), end; !error && at != end;
         at.increment(error)) {
      if (at->is_regular_file(error)) paths.push_back(at->path().string());
    }
    if (error)
      return fail(Errc::kUnavailable,
                  fmt::format("{} cannot be listed: {}", root, error.message()));
    std::ranges::sort(paths);
    for (const std::string& path : paths) {
      ASAHI_TRY(BackupFile file, describe(tier, root, path));
      const std::string key = key_of(manifest.id, file);
      auto put = store.put_file(key, path);
      if (!put) return std::unexpected(put.error());
      ASAHI_TRY(const bool same, matches(store, key, file, nowhere));
      if (!same) {
        return fail(Errc::kCorrupt,
                    fmt::format("{} does not hold what was written to it: {}", store.where(), key));
      }
      manifest.files.push_back(std::move(file));
    }
  }
  auto put =
      store.put(manifest.id + std::string(kManifest), json::serialize(manifest_json(manifest)),
                {.content_type = "application/json"});
  if (!put) return std::unexpected(put.error());
  return manifest;
}

Result<std::vector<BackupManifest>> list_backups(object::ObjectStore& store, std::size_t most) {
  ASAHI_TRY(const auto ids, ids_of(store));
  std::vector<BackupManifest> found;
  for (const std::string& id : ids) {
    if (found.size() >= most) break;
    auto text = store.get(id + std::string(kManifest), kMaxManifest);
    if (!text && text.error().code == Errc::kNotFound) continue;  // under way, or cut off
    if (!text) return std::unexpected(text.error());
    auto manifest = parse_backup_manifest(*text);
    if (manifest && manifest->id == id) found.push_back(std::move(*manifest));
  }
  return found;
}

Result<BackupManifest> find_backup(object::ObjectStore& store, const std::string& id) {
  if (id.empty()) {
    ASAHI_TRY(auto all, list_backups(store, 1));
    if (all.empty())
      return fail(Errc::kNotFound, fmt::format("there is no backup at {}", store.where()));
    return std::move(all.front());
  }
  if (auto ok = check_backup_id(id); !ok) return std::unexpected(ok.error());
  auto text = store.get(id + std::string(kManifest), kMaxManifest);
  if (!text && text.error().code == Errc::kNotFound)
    return fail(Errc::kNotFound, fmt::format("there is no backup '{}' at {}", id, store.where()));
  if (!text) return std::unexpected(text.error());
  return parse_backup_manifest(*text);
}

Result<std::vector<std::string>> verify_backup(object::ObjectStore& store,
                                               const BackupManifest& manifest) {
  std::vector<std::string> wrong;
  for (const BackupFile& file : manifest.files) {
    ASAHI_TRY(const bool same, matches(store, key_of(manifest.id, file), file, nowhere));
    if (!same) wrong.push_back(file.tier + "/" + file.path);
  }
  return wrong;
}

Result<std::uint64_t> fetch_tier(object::ObjectStore& store, const BackupManifest& manifest,
                                 const std::string& tier, const std::string& folder) {
  std::error_code error;
  if (fs::exists(folder, error))
    return fail(Errc::kConflict, fmt::format("{} exists: name a folder that does not", folder));
  const auto give_up = [&](std::unexpected<Error> why) {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
    return why;
  };
  fs::create_directories(folder, error);
  if (error)
    return fail(Errc::kUnavailable, fmt::format("cannot make {}: {}", folder, error.message()));
  std::uint64_t bytes = 0;
  for (const BackupFile& file : manifest.files) {
    if (file.tier != tier) continue;
    const std::string path = folder + "/" + file.path;
    fs::create_directories(fs::path(path).parent_path(), error);
    const File out = File::open(path, O_WRONLY | O_CREAT | O_EXCL);
    if (!out) return give_up(file_error("make", path));
    const auto same = matches(store, key_of(manifest.id, file), file,
                              [&](std::string_view piece) -> Result<void> {
                                if (!write_all(out.get(), piece)) return file_error("write", path);
                                return {};
                              });
    if (!same) return give_up(std::unexpected(same.error()));
    if (!*same) {
      return give_up(
          fail(Errc::kCorrupt, fmt::format("{}/{} is not what was backed up; nothing was "
                                           "changed; verify tells the rest, take "
                                           "another backup",
                                           tier, file.path)));
    }
    if (::fsync(out.get()) != 0) return give_up(file_error("sync", path));
    bytes += file.size;
  }
  return bytes;
}

Result<std::uint64_t> prune_backups(object::ObjectStore& store, Clock::Time before,
                                    std::size_t most) {
  ASAHI_TRY(const auto all, list_backups(store, SIZE_MAX));
  std::uint64_t pruned = 0;
  for (std::size_t i = 1; i < all.size(); ++i) {
    if (all[i].created_at >= before && i < most) continue;
    // The manifest first: what is half erased is no backup.
    if (auto ok = store.erase(all[i].id + std::string(kManifest)); !ok)
      return std::unexpected(ok.error());
    for (const BackupFile& file : all[i].files) {
      if (auto ok = store.erase(key_of(all[i].id, file)); !ok) return std::unexpected(ok.error());
    }
    ++pruned;
  }
  return pruned;
}

}  // namespace asahi::memory
