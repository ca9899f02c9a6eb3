#include "memory/hot/engine.h"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "memory/hot/hash64.h"
#include "memory/hot/incoming.h"
#include "memory/hot/op.h"
#include "memory/hot/restoring.h"
#include "memory/hot/shelf.h"
#include "memory/hot/shingle_duplicates.h"
#include "memory/hot/text_keyword.h"

namespace asahi::memory::hot {
namespace {

constexpr std::size_t kMostWrite = 256 << 20;
/// The row that comes with a new vector is read and written: some thousands of bytes mostly.
constexpr std::size_t kBytesOfNewVector = 8 << 10;

std::uint64_t random_seed() {
  std::uint64_t out = 0;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(&out), sizeof(out)) != 1) std::abort();
  return out;
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
  auto stage = [this, rows = std::move(rows)] { return stage_erase_unchanged(rows, Bound::kTier); };
  submit(
      make_op<std::uint64_t, decltype(stage), Op>(weight, true, std::move(stage), std::move(done)));
}

void Engine::scan_eligible(ScanQuery wanted, Done<std::vector<Eligible>> done) {
  auto stage = [this, wanted = std::move(wanted)] { return mark_eligible(wanted); };
  submit(make_op<std::vector<Eligible>, decltype(stage), Op>(256, false, std::move(stage),
                                                             std::move(done)));
}

void Engine::replace_vectors(std::vector<NewVector> rows, Done<std::uint64_t> done) {
  std::size_t weight = 0;
  for (const NewVector& row : rows) weight += kBytesOfNewVector + row.embedding.size() * 9;
  auto stage = [this, rows = std::move(rows)]() mutable { return stage_vectors(rows); };
  submit(
      make_op<std::uint64_t, decltype(stage), Op>(weight, true, std::move(stage), std::move(done)));
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
  auto stage = [this, rows = std::move(rows)] { return stage_erase_unchanged(rows, Bound::kNode); };
  submit(
      make_op<std::uint64_t, decltype(stage), Op>(weight, true, std::move(stage), std::move(done)));
}

}  // namespace asahi::memory::hot
