// What the writing thread does with memories that come in.
#include <fmt/format.h>

#include <cstring>
#include <map>

#include "memory/hot/engine.h"
#include "memory/hot/incoming.h"
#include "memory/hot/shelf.h"

namespace asahi::memory::hot {
namespace {

constexpr std::uint8_t kNeverDurable = 0;

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

}  // namespace

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

}  // namespace asahi::memory::hot
