#include "memory/cold/merge_plan.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace asahi::memory::cold {

namespace {

using File = Listing::File;

constexpr std::size_t kFiles = 64;           ///< open at a time
constexpr std::uint64_t kRowsOpen = 40'000;  ///< in memory at a time
constexpr std::uint64_t kSmall = 10'000;     ///< rows: cheap enough to write anew for one more
constexpr std::uint64_t kGrowth = 4;         ///< else a file waits for a quarter of its rows

bool rotten(const ColdFile& file, const MergeRules& rules) {
  return static_cast<double>(file.tombstones.size()) >=
         std::max(1.0, rules.dead_share * static_cast<double>(file.rows));
}

/// Files of one class have sizes within a factor of `ripe`.
std::size_t size_class(const ColdFile& file, std::size_t ripe) {
  const auto bits = std::bit_width(std::max<std::uint64_t>(file.rows, 1)) - 1;
  return static_cast<std::size_t>(bits) / static_cast<std::size_t>(std::bit_width(ripe) - 1);
}

/// As many of the first as may be open at a time.
std::vector<File> bounded(std::vector<File> files, const MergeRules& rules) {
  std::uint64_t open = 0, rows = 0;
  std::size_t taken = 0;
  for (; taken < std::min(files.size(), kFiles); ++taken) {
    open += std::min(files[taken]->rows, rules.group_rows);
    rows += files[taken]->rows;
    if (taken >= 2 && (open > kRowsOpen || rows > rules.merge_rows)) break;
  }
  files.resize(taken);
  return files;
}

std::vector<File> ripe_ones(const std::vector<File>& by_rows, const MergeRules& rules) {
  std::size_t of_class = 0, end = 0;
  for (std::size_t i = 0; i < by_rows.size(); ++i) {
    const bool same =
        i > 0 && size_class(*by_rows[i], rules.ripe) == size_class(*by_rows[i - 1], rules.ripe);
    of_class = same ? of_class + 1 : 1;
    // The smaller ones come along.
    if (of_class >= rules.ripe) end = i + 1;
  }
  return {by_rows.begin(), by_rows.begin() + static_cast<std::ptrdiff_t>(end)};
}

std::vector<File> worth_it(const std::vector<File>& by_rows) {
  std::size_t end = 0;
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < by_rows.size(); ++i) {
    if (by_rows[i]->rows > std::max(kSmall, kGrowth * sum)) break;
    sum += by_rows[i]->rows;
    end = i + 1;
  }
  if (end < 2) return {};
  return {by_rows.begin(), by_rows.begin() + static_cast<std::ptrdiff_t>(end)};
}

}  // namespace

File next_to_archive(const std::vector<File>& partition, const ArchiveRules& rules,
                     Clock::Time now) {
  for (const File& file : partition) {
    const std::string wanted = rules.class_of(file->newest, now);
    if (!wanted.empty() && file->storage_class != wanted) return file;
  }
  return nullptr;
}

std::chrono::year_month partition_of(Clock::Time oldest) {
  const std::chrono::year_month_day day(std::chrono::floor<std::chrono::days>(oldest));
  return day.year() / day.month();
}

std::vector<File> next_merge(std::vector<File> partition, MergeNeed need, const MergeRules& rules) {
  std::vector<File> small;
  for (const File& file : partition) {
    if (file->rows < rules.merge_rows) small.push_back(file);
  }
  std::ranges::sort(small, [](const File& a, const File& b) {
    return a->rows != b->rows ? a->rows < b->rows : a->key < b->key;
  });
  std::vector<File> chosen =
      bounded(need == MergeNeed::kRipe ? ripe_ones(small, rules) : worth_it(small), rules);
  if (!chosen.empty() || need == MergeNeed::kRipe) return chosen;
  const auto dead =
      std::ranges::find_if(partition, [&](const File& file) { return rotten(*file, rules); });
  if (dead != partition.end()) chosen.push_back(*dead);
  return chosen;
}

}  // namespace asahi::memory::cold
