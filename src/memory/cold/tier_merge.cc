// Merging files, and copies of the tier.
#include <algorithm>
#include <filesystem>
#include <system_error>
#include <tuple>

#include "memory/cold/key_filter.h"
#include "memory/cold/tier.h"
#include "memory/cold/tombstones.h"
#include "storage/columnar/private_folder.h"

namespace asahi::memory::cold {

namespace {

namespace fs = std::filesystem;

/// Retired objects that are erased at a time, with one commit.
constexpr std::size_t kErasedAtOnce = 500;

/// The living rows of a file, ascending by id; a row group at a time is in memory.
class Cursor {
 public:
  Cursor(std::shared_ptr<const ColdFile> file, RowFile rows)
      : file_(std::move(file)), rows_(std::move(rows)) {}

  const std::shared_ptr<const ColdFile>& file() const { return file_; }
  const Memory& memory() const { return memories_[row_]; }
  const std::string& id() const { return memory().key.conversation_id; }
  /// To the first row. False: there is none.
  Result<bool> start() { return seek(); }
  Result<bool> next() {
    ++row_;
    return seek();
  }

 private:
  Result<bool> seek() {
    for (;;) {
      for (; row_ < memories_.size(); ++row_) {
        if (!is_buried(*file_, memories_[row_].key.conversation_id)) return true;
      }
      if (group_ == rows_.groups()) return false;
      ASAHI_TRY(memories_, rows_.memories(group_++, file_->tenant, file_->system_id));
      row_ = 0;
    }
  }

  std::shared_ptr<const ColdFile> file_;
  RowFile rows_;
  std::size_t group_ = 0, row_ = 0;
  std::vector<Memory> memories_;
};

}  // namespace

/// Nothing: no row is alive, or one file cannot be read.
Result<std::optional<Ready>> ColdTier::merged_file(const std::vector<File>& files,
                                                   const std::string& folder, File& unreadable) {
  std::vector<Cursor> cursors;
  std::uint64_t alive = 0;
  for (const File& file : files) {
    auto rows = reader_.open(*file);
    if (!rows) {
      unreadable = file;
      return std::nullopt;
    }
    alive += rows_alive(*file);
    cursors.emplace_back(file, *std::move(rows));
  }
  std::vector<Cursor*> open;
  for (Cursor& cursor : cursors) {
    const auto more = cursor.start();
    if (!more) {
      unreadable = cursor.file();
      return std::nullopt;
    }
    if (*more) open.push_back(&cursor);
  }
  if (open.empty()) return std::nullopt;
  ASAHI_TRY(FileInMaking out,
            FileInMaking::create(folder + "/merged.parquet", options_.file, alive));
  while (!open.empty()) {
    // A handful of files: the least by looking. Of one id in two files the later file's counts.
    Cursor* next = open.front();
    for (Cursor* const cursor : open) {
      const int order = cursor->id().compare(next->id());
      if (order < 0 || (order == 0 && cursor->file()->generation > next->file()->generation))
        next = cursor;
    }
    const std::string id = next->id();
    if (auto ok = out.add(next->memory()); !ok) return std::unexpected(std::move(ok.error()));
    for (auto at = open.begin(); at != open.end();) {
      if ((*at)->id() != id) {
        ++at;
        continue;
      }
      const auto more = (*at)->next();
      if (!more) {
        unreadable = (*at)->file();
        return std::nullopt;
      }
      at = *more ? at + 1 : open.erase(at);
    }
  }
  ASAHI_TRY(Ready made, out.finish());
  return made;
}

Result<bool> ColdTier::replace(const std::vector<File>& files, std::optional<Ready> merged) {
  std::vector<Ready> ready;
  if (merged) ready.push_back(*std::move(merged));
  const Putting::Commit commit = [this](const CatalogueChange& change) -> Result<void> {
    const std::lock_guard changing(changing_);
    if (auto ok = listing_.refresh(); !ok) return ok;
    return listing_.commit(change);
  };
  Result<void> done;
  if (!ready.empty()) {
    done = putting_.list(ready, commit);
    if (done) done = putting_.put(ready, commit);
  }
  const std::lock_guard changing(changing_);
  if (done) done = listing_.refresh();
  bool same = true;
  CatalogueChange change;
  for (const File& file : files) {
    if (!done) break;
    const File now = listing_.still_live(*file);
    same = same && now != nullptr;
    if (!same) break;
    retire(change.put.emplace_back(*now), clock_.now());
    if (ready.empty()) continue;
    // Erased since the rows were read.
    for (const std::string& id : now->tombstones) {
      if (!is_buried(*file, id) && KeyFilter::may_hold(ready.front().entry.filter, id))
        bury(ready.front().entry, id);
    }
  }
  if (done && same) {
    for (const Ready& file : ready) {
      change.put.push_back(file.entry);
      change.put.back().state = FileState::kLive;
    }
    done = listing_.commit(change);
  }
  if (!done || !same) {
    if (!ready.empty()) give_up(ready);
    if (!done) return std::unexpected(std::move(done.error()));
    return false;
  }
  putting_.done(ready);
  return true;
}

Result<bool> ColdTier::merge(const std::vector<File>& files, Compacted& done, File& unreadable) {
  ASAHI_TRY(const auto folder, columnar::PrivateFolder::make(options_.temp_folder));
  ASAHI_TRY(auto merged, merged_file(files, folder.path(), unreadable));
  if (unreadable != nullptr) return true;
  const std::uint64_t rows = merged ? merged->entry.rows : 0;
  ASAHI_TRY(const bool replaced, replace(files, std::move(merged)));
  if (!replaced) return false;
  done.files_before += files.size();
  done.files_after += rows > 0 ? 1 : 0;
  for (const File& file : files) done.rows_dropped += file->rows;
  done.rows_dropped -= rows;
  return true;
}

std::vector<std::vector<ColdTier::File>> ColdTier::partitions() const {
  std::map<std::tuple<std::string, std::string, std::chrono::year_month>, std::vector<File>> parts;
  for (const File& file : listing_.live(""))
    parts[{file->tenant, file->system_id, partition_of(file->oldest)}].push_back(file);
  std::vector<std::vector<File>> out;
  for (auto& [part, files] : parts) out.push_back(std::move(files));
  // Searches gain most where most files are.
  std::ranges::sort(out, std::greater<>(), [](const auto& files) { return files.size(); });
  return out;
}

Result<std::uint64_t> ColdTier::erase_retired() {
  const std::lock_guard changing(changing_);
  if (auto ok = listing_.refresh(); !ok) return std::unexpected(std::move(ok.error()));
  std::vector<ColdFile> gone;
  for (const File& file : listing_.others()) {
    const bool over = file->state == FileState::kRetired
                          ? clock_.now() - file->changed >= options_.grace
                          : abandoned(*file);
    if (over && gone.size() < kErasedAtOnce) gone.push_back(*file);
  }
  if (gone.empty()) return 0;
  if (auto ok = erase_objects(gone); !ok) return std::unexpected(std::move(ok.error()));
  return gone.size();
}

Result<Compacted> ColdTier::merge_all(MergeNeed need, Clock::Steady deadline) {
  const std::lock_guard merging(merging_);
  Compacted done;
  ASAHI_TRY(done.objects_erased, erase_retired());
  for (std::vector<File>& files : partitions()) {
    while (clock_.steady_now() < deadline) {
      std::vector<File> chosen = next_merge(files, need, options_.merge);
      if (chosen.empty() && need == MergeNeed::kAny) {
        if (File old = next_to_archive(files, options_.archive, clock_.now()))
          chosen.push_back(std::move(old));
      }
      if (chosen.empty()) break;
      File unreadable;
      ASAHI_TRY(const bool merged, merge(chosen, done, unreadable));
      if (!merged) break;  // the next time
      if (unreadable != nullptr) {
        std::erase(files, unreadable);
        continue;
      }
      // What became of it is merged further with the next call.
      std::erase_if(
          files, [&](const File& file) { return std::ranges::find(chosen, file) != chosen.end(); });
    }
  }
  return done;
}

Result<Compacted> ColdTier::compact(Clock::Steady deadline) {
  return merge_all(MergeNeed::kAny, deadline);
}

Result<Compacted> ColdTier::tidy(Clock::Steady deadline) {
  return merge_all(MergeNeed::kRipe, deadline);
}

Result<std::vector<HeldFile>> ColdTier::snapshot(const std::string& folder, const HeldSums& held) {
  // An object may go while the others are copied: merged into another, and its time was over. What
  // the catalogue says then names that other one.
  constexpr int kTries = 3;
  for (int i = 1;; ++i) {
    if (auto known = refresh(); !known) return std::unexpected(std::move(known.error()));
    auto done = copy_live(folder, held);
    if (done || done.error().code != Errc::kNotFound || i == kTries) return done;
  }
}

Result<std::vector<HeldFile>> ColdTier::copy_live(const std::string& folder, const HeldSums& held) {
  CatalogueChange all;
  std::vector<HeldFile> left_out;
  std::error_code failed;
  // Of an earlier try: the list is of one moment.
  fs::remove(fs::path(folder) / "catalogue", failed);
  for (const File& file : listing_.live("")) {
    const fs::path to = fs::path(folder) / "objects" / file->key;
    all.put.push_back(*file);
    if (held != nullptr && held->contains(file->sha256)) {
      left_out.push_back({"objects/" + file->key, file->bytes, file->sha256});
      continue;
    }
    fs::create_directories(to.parent_path(), failed);
    if (failed) return fail(Errc::kUnavailable, "cannot make " + to.parent_path().string());
    if (fs::exists(to, failed)) continue;
    if (auto got = objects_.get_file(file->key, to.string()); !got)
      return std::unexpected(std::move(got.error()));
  }
  std::error_code ignored;
  fs::create_directories(folder, ignored);
  FileCatalogue catalogue((fs::path(folder) / "catalogue").string());
  if (auto loaded = catalogue.load(); !loaded) return std::unexpected(std::move(loaded.error()));
  if (auto written = catalogue.commit(all); !written)
    return std::unexpected(std::move(written.error()));
  return left_out;
}

}  // namespace asahi::memory::cold
