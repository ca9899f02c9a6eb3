#include "memory/cold/tier.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <queue>
#include <set>

#include "base/log.h"
#include "base/sha256_stream.h"
#include "memory/cold/key_filter.h"
#include "memory/cold/keys.h"
#include "memory/cold/scan.h"
#include "storage/columnar/private_folder.h"

namespace asahi::memory::cold {

namespace {

namespace pq = columnar::parquet;
namespace fs = std::filesystem;

/// An object that is read by ranges.
class ObjectSource final : public pq::Source {
 public:
  ObjectSource(object::ObjectStore& objects, std::string key, std::uint64_t size)
      : objects_(objects), key_(std::move(key)), size_(size) {}
  std::uint64_t size() const override { return size_; }
  Result<std::string> read(std::uint64_t offset, std::uint64_t length) override {
    if (length == 0) return std::string();
    auto bytes = objects_.get(key_, length, {.offset = offset, .length = length});
    if (bytes ? bytes->size() != length : bytes.error().code == Errc::kInvalidArgument)
      return fail(Errc::kCorrupt, fmt::format("{} is shorter than its catalogue says", key_));
    return bytes;
  }

 private:
  object::ObjectStore& objects_;
  const std::string key_;
  const std::uint64_t size_;
};

std::chrono::sys_days day_of(Clock::Time time) {
  return std::chrono::floor<std::chrono::days>(time);
}

bool buried(const ColdFile& file, std::string_view id) {
  return std::ranges::binary_search(file.tombstones, id, std::less<>());
}

void bury(ColdFile& file, const std::string& id) {
  const auto place = std::ranges::lower_bound(file.tombstones, id);
  if (place == file.tombstones.end() || *place != id) file.tombstones.insert(place, id);
}

/// The same text: by its hash where there is one, as ageing cuts texts down.
bool same_content(const Memory& a, const Memory& b) {
  const Digest none{};
  if (a.content_hash != none && b.content_hash != none) return a.content_hash == b.content_hash;
  return a.content == b.content;
}

void note(ColdFile& file, const pq::Written& written) {
  file.rows = written.rows;
  file.bytes = written.bytes;
  file.sha256 = written.sha256;
}

std::uint64_t rows_alive(const ColdFile& file) {
  return file.rows - std::min<std::uint64_t>(file.rows, file.tombstones.size());
}

}  // namespace

Result<std::unique_ptr<ColdTier>> ColdTier::open(object::ObjectStore& objects, Catalogue& catalogue,
                                                 const Clock& clock, ColdOptions options) {
  std::unique_ptr<ColdTier> made(new ColdTier(objects, catalogue, clock, std::move(options)));
  auto files = catalogue.load();
  if (!files) {
    const bool shared = made->options_.abandoned_after.count() > 0;
    if (!shared || files.error().code == Errc::kCorrupt)
      return std::unexpected(std::move(files.error()));
    return made;
  }
  std::vector<ColdFile> unfinished;
  for (const ColdFile& file : *files) {
    if (made->abandoned(file)) unfinished.push_back(file);
  }
  made->take(*std::move(files));
  // What a killed process had on its way; where the store is away, the next start does it.
  (void)made->erase_objects(unfinished);
  return made;
}

std::vector<ColdTier::File> ColdTier::live_files(const Owner& owner) const {
  const std::lock_guard lock(mutex_);
  std::vector<File> out;
  const auto found = files_.find(owner);
  if (found == files_.end()) return out;
  for (const File& file : found->second) {
    if (file->state == FileState::kLive) out.push_back(file);
  }
  return out;
}

std::vector<ColdTier::File> ColdTier::live_files(const std::string& tenant) const {
  const std::lock_guard lock(mutex_);
  std::vector<File> out;
  for (auto at = files_.lower_bound({tenant, ""}); at != files_.end() && at->first.first == tenant;
       ++at) {
    for (const File& file : at->second) {
      if (file->state == FileState::kLive) out.push_back(file);
    }
  }
  return out;
}

std::vector<ColdTier::File> ColdTier::live_files() const {
  const std::lock_guard lock(mutex_);
  std::vector<File> out;
  for (const auto& [owner, files] : files_) {
    for (const File& file : files) {
      if (file->state == FileState::kLive) out.push_back(file);
    }
  }
  return out;
}

void ColdTier::take(std::vector<ColdFile> files) {
  const std::lock_guard lock(mutex_);
  known_ = true;
  files_.clear();
  for (ColdFile& file : files) {
    generation_ = std::max(generation_, file.generation);
    Owner owner{file.tenant, file.system_id};
    files_[std::move(owner)].push_back(std::make_shared<const ColdFile>(std::move(file)));
  }
}

Result<void> ColdTier::refresh() {
  // While a change is under way here, it sees to that itself.
  const std::unique_lock changing(changing_, std::try_to_lock);
  if (!changing && known_) return {};
  if (!changing) return fail(Errc::kUnavailable, "the cold catalogue is being read; try again");
  auto seen = refresh_locked();
  if (seen || !known_) return seen;
  Logger("memory.cold")
      .warning("the cold catalogue does not answer; what is known of it serves",
               {{"error", seen.error().message}});
  return {};
}

Result<void> ColdTier::refresh_locked() {
  ASAHI_TRY(const bool changed, catalogue_.changed());
  if (!changed) return {};
  ASAHI_TRY(auto files, catalogue_.load());
  take(std::move(files));
  return {};
}

Result<void> ColdTier::commit(const CatalogueChange& change) {
  if (auto ok = catalogue_.commit(change); !ok) return ok;
  const std::lock_guard lock(mutex_);
  if (!change.removed.empty()) {
    const std::set<std::string_view> removed(change.removed.begin(), change.removed.end());
    for (auto& [owner, files] : files_)
      std::erase_if(files, [&](const File& file) { return removed.contains(file->key); });
  }
  for (const ColdFile& put : change.put) {
    auto& files = files_[{put.tenant, put.system_id}];
    const auto known =
        std::ranges::find_if(files, [&](const File& file) { return file->key == put.key; });
    auto fresh = std::make_shared<const ColdFile>(put);
    if (known == files.end()) {
      files.push_back(std::move(fresh));
    } else {
      *known = std::move(fresh);
    }
  }
  std::erase_if(files_, [](const auto& entry) { return entry.second.empty(); });
  return {};
}

Result<void> ColdTier::erase_objects(const std::vector<ColdFile>& files) {
  CatalogueChange change;
  Result<void> result;
  for (const ColdFile& file : files) {
    auto erased = objects_.erase(file.key);
    if (erased) {
      change.removed.push_back(file.key);
    } else if (result) {
      result = std::move(erased);
    }
  }
  if (!change.removed.empty()) {
    if (auto ok = commit(change); !ok) return ok;
  }
  return result;
}

// ---- reading

std::optional<ColdTier::Cached> ColdTier::cached(const std::string& key) {
  const std::lock_guard lock(cache_mutex_);
  const auto found = cache_index_.find(key);
  if (found == cache_index_.end()) return std::nullopt;
  cache_.splice(cache_.begin(), cache_, found->second);
  return cache_.front();
}

void ColdTier::cache(Cached entry) {
  const std::lock_guard lock(cache_mutex_);
  if (cache_index_.contains(entry.key) || entry.size > options_.cache_bytes) return;
  cache_size_ += entry.size;
  cache_.push_front(std::move(entry));
  cache_index_[cache_.front().key] = cache_.begin();
  while (cache_size_ > options_.cache_bytes) {
    cache_size_ -= cache_.back().size;
    cache_index_.erase(cache_.back().key);
    cache_.pop_back();
  }
}

Result<RowFile> ColdTier::open_file(const ColdFile& file) {
  const auto named = [&](Error error) {
    error.message = fmt::format("cold file {}: {}", file.key, error.message);
    return std::unexpected(std::move(error));
  };
  const auto source_of = [&](const std::shared_ptr<const std::string>& bytes) {
    return bytes != nullptr ? std::unique_ptr<pq::Source>(std::make_unique<pq::MemorySource>(bytes))
                            : std::make_unique<ObjectSource>(objects_, file.key, file.bytes);
  };
  // A name may come again when its file was erased; a generation does not.
  const std::string name = fmt::format("{}#{}", file.key, file.generation);
  if (const auto known = cached(name)) {
    auto opened = RowFile::open(source_of(known->bytes), known->layout);
    if (!opened) return named(std::move(opened.error()));
    return opened;
  }
  Cached entry{.key = name, .bytes = nullptr, .layout = nullptr, .size = 0};
  if (file.bytes <= options_.whole_bytes) {
    auto bytes = objects_.get(file.key, file.bytes);
    if (!bytes) {
      if (bytes.error().code == Errc::kTooLarge) bytes.error().code = Errc::kCorrupt;
      return named(std::move(bytes.error()));
    }
    if (sha256(*bytes) != file.sha256)
      return named(fail(Errc::kCorrupt, "its SHA-256 is not the catalogue's").error());
    entry.bytes = std::make_shared<const std::string>(*std::move(bytes));
    entry.size = entry.bytes->size();
  }
  auto opened = RowFile::open(source_of(entry.bytes));
  if (!opened) return named(std::move(opened.error()));
  if (opened->layout()->rows != file.rows)
    return named(fail(Errc::kCorrupt, "it has other rows than the catalogue says").error());
  entry.layout = opened->layout();
  entry.size += 256 * entry.layout->groups.size() * kColumns;
  cache(std::move(entry));
  return opened;
}

/// The file that holds `key`, the latest first.
Result<std::optional<ColdTier::Found>> ColdTier::find(const Key& key) {
  auto files = live_files({key.tenant, key.system_id});
  std::ranges::sort(files, std::greater<>(), [](const File& file) { return file->generation; });
  for (const File& file : files) {
    if (!KeyFilter::may_hold(file->filter, key.conversation_id) ||
        buried(*file, key.conversation_id))
      continue;
    ASAHI_TRY(RowFile rows, open_file(*file));
    ASAHI_TRY(auto memory, rows.find(key));
    if (memory) return Found{.file = file, .memory = std::move(memory)};
  }
  return std::nullopt;
}

std::vector<Result<std::optional<Memory>>> ColdTier::get(const std::vector<Key>& keys) {
  std::vector<Result<std::optional<Memory>>> out;
  for (const Key& key : keys) {
    auto found = find(key);
    if (!found) {
      out.emplace_back(std::unexpected(std::move(found.error())));
    } else if (!*found) {
      out.emplace_back(std::nullopt);
    } else {
      out.emplace_back(std::move((*found)->memory));
    }
  }
  return out;
}

Result<ColdPage> ColdTier::search(StoreQuery query, Clock::Steady deadline) {
  if (query.limit < 1 || query.limit > 1'000)
    return fail_field("limit", "a search gives 1 to 1000 memories");
  const std::string tenant = query.tenant;
  Scan scan(std::move(query));
  auto files = live_files(tenant);
  std::erase_if(files, [&](const File& file) { return !scan.wants(*file); });
  std::ranges::sort(files, std::greater<>(), [](const File& file) { return file->newest; });
  ColdPage out;
  for (const File& file : files) {
    if (clock_.steady_now() >= deadline) {
      out.complete = false;
      break;
    }
    auto read = [&]() -> Result<void> {
      ASAHI_TRY(RowFile rows, open_file(*file));
      for (std::size_t group = 0; group < rows.groups(); ++group) {
        if (clock_.steady_now() >= deadline) {
          out.complete = false;
          return {};
        }
        if (auto ok = scan.group(rows, group, *file, file->tombstones); !ok) return ok;
      }
      return {};
    }();
    if (read) {
      ++out.files;
    } else {
      out.complete = false;
      out.unread.push_back({file->key, std::move(read.error())});
    }
  }
  if (out.files == 0 && !out.unread.empty())
    return std::unexpected(std::move(out.unread.front().error));
  out.page = std::move(scan).page();
  return out;
}

TierStats ColdTier::stats(const std::string& tenant) const {
  TierStats out;
  for (const File& file : tenant.empty() ? live_files() : live_files(tenant)) {
    out.records += rows_alive(*file);
    out.bytes += file->bytes;
    out.oldest = std::min(out.oldest.value_or(file->oldest), file->oldest);
    out.newest = std::max(out.newest.value_or(file->newest), file->newest);
  }
  return out;
}

// ---- changing

bool ColdTier::is_listed(const ColdFile& entry) const {
  const std::lock_guard lock(mutex_);
  const auto found = files_.find({entry.tenant, entry.system_id});
  return found != files_.end() && std::ranges::any_of(found->second, [&](const File& file) {
           return file->key == entry.key;
         });
}

void ColdTier::name(Ready& file) {
  ColdFile& entry = file.entry;
  entry.changed = clock_.now();
  // The sequence begins anew with each process: a name of this second may stand for another file,
  // whose entry must not be touched.
  do {
    entry.key = object_key({.tenant = entry.tenant,
                            .system_id = entry.system_id,
                            .day = file.day,
                            .written = entry.changed,
                            .shard = shard_of(entry.system_id, options_.shards),
                            .sequence = sequence_++ % 1'000'000});
  } while (is_listed(entry));
}

Result<void> ColdTier::put(std::vector<Ready>& files) {
  // Listed before they are there: after a crash the next start knows what to erase.
  CatalogueChange listed;
  for (Ready& file : files) {
    file.entry.generation = ++generation_;
    file.entry.state = FileState::kWriting;
    name(file);
    listed.put.push_back(file.entry);
  }
  if (auto ok = commit(listed); !ok) return ok;
  for (Ready& file : files) {
    if (auto ok = put(file); !ok) return ok;
  }
  return {};
}

Result<void> ColdTier::put(Ready& file) {
  constexpr int kTries = 1'000;
  for (int i = 0;; ++i) {
    auto put = objects_.put_file(
        file.entry.key, file.path,
        {.content_type = "application/vnd.apache.parquet", .only_if_absent = true});
    if (put) break;
    if (put.error().code != Errc::kConflict) return std::unexpected(std::move(put.error()));
    // What stands there under a taken name is another's: only our entry goes.
    CatalogueChange renamed{.removed = {file.entry.key}, .put = {}};
    if (i < kTries) {
      name(file);
      renamed.put.push_back(file.entry);
    }
    if (auto ok = commit(renamed); !ok) return ok;
    if (i == kTries) return std::unexpected(std::move(put.error()));
  }
  std::error_code ignored;
  fs::remove(file.path, ignored);
  Sha256Stream sum;
  auto read = objects_.read(file.entry.key, [&](std::string_view bytes) -> Result<void> {
    sum.add(bytes);
    return {};
  });
  if (!read) return std::unexpected(std::move(read.error()));
  if (sum.finish() != file.entry.sha256)
    return fail(Errc::kCorrupt, fmt::format("cold file {} reads back otherwise than it was written",
                                            file.entry.key));
  return {};
}

Result<ColdTier::Ready> ColdTier::write(const std::vector<const Memory*>& rows,
                                        const std::string& path) {
  ASAHI_TRY(RowWriter writer, RowWriter::create(path, options_.file));
  KeyFilter filter(rows.size());
  Ready out{.entry = {}, .path = path, .day = day_of(rows.front()->timestamp)};
  ColdFile& entry = out.entry;
  entry.tenant = rows.front()->key.tenant;
  entry.system_id = rows.front()->key.system_id;
  entry.oldest = entry.newest = rows.front()->timestamp;
  for (const Memory* const memory : rows) {
    if (auto ok = writer.add(*memory); !ok) return std::unexpected(std::move(ok.error()));
    filter.add(memory->key.conversation_id);
    entry.oldest = std::min(entry.oldest, memory->timestamp);
    entry.newest = std::max(entry.newest, memory->timestamp);
  }
  ASAHI_TRY(const pq::Written written, writer.finish());
  out.entry.filter = filter.take();
  note(out.entry, written);
  return out;
}

bool ColdTier::abandoned(const ColdFile& file) const {
  return file.state == FileState::kWriting &&
         (options_.abandoned_after.count() == 0 ||
          clock_.now() - file.changed >= options_.abandoned_after);
}

Result<std::vector<UpsertOutcome>> ColdTier::upsert(std::vector<Memory> memories) {
  if (memories.empty()) return fail(Errc::kInvalidArgument, "an empty batch makes no cold file");
  for (std::size_t i = 0; i < memories.size(); ++i) {
    auto key = check_key(memories[i].key);
    if (!key) {
      key.error().field = fmt::format("memories[{}].{}", i, key.error().field);
      return std::unexpected(std::move(key.error()));
    }
    if (!std::ranges::all_of(memories[i].embedding, [](float v) { return std::isfinite(v); }))
      return fail_field(fmt::format("memories[{}].embedding", i), "a vector's numbers are finite");
  }
  const std::lock_guard changing(changing_);
  if (auto ok = refresh_locked(); !ok) return std::unexpected(std::move(ok.error()));
  std::vector<UpsertOutcome> outcomes(memories.size(), UpsertOutcome::kStored);
  std::map<Key, std::size_t> chosen;  // of each key the memory that counts
  std::map<std::string, ColdFile> changed;
  const auto entomb = [&](const File& file, const std::string& id) {
    bury(changed.try_emplace(file->key, *file).first->second, id);
  };
  for (std::size_t i = 0; i < memories.size(); ++i) {
    const Memory& memory = memories[i];
    const auto judge = [&](const Memory& there) {
      if (same_content(memory, there)) return UpsertOutcome::kUnchanged;
      return memory.timestamp > there.timestamp ? UpsertOutcome::kReplaced : UpsertOutcome::kOlder;
    };
    const auto earlier = chosen.find(memory.key);
    if (earlier != chosen.end()) {
      outcomes[i] = judge(memories[earlier->second]);
      if (outcomes[i] == UpsertOutcome::kReplaced) earlier->second = i;
      continue;
    }
    auto found = find(memory.key);
    if (!found) {
      // A damaged file keeps nobody from storing: whatever it holds of this key is the older.
      for (const File& file : live_files({memory.key.tenant, memory.key.system_id})) {
        if (KeyFilter::may_hold(file->filter, memory.key.conversation_id))
          entomb(file, memory.key.conversation_id);
      }
    } else if (*found) {
      outcomes[i] = judge(*(*found)->memory);
      if (outcomes[i] != UpsertOutcome::kReplaced) continue;
      entomb((*found)->file, memory.key.conversation_id);
    }
    chosen.emplace(memory.key, i);
  }
  if (chosen.empty()) return outcomes;
  // `chosen` goes by key, so each group ascends by conversation id.
  std::map<std::tuple<std::string, std::string, std::chrono::sys_days>, std::vector<const Memory*>>
      groups;
  for (const auto& [key, i] : chosen)
    groups[{key.tenant, key.system_id, day_of(memories[i].timestamp)}].push_back(&memories[i]);
  ASAHI_TRY(const auto folder, columnar::PrivateFolder::make(options_.temp_folder));
  std::vector<Ready> ready;
  for (const auto& [group, rows] : groups) {
    const std::string path = fmt::format("{}/{}.parquet", folder.path(), ready.size());
    ASAHI_TRY(ready.emplace_back(), write(rows, path));
  }
  CatalogueChange change;
  auto done = put(ready);
  if (done) {
    for (const Ready& file : ready) {
      change.put.push_back(file.entry);
      change.put.back().state = FileState::kLive;
    }
    for (auto& [key, file] : changed) change.put.push_back(std::move(file));
    done = commit(change);
  }
  if (!done) {
    // Nothing counts; what is on its way and could not be erased, the next start erases.
    std::vector<ColdFile> unfinished;
    std::set<std::string> mine;
    for (const Ready& file : ready) mine.insert(file.entry.key);
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [owner, files] : files_) {
        for (const File& file : files) {
          if (abandoned(*file) || mine.contains(file->key)) unfinished.push_back(*file);
        }
      }
    }
    (void)erase_objects(unfinished);
    return std::unexpected(std::move(done.error()));
  }
  return outcomes;
}

Result<std::uint64_t> ColdTier::erase(const std::vector<Key>& keys) {
  const std::lock_guard changing(changing_);
  if (auto ok = refresh_locked(); !ok) return std::unexpected(std::move(ok.error()));
  std::map<std::string, ColdFile> changed;
  std::uint64_t erased = 0;
  for (const Key& key : std::set<Key>(keys.begin(), keys.end())) {
    for (const File& file : live_files({key.tenant, key.system_id})) {
      if (!KeyFilter::may_hold(file->filter, key.conversation_id) ||
          buried(*file, key.conversation_id))
        continue;
      // In a damaged file it may be: a tombstone too many does no harm.
      auto rows = open_file(*file);
      const auto there = rows ? rows->holds(key.conversation_id) : Result<bool>(false);
      if (rows && there && !*there) continue;
      bury(changed.try_emplace(file->key, *file).first->second, key.conversation_id);
      if (rows && there) ++erased;
    }
  }
  if (changed.empty()) return 0;
  CatalogueChange change;
  for (auto& [key, file] : changed) change.put.push_back(std::move(file));
  if (auto ok = commit(change); !ok) return std::unexpected(std::move(ok.error()));
  return erased;
}

Result<std::uint64_t> ColdTier::erase_system(const std::string& tenant,
                                             const std::string& system_id) {
  const std::lock_guard changing(changing_);
  if (auto ok = refresh_locked(); !ok) return std::unexpected(std::move(ok.error()));
  CatalogueChange change;
  std::uint64_t erased = 0;
  for (const File& file : live_files({tenant, system_id})) {
    ColdFile& retired = change.put.emplace_back(*file);
    retired.state = FileState::kRetired;
    retired.changed = clock_.now();
    erased += rows_alive(*file);
  }
  if (change.put.empty()) return 0;
  if (auto ok = commit(change); !ok) return std::unexpected(std::move(ok.error()));
  return erased;
}

// ---- compaction

/// Merges the files, or drops them where nothing in them lives. False: one cannot be read.
Result<bool> ColdTier::merge(const std::vector<File>& files, std::chrono::sys_days day,
                             Compacted& done) {
  struct Cursor {
    File file;
    std::optional<RowFile> rows;
    std::size_t group = 0, row = 0;
    std::vector<Memory> memories;
  };
  std::vector<Cursor> cursors;
  std::uint64_t alive = 0, all = 0;
  for (const File& file : files) {
    all += file->rows;
    alive += rows_alive(*file);
    auto rows = open_file(*file);
    if (!rows) return false;
    cursors.push_back({.file = file, .rows = *std::move(rows), .memories = {}});
  }
  // The next living row; the memories of a row group at a time are in memory.
  const auto advance = [](Cursor& cursor) -> Result<bool> {
    for (;;) {
      for (; cursor.row < cursor.memories.size(); ++cursor.row) {
        if (!buried(*cursor.file, cursor.memories[cursor.row].key.conversation_id)) return true;
      }
      if (cursor.group == cursor.rows->groups()) return false;
      ASAHI_TRY(cursor.memories,
                cursor.rows->memories(cursor.group++, cursor.file->tenant, cursor.file->system_id));
      cursor.row = 0;
    }
  };
  ASAHI_TRY(auto folder, columnar::PrivateFolder::make(options_.temp_folder));
  const std::string path = folder.file(".parquet");
  ASAHI_TRY(RowWriter writer, RowWriter::create(path, options_.file));
  KeyFilter filter(alive);
  ColdFile entry;
  entry.tenant = files.front()->tenant;
  entry.system_id = files.front()->system_id;
  const auto id_of = [](const Cursor& cursor) -> const std::string& {
    return cursor.memories[cursor.row].key.conversation_id;
  };
  std::vector<Cursor*> open;
  for (Cursor& cursor : cursors) {
    auto more = advance(cursor);
    if (!more) return false;
    if (*more) open.push_back(&cursor);
  }
  while (!open.empty()) {
    // A handful of files: the least by looking. Of one id in two files the later file's counts.
    Cursor* next = open.front();
    for (Cursor* cursor : open) {
      const int order = id_of(*cursor).compare(id_of(*next));
      if (order < 0 || (order == 0 && cursor->file->generation > next->file->generation))
        next = cursor;
    }
    const std::string id = id_of(*next);
    const Memory& memory = next->memories[next->row];
    if (auto ok = writer.add(memory); !ok) return std::unexpected(std::move(ok.error()));
    filter.add(id);
    entry.oldest = writer.rows() == 1 ? memory.timestamp : std::min(entry.oldest, memory.timestamp);
    entry.newest = writer.rows() == 1 ? memory.timestamp : std::max(entry.newest, memory.timestamp);
    for (auto at = open.begin(); at != open.end();) {
      if (id_of(**at) != id) {
        ++at;
        continue;
      }
      ++(*at)->row;
      auto more = advance(**at);
      if (!more) return false;
      at = *more ? at + 1 : open.erase(at);
    }
  }
  CatalogueChange change;
  for (const File& file : files) {
    ColdFile& retired = change.put.emplace_back(*file);
    retired.state = FileState::kRetired;
    retired.changed = clock_.now();
  }
  if (writer.rows() > 0) {
    ASAHI_TRY(const pq::Written written, writer.finish());
    entry.filter = filter.take();
    note(entry, written);
    std::vector<Ready> merged;
    merged.push_back({.entry = std::move(entry), .path = path, .day = day});
    if (auto ok = put(merged); !ok) return std::unexpected(std::move(ok.error()));
    change.put.push_back(std::move(merged.front().entry));
    change.put.back().state = FileState::kLive;
    ++done.files_after;
  }
  if (auto ok = commit(change); !ok) return std::unexpected(std::move(ok.error()));
  done.files_before += files.size();
  done.rows_dropped += all - writer.rows();
  return true;
}

Result<Compacted> ColdTier::compact(Clock::Steady deadline) {
  const std::lock_guard changing(changing_);
  if (auto ok = refresh_locked(); !ok) return std::unexpected(std::move(ok.error()));
  std::vector<ColdFile> gone;
  std::map<std::tuple<std::string, std::string, std::chrono::sys_days>, std::vector<File>> groups;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [owner, files] : files_) {
      for (const File& file : files) {
        const auto name = parse_object_key(file->key);
        if (file->state == FileState::kRetired) {
          if (clock_.now() - file->changed >= options_.grace) gone.push_back(*file);
        } else if (file->state == FileState::kWriting) {
          if (abandoned(*file)) gone.push_back(*file);
        } else if (name) {
          groups[{owner.first, owner.second, name->day}].push_back(file);
        }
      }
    }
  }
  Compacted done;
  if (!gone.empty()) {
    if (auto ok = erase_objects(gone); !ok) return std::unexpected(std::move(ok.error()));
    done.objects_erased = gone.size();
  }
  for (auto& [group, files] : groups) {
    // Small ones together, and each that is dead for a good part.
    std::vector<File> batch;
    std::uint64_t rows = 0;
    bool dead = false;
    std::ranges::sort(files, {}, [](const File& file) { return file->rows; });
    const auto flush = [&]() -> Result<void> {
      if (batch.size() > 1 || dead) {
        if (auto merged = merge(batch, std::get<2>(group), done); !merged)
          return std::unexpected(std::move(merged.error()));
      }
      batch.clear();
      rows = 0;
      dead = false;
      return {};
    };
    constexpr std::size_t kFiles = 64;  // open at a time
    for (const File& file : files) {
      if (clock_.steady_now() >= deadline) return done;
      const bool rotten = static_cast<double>(file->tombstones.size()) >=
                          options_.dead_share * static_cast<double>(file->rows);
      if (file->rows >= options_.merge_rows && !rotten) continue;
      if (!batch.empty() && (rows + file->rows > options_.merge_rows || batch.size() == kFiles)) {
        if (auto ok = flush(); !ok) return std::unexpected(std::move(ok.error()));
      }
      batch.push_back(file);
      rows += file->rows;
      dead = dead || rotten;
    }
    if (auto ok = flush(); !ok) return std::unexpected(std::move(ok.error()));
  }
  return done;
}

Result<void> ColdTier::snapshot(const std::string& folder) {
  // An object may go while the others are copied: merged into another, and its time was over. What
  // the catalogue says then names that other one.
  constexpr int kTries = 3;
  for (int i = 1;; ++i) {
    if (auto known = refresh(); !known) return known;
    auto done = copy_live(folder);
    if (done || done.error().code != Errc::kNotFound || i == kTries) return done;
  }
}

Result<void> ColdTier::copy_live(const std::string& folder) {
  CatalogueChange all;
  std::error_code failed;
  // Of an earlier try: the list is of one moment.
  fs::remove(fs::path(folder) / "catalogue", failed);
  for (const File& file : live_files()) {
    const fs::path to = fs::path(folder) / "objects" / file->key;
    fs::create_directories(to.parent_path(), failed);
    if (failed) return fail(Errc::kUnavailable, "cannot make " + to.parent_path().string());
    all.put.push_back(*file);
    if (fs::exists(to, failed)) continue;
    if (auto got = objects_.get_file(file->key, to.string()); !got)
      return std::unexpected(std::move(got.error()));
  }
  std::error_code ignored;
  fs::create_directories(folder, ignored);
  FileCatalogue catalogue((fs::path(folder) / "catalogue").string());
  if (auto loaded = catalogue.load(); !loaded) return std::unexpected(std::move(loaded.error()));
  return catalogue.commit(all);
}

}  // namespace asahi::memory::cold
