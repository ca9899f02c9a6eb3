#include "memory/cold/tier.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "base/log.h"
#include "memory/cold/key_filter.h"
#include "memory/cold/tombstones.h"
#include "storage/columnar/private_folder.h"

namespace asahi::memory::cold {

namespace {

/// The same text: by its hash where there is one, as ageing cuts texts down.
bool same_content(const Memory& a, const Memory& b) {
  const Digest none{};
  if (a.content_hash != none && b.content_hash != none) return a.content_hash == b.content_hash;
  return a.content == b.content;
}

Result<void> check(const std::vector<Memory>& memories) {
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
  return {};
}

}  // namespace

ColdTier::ColdTier(object::ObjectStore& objects, Catalogue& catalogue, const Clock& clock,
                   ColdOptions options)
    : objects_(objects),
      clock_(clock),
      options_(std::move(options)),
      listing_(catalogue),
      reader_(objects, options_.whole_bytes, options_.cache_bytes),
      work_(options_.files_at_once),
      putting_(objects, listing_, reader_, clock, options_.shards, options_.archive, work_),
      rows_(options_.rows_bytes, clock, work_) {}

ColdTier::~ColdTier() { work_.join(); }

Result<std::unique_ptr<ColdTier>> ColdTier::open(object::ObjectStore& objects, Catalogue& catalogue,
                                                 const Clock& clock, ColdOptions options) {
  std::unique_ptr<ColdTier> made(new ColdTier(objects, catalogue, clock, std::move(options)));
  if (auto loaded = made->listing_.load(); !loaded) {
    const bool shared = made->options_.abandoned_after.count() > 0;
    if (!shared || loaded.error().code == Errc::kCorrupt)
      return std::unexpected(std::move(loaded.error()));
    return made;
  }
  std::vector<ColdFile> unfinished;
  for (const File& file : made->listing_.others()) {
    if (made->abandoned(*file)) unfinished.push_back(*file);
  }
  // What a killed process had on its way; where the store is away, the next start does it.
  (void)made->erase_objects(unfinished);
  return made;
}

Result<void> ColdTier::refresh() {
  // While a change is under way here, it sees to that itself.
  const std::unique_lock changing(changing_, std::try_to_lock);
  if (!changing && listing_.known()) return {};
  if (!changing) return fail(Errc::kUnavailable, "the cold catalogue is being read; try again");
  auto seen = listing_.refresh();
  if (seen || !listing_.known()) return seen;
  Logger("memory.cold")
      .warning("the cold catalogue does not answer; what is known of it serves",
               {{"error", seen.error().message}});
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
    if (auto ok = listing_.commit(change); !ok) return ok;
  }
  return result;
}

TierStats ColdTier::stats(const std::string& tenant) const {
  TierStats out;
  for (const File& file : listing_.live(tenant)) {
    out.records += rows_alive(*file);
    out.bytes += file->bytes;
    out.oldest = std::min(out.oldest.value_or(file->oldest), file->oldest);
    out.newest = std::max(out.newest.value_or(file->newest), file->newest);
  }
  return out;
}

bool ColdTier::abandoned(const ColdFile& file) const {
  return file.state == FileState::kWriting && !putting_.under_way(file.key) &&
         (options_.abandoned_after.count() == 0 ||
          clock_.now() - file.changed >= options_.abandoned_after);
}

/// Nothing counts; what is on its way and could not be erased, the next start erases.
void ColdTier::give_up(const std::vector<Ready>& files) {
  putting_.done(files);
  std::set<std::string> mine;
  for (const Ready& file : files) mine.insert(file.entry.key);
  std::vector<ColdFile> unfinished;
  for (const File& file : listing_.others()) {
    if (abandoned(*file) || mine.contains(file->key)) unfinished.push_back(*file);
  }
  (void)erase_objects(unfinished);
}

/// A file of each system and month; the rows ascend by key.
Result<std::vector<Ready>> ColdTier::write(const std::vector<const Memory*>& rows,
                                           const std::string& folder) {
  std::map<std::tuple<std::string, std::string, std::chrono::year_month>,
           std::vector<const Memory*>>
      groups;
  for (const Memory* const row : rows)
    groups[{row->key.tenant, row->key.system_id, partition_of(row->timestamp)}].push_back(row);
  std::vector<Ready> ready;
  for (const auto& [group, members] : groups) {
    ASAHI_TRY(FileInMaking file,
              FileInMaking::create(fmt::format("{}/{}.parquet", folder, ready.size()),
                                   options_.file, members.size()));
    for (const Memory* const memory : members) {
      if (auto ok = file.add(*memory); !ok) return std::unexpected(std::move(ok.error()));
    }
    ASAHI_TRY(ready.emplace_back(), file.finish());
  }
  return ready;
}

Result<std::vector<UpsertOutcome>> ColdTier::upsert(std::vector<Memory> memories) {
  if (auto ok = check(memories); !ok) return std::unexpected(std::move(ok.error()));
  const std::lock_guard changing(changing_);
  if (auto ok = listing_.refresh(); !ok) return std::unexpected(std::move(ok.error()));
  std::vector<UpsertOutcome> outcomes(memories.size(), UpsertOutcome::kStored);
  std::vector<Key> keys;
  keys.reserve(memories.size());
  for (const Memory& memory : memories) keys.push_back(memory.key);
  const auto known = find(keys);
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
    const auto& found = known[i];
    if (!found) {
      // A damaged file keeps nobody from storing: whatever it holds of this key is the older.
      for (const File& file : listing_.live({memory.key.tenant, memory.key.system_id})) {
        if (KeyFilter::may_hold(file->filter, memory.key.conversation_id))
          entomb(file, memory.key.conversation_id);
      }
    } else if (*found) {
      outcomes[i] = judge((*found)->memory);
      if (outcomes[i] != UpsertOutcome::kReplaced) continue;
      entomb((*found)->file, memory.key.conversation_id);
    }
    chosen.emplace(memory.key, i);
  }
  if (chosen.empty()) return outcomes;
  std::vector<const Memory*> rows;
  for (const auto& [key, i] : chosen) rows.push_back(&memories[i]);
  ASAHI_TRY(const auto folder, columnar::PrivateFolder::make(options_.temp_folder));
  ASAHI_TRY(std::vector<Ready> ready, write(rows, folder.path()));
  std::mutex renaming;  // several are put at a time
  const Putting::Commit commit = [&](const CatalogueChange& change) {
    const std::lock_guard lock(renaming);
    return listing_.commit(change);
  };
  auto done = putting_.list(ready, commit);
  if (done) done = putting_.put(ready, commit);
  if (done) {
    CatalogueChange change;
    for (const Ready& file : ready) {
      change.put.push_back(file.entry);
      change.put.back().state = FileState::kLive;
    }
    for (auto& [key, file] : changed) change.put.push_back(std::move(file));
    done = listing_.commit(change);
  }
  if (!done) {
    give_up(ready);
    return std::unexpected(std::move(done.error()));
  }
  putting_.done(ready);
  return outcomes;
}

Result<std::uint64_t> ColdTier::erase(const std::vector<Key>& keys) {
  const std::lock_guard changing(changing_);
  if (auto ok = listing_.refresh(); !ok) return std::unexpected(std::move(ok.error()));
  std::map<std::string, ColdFile> changed;
  std::uint64_t erased = 0;
  for (const Key& key : std::set<Key>(keys.begin(), keys.end())) {
    for (const File& file : listing_.live({key.tenant, key.system_id})) {
      if (!KeyFilter::may_hold(file->filter, key.conversation_id) ||
          is_buried(*file, key.conversation_id))
        continue;
      // In a damaged file it may be: a tombstone too many does no harm.
      auto rows = reader_.open(*file);
      const auto there = rows ? rows->holds(key.conversation_id) : Result<bool>(false);
      if (rows && there && !*there) continue;
      bury(changed.try_emplace(file->key, *file).first->second, key.conversation_id);
      if (rows && there) ++erased;
    }
  }
  if (changed.empty()) return 0;
  CatalogueChange change;
  for (auto& [key, file] : changed) change.put.push_back(std::move(file));
  if (auto ok = listing_.commit(change); !ok) return std::unexpected(std::move(ok.error()));
  return erased;
}

Result<std::uint64_t> ColdTier::erase_system(const std::string& tenant,
                                             const std::string& system_id) {
  const std::lock_guard changing(changing_);
  if (auto ok = listing_.refresh(); !ok) return std::unexpected(std::move(ok.error()));
  CatalogueChange change;
  std::uint64_t erased = 0;
  for (const File& file : listing_.live({tenant, system_id})) {
    retire(change.put.emplace_back(*file), clock_.now());
    erased += rows_alive(*file);
  }
  if (change.put.empty()) return 0;
  if (auto ok = listing_.commit(change); !ok) return std::unexpected(std::move(ok.error()));
  return erased;
}

Result<std::vector<std::string>> ColdTier::older_rows(const ColdFile& file, Clock::Time before) {
  std::vector<std::string> ids;
  ASAHI_TRY(RowFile rows, reader_.open(file));
  for (std::size_t group = 0; group < rows.groups(); ++group) {
    if (!rows.overlaps(group, std::nullopt, before)) continue;
    ASAHI_TRY(const auto names, rows.read(group, ColumnId::kConversationId));
    ASAHI_TRY(const auto times, rows.read(group, ColumnId::kTimestamp));
    for (std::size_t row = 0; row < names.rows(); ++row) {
      const bool old = Clock::Time(std::chrono::nanoseconds(times.number(row))) < before;
      if (old && !is_buried(file, names.bytes(row))) ids.emplace_back(names.bytes(row));
    }
  }
  return ids;
}

Result<Expired> ColdTier::expire(const std::string& tenant, Clock::Time before, bool only_count) {
  const std::lock_guard changing(changing_);
  if (auto ok = listing_.refresh(); !ok) return std::unexpected(std::move(ok.error()));
  Expired out;
  CatalogueChange change;
  for (const File& file : listing_.live(tenant)) {
    if (file->oldest >= before) continue;
    if (file->newest < before) {
      retire(change.put.emplace_back(*file), clock_.now());
      out.records += rows_alive(*file);
      ++out.files;
      continue;
    }
    ASAHI_TRY(const std::vector<std::string> ids, older_rows(*file, before));
    if (ids.empty()) continue;
    ColdFile& entombed = change.put.emplace_back(*file);
    entombed.tombstones.insert(entombed.tombstones.end(), ids.begin(), ids.end());
    std::ranges::sort(entombed.tombstones);
    out.records += ids.size();
  }
  if (only_count || change.put.empty()) return out;
  if (auto ok = listing_.commit(change); !ok) return std::unexpected(std::move(ok.error()));
  return out;
}

}  // namespace asahi::memory::cold
