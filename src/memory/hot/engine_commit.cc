// Groups of writes on the writing thread: staged, synced, shown to readers, told to the observer.
#include "memory/hot/engine.h"
#include "memory/hot/incoming.h"
#include "memory/hot/op.h"
#include "memory/hot/shelf.h"

namespace asahi::memory::hot {
namespace {

/// A group of writes is closed at about this size; one write may be larger.
constexpr std::size_t kGroupBytes = 8 << 20;
constexpr std::uint8_t kNeverDurable = 0;

}  // namespace

void Engine::write_loop() {
  std::vector<Op> ops;
  while (true) {
    {
      std::unique_lock lock(queue_mutex_);
      queue_changed_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      if (options_.group_commit.count() > 0 && !stopping_) {
        queue_changed_.wait_for(lock, options_.group_commit,
                                [&] { return stopping_ || queued_bytes_ >= kGroupBytes; });
      }
      std::size_t taken = 0, bytes = 0;
      while (taken < queue_.size() && (taken == 0 || bytes < kGroupBytes)) {
        bytes += queue_[taken++].weight;
      }
      const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(taken);
      ops.assign(std::make_move_iterator(queue_.begin()), std::make_move_iterator(end));
      queue_.erase(queue_.begin(), end);
      queued_bytes_ -= bytes;
      in_work_since_ = ops.front().queued_at;
      waiting_since_.reset();
      if (!queue_.empty()) waiting_since_ = queue_.front().queued_at;
    }
    run_group(ops);
    ops.clear();
    {
      const std::lock_guard lock(queue_mutex_);
      in_work_since_.reset();
    }
    behind_ = backlog();
    {
      std::unique_lock lock(work_mutex_);
      // Searches compare one by one what is not linked: they must not become ever slower.
      work_changed_.wait_for(lock, std::chrono::seconds{1},
                             [&] { return linked_all_ || backlog() <= options_.max_unlinked; });
    }
  }
}

void Engine::run_group(std::vector<Op>& ops) {
  touched_.clear();
  handed_.clear();
  Result<void> writable = log_->begin();
  std::vector<Result<void>> results(ops.size());
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (ops[i].writes && !writable) {
      results[i] = writable;
      continue;
    }
    const std::size_t bytes = log_->staged_bytes(), touched = touched_.size();
    results[i] = ops[i].stage();
    if (results[i]) {
      log_->end_batch();
    } else {
      undo(touched);
      log_->unstage(bytes);
    }
  }
  if (log_->staged_bytes() > 0) {
    if (auto done = log_->commit(); done) {
      apply();
      remember_written();
      changes_ += touched_.size();
      tell_observer();
      ++groups_;
    } else {
      undo(0);
      for (std::size_t i = 0; i < ops.size(); ++i) {
        if (ops[i].writes && results[i]) results[i] = done;
      }
    }
    log_->unstage(0);
    const std::lock_guard lock(work_mutex_);
    ++commits_;
    linked_all_ = compacted_all_ = false;
    work_changed_.notify_all();
  }
  for (std::size_t i = 0; i < ops.size(); ++i) ops[i].done(std::move(results[i]));
}

/// Takes back what was staged since `from`; the records are still in the log's buffer.
void Engine::undo(std::size_t from) {
  Exclusive lock;
  const LogReader reader = log_->staging_reader();
  std::string scratch;
  while (touched_.size() > from) {
    const Touched last = touched_.back();
    touched_.pop_back();
    Shelf& shelf = *last.shelf;
    lock.move_to(&shelf);
    shelf.table.set_flags(last.slot, last.before);
    if (last.before != kNeverDurable) continue;
    if (const auto bytes = reader.payload(shelf.table.place(last.slot).position, scratch)) {
      const auto view = parse_upsert(*bytes);
      if (view && !view->fingerprint.empty() && shelf.table.owner(last.slot) == kNoSlot) {
        shelf.near->remove(last.slot, view->read_fingerprint());
      }
    }
    shelf.table.clear_owner(last.slot);
    shelf.table.release(last.slot);
  }
}

/// Words, vector and bands of one that comes or goes.
void Engine::apply_row(const Touched& each) {
  Shelf& shelf = *each.shelf;
  const std::uint8_t flags = shelf.table.flags(each.slot);
  if ((flags & Table::kAlias) != 0) return;
  if ((flags & Table::kCurrent) != 0) {
    if (each.row == nullptr) return;
    shelf.keyword->add(each.slot, std::move(each.row->words));
    if (VectorSet* const set = shelf.set_of(each.slot)) {
      if (!set->put(each.slot, each.row->code)) shelf.table.place(each.slot).model = 0;
    }
    return;
  }
  // Staged and retired in one group: stands there twice, and was never anywhere.
  if (each.before == kNeverDurable) return;
  // What is read stays mapped. Nothing waits with the shelf locked: words may be being saved.
  std::string scratch;
  std::shared_lock lock(shelf.gate);
  const LogReader reader = log_->reader();
  const auto bytes = reader.payload(shelf.table.place(each.slot).position, scratch);
  lock.unlock();
  const auto view = bytes ? parse_upsert(*bytes) : std::nullopt;
  if (view && !view->fingerprint.empty()) shelf.near->remove(each.slot, view->read_fingerprint());
}

/// The group is on the disk: everybody may see it.
void Engine::apply() {
  struct Gone {
    Shelf* shelf;
    std::uint32_t slot;
  };
  std::vector<Gone> gone;
  // Before anybody sees them: the costly part, with no reader kept waiting.
  for (const Touched& each : touched_) apply_row(each);
  {
    Exclusive lock;
    for (const Touched& each : touched_) {
      Shelf& shelf = *each.shelf;
      lock.move_to(&shelf);
      Table& table = shelf.table;
      const std::uint8_t flags = table.flags(each.slot);
      if ((flags & Table::kCurrent) != 0) {
        table.set_flags(each.slot, flags | Table::kDurable);
        log_->add_live(table.place(each.slot).position, table.place(each.slot).size);
        if (VectorSet* const set = shelf.set_of(each.slot)) {
          set->list(each.slot, table.place(each.slot).sequence);
        }
        // Its owner was seen once more: not the row that a migration read.
        if ((flags & Table::kAlias) != 0) shelf.marks.erase(table.owner(each.slot));
        continue;
      }
      if (each.before == kNeverDurable) continue;  // its second entry releases it
      const bool row = (flags & Table::kAlias) == 0;
      if ((flags & Table::kDurable) != 0) {
        log_->drop_live(table.place(each.slot).position, table.place(each.slot).size);
        if (VectorSet* const set = shelf.set_of(each.slot)) {
          set->unlink(each.slot, table.place(each.slot).sequence);
        }
        if (row) gone.push_back({&shelf, each.slot});
      }
      if (!row) shelf.marks.erase(table.owner(each.slot));
      shelf.marks.erase(each.slot);
      table.set_flags(each.slot, flags & Table::kAlias);
      table.clear_owner(each.slot);
      table.release(each.slot);
    }
  }
  for (const Gone& each : gone) each.shelf->keyword->remove(each.slot);
}

void Engine::tell_observer() {
  if (!options_.observer) return;
  // The rows' texts lie in the log's buffer, or, decrypted, here.
  std::vector<std::string> payloads;
  std::vector<RecordType> types;
  log_->visit_staged([&](const Frame& frame) {
    types.push_back(frame.type);
    payloads.emplace_back(frame.payload);
  });
  std::vector<CommittedChange> changes;
  for (std::size_t i = 0; i < types.size(); ++i) {
    CommittedChange change;
    if (types[i] == RecordType::kTombstone) {
      const auto view = parse_tombstone(payloads[i]);
      if (!view) continue;
      change.erased = true;
      change.key = {std::string(view->tenant), std::string(view->system_id),
                    std::string(view->conversation_id)};
    } else if (types[i] == RecordType::kUpsert) {
      change.row = parse_upsert(payloads[i]);
      if (!change.row) continue;
      change.key = {std::string(change.row->tenant), std::string(change.row->system_id),
                    std::string(change.row->conversation_id)};
    } else {
      continue;  // its owner's row is as it was
    }
    changes.push_back(std::move(change));
  }
  if (!changes.empty()) options_.observer(changes);
}

}  // namespace asahi::memory::hot
