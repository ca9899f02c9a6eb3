// Looking rows up and searching.
#include <algorithm>
#include <deque>
#include <string_view>

#include "base/scheduling.h"
#include "memory/cold/key_filter.h"
#include "memory/cold/scan.h"
#include "memory/cold/tier.h"
#include "memory/cold/tombstones.h"

namespace asahi::memory::cold {

namespace {

constexpr int kNice = 5;
/// Files up to this size are read for a search as a whole, larger ones row group by row group.
constexpr std::uint64_t kUnitRows = 20'000;
/// Rows that are read ahead of a search.
constexpr std::uint64_t kRowsAhead = 40'000;
constexpr std::size_t kUnitsAhead = 32;
/// From so many keys on, and this share of its rows, a file is read as a whole.
constexpr std::size_t kManyKeys = 4;
constexpr std::uint64_t kWholeShare = 16;

Result<RowCache::Rows> read_rows(Reader& reader, const ColdFile& file,
                                 std::optional<std::size_t> only) {
  ASAHI_TRY(RowFile opened, reader.open(file));
  auto rows = std::make_shared<SearchRows>(file.tenant, file.system_id);
  for (std::size_t group = 0; group < opened.groups(); ++group) {
    if (only && *only != group) continue;
    if (auto ok = rows->add(opened, group); !ok) {
      ok.error().message = "cold file " + file.key + ": " + ok.error().message;
      return std::unexpected(std::move(ok.error()));
    }
  }
  rows->finish();
  return rows;
}

}  // namespace

/// What a search reads at once.
struct ColdTier::Unit {
  File file;
  std::optional<std::size_t> group;  ///< nothing: the whole file
  std::uint64_t rows = 0;            ///< about
};
struct ColdTier::Reading {
  Unit unit;
  RowCache::Loading rows;
};

std::vector<Result<std::optional<Memory>>> ColdTier::get(const std::vector<Key>& keys) {
  std::vector<Result<std::optional<Memory>>> out;
  out.reserve(keys.size());
  for (auto& found : find(keys)) {
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

std::vector<Result<std::optional<ColdTier::Found>>> ColdTier::find(const std::vector<Key>& keys) {
  std::vector<Result<std::optional<Found>>> out(keys.size());
  std::map<Owner, std::vector<std::size_t>> owners;
  for (std::size_t i = 0; i < keys.size(); ++i)
    owners[{keys[i].tenant, keys[i].system_id}].push_back(i);
  for (auto& [owner, left] : owners) {
    auto files = listing_.live(owner);
    std::ranges::sort(files, std::greater<>(), [](const File& file) { return file->generation; });
    for (const File& file : files) {
      std::vector<std::size_t> wanted;
      for (const std::size_t i : left) {
        const std::string& id = keys[i].conversation_id;
        if (KeyFilter::may_hold(file->filter, id) && !is_buried(*file, id)) wanted.push_back(i);
      }
      if (wanted.empty()) continue;
      look_into(file, keys, wanted, out);
      std::erase_if(left, [&](std::size_t i) { return !out[i] || out[i]->has_value(); });
    }
  }
  return out;
}

void ColdTier::look_into(const File& file, const std::vector<Key>& keys,
                         const std::vector<std::size_t>& wanted,
                         std::vector<Result<std::optional<Found>>>& out) {
  auto rows = reader_.open(*file);
  const auto fails = [&](std::size_t i, const Error& error) { out[i] = std::unexpected(error); };
  if (!rows) {
    for (const std::size_t i : wanted) fails(i, rows.error());
    return;
  }
  if (wanted.size() < kManyKeys || wanted.size() * kWholeShare < file->rows) {
    for (const std::size_t i : wanted) {
      auto memory = rows->find(keys[i]);
      if (!memory) {
        fails(i, memory.error());
      } else if (*memory) {
        out[i] = Found{.file = file, .memory = **std::move(memory)};
      }
    }
    return;
  }
  std::multimap<std::string_view, std::size_t> left;
  for (const std::size_t i : wanted) left.emplace(keys[i].conversation_id, i);
  for (std::size_t group = 0; group < rows->groups(); ++group) {
    auto memories = rows->memories(group, file->tenant, file->system_id);
    if (!memories) {
      for (const auto& [id, i] : left) {
        if (!*out[i]) fails(i, memories.error());
      }
      return;
    }
    for (const Memory& memory : *memories) {
      const auto [begin, end] = left.equal_range(memory.key.conversation_id);
      for (auto at = begin; at != end; ++at)
        out[at->second] = Found{.file = file, .memory = memory};
    }
  }
}

Result<std::vector<ColdTier::Unit>> ColdTier::units_of(const File& file, const StoreQuery& query) {
  std::vector<Unit> units;
  if (file->rows <= kUnitRows) {
    units.push_back({.file = file, .group = {}, .rows = file->rows});
    return units;
  }
  ASAHI_TRY(const RowFile rows, reader_.open(*file));
  for (std::size_t group = 0; group < rows.groups(); ++group) {
    if (rows.overlaps(group, query.filter.start, query.filter.end))
      units.push_back({.file = file, .group = group, .rows = rows.layout()->groups[group].rows});
  }
  return units;
}

RowCache::Loading ColdTier::load(const Unit& unit) {
  std::string name = unique_name(*unit.file);
  if (unit.group) name += "/" + std::to_string(*unit.group);
  return rows_.get(name, [this, unit]() -> Result<RowCache::Rows> {
    // Nobody's answer waits for a processor because of files that are read.
    thread_local const bool polite = (work_in_background(kNice), true);
    static_cast<void>(polite);
    return read_rows(reader_, *unit.file, unit.group);
  });
}

Result<ColdPage> ColdTier::search(StoreQuery query, Clock::Steady deadline) {
  if (query.limit < 1 || query.limit > 1'000)
    return fail_field("limit", "a search gives 1 to 1000 memories");
  Scan scan(query);
  auto files = listing_.live(query.tenant);
  std::erase_if(files, [&](const File& file) { return !scan.wants(*file); });
  std::ranges::sort(files, [](const File& a, const File& b) {
    return a->newest != b->newest ? a->newest > b->newest : a->key < b->key;
  });
  ColdPage out;
  std::set<const ColdFile*> read;
  std::vector<Unit> added;  // in the order of the scan
  std::deque<Reading> ahead;
  std::uint64_t rows_ahead = 0;
  const auto lost = [&](const ColdFile& file, Error error) {
    out.complete = false;
    out.unread.push_back({file.key, std::move(error)});
  };
  // False: the time is over.
  const auto take = [&] {
    Reading next = std::move(ahead.front());
    ahead.pop_front();
    rows_ahead -= next.unit.rows;
    const auto now = clock_.steady_now();
    constexpr auto kLongest = std::chrono::hours(1);
    const auto patience = deadline - kLongest > now ? kLongest : deadline - now;
    if (now >= deadline || next.rows.wait_for(patience) != std::future_status::ready) {
      out.complete = false;
      return false;
    }
    const auto& rows = next.rows.get();
    if (!rows) {
      lost(*next.unit.file, rows.error());
      return true;
    }
    read.insert(next.unit.file.get());
    added.push_back(next.unit);
    scan.add(next.unit.file, *rows);
    return true;
  };
  bool in_time = clock_.steady_now() < deadline;
  for (const File& file : files) {
    if (!in_time) break;
    auto units = units_of(file, query);
    if (!units) {
      lost(*file, std::move(units.error()));
      continue;
    }
    for (Unit& unit : *units) {
      while (in_time && !ahead.empty() &&
             (rows_ahead + unit.rows > kRowsAhead || ahead.size() == kUnitsAhead))
        in_time = take();
      if (!in_time) break;
      rows_ahead += unit.rows;
      auto loading = load(unit);
      ahead.push_back({.unit = std::move(unit), .rows = std::move(loading)});
    }
  }
  while (in_time && !ahead.empty()) in_time = take();
  out.complete = out.complete && in_time;
  out.files = read.size();
  if (out.files == 0 && !out.unread.empty())
    return std::unexpected(std::move(out.unread.front().error));
  std::optional<Error> missing;
  out.page = std::move(scan).page(
      [&](std::size_t number) -> Result<RowCache::Rows> {
        const auto loading = load(added[number]);
        return loading.get();
      },
      missing);
  if (missing) out.complete = false;
  return out;
}

}  // namespace asahi::memory::cold
