#include "memory/hot/engine.h"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "memory/hot/hash64.h"
#include "memory/hot/restoring.h"
#include "memory/hot/shingle_duplicates.h"
#include "memory/hot/text_keyword.h"

namespace asahi::memory::hot {
namespace {

/// Rows that ageing reads and sums with a shelf locked, before readers get in between: a thousand
/// take some 20 ms.
constexpr std::size_t kRowsOfTurn = 32;
/// A group of writes is closed at about this size; one write may be larger.
constexpr std::size_t kGroupBytes = 8 << 20;
constexpr std::size_t kMostWrite = 256 << 20;
constexpr std::uint8_t kNeverDurable = 0;

std::uint64_t random_seed() {
  std::uint64_t out = 0;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(&out), sizeof(out)) != 1) std::abort();
  return out;
}

std::uint64_t short_hash(const Digest& content_hash) {
  std::uint64_t out = 0;
  std::memcpy(&out, content_hash.data(), sizeof(out));
  return out;
}

std::unexpected<Error> unreadable(const std::string& tenant) {
  return fail(Errc::kCorrupt,
              fmt::format("a record of the hot store's log cannot be read (tenant '{}'); its "
                          "segment is damaged, restore it from a backup",
                          tenant));
}

std::size_t weight_of(const std::vector<Memory>& memories) {
  std::size_t sum = 0;
  for (const Memory& memory : memories) {
    // The record beside the memory, and the words.
    sum +=
        2048 + 4 * memory.content.size() + 2 * memory.metadata.size() + memory.embedding.size() * 9;
  }
  return sum;
}

}  // namespace

/// A write that waits.
struct Engine::Op {
  std::size_t weight = 0;
  bool writes = true;
  Clock::Steady queued_at{};
  std::move_only_function<Result<void>()> stage;
  std::move_only_function<void(Result<void>)> done;
};

/// A memory with what was worked out of it before its turn.
struct Engine::Incoming {
  Memory memory;
  Shelf* shelf = nullptr;
  FieldValues fields;
  std::string record;  ///< as it stands in the log
  std::unique_ptr<KeywordIndex::Reading> words;
  VectorSet::Code code;
};

Engine::Engine(EngineOptions options) : options_(std::move(options)), seed_(random_seed()) {}

Result<std::unique_ptr<Engine>> Engine::open(EngineOptions options) {
  options.log.folder = options.folder == ":memory:" ? "" : options.folder + "/shard_000";
  options.group_commit = std::clamp<std::chrono::microseconds>(
      options.group_commit, std::chrono::microseconds{0}, std::chrono::milliseconds{10});
  if (!options.make_keyword) {
    options.make_keyword = [] { return std::make_unique<TextKeyword>(); };
  }
  if (!options.make_near_duplicates) {
    options.make_near_duplicates = [] { return std::make_unique<ShingleDuplicates>(); };
  }
  std::unique_ptr<Engine> engine(new Engine(std::move(options)));
  if (auto ok = engine->load(); !ok) return std::unexpected(ok.error());
  Engine* const self = engine.get();
  engine->linker_ = std::jthread([self](std::stop_token stop) { self->link_loop(stop); });
  engine->compactor_ = std::jthread([self](std::stop_token stop) { self->compact_loop(stop); });
  engine->writer_ = std::thread([self] { self->write_loop(); });
  return engine;
}

Engine::~Engine() {
  if (writer_.joinable()) {
    {
      const std::lock_guard lock(queue_mutex_);
      stopping_ = true;
    }
    queue_changed_.notify_all();
    writer_.join();
  }
  const bool opened = linker_.joinable();
  linker_ = {};
  compactor_ = {};
  if (opened) checkpoint_if_due(Moment::kEnd);
}

std::uint64_t Engine::key_hash(std::string_view system_id, std::string_view conversation_id) const {
  return hash64(conversation_id, hash64(system_id, seed_));
}

Engine::Shelf* Engine::find_shelf(std::string_view tenant) const {
  const std::shared_lock lock(shelves_mutex_);
  const auto at = shelves_.find(tenant);
  return at == shelves_.end() ? nullptr : at->second.get();
}

Engine::Shelf& Engine::shelf_of(std::string_view tenant) {
  if (Shelf* const known = find_shelf(tenant)) return *known;
  auto made = std::make_unique<Shelf>(std::string(tenant));
  made->keyword = options_.make_keyword();
  made->near = options_.make_near_duplicates();
  const std::unique_lock lock(shelves_mutex_);
  return *shelves_.emplace(std::string(tenant), std::move(made)).first->second;
}

std::vector<Engine::Shelf*> Engine::shelves() const {
  const std::shared_lock lock(shelves_mutex_);
  std::vector<Shelf*> out;
  for (const auto& [tenant, shelf] : shelves_) out.push_back(shelf.get());
  return out;
}

// ---- What waits ---------------------------------------------------------------------------------

namespace {

std::unexpected<Error> too_many_wait() {
  return fail(Errc::kUnavailable,
              "the hot store has more writes waiting than it keeps; send them again later");
}

}  // namespace

/// With the queue locked.
bool Engine::is_full(std::size_t weight) const {
  return stopping_ || (queued_bytes_ + weight > options_.max_queued_bytes && !queue_.empty());
}

void Engine::submit(Op op) {
  op.queued_at = options_.clock->steady_now();
  {
    const std::lock_guard lock(queue_mutex_);
    if (!is_full(op.weight)) {
      queued_bytes_ += op.weight;
      if (queue_.empty()) waiting_since_ = op.queued_at;
      queue_.push_back(std::move(op));
      queue_changed_.notify_all();
      return;
    }
  }
  op.done(too_many_wait());
}

namespace {

/// An op whose stage function makes a value that is answered once it is durable.
template <class T, class Stage, class Op>
Op make_op(std::size_t weight, bool writes, Stage stage, Engine::Done<T> done) {
  auto value = std::make_shared<std::optional<T>>();
  Op op;
  op.weight = weight;
  op.writes = writes;
  op.stage = [value, stage = std::move(stage)]() mutable -> Result<void> {
    auto made = stage();
    if (!made) return std::unexpected(made.error());
    *value = std::move(*made);
    return {};
  };
  op.done = [value, done = std::move(done)](Result<void> durable) mutable {
    if (!durable) {
      done(std::unexpected(durable.error()));
    } else {
      done(std::move(**value));
    }
  };
  return op;
}

}  // namespace

void Engine::upsert(std::vector<Memory> memories, UpsertOptions options,
                    Done<std::vector<UpsertOutcome>> done) {
  const std::size_t weight = weight_of(memories);
  if (weight > kMostWrite) {
    done(fail(Errc::kTooLarge, fmt::format("a batch of {} MiB; at most {} MiB are taken at once",
                                           weight >> 20, kMostWrite >> 20)));
    return;
  }
  bool full = false;
  {
    const std::lock_guard lock(queue_mutex_);
    full = is_full(weight);
  }
  if (full) {
    done(too_many_wait());
    return;
  }
  std::vector<Incoming> rows;
  rows.reserve(memories.size());
  for (Memory& memory : memories) rows.push_back(prepare(std::move(memory)));
  auto stage = [this, rows = std::move(rows), options]() mutable {
    return stage_upserts(rows, options);
  };
  submit(make_op<std::vector<UpsertOutcome>, decltype(stage), Op>(weight, true, std::move(stage),
                                                                  std::move(done)));
}

void Engine::erase(std::vector<Key> keys, Done<std::uint64_t> done) {
  const std::size_t weight = 256 * keys.size();
  auto stage = [this, keys = std::move(keys)] { return stage_erase(keys); };
  submit(
      make_op<std::uint64_t, decltype(stage), Op>(weight, true, std::move(stage), std::move(done)));
}

void Engine::erase_system(std::string tenant, std::string system_id, Done<std::uint64_t> done) {
  auto stage = [this, tenant = std::move(tenant), system_id = std::move(system_id)] {
    return stage_erase_system(tenant, system_id);
  };
  submit(make_op<std::uint64_t, decltype(stage), Op>(256, true, std::move(stage), std::move(done)));
}

void Engine::erase_migrated(std::vector<std::pair<Key, Digest>> rows, Done<std::uint64_t> done) {
  const std::size_t weight = 256 * rows.size();
  auto stage = [this, rows = std::move(rows)] { return stage_erase_migrated(rows); };
  submit(
      make_op<std::uint64_t, decltype(stage), Op>(weight, true, std::move(stage), std::move(done)));
}

void Engine::scan_eligible(Clock::Time before, std::size_t limit,
                           Done<std::vector<Eligible>> done) {
  auto stage = [this, before, limit] { return mark_eligible(before, limit); };
  submit(make_op<std::vector<Eligible>, decltype(stage), Op>(256, false, std::move(stage),
                                                             std::move(done)));
}

void Engine::scan_shards(ShardSet wanted, std::size_t limit, Marks marks,
                         Done<std::vector<ShardRow>> done) {
  auto stage = [this, wanted = std::move(wanted), limit, marks] {
    return mark_shards(wanted, limit, marks);
  };
  submit(make_op<std::vector<ShardRow>, decltype(stage), Op>(256, false, std::move(stage),
                                                             std::move(done)));
}

void Engine::erase_moved(std::vector<std::pair<Key, Digest>> rows, Done<std::uint64_t> done) {
  const std::size_t weight = 256 * rows.size();
  auto stage = [this, rows = std::move(rows)] { return stage_erase_moved(rows); };
  submit(
      make_op<std::uint64_t, decltype(stage), Op>(weight, true, std::move(stage), std::move(done)));
}

// ---- The writing thread -------------------------------------------------------------------------

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

Result<void> Engine::check_width(Shelf& shelf, const Memory& memory, std::size_t place) const {
  for (const auto& set : shelf.vectors) {
    if (set->model() != memory.embedding_model || set->dimensions() == memory.embedding.size()) {
      continue;
    }
    return fail_field(
        fmt::format("memories[{}].embedding", place),
        fmt::format("{} numbers; vectors of model '{}' have {}", memory.embedding.size(),
                    memory.embedding_model, set->dimensions()));
  }
  return {};
}

Engine::Incoming Engine::prepare(Memory memory) {
  Incoming out;
  out.shelf = &shelf_of(memory.key.tenant);
  KeywordContext context{memory.key.system_id, memory.key.conversation_id, memory.metadata,
                         memory.timestamp};
  const auto metadata = JsonDocument::parse(memory.metadata);
  if (metadata && (*metadata)->root().is_object()) {
    context.fields = &(*metadata)->root().get_object();
    out.fields = read_fields(*context.fields);
  }
  out.words = out.shelf->keyword->read(memory.content, context);
  out.code = VectorSet::encode(memory.embedding);
  encode_upsert(memory, out.record);
  out.memory = std::move(memory);
  return out;
}

Result<std::vector<UpsertOutcome>> Engine::stage_upserts(std::vector<Incoming>& rows,
                                                         const UpsertOptions& options) {
  std::map<std::pair<std::string_view, std::string_view>, std::size_t> widths;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Memory& memory = rows[i].memory;
    if (memory.embedding.empty()) continue;
    if (auto ok = check_width(*rows[i].shelf, memory, i); !ok) return std::unexpected(ok.error());
    const auto [at, fresh] = widths.emplace(
        std::pair<std::string_view, std::string_view>(memory.key.tenant, memory.embedding_model),
        memory.embedding.size());
    if (at->second != memory.embedding.size()) {
      return fail_field(fmt::format("memories[{}].embedding", i),
                        fmt::format("{} numbers; another vector of the batch has {}",
                                    memory.embedding.size(), at->second));
    }
  }
  std::vector<UpsertOutcome> out;
  out.reserve(rows.size());
  Exclusive lock;
  for (Incoming& row : rows) {
    lock.move_to(row.shelf);
    ASAHI_TRY(const UpsertOutcome outcome, stage_upsert(*row.shelf, row, options));
    out.push_back(outcome);
  }
  return out;
}

template <class Look>
auto Engine::look_for_duplicates(bool fuzzy, Look look) const {
  if (!options_.looked_for_duplicates) return look();
  const Clock::Steady begun = options_.clock->steady_now();
  auto found = look();
  options_.looked_for_duplicates(fuzzy, options_.clock->steady_now() - begun);
  return found;
}

std::optional<Key> Engine::nearest_of(Shelf& shelf, const LogReader& reader, const Memory& memory,
                                      double threshold) const {
  std::vector<std::uint32_t> candidates;
  std::string scratch;
  shelf.near->candidates(memory.fingerprint, threshold, candidates);
  double best = threshold;
  std::optional<Key> nearest;
  for (const std::uint32_t slot : candidates) {
    if (!shelf.table.has(slot, Table::kCurrent)) continue;
    const auto bytes = reader.payload(shelf.table.place(slot).position, scratch);
    const auto view = bytes ? parse_upsert(*bytes) : std::nullopt;
    if (!view) continue;  // damaged: what it was like is lost
    const Fingerprint other = view->read_fingerprint();
    const double jaccard =
        shelf.near->similarity({memory.content, memory.fingerprint}, {view->content, other});
    if (jaccard < best || (nearest && jaccard == best)) continue;
    best = jaccard;
    nearest = Key{shelf.tenant, std::string(view->system_id), std::string(view->conversation_id)};
  }
  return nearest;
}

Result<UpsertOutcome> Engine::stage_upsert(Shelf& shelf, Incoming& row,
                                           const UpsertOptions& options) {
  const Memory& memory = row.memory;
  Table& table = shelf.table;
  const LogReader reader = log_->staging_reader();
  const Key& key = memory.key;
  std::string scratch;
  UpsertOutcome outcome = UpsertOutcome::kStored;
  const std::uint32_t known =
      find(shelf, reader, key.system_id, key.conversation_id, Table::kCurrent);
  if (known != kNoSlot) {
    const bool alias = table.has(known, Table::kAlias);
    const std::uint32_t holder = alias ? table.owner(known) : known;
    const auto bytes = reader.payload(table.place(holder).position, scratch);
    const auto view = bytes ? parse_upsert(*bytes) : std::nullopt;
    if (!view) return unreadable(shelf.tenant);
    if (view->content_hash == memory.content_hash) {
      return alias ? UpsertOutcome::kDuplicate : UpsertOutcome::kUnchanged;
    }
    if (memory.timestamp <= table.timestamp(known)) return UpsertOutcome::kOlder;
    if (!alias) {
      if (auto ok = hand_over(shelf, known); !ok) return std::unexpected(ok.error());
    }
    retire(shelf, known);
    outcome = UpsertOutcome::kReplaced;
  } else if (options.deduplicate) {
    const std::uint32_t same = look_for_duplicates(
        false, [&] { return find_content(shelf, reader, memory.content_hash); });
    if (same != kNoSlot) {
      const auto bytes = reader.payload(table.place(same).position, scratch);
      const auto view = bytes ? parse_upsert(*bytes) : std::nullopt;
      if (!view) return unreadable(shelf.tenant);
      const Key owner{shelf.tenant, std::string(view->system_id),
                      std::string(view->conversation_id)};
      if (auto ok = store_alias(shelf, same, owner, memory, row.fields); !ok) {
        return std::unexpected(ok.error());
      }
      return UpsertOutcome::kDuplicate;
    }
  }
  if (options.deduplicate && has_fingerprint(memory.fingerprint)) {
    std::optional<Key> nearest = look_for_duplicates(
        true, [&] { return nearest_of(shelf, reader, memory, options.near_duplicate_threshold); });
    if (nearest) {
      const bool replaces = outcome == UpsertOutcome::kReplaced;
      if (options.skip_near_duplicates && !replaces) return UpsertOutcome::kNearDuplicate;
      const bool known_before = memory.near_duplicate_of.has_value();
      row.memory.near_duplicate_of = std::move(nearest);
      if (known_before) {
        row.record.clear();
        encode_upsert(row.memory, row.record);
      } else {
        add_near_duplicate_of(*row.memory.near_duplicate_of, row.record);
      }
      store(shelf, row);
      return replaces ? outcome : UpsertOutcome::kNearDuplicate;
    }
  }
  store(shelf, row);
  return outcome;
}

std::uint32_t Engine::store(Shelf& shelf, Incoming& row) {
  const Memory& memory = row.memory;
  const Log::Staged staged = log_->stage(RecordType::kUpsert, row.record);
  Table::Place place;
  place.position = staged.position;
  place.size = staged.size;
  place.sequence = staged.sequence;
  place.key_hash = key_hash(memory.key.system_id, memory.key.conversation_id);
  place.content_hash = short_hash(memory.content_hash);
  place.model = model_of(shelf, memory.embedding_model, memory.embedding.size());
  const std::uint32_t slot =
      shelf.table.add(place, memory.key.system_id, memory.timestamp, row.fields, false);
  touched_.push_back({&shelf, slot, kNeverDurable, &row});
  if (has_fingerprint(memory.fingerprint)) shelf.near->add(slot, memory.fingerprint);
  return slot;
}

/// The number of the set of a model's vectors, plus 1. Readers are kept out.
std::uint32_t Engine::model_of(Shelf& shelf, std::string_view model, std::size_t dimensions) {
  if (dimensions == 0) return 0;
  for (std::size_t i = 0; i < shelf.vectors.size(); ++i) {
    const VectorSet& set = *shelf.vectors[i];
    if (set.model() == model && set.dimensions() == dimensions) {
      return static_cast<std::uint32_t>(i + 1);
    }
  }
  shelf.vectors.push_back(
      std::make_unique<VectorSet>(std::string(model), dimensions, vector_options()));
  return static_cast<std::uint32_t>(shelf.vectors.size());
}

Result<void> Engine::store_alias(Shelf& shelf, std::uint32_t owner, const Key& owner_key,
                                 const Memory& duplicate, const FieldValues& fields) {
  payload_.clear();
  encode_seen(owner_key, duplicate, payload_);
  const Log::Staged staged = log_->stage(RecordType::kSeen, payload_);
  Table::Place place;
  place.position = staged.position;
  place.size = staged.size;
  place.sequence = staged.sequence;
  place.key_hash = key_hash(duplicate.key.system_id, duplicate.key.conversation_id);
  const std::uint32_t slot =
      shelf.table.add(place, duplicate.key.system_id, duplicate.timestamp, fields, true);
  shelf.table.set_owner(slot, owner);
  touched_.push_back({&shelf, slot, kNeverDurable, nullptr});
  return {};
}

/// The slot's memory is no more, for the writer.
void Engine::retire(Shelf& shelf, std::uint32_t slot) {
  const std::uint8_t before = shelf.table.flags(slot);
  touched_.push_back({&shelf, slot, before, nullptr});
  shelf.table.set_flags(slot, before & static_cast<std::uint8_t>(~Table::kCurrent));
}

/// A row is about to go or to say something else: the first that said the same gets a row of its
/// own, with the others as its duplicates.
Result<void> Engine::hand_over(Shelf& shelf, std::uint32_t owner) {
  const auto* const list = shelf.table.aliases(owner);
  if (list == nullptr) return {};
  std::vector<std::uint32_t> heirs;
  for (const std::uint32_t alias : *list) {
    if (shelf.table.has(alias, Table::kCurrent)) heirs.push_back(alias);
  }
  std::uint32_t row = kNoSlot;
  Key key;
  for (const std::uint32_t heir : heirs) {
    const LogReader reader = log_->staging_reader();
    ASAHI_TRY(Memory memory, read_alias(shelf, reader, heir));
    retire(shelf, heir);
    if (row == kNoSlot) {
      key = memory.key;
      handed_.push_back(std::make_unique<Incoming>(prepare(std::move(memory))));
      row = store(shelf, *handed_.back());
    } else if (auto ok = store_alias(shelf, row, key, memory, read_fields(memory.metadata)); !ok) {
      return ok;
    }
  }
  return {};
}

Result<void> Engine::erase_slot(Shelf& shelf, std::uint32_t slot, const Key& key, bool migrated) {
  const bool alias = shelf.table.has(slot, Table::kAlias);
  if (!alias && migrated) {
    // They went along, named in the copy's metadata.
    if (const auto* const list = shelf.table.aliases(slot)) {
      for (const std::uint32_t each : *list) {
        if (shelf.table.has(each, Table::kCurrent)) retire(shelf, each);
      }
    }
  } else if (!alias) {
    if (auto ok = hand_over(shelf, slot); !ok) return ok;
  }
  retire(shelf, slot);
  payload_.clear();
  encode_tombstone(key, payload_);
  log_->stage(RecordType::kTombstone, payload_);
  return {};
}

Result<std::uint64_t> Engine::stage_erase(const std::vector<Key>& keys) {
  std::uint64_t count = 0;
  Exclusive lock;
  // Duplicates first: they would else be handed what goes next.
  for (const bool aliases : {true, false}) {
    for (const Key& key : keys) {
      Shelf* const shelf = find_shelf(key.tenant);
      if (shelf == nullptr) continue;
      lock.move_to(shelf);
      const std::uint32_t slot =
          find(*shelf, log_->staging_reader(), key.system_id, key.conversation_id, Table::kCurrent);
      if (slot == kNoSlot || (aliases && !shelf->table.has(slot, Table::kAlias))) continue;
      if (auto ok = erase_slot(*shelf, slot, key, false); !ok) return std::unexpected(ok.error());
      ++count;
    }
  }
  return count;
}

Result<std::uint64_t> Engine::stage_erase_system(const std::string& tenant,
                                                 const std::string& system_id) {
  Shelf* const shelf = find_shelf(tenant);
  if (shelf == nullptr) return 0;
  Exclusive lock;
  lock.move_to(shelf);
  const Table& table = shelf->table;
  const std::uint32_t system = table.find_system(system_id);
  if (system == 0) return 0;
  std::uint64_t count = 0;
  for (const bool aliases : {true, false}) {
    std::vector<std::uint32_t> slots;
    for (std::uint32_t slot = 0; slot < table.slots(); ++slot) {
      if (table.columns().system[slot] == system && table.has(slot, Table::kCurrent) &&
          table.has(slot, Table::kAlias) == aliases) {
        slots.push_back(slot);
      }
    }
    std::ranges::sort(slots, {}, [&](std::uint32_t slot) { return table.place(slot).sequence; });
    for (const std::uint32_t slot : slots) {
      const LogReader reader = log_->staging_reader();
      ASAHI_TRY(const Key key, read_key(*shelf, reader, slot));
      if (auto ok = erase_slot(*shelf, slot, key, false); !ok) return std::unexpected(ok.error());
      ++count;
    }
  }
  return count;
}

Result<std::uint64_t> Engine::stage_erase_migrated(
    const std::vector<std::pair<Key, Digest>>& rows) {
  std::uint64_t count = 0;
  std::size_t seen = 0;
  Exclusive lock;
  for (const auto& [key, checksum] : rows) {
    Shelf* const shelf = find_shelf(key.tenant);
    if (shelf == nullptr) continue;
    if (seen++ % kRowsOfTurn == 0) lock.move_to(nullptr);
    lock.move_to(shelf);
    const LogReader reader = log_->staging_reader();
    const std::uint32_t slot =
        find(*shelf, reader, key.system_id, key.conversation_id, Table::kCurrent);
    if (slot == kNoSlot || shelf->table.has(slot, Table::kAlias)) continue;
    if (checksum == Digest{}) {
      shelf->marks.erase(slot);
      continue;
    }
    ASAHI_TRY(const Memory held, read_memory(*shelf, reader, slot));
    if (row_checksum(held) != checksum) continue;
    if (auto ok = erase_slot(*shelf, slot, key, true); !ok) return std::unexpected(ok.error());
    ++count;
  }
  return count;
}

Result<std::vector<Eligible>> Engine::mark_eligible(Clock::Time before, std::size_t limit) {
  struct Old {
    std::int64_t timestamp;
    Shelf* shelf;
    std::uint32_t slot;
  };
  const auto older = [](const Old& a, const Old& b) {
    return a.timestamp != b.timestamp ? a.timestamp < b.timestamp : a.slot < b.slot;
  };
  const Clock::Time now = options_.clock->now();
  const std::int64_t end = before.time_since_epoch().count();
  std::vector<Old> oldest;  // a heap, the newest of them on top
  for (Shelf* const shelf : shelves()) {
    // The writing thread is the only one that changes the table; compactions change positions only.
    const Table::Columns& columns = shelf->table.columns();
    for (std::uint32_t slot = 0; slot < shelf->table.slots() && limit > 0; ++slot) {
      if (columns.visible[slot] == 0 || columns.timestamp[slot] >= end) continue;
      if (!shelf->table.has(slot, Table::kCurrent)) continue;
      const Old row{columns.timestamp[slot], shelf, slot};
      if (oldest.size() == limit && !older(row, oldest.front())) continue;
      if (const auto mark = shelf->marks.find(slot);
          mark != shelf->marks.end() && mark->second > now) {
        continue;
      }
      if (oldest.size() == limit) {
        std::ranges::pop_heap(oldest, older);
        oldest.pop_back();
      }
      oldest.push_back(row);
      std::ranges::push_heap(oldest, older);
    }
  }
  std::ranges::sort_heap(oldest, older);
  std::vector<Eligible> out;
  out.reserve(oldest.size());
  Exclusive lock;
  for (const Old& row : oldest) {
    if (out.size() % kRowsOfTurn == 0) lock.move_to(nullptr);
    lock.move_to(row.shelf);
    Eligible& made = out.emplace_back();
    ASAHI_TRY(made.memory, read_memory(*row.shelf, log_->staging_reader(), row.slot));
    made.checksum = row_checksum(made.memory);
    row.shelf->marks[row.slot] = now + options_.migration_lease;
  }
  return out;
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
