#include "memory/backup/restore.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/file.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <tuple>

#include "base/file.h"
#include "memory/backup/sql_copy.h"
#include "memory/cold/restore.h"

namespace asahi::memory {
namespace {

namespace fs = std::filesystem;

Result<void> move_to(const std::string& from, const std::string& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (!error) return {};
  return fail(Errc::kUnavailable,
              fmt::format("cannot move {} to {}: {}", from, to, error.message()));
}

std::string without_slash(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

/// One restore, from fetching to its end; what it fetched goes with it.
class Restore {
 public:
  Restore(object::ObjectStore& source, const BackupManifest& manifest, const RestorePlaces& places,
          const Clock& clock)
      : source_(source),
        manifest_(manifest),
        places_(places),
        stamp_(fmt::format("{}-{}", manifest.id, make_backup_id(clock.now()).substr(4))),
        folder_(places.folder + "/restore-" + manifest.id) {}
  ~Restore() {
    std::error_code ignored;
    for (const std::string& folder : scratch_) fs::remove_all(folder, ignored);
  }
  Restore(const Restore&) = delete;
  Restore& operator=(const Restore&) = delete;

  Result<std::vector<RestoredPart>> run() {
    for (const auto& step : {&Restore::fetch, &Restore::place}) {
      if (auto done = (this->*step)(); !done) {
        put_back();
        return std::unexpected(done.error());
      }
    }
    return std::move(parts_);
  }

 private:
  struct Folder {
    std::string tier, place, fresh;
  };

  /// Everything that can be found wrong is found here.
  Result<void> fetch() {
    std::error_code error;
    fs::create_directories(places_.folder, error);
    if (error) {
      return fail(Errc::kUnavailable,
                  fmt::format("cannot make {}: {}", places_.folder, error.message()));
    }
    scratch_.push_back(folder_);
    fs::remove_all(folder_, error);  // of a restore that did not come to its end
    for (const auto& [tier, place] :
         {std::pair("hot", places_.hot), std::pair("warm", places_.warm)}) {
      if (place.empty() || !manifest_.has(tier)) continue;
      Folder folder{.tier = tier, .place = without_slash(place), .fresh = {}};
      // Beside its place: exchanging is a change of names then.
      folder.fresh = folder.place + ".restored-" + manifest_.id;
      if (auto free = lock(folder.place); !free) return free;
      fs::remove_all(folder.fresh, error);
      scratch_.push_back(folder.fresh);
      if (auto ok = fetch_part(tier, folder.fresh); !ok) return ok;
      if (auto ok = choose_node(folder); !ok) return ok;
      folders_.push_back(std::move(folder));
    }
    if (places_.cold && manifest_.has("cold")) {
      if (auto ok = fetch_part("cold", cold_folder()); !ok) return ok;
      ASAHI_TRY(cold_files_, cold::read_snapshot(cold_folder()));
      parts_.back().rows = cold_files_.size();
    }
    if (places_.database != nullptr && manifest_.has(kSqlPart)) {
      if (auto ok = fetch_part(std::string(kSqlPart), sql_folder()); !ok) return ok;
      if (auto ok = check_sql(*places_.database, sql_folder()); !ok) return ok;
    }
    if (parts_.empty()) {
      return fail(Errc::kNotFound, fmt::format("{} has nothing that belongs here", manifest_.id));
    }
    return {};
  }

  Result<void> fetch_part(const std::string& part, const std::string& folder) {
    ASAHI_TRY(const std::uint64_t bytes, fetch_tier(source_, manifest_, part, folder));
    parts_.push_back({.part = part, .bytes = bytes, .rows = 0, .aside = {}});
    return {};
  }

  /// Of several hot stores each has a folder of its own in the backup.
  Result<void> choose_node(Folder& folder) {
    if (fs::exists(folder.fresh + "/shard_000")) return {};
    std::vector<std::string> nodes;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder.fresh, error))
      nodes.push_back(entry.path().filename());
    std::ranges::sort(nodes);
    if (std::ranges::find(nodes, places_.hot_node) == nodes.end()) {
      return fail_field("node",
                        fmt::format("'{}' is none of the hot stores of {}: {}", places_.hot_node,
                                    manifest_.id, fmt::join(nodes, ", ")));
    }
    folder.fresh += "/" + places_.hot_node;
    return {};
  }

  /// A tier that somebody serves is not exchanged below them.
  Result<void> lock(const std::string& place) {
    const std::string path = place + "/shard_000/LOCK";
    File file = File::open(path, O_RDWR);
    if (!file) return {};  // nothing is there yet
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
      return fail(Errc::kConflict,
                  fmt::format("another process has the store in {} open: stop it first", place));
    }
    locks_.push_back(std::move(file));
    return {};
  }

  Result<void> place() {
    // Objects first: nothing counts before the catalogue names it.
    if (part("cold") != nullptr) {
      ASAHI_TRY([[maybe_unused]] const std::uint64_t put,
                cold::put_objects(places_.cold->objects, cold_folder(), cold_files_));
    }
    for (const Folder& folder : folders_) {
      if (auto ok = exchange(folder); !ok) return ok;
    }
    if (part("cold") != nullptr) {
      if (auto ok = place_cold(); !ok) return ok;
    }
    // Last, since it is all or nothing by itself.
    if (RestoredPart* const rows = part(kSqlPart); rows != nullptr) {
      ASAHI_TRY(rows->rows, restore_sql(*places_.database, sql_folder()));
    }
    return {};
  }

  Result<void> exchange(const Folder& folder) {
    const std::string aside = folder.place + ".before-" + stamp_;
    std::error_code error;
    const bool there = fs::exists(folder.place, error);
    if (there) {
      if (auto ok = move_to(folder.place, aside); !ok) return ok;
      part(folder.tier)->aside = aside;
    }
    undo_.emplace_back([folder, aside, there] {
      std::error_code ignored;
      fs::remove_all(folder.place, ignored);
      if (there) fs::rename(aside, folder.place, ignored);
    });
    fs::create_directories(fs::path(folder.place).parent_path(), error);
    return move_to(folder.fresh, folder.place);
  }

  Result<void> place_cold() {
    cold::Catalogue& catalogue = places_.cold->catalogue;
    const std::string aside = fmt::format("{}/cold-catalogue.before-{}", places_.folder, stamp_);
    auto before = cold::replace_catalogue(catalogue, cold_files_);
    const std::string& file = places_.cold->catalogue_file;
    if (!before && before.error().code == Errc::kCorrupt && !file.empty()) {
      // That it is damaged may be why somebody restores.
      if (auto ok = move_to(file, aside); !ok) return ok;
      undo_.emplace_back([aside, file] {
        std::error_code ignored;
        fs::rename(aside, file, ignored);
      });
      part("cold")->aside = aside;
      before = cold::replace_catalogue(catalogue, cold_files_);
    }
    if (!before) return std::unexpected(before.error());
    undo_.emplace_back([&catalogue, before = *before] {
      std::ignore = cold::replace_catalogue(catalogue, before);
    });
    if (before->empty() || *before == cold_files_) return {};
    part("cold")->aside = aside;
    undo_.emplace_back([aside] {
      std::error_code ignored;
      fs::remove(aside, ignored);
    });
    return cold::FileCatalogue(aside).commit({.removed = {}, .put = *before});
  }

  void put_back() {
    for (auto last = undo_.rbegin(); last != undo_.rend(); ++last) (*last)();
  }

  RestoredPart* part(std::string_view name) {
    for (RestoredPart& each : parts_) {
      if (each.part == name) return &each;
    }
    return nullptr;
  }
  std::string cold_folder() const { return folder_ + "/cold"; }
  std::string sql_folder() const { return folder_ + "/sql"; }

  object::ObjectStore& source_;
  const BackupManifest& manifest_;
  const RestorePlaces& places_;
  const std::string stamp_, folder_;
  std::vector<std::string> scratch_;
  std::vector<File> locks_;
  std::vector<Folder> folders_;
  std::vector<cold::ColdFile> cold_files_;
  std::vector<RestoredPart> parts_;
  std::vector<std::function<void()>> undo_;
};

}  // namespace

Result<std::vector<RestoredPart>> restore_backup(object::ObjectStore& source,
                                                 const BackupManifest& manifest,
                                                 const RestorePlaces& places, const Clock& clock) {
  return Restore(source, manifest, places, clock).run();
}

}  // namespace asahi::memory
