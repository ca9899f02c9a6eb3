// The hot tier's checkpoints: written by the linking thread and at the end, read by the next start.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <future>
#include <shared_mutex>

#include "memory/hot/restoring.h"

namespace asahi::memory::hot {
namespace {

constexpr std::size_t kCopiedAtOnce = 1 << 16;
/// Below this a second thread costs more than it brings.
constexpr std::size_t kManyRows = 2000;

/// By slot, number and content hash of the durable rows.
struct Rows {
  std::vector<std::uint64_t> sequences, contents;
};

}  // namespace

// ---- Reading ------------------------------------------------------------------------------------

bool Engine::Restoring::Part::same(const Table& table, std::uint32_t slot) const {
  if (slot >= saved->sequences.size() || saved->sequences[slot] == 0) return false;
  const Table::Place& place = table.place(slot);
  return table.columns().visible[slot] != 0 && place.sequence == saved->sequences[slot] &&
         place.content_hash == saved->contents[slot];
}

Engine::Restoring::Restoring(Engine& engine, const std::string& folder, Checkpoint checkpoint)
    : engine_(engine), checkpoint_(std::move(checkpoint)) {
  for (const SavedShelf& saved : checkpoint_.shelves) {
    Shelf& shelf = engine_.shelf_of(saved.tenant);
    Part& part = parts_[&shelf];
    if (part.saved != nullptr) continue;  // named twice: the second is not looked at
    part.saved = &saved;
    part.graphs.resize(saved.graphs.size());
    shelf.table.reserve_slots(saved.sequences.size());
    for (std::uint32_t slot = 0; slot < saved.sequences.size(); ++slot) {
      if (saved.sequences[slot] != 0) homes_.push_back({saved.sequences[slot], &shelf, slot});
    }
  }
  std::ranges::sort(homes_, {}, &Home::sequence);
  reading_ = std::async(std::launch::async, [this, folder] { read(folder); });
}

void Engine::Restoring::read(const std::string& folder) {
  for (auto& [shelf, part] : parts_) {
    // A copy that cannot be read is made anew from the log's rows.
    part.words = shelf->keyword->restore(part.saved->words).has_value();
    for (std::size_t i = 0; i < part.graphs.size(); ++i) {
      const SavedGraph& saved = part.saved->graphs[i];
      auto graph = VectorSet::read(folder + "/" + saved.file, saved.model, saved.dimensions,
                                   engine_.vector_options());
      if (graph) part.graphs[i] = std::move(*graph);
    }
  }
}

std::uint32_t Engine::Restoring::slot_of(const Shelf& shelf, std::uint64_t sequence) {
  while (next_ < homes_.size() && homes_[next_].sequence < sequence) ++next_;
  if (next_ == homes_.size() || homes_[next_].sequence != sequence) return kNoSlot;
  const Home& home = homes_[next_];
  // Taken where the log lost what would have freed it.
  return home.shelf == &shelf && shelf.table.flags(home.slot) == 0 ? home.slot : kNoSlot;
}

Engine::Restoring::Part* Engine::Restoring::part_of(const Shelf& shelf) {
  const auto at = parts_.find(&shelf);
  return at == parts_.end() ? nullptr : &at->second;
}

std::string Engine::checkpoint_folder() const { return options_.folder + "/checkpoint"; }

/// None where memories are encrypted: words and vectors would lie beside them in the clear.
bool Engine::keeps_checkpoints() const { return !options_.log.folder.empty() && !options_.log.key; }

VectorOptions Engine::vector_options() const {
  VectorOptions out = options_.vectors;
  if (keeps_checkpoints()) out.scratch_file = checkpoint_folder() + "/graph.scratch";
  return out;
}

void Engine::begin_restoring() {
  if (!keeps_checkpoints()) return;
  auto saved = read_checkpoint(checkpoint_folder());
  if (!saved) return;
  generation_ = saved->generation;
  restoring_ = std::make_unique<Restoring>(*this, checkpoint_folder(), std::move(*saved));
}

void Engine::end_restoring() {
  const bool had = restoring_ != nullptr;
  if (had) tidy_checkpoints(checkpoint_folder(), restoring_->checkpoint());
  restoring_.reset();
  for (Shelf* const shelf : shelves()) {
    if (had) shelf->table.free_the_rest();
    rows_ += shelf->table.rows();
  }
  std::error_code ignored;
  if (!had && !options_.log.folder.empty() && options_.log.key) {
    std::filesystem::remove_all(checkpoint_folder(), ignored);
  }
}

/// Words, vectors and bands of the rows that the log left. Vectors need the log alone, so they do
/// not wait for the checkpoint, which the thread of the words goes on from.
Result<void> Engine::fill() {
  const auto all = shelves();
  const auto words = [&]() -> Result<void> {
    if (restoring_) restoring_->finish();
    for (Shelf* const shelf : all) {
      if (auto ok = fill_words(*shelf); !ok) return ok;
    }
    return {};
  };
  const auto vectors = [&]() -> Result<void> {
    const Clock::Steady begun = options_.clock->steady_now();
    for (Shelf* const shelf : all) {
      if (auto ok = fill_vectors(*shelf); !ok) return ok;
    }
    indexing_ns_ += (options_.clock->steady_now() - begun).count();
    return {};
  };
  std::uint64_t rows = 0;
  for (const Shelf* const shelf : all) rows += shelf->table.rows();
  auto beside = std::async(rows < kManyRows ? std::launch::deferred : std::launch::async, words);
  const auto filled = vectors();
  if (auto ok = beside.get(); !ok) return ok;
  if (!filled) return filled;
  for (Shelf* const shelf : all) {
    if (restoring_) adopt_graphs(*shelf);
  }
  return {};
}

Result<void> Engine::fill_words(Shelf& shelf) {
  const Restoring::Part* const part = restoring_ ? restoring_->part_of(shelf) : nullptr;
  const bool restored = part != nullptr && part->words;
  const LogReader reader = log_->reader();
  std::string scratch;
  shelf.near->reserve(shelf.table.rows());
  for (std::uint32_t slot = 0; slot < shelf.table.slots(); ++slot) {
    const bool same = restored && part->same(shelf.table, slot);
    if (restored && !same) shelf.keyword->remove(slot);
    if (shelf.table.columns().visible[slot] == 0) continue;
    const auto bytes = reader.payload(shelf.table.place(slot).position, scratch);
    const auto view = bytes ? parse_upsert(*bytes) : std::nullopt;
    if (!view) return fail(Errc::kCorrupt, "a record of the hot store's log changed while read");
    if (!view->fingerprint.empty()) shelf.near->add(slot, view->read_fingerprint());
    if (same && shelf.keyword->contains(slot)) {
      ++restored_rows_;
      continue;
    }
    ++changes_;
    shelf.keyword->add(slot, view->content,
                       {view->system_id, view->conversation_id, view->metadata, view->timestamp});
  }
  return {};
}

Result<void> Engine::fill_vectors(Shelf& shelf) {
  const LogReader reader = log_->reader();
  std::string scratch;
  std::vector<float> vector;
  for (std::uint32_t slot = 0; slot < shelf.table.slots(); ++slot) {
    if (shelf.table.columns().visible[slot] == 0) continue;
    VectorSet* const set = shelf.set_of(slot);
    if (set == nullptr) continue;
    Table::Place& place = shelf.table.place(slot);
    const auto bytes = reader.payload(place.position, scratch);
    const auto view = bytes ? parse_upsert(*bytes) : std::nullopt;
    if (!view) return fail(Errc::kCorrupt, "a record of the hot store's log changed while read");
    vector.resize(view->dimensions);
    view->read_vector(vector.data());
    if (set->put(slot, vector)) {
      set->list(slot, place.sequence);
    } else {
      place.model = 0;
    }
  }
  return {};
}

void Engine::adopt_graphs(Shelf& shelf) {
  Restoring::Part* const found = restoring_->part_of(shelf);
  if (found == nullptr) return;
  Restoring::Part& part = *found;
  for (std::size_t i = 0; i < part.graphs.size(); ++i) {
    const SavedGraph& saved = part.saved->graphs[i];
    const auto at = std::ranges::find_if(shelf.vectors, [&](const auto& set) {
      return set->model() == saved.model && set->dimensions() == saved.dimensions;
    });
    if (at == shelf.vectors.end() || part.graphs[i] == nullptr) continue;
    std::vector<std::uint64_t> linked(saved.links.size());
    for (std::uint32_t slot = 0; slot < linked.size(); ++slot) {
      if (saved.links[slot] == SavedGraph::kNone) continue;
      const bool holds = saved.links[slot] == SavedGraph::kHolds && slot < shelf.table.slots() &&
                         part.same(shelf.table, slot);
      linked[slot] = holds ? part.saved->sequences[slot] : VectorSet::kStale;
      restored_links_ += holds ? 1 : 0;
    }
    if ((*at)->adopt(std::move(part.graphs[i]), std::move(linked))) {
      kept_graphs_[at->get()] = {(*at)->version(), saved.file};
    }
  }
}

// ---- Writing ------------------------------------------------------------------------------------

namespace {

Rows copy_rows(const Table& table, vector::ReadGate& gate) {
  Rows out;
  for (std::size_t from = 0;; from += kCopiedAtOnce) {
    const std::shared_lock lock(gate);
    const std::size_t slots = table.slots();
    if (from >= slots) break;
    const std::size_t to = std::min(slots, from + kCopiedAtOnce);
    out.sequences.resize(to);
    out.contents.resize(to);
    for (std::size_t slot = from; slot < to; ++slot) {
      if (table.columns().visible[slot] == 0) continue;
      const Table::Place& place = table.place(static_cast<std::uint32_t>(slot));
      out.sequences[slot] = place.sequence;
      out.contents[slot] = place.content_hash;
    }
  }
  return out;
}

/// What each slot of a graph holds, as seen from the saved rows.
std::vector<std::uint8_t> links_of(const std::vector<std::uint64_t>& linked,
                                   const std::vector<std::uint64_t>& sequences) {
  std::vector<std::uint8_t> out(linked.size(), SavedGraph::kNone);
  for (std::size_t slot = 0; slot < linked.size(); ++slot) {
    if (linked[slot] == 0) continue;
    const bool holds = slot < sequences.size() && sequences[slot] == linked[slot];
    out[slot] = holds ? SavedGraph::kHolds : SavedGraph::kStale;
  }
  return out;
}

}  // namespace

Result<SavedShelf> Engine::save_shelf(Shelf& shelf, std::size_t& graphs) {
  SavedShelf out;
  out.tenant = shelf.tenant;
  std::vector<VectorSet*> sets;
  {
    const std::shared_lock lock(shelf.gate);
    for (const auto& set : shelf.vectors) sets.push_back(set.get());
  }
  for (VectorSet* const set : sets) {
    if (!set->has_graph()) continue;
    KeptGraph& kept = kept_graphs_[set];
    if (kept.file.empty() || kept.version != set->version()) {
      const std::string name = fmt::format("graph-{}-{}", generation_, ++graphs);
      if (auto ok = set->save(checkpoint_folder() + "/" + name); !ok) {
        return std::unexpected(ok.error());
      }
      kept = {set->version(), name};
    }
    out.graphs.push_back(
        {set->model(), static_cast<std::uint32_t>(set->dimensions()), kept.file, {}});
  }
  // The writer goes on: words belong to a row for sure where it was there before and after.
  const Rows before = copy_rows(shelf.table, shelf.gate);
  out.words = shelf.keyword->snapshot();
  Rows after = copy_rows(shelf.table, shelf.gate);
  for (std::size_t slot = 0; slot < after.sequences.size(); ++slot) {
    if (slot < before.sequences.size() && before.sequences[slot] == after.sequences[slot]) continue;
    after.sequences[slot] = after.contents[slot] = 0;
  }
  out.sequences = std::move(after.sequences);
  out.contents = std::move(after.contents);
  std::size_t i = 0;
  for (VectorSet* const set : sets) {
    if (set->has_graph()) out.graphs[i++].links = links_of(set->linked(), out.sequences);
  }
  return out;
}

Result<void> Engine::save_checkpoint() {
  std::error_code error;
  std::filesystem::create_directories(checkpoint_folder(), error);
  if (error) {
    return fail(Errc::kUnavailable,
                fmt::format("cannot make the folder {}: {}", checkpoint_folder(), error.message()));
  }
  Checkpoint made;
  made.generation = ++generation_;
  std::size_t graphs = 0;
  std::uint64_t rows = 0;
  for (Shelf* const shelf : shelves()) {
    {
      const std::shared_lock lock(shelf->gate);
      rows += shelf->table.rows();
      if (shelf->table.rows() == 0) continue;
    }
    ASAHI_TRY(made.shelves.emplace_back(), save_shelf(*shelf, graphs));
  }
  rows_ = rows;
  if (auto ok = write_checkpoint(checkpoint_folder(), made); !ok) return ok;
  tidy_checkpoints(checkpoint_folder(), made);
  return {};
}

void Engine::checkpoint_if_due(Moment moment) {
  if (!keeps_checkpoints() || options_.checkpoint_rows == SIZE_MAX) return;
  // A change and its link count one each. The whole is written each time, so that a store that
  // grows writes some five times what it holds.
  std::size_t least = options_.checkpoint_rows;
  std::uint64_t share = 4;
  if (moment == Moment::kIdle) {
    least /= 4;
    share = 16;
  } else if (moment == Moment::kEnd) {
    least /= 16;
    share = 64;
  }
  const std::uint64_t work = changes_.load() + links_ - saved_work_;
  if (work < std::max<std::uint64_t>({least, rows_ / share, 1})) return;
  const std::uint64_t upto = changes_.load() + links_;
  // A disk that is full now is asked again after as much work; the log holds everything.
  if (save_checkpoint()) {
    ++checkpoints_;
  } else {
    ++checkpoint_failures_;
    kept_graphs_.clear();
  }
  saved_work_ = upto;
}

}  // namespace asahi::memory::hot
