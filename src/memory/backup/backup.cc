#include "memory/backup/backup.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <set>

#include "base/file.h"
#include "base/hex.h"
#include "base/ids.h"
#include "base/sha256_stream.h"

namespace asahi::memory {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kManifest = "/manifest.json";
constexpr std::size_t kMaxManifest = 256 << 20;
/// 2: with the rows of the database. 3: incremental. What earlier ones have is read as before.
constexpr int kFormat = 3;

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
  return file.at.empty() ? id + "/" + file.tier + "/" + file.path : file.at;
}

/// An object of a backup: "{backup_id}/…".
bool is_object_of_backup(std::string_view key) {
  return is_safe_path(key) && key.contains('/') && check_backup_id(key.substr(0, key.find('/')));
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

std::uint64_t BackupManifest::new_bytes() const {
  std::uint64_t all = 0;
  for (const BackupFile& file : files) all += file.at.empty() ? file.size : 0;
  return all;
}

bool BackupManifest::has(std::string_view tier) const {
  return std::ranges::find(files, tier, &BackupFile::tier) != files.end();
}

json::object manifest_json(const BackupManifest& manifest) {
  json::array files;
  for (const BackupFile& file : manifest.files) {
    json::object& one = files
                            .emplace_back(json::object{{"tier", file.tier},
                                                       {"path", file.path},
                                                       {"size", file.size},
                                                       {"sha256", file.sha256}})
                            .get_object();
    if (!file.at.empty()) one["at"] = file.at;
  }
  // As earlier versions read it, where they can.
  return {{"backup_id", manifest.id},
          {"format", manifest.incremental ? kFormat : kFormat - 1},
          {"incremental", manifest.incremental},
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
  if (format == nullptr || (*format != 1 && *format != 2 && *format != kFormat))
    return bad_manifest("has a format that is not known here: restore it with a newer version");
  ASAHI_TRY(manifest.created_at, parse_rfc3339(text_of(root, "created_at")));
  const json::value* incremental = root.if_contains("incremental");
  manifest.incremental = incremental != nullptr && *incremental == true;
  const json::value* files = root.if_contains("files");
  if (files == nullptr || !files->is_array()) return bad_manifest("lists no files");
  for (const json::value& one : files->get_array()) {
    if (!one.is_object()) return bad_manifest("has a file that is no object");
    const json::object& given = one.get_object();
    BackupFile file{.tier = text_of(given, "tier"),
                    .path = text_of(given, "path"),
                    .sha256 = text_of(given, "sha256"),
                    .at = text_of(given, "at")};
    const json::value* size = given.if_contains("size");
    boost::system::error_code error;
    if (size != nullptr && size->is_number()) file.size = size->to_number<std::uint64_t>(error);
    if (size == nullptr || error || file.sha256.size() != 64 || !is_safe_path(file.path) ||
        (!file.at.empty() && !is_object_of_backup(file.at)) ||
        (file.tier != "hot" && file.tier != "warm" && file.tier != "cold" && file.tier != kSqlPart))
      return bad_manifest(fmt::format("has a file that cannot be: '{}'", file.path.substr(0, 100)));
    manifest.files.push_back(std::move(file));
  }
  return manifest;
}

std::string make_backup_id(Clock::Time now) {
  std::string stamp = format_rfc3339(now).substr(0, 19);  // 2026-11-22T14:00:00
  std::erase_if(stamp, [](char c) { return c == '-' || c == ':'; });
  const auto ms = std::chrono::floor<std::chrono::milliseconds>(now).time_since_epoch().count();
  return fmt::format("bak_{}{:03}Z_{}", stamp, ms % 1'000, random_id("", 6));
}

Result<void> check_backup_id(std::string_view id) {
  const bool good =
      id.starts_with("bak_") && id.size() > 4 && id.size() <= 64 &&
      std::ranges::all_of(id, [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
  if (good) return {};
  return fail_field("backup_id", fmt::format("'{}' is no id of a backup", id.substr(0, 80)));
}

namespace {

/// What an earlier backup has, by its sum.
using Known = std::map<std::string, const BackupFile*>;

/// Files below `root`, in order.
Result<std::vector<std::string>> files_below(const std::string& root) {
  std::vector<std::string> paths;
  std::error_code error;
  for (fs::recursive_directory_iterator at(root, error), end; !error && at != end;
       at.increment(error)) {
    if (at->is_regular_file(error)) paths.push_back(at->path().string());
  }
  if (error)
    return fail(Errc::kUnavailable, fmt::format("{} cannot be listed: {}", root, error.message()));
  std::ranges::sort(paths);
  return paths;
}

BackupFile described(const std::string& tier, std::string path, std::uint64_t size,
                     const Digest& sha256) {
  return {.tier = tier, .path = std::move(path), .size = size, .sha256 = to_hex(sha256), .at = {}};
}

/// Names the earlier backup's object where there is one of this content.
bool refer(BackupFile& file, const Known& known, const BackupManifest* base) {
  const auto found = known.find(file.sha256);
  if (found == known.end() || found->second->size != file.size) return false;
  file.at = key_of(base->id, *found->second);
  return true;
}

Result<void> store_file(object::ObjectStore& store, const std::string& key, const BackupFile& file,
                        const std::string& path) {
  auto put = store.put_file(key, path);
  if (!put) return std::unexpected(put.error());
  ASAHI_TRY(const bool same, matches(store, key, file, nowhere));
  if (same) return {};
  return fail(Errc::kCorrupt,
              fmt::format("{} does not hold what was written to it: {}", store.where(), key));
}

}  // namespace

Result<BackupManifest> write_backup(object::ObjectStore& store, const BackupSource& source,
                                    std::string id, Clock::Time now, std::string version,
                                    const BackupManifest* base) {
  BackupManifest manifest{.id = std::move(id),
                          .created_at = now,
                          .version = std::move(version),
                          .incremental = base != nullptr,
                          .files = {}};
  Known known;
  if (base != nullptr) {
    for (const BackupFile& file : base->files) known.emplace(file.sha256, &file);
  }
  FileSums own;
  FileSums& sums = source.sums != nullptr ? *source.sums : own;
  for (const std::string& tier : source.tiers) {
    const std::string root = source.folder + "/" + tier;
    ASAHI_TRY(const std::vector<std::string> paths, files_below(root));
    for (const std::string& path : paths) {
      ASAHI_TRY(const FileSums::Sum sum, sums.of(path));
      BackupFile file =
          described(tier, fs::relative(path, root).generic_string(), sum.size, sum.sha256);
      if (!refer(file, known, base)) {
        if (auto ok = store_file(store, key_of(manifest.id, file), file, path); !ok)
          return std::unexpected(ok.error());
      }
      manifest.files.push_back(std::move(file));
    }
    const auto held = source.held.find(tier);
    if (held == source.held.end()) continue;
    for (const HeldFile& one : held->second) {
      BackupFile file = described(tier, one.path, one.size, one.sha256);
      if (!refer(file, known, base))
        return fail(Errc::kCorrupt, fmt::format("{}/{} was left out of the copy, and no backup "
                                                "has it",
                                                tier, one.path));
      manifest.files.push_back(std::move(file));
    }
  }
  const std::string place = manifest.id + std::string(kManifest);
  auto put = store.put(place, json::serialize(manifest_json(manifest)),
                       {.content_type = "application/json"});
  if (!put) return std::unexpected(put.error());
  if (base == nullptr) return manifest;
  // Whoever prunes takes a manifest away first and looks at all that are left then: either they
  // have seen this one, or theirs is missing here.
  ASAHI_TRY(const auto still, store.head(base->id + std::string(kManifest)));
  if (still) return manifest;
  if (auto gone = store.erase(place); !gone) return std::unexpected(gone.error());
  return fail(Errc::kConflict, fmt::format("{}, which has parts of it, was pruned meanwhile: make "
                                           "it again",
                                           base->id));
}

HeldSums sums_of(const BackupManifest& manifest) {
  auto sums = std::make_shared<std::set<Digest>>();
  for (const BackupFile& file : manifest.files) {
    if (Digest digest{}; from_hex(file.sha256, digest)) sums->insert(digest);
  }
  return sums;
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

Result<std::uint64_t> prune_backups(object::ObjectStore& store, const BackupRetention& retention) {
  ASAHI_TRY(const auto all, list_backups(store, SIZE_MAX));
  std::vector<const BackupManifest*> going;
  std::size_t whole = 0, incremental = 0;
  for (const BackupManifest& one : all) {
    const bool beyond = one.incremental ? ++incremental > retention.incremental
                                        : ++whole > std::max<std::size_t>(retention.most, 1);
    if (&one != &all.front() && (beyond || one.created_at < retention.before))
      going.push_back(&one);
  }
  if (going.empty()) return 0;
  // Manifests first: what is half erased is no backup. Then what nobody names any more.
  for (const BackupManifest* one : going) {
    if (auto ok = store.erase(one->id + std::string(kManifest)); !ok)
      return std::unexpected(ok.error());
  }
  ASAHI_TRY(const auto left, list_backups(store, SIZE_MAX));
  std::set<std::string> named;
  for (const BackupManifest& one : left) {
    for (const BackupFile& file : one.files) named.insert(key_of(one.id, file));
  }
  for (const BackupManifest* one : going) {
    for (const BackupFile& file : one->files) {
      const std::string key = key_of(one->id, file);
      if (!named.insert(key).second) continue;  // named by one that stays, or erased already
      if (auto ok = store.erase(key); !ok) return std::unexpected(ok.error());
    }
  }
  return going.size();
}

}  // namespace asahi::memory
