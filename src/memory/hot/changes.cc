// What was written since a number: how graph and series follow the hot tier.
#include <algorithm>
#include <fstream>
#include <limits>
#include <shared_mutex>

#include "base/file.h"
#include "base/ids.h"
#include "memory/hot/engine.h"
#include "memory/hot/shelf.h"

namespace asahi::memory::hot {
namespace {

/// 24 bytes each.
constexpr std::size_t kMostRecent = 65'536;

}  // namespace

void Engine::remember_written() {
  {
    const std::lock_guard lock(recent_mutex_);
    for (const Touched& each : touched_) {
      if (!each.shelf->table.has(each.slot, Table::kDurable)) continue;
      recent_.push_back({each.shelf->table.place(each.slot).sequence, each.shelf, each.slot});
    }
    for (; recent_.size() > kMostRecent; recent_.pop_front())
      recent_from_ = std::max(recent_from_, recent_.front().sequence);
  }
  shown_.store(log_->durable_sequence(), std::memory_order_release);
}

WrittenPage Engine::written_since(std::uint64_t since, std::size_t limit) const {
  WrittenPage page;
  // Read first: what is written meanwhile is the next page's.
  page.upto = std::max(since, last_written());
  std::vector<Recent> found;
  const auto wanted = [&](std::uint64_t sequence) {
    return sequence > since && sequence <= page.upto;
  };
  bool recent = false;
  {
    const std::lock_guard lock(recent_mutex_);
    recent = since >= recent_from_;
    if (recent) {
      for (const Recent& each : recent_) {
        if (wanted(each.sequence)) found.push_back(each);
      }
    }
  }
  if (!recent) {
    for (Shelf* const shelf : shelves()) {
      const std::shared_lock lock(shelf->gate);
      for (std::uint32_t slot = 0; slot < shelf->table.slots(); ++slot) {
        const std::uint64_t sequence = shelf->table.place(slot).sequence;
        if (wanted(sequence) && shelf->table.has(slot, Table::kDurable))
          found.push_back({sequence, shelf, slot});
      }
    }
  }
  if (found.size() > limit) {
    std::ranges::nth_element(found, found.begin() + static_cast<std::ptrdiff_t>(limit), {},
                             &Recent::sequence);
    found.resize(limit);
    page.upto = std::ranges::max(found, {}, &Recent::sequence).sequence;
  }
  std::ranges::sort(found, {}, &Recent::sequence);
  for (const Recent& each : found) {
    const std::shared_lock lock(each.shelf->gate);
    const Table& table = each.shelf->table;
    // Written anew or erased since it was noted.
    if (!table.has(each.slot, Table::kDurable) ||
        table.place(each.slot).sequence != each.sequence) {
      continue;
    }
    const bool duplicate = table.has(each.slot, Table::kAlias);
    const LogReader reader = log_->reader();
    auto memory = duplicate ? read_alias(*each.shelf, reader, each.slot)
                            : read_row(*each.shelf, reader, each.slot);
    if (!memory) continue;
    page.rows.push_back({std::move(*memory), each.sequence, duplicate});
  }
  return page;
}

bool Engine::wait_written(std::uint64_t since, std::chrono::milliseconds most,
                          std::stop_token stop) const {
  std::unique_lock lock(work_mutex_);
  return work_changed_.wait_for(lock, stop, most, [&] { return last_written() > since; });
}

Result<std::string> Engine::feed_name() const {
  if (options_.folder == ":memory:") return std::string("hot in memory");
  const std::string path = options_.folder + "/" + std::string(kFeedName);
  const std::lock_guard lock(name_mutex_);
  std::string name;
  if (std::ifstream in(path); in >> name && name.starts_with("hot_")) return name;
  name = random_id("hot_", 16);
  if (auto ok = replace_file(path, name + "\n"); !ok) return std::unexpected(ok.error());
  return name;
}

std::vector<bool> Engine::has(const std::vector<Key>& keys) const {
  std::vector<bool> out(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const Shelf* const shelf = find_shelf(keys[i].tenant);
    if (shelf == nullptr) continue;
    const std::shared_lock lock(shelf->gate);
    out[i] = find(*shelf, log_->reader(), keys[i].system_id, keys[i].conversation_id,
                  Table::kDurable) != kNoSlot;
  }
  return out;
}

}  // namespace asahi::memory::hot
