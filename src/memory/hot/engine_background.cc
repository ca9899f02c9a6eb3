// Starting the hot tier, and what its other threads do: linking, compacting, checkpoints.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <shared_mutex>

#include "base/file.h"
#include "base/log.h"
#include "base/scheduling.h"
#include "memory/hot/engine.h"
#include "memory/hot/restoring.h"

namespace asahi::memory::hot {
namespace {

constexpr std::size_t kLinkedAtOnce = 32;
constexpr std::size_t kMovedAtOnce = 512;
constexpr int kBackground = 5;
/// While others want the processors linking rests so many times as long as it worked: searches find
/// what waits anyway. Less the more waits, not at all from half of what may wait on.
constexpr double kRest = 8;

}  // namespace

// ---- Start --------------------------------------------------------------------------------------

Result<void> Engine::load() {
  LogOptions options = options_.log;
  begin_restoring();
  ASAHI_TRY(log_, Log::open(
                      std::move(options),
                      [this](Log& log, const Frame& frame, Position position) {
                        return replay(log, frame, position);
                      },
                      opened_));
  if (auto ok = fill(); !ok) return ok;
  end_restoring();
  recent_from_ = log_->durable_sequence();
  shown_ = recent_from_;
  return {};
}

Result<void> Engine::replay(Log& log, const Frame& frame, Position position) {
  const auto unreadable = [&] {
    return fail(Errc::kCorrupt,
                fmt::format("record {} of the hot store's log is whole but not understood; it may "
                            "come from a newer version",
                            frame.sequence));
  };
  const auto drop = [&](Shelf& shelf, std::uint32_t slot) {
    Table& table = shelf.table;
    log.drop_live(table.place(slot).position, table.place(slot).size);
    const auto flags = static_cast<std::uint8_t>(table.flags(slot) & Table::kAlias);
    table.set_flags(slot, flags);
    table.clear_owner(slot);
    table.release(slot);
  };
  const auto drop_aliases = [&](Shelf& shelf, std::uint32_t owner) {
    while (const auto* const list = shelf.table.aliases(owner)) drop(shelf, list->front());
  };
  const auto show = [&](Shelf& shelf, std::uint32_t slot) {
    shelf.table.set_flags(slot, shelf.table.flags(slot) | Table::kDurable);
    log.add_live(position, frame.size);
  };
  const LogReader reader = log.reader();
  Table::Place place;
  place.position = position;
  place.size = frame.size;
  place.sequence = frame.sequence;
  if (frame.type == RecordType::kTombstone) {
    const auto view = parse_tombstone(frame.payload);
    if (!view) return unreadable();
    Shelf* const shelf = find_shelf(view->tenant);
    if (shelf == nullptr) return {};
    const std::uint32_t slot =
        find(*shelf, reader, view->system_id, view->conversation_id, Table::kCurrent);
    if (slot == kNoSlot) return {};
    drop_aliases(*shelf, slot);
    drop(*shelf, slot);
    return {};
  }
  if (frame.type == RecordType::kSeen) {
    const auto view = parse_seen(frame.payload);
    if (!view) return unreadable();
    Shelf& shelf = shelf_of(view->tenant);
    const std::uint32_t owner =
        find(shelf, reader, view->owner_system, view->owner_conversation, Table::kCurrent);
    // Superseded, and what superseded it comes later.
    if (owner == kNoSlot || shelf.table.has(owner, Table::kAlias)) return {};
    const std::uint32_t known =
        find(shelf, reader, view->system_id, view->conversation_id, Table::kCurrent);
    if (known == owner) return {};
    if (known != kNoSlot) {
      drop_aliases(shelf, known);
      drop(shelf, known);
    }
    place.key_hash = key_hash(view->system_id, view->conversation_id);
    const std::uint32_t slot =
        shelf.table.add(place, view->system_id, view->timestamp, read_fields(view->metadata), true);
    shelf.table.set_owner(slot, owner);
    show(shelf, slot);
    return {};
  }
  const auto view = parse_upsert(frame.payload);
  if (!view) return unreadable();
  Shelf& shelf = shelf_of(view->tenant);
  const std::uint32_t known =
      find(shelf, reader, view->system_id, view->conversation_id, Table::kCurrent);
  if (known != kNoSlot) {
    drop_aliases(shelf, known);
    drop(shelf, known);
  }
  place.key_hash = key_hash(view->system_id, view->conversation_id);
  std::memcpy(&place.content_hash, view->content_hash.data(), sizeof(place.content_hash));
  place.model = model_of(shelf, view->model, view->dimensions);
  const std::uint32_t home = restoring_ ? restoring_->slot_of(shelf, frame.sequence) : kNoSlot;
  const std::uint32_t slot = shelf.table.add(place, view->system_id, view->timestamp,
                                             read_fields(view->metadata), false, home);
  show(shelf, slot);
  return {};
}

// ---- Linking ------------------------------------------------------------------------------------

std::size_t Engine::backlog() const {
  std::size_t sum = 0;
  for (const Shelf* const shelf : shelves()) {
    const std::shared_lock lock(shelf->gate);
    for (const auto& set : shelf->vectors) sum += set->wants_graph() ? set->backlog() : 0;
  }
  return sum;
}

bool Engine::pressed() const {
  if (behind_.load(std::memory_order_relaxed) > options_.max_unlinked / 4 * 3) return true;
  const std::lock_guard lock(queue_mutex_);
  return queued_bytes_ > options_.max_queued_bytes / 2;
}

/// True: there was something to do.
bool Engine::link_some() {
  bool some = false;
  for (Shelf* const shelf : shelves()) {
    for (std::size_t i = 0;; ++i) {
      VectorSet* set = nullptr;
      VectorSet::Work work;
      {
        const std::shared_lock lock(shelf->gate);
        if (i >= shelf->vectors.size()) break;
        set = shelf->vectors[i].get();
        if (!set->wants_graph() || set->backlog() == 0) continue;
        if (set->has_graph()) work = set->next_work(kLinkedAtOnce);
      }
      some = true;
      if (!set->has_graph()) {
        const std::unique_lock lock(shelf->gate);
        set->begin_graph();
        continue;
      }
      const Clock::Steady begun = options_.clock->steady_now();
      set->link(work);
      indexing_ns_ += (options_.clock->steady_now() - begun).count();
      links_ += work.link.size();
      const std::unique_lock lock(shelf->gate);
      set->done(work);
    }
  }
  return some;
}

void Engine::link_loop(std::stop_token stop) {
  work_in_background(kBackground);
  std::uint64_t seen = 0;
  while (!stop.stop_requested()) {
    {
      const std::lock_guard lock(work_mutex_);
      seen = commits_;
    }
    const Stretch stretch;
    const bool some = link_some();
    const std::size_t behind = backlog();
    behind_ = behind;
    const double room = 1 - static_cast<double>(behind) / static_cast<double>(std::max<std::size_t>(
                                                              options_.max_unlinked / 2, 1));
    const auto rest = stretch.pause(kRest * room);
    checkpoint_if_due(some ? Moment::kBusy : Moment::kIdle);
    std::unique_lock lock(work_mutex_);
    if (some) {
      work_changed_.notify_all();
      // Where nothing is written meanwhile, what is there may as well be linked.
      if (commits_ != seen && rest.count() > 0) {
        work_changed_.wait_for(lock, stop, rest, [&] { return stop.stop_requested(); });
      }
      continue;
    }
    linked_all_ = seen == commits_;
    work_changed_.notify_all();
    work_changed_.wait(lock, stop, [&] { return commits_ != seen; });
  }
}

void Engine::wait_until_linked() {
  std::unique_lock lock(work_mutex_);
  work_changed_.wait(lock, [&] { return linked_all_; });
}

// ---- Compaction ---------------------------------------------------------------------------------

/// Asks the tables which records count, and tells them where those went.
class Engine::Survivors final : public Log::Survivors {
 public:
  explicit Survivors(Engine& engine) : engine_(engine) {}

  std::uint64_t upto() const override { return engine_.last_written(); }

  bool keep(const Frame& frame, Position position) override {
    std::string_view tenant, system_id, conversation_id;
    if (frame.type == RecordType::kSeen) {
      const auto view = parse_seen(frame.payload);
      if (!view) return true;
      tenant = view->tenant;
      system_id = view->system_id;
      conversation_id = view->conversation_id;
    } else {
      const auto view = parse_upsert(frame.payload);
      if (!view) return true;
      tenant = view->tenant;
      system_id = view->system_id;
      conversation_id = view->conversation_id;
    }
    Shelf* const shelf = engine_.find_shelf(tenant);
    if (shelf == nullptr) return false;
    std::uint32_t found = kNoSlot;
    {
      const std::shared_lock lock(shelf->gate);
      shelf->table.with_key(engine_.key_hash(system_id, conversation_id), [&](std::uint32_t slot) {
        if (shelf->table.place(slot).position != position) return false;
        found = slot;
        return true;
      });
    }
    if (found != kNoSlot) kept_.push_back({shelf, found, position, frame.size});
    return found != kNoSlot;
  }

  void moved(std::uint32_t id, const std::vector<Log::Moved>& places) override {
    for (std::size_t i = 0; i < kept_.size();) {
      Shelf& shelf = *kept_[i].shelf;
      const std::unique_lock lock(shelf.gate);
      const std::size_t end = std::min(kept_.size(), i + kMovedAtOnce);
      for (; i < end && kept_[i].shelf == &shelf; ++i) {
        const Kept& kept = kept_[i];
        Table::Place& place = shelf.table.place(kept.slot);
        // It went meanwhile: what is new of it is superseded already.
        if (shelf.table.flags(kept.slot) == 0 || place.position != kept.position) continue;
        shelf.table.moved(kept.slot, {id, places[i].offset}, places[i].size);
        if (!shelf.table.has(kept.slot, Table::kDurable)) continue;
        engine_.log_->add_live({id, places[i].offset}, places[i].size);
        engine_.log_->drop_live(kept.position, kept.size);
      }
    }
  }

 private:
  struct Kept {
    Shelf* shelf;
    std::uint32_t slot;
    Position position;
    std::uint32_t size;
  };
  Engine& engine_;
  std::vector<Kept> kept_;
};

void Engine::compact_loop(std::stop_token stop) {
  work_in_background(kBackground);
  std::uint64_t seen = 0, stale = log_->stale_segments();
  while (!stop.stop_requested()) {
    {
      const std::lock_guard lock(work_mutex_);
      seen = commits_;
    }
    if (log_->wants_compaction()) {
      Survivors survivors(*this);
      const auto done = log_->compact(survivors);
      if (done && *done) {
        ++compactions_;
        if (std::exchange(stale, log_->stale_segments()) > 0 && stale == 0) {
          Logger("memory").info("every file of the log is written with the key of now",
                                {{"folder", options_.folder}});
        }
        continue;
      }
      // A full disk may have room later; the old files hold until then.
      if (!done) compaction_failures_.fetch_add(1);
    }
    std::unique_lock lock(work_mutex_);
    compacted_all_ = seen == commits_;
    work_changed_.notify_all();
    work_changed_.wait(lock, stop, [&] { return commits_ != seen; });
  }
}

void Engine::wait_until_compact() {
  std::unique_lock lock(work_mutex_);
  work_changed_.wait(lock, [&] { return compacted_all_; });
}

Result<void> Engine::copy_to(const std::string& folder) {
  if (auto ok = log_->copy_to(folder + "/shard_000"); !ok) return ok;
  if (options_.folder == ":memory:") return {};
  namespace fs = std::filesystem;
  const fs::path name = fs::path(options_.folder) / kFeedName;
  std::error_code error;
  if (fs::exists(name, error)) fs::copy_file(name, fs::path(folder) / kFeedName, error);
  if (error)
    return fail(Errc::kUnavailable,
                fmt::format("cannot copy {}: {}", name.string(), error.message()));
  return {};
}

}  // namespace asahi::memory::hot
