// What readers of the hot tier do: look up, search, count.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <shared_mutex>

#include "base/json_out.h"
#include "memory/hot/engine.h"
#include "memory/hot/shelf.h"
#include "memory/model/seen_in.h"
#include "storage/vector/rules.h"

namespace asahi::memory::hot {
namespace {

/// Reciprocal rank fusion (Cormack, Clarke, Büttcher, SIGIR 2009): 1 / (60 + rank).
constexpr double kFusion = 60;
/// Each list of a hybrid search is this long at least.
constexpr std::size_t kFusedDepth = 100;
/// Rows that a filter leaves, beyond which the metadata of the hits alone is asked.
constexpr std::size_t kMostConfirmed = 50'000;
constexpr std::size_t kMostSeenIn = 100;
constexpr std::size_t kMostCounted = 10'000;

std::unexpected<Error> damaged(const std::string& tenant) {
  return fail(Errc::kCorrupt,
              fmt::format("a record of the hot store's log cannot be read (tenant '{}'); its "
                          "segment is damaged, restore it from a backup",
                          tenant));
}

bool same_key(std::string_view bytes, bool alias, std::string_view system_id,
              std::string_view conversation_id) {
  if (alias) {
    const auto view = parse_seen(bytes);
    return view && view->system_id == system_id && view->conversation_id == conversation_id;
  }
  const auto view = parse_upsert(bytes);
  return view && view->system_id == system_id && view->conversation_id == conversation_id;
}

}  // namespace

std::uint32_t Engine::find(const Shelf& shelf, const LogReader& reader, std::string_view system_id,
                           std::string_view conversation_id, std::uint8_t flag) const {
  std::uint32_t found = kNoSlot;
  std::string scratch;
  shelf.table.with_key(key_hash(system_id, conversation_id), [&](std::uint32_t slot) {
    if (!shelf.table.has(slot, flag)) return false;
    const auto bytes = reader.payload(shelf.table.place(slot).position, scratch);
    const bool alias = shelf.table.has(slot, Table::kAlias);
    if (!bytes || !same_key(*bytes, alias, system_id, conversation_id)) return false;
    found = slot;
    return true;
  });
  return found;
}

std::uint32_t Engine::find_content(const Shelf& shelf, const LogReader& reader,
                                   const Digest& content_hash) const {
  std::uint64_t hash = 0;
  std::memcpy(&hash, content_hash.data(), sizeof(hash));
  std::uint32_t found = kNoSlot;
  std::string scratch;
  shelf.table.with_content(hash, [&](std::uint32_t slot) {
    if (!shelf.table.has(slot, Table::kCurrent)) return false;
    // Of several rows with one content the oldest counts: no start changes which that is.
    if (found != kNoSlot && shelf.table.place(found).sequence < shelf.table.place(slot).sequence) {
      return false;
    }
    const auto bytes = reader.payload(shelf.table.place(slot).position, scratch);
    const auto view = bytes ? parse_upsert(*bytes) : std::nullopt;
    if (view && view->content_hash == content_hash) found = slot;
    return false;
  });
  return found;
}

Result<Key> Engine::read_key(const Shelf& shelf, const LogReader& reader,
                             std::uint32_t slot) const {
  std::string scratch;
  const auto bytes = reader.payload(shelf.table.place(slot).position, scratch);
  if (!bytes) return damaged(shelf.tenant);
  if (shelf.table.has(slot, Table::kAlias)) {
    const auto view = parse_seen(*bytes);
    if (!view) return damaged(shelf.tenant);
    return Key{shelf.tenant, std::string(view->system_id), std::string(view->conversation_id)};
  }
  const auto view = parse_upsert(*bytes);
  if (!view) return damaged(shelf.tenant);
  return Key{shelf.tenant, std::string(view->system_id), std::string(view->conversation_id)};
}

Result<Memory> Engine::read_row(const Shelf& shelf, const LogReader& reader,
                                std::uint32_t slot) const {
  std::string scratch;
  const auto bytes = reader.payload(shelf.table.place(slot).position, scratch, true);
  const auto view = bytes ? parse_upsert(*bytes) : std::nullopt;
  if (!view) return damaged(shelf.tenant);
  return view->decode();
}

Result<Memory> Engine::read_alias(const Shelf& shelf, const LogReader& reader,
                                  std::uint32_t slot) const {
  std::string scratch;
  const auto bytes = reader.payload(shelf.table.place(slot).position, scratch, true);
  const auto view = bytes ? parse_seen(*bytes) : std::nullopt;
  if (!view) return damaged(shelf.tenant);
  ASAHI_TRY(Memory out, read_row(shelf, reader, shelf.table.owner(slot)));
  out.key.system_id = view->system_id;
  out.key.conversation_id = view->conversation_id;
  out.timestamp = view->timestamp;
  out.uploaded_at = view->uploaded_at;
  out.metadata = view->metadata;
  return out;
}

Result<Memory> Engine::read_memory(const Shelf& shelf, const LogReader& reader,
                                   std::uint32_t slot) const {
  if (shelf.table.has(slot, Table::kAlias)) return read_alias(shelf, reader, slot);
  ASAHI_TRY(Memory out, read_row(shelf, reader, slot));
  out.metadata = with_seen_in(shelf, reader, slot, std::move(out.metadata));
  return out;
}

/// The metadata with a member `seen_in`: the keys of the durable duplicates, the first 100.
std::string Engine::with_seen_in(const Shelf& shelf, const LogReader& reader, std::uint32_t slot,
                                 std::string metadata) const {
  const auto* const list = shelf.table.aliases(slot);
  if (list == nullptr || !metadata.ends_with('}')) return metadata;
  std::string members;
  JsonOut out(members);
  out.open_array();
  std::size_t count = 0;
  for (const std::uint32_t alias : *list) {
    if (!shelf.table.has(alias, Table::kDurable) || count == kMostSeenIn) continue;
    const auto key = read_key(shelf, reader, alias);
    if (!key) continue;
    ++count;
    out.open_object();
    out.member("system_id", key->system_id);
    out.member("conversation_id", key->conversation_id);
    out.close_object();
  }
  out.close_array();
  if (count == 0) return metadata;
  return memory::with_seen_in(std::move(metadata), members);
}

Result<std::vector<std::optional<Memory>>> Engine::get(const std::vector<Key>& keys) const {
  std::vector<std::optional<Memory>> out(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const Shelf* const shelf = find_shelf(keys[i].tenant);
    if (shelf == nullptr) continue;
    const std::shared_lock lock(shelf->gate);
    const LogReader reader = log_->reader();
    const std::uint32_t slot =
        find(*shelf, reader, keys[i].system_id, keys[i].conversation_id, Table::kDurable);
    if (slot == kNoSlot) continue;
    ASAHI_TRY(out[i], read_memory(*shelf, reader, slot));
  }
  return out;
}

Result<std::vector<std::optional<Digest>>> Engine::checksum(const std::vector<Key>& keys) const {
  ASAHI_TRY(const auto memories, get(keys));
  std::vector<std::optional<Digest>> out;
  for (const auto& memory : memories) {
    out.push_back(memory ? std::optional(row_checksum(*memory)) : std::nullopt);
  }
  return out;
}

TierStats Engine::stats(const std::string& tenant) const {
  TierStats out;
  std::uint64_t waiting = 0;
  std::int64_t oldest = INT64_MAX, newest = INT64_MIN;
  for (const Shelf* const shelf : shelves()) {
    if (!tenant.empty() && shelf->tenant != tenant) continue;
    const std::shared_lock lock(shelf->gate);
    const Table& table = shelf->table;
    out.records += table.rows();
    out.bytes += table.live_bytes();
    for (const auto& set : shelf->vectors) waiting += set->wants_graph() ? set->backlog() : 0;
    for (std::size_t slot = 0; slot < table.slots(); ++slot) {
      if (table.columns().visible[slot] == 0) continue;
      oldest = std::min(oldest, table.columns().timestamp[slot]);
      newest = std::max(newest, table.columns().timestamp[slot]);
    }
  }
  out.unlinked = waiting;
  if (out.records > 0) {
    out.oldest = Clock::Time{std::chrono::nanoseconds{oldest}};
    out.newest = Clock::Time{std::chrono::nanoseconds{newest}};
  }
  return out;
}

EngineStats Engine::engine_stats() const {
  EngineStats out;
  out.opened = opened_;
  out.file_bytes = log_->file_bytes();
  out.live_bytes = log_->live_bytes();
  out.segments = log_->segment_count();
  out.stale_segments = log_->stale_segments();
  out.unlinked = backlog();
  out.groups = groups_.load();
  out.compactions = compactions_.load();
  out.compaction_failures = compaction_failures_.load();
  out.checkpoints = checkpoints_.load();
  out.checkpoint_failures = checkpoint_failures_.load();
  out.indexing = std::chrono::nanoseconds(indexing_ns_.load());
  {
    const std::lock_guard lock(queue_mutex_);
    if (const auto oldest = in_work_since_ ? in_work_since_ : waiting_since_)
      out.wal_lag = options_.clock->steady_now() - *oldest;
  }
  out.restored_rows = restored_rows_;
  out.restored_links = restored_links_;
  for (const Shelf* const shelf : shelves()) {
    const std::shared_lock lock(shelf->gate);
    out.table_bytes += shelf->table.bytes() + shelf->keyword->bytes();
    for (const auto& set : shelf->vectors) {
      out.table_bytes += set->bytes();
      out.vectors += set->listed();
    }
  }
  return out;
}

/// Asks the metadata of the rows that the columns could not judge.
void Engine::confirm(const Shelf& shelf, const LogReader& reader, Table::Allowed& allowed) const {
  std::string scratch;
  for (std::uint32_t slot = 0; slot < allowed.slots.size(); ++slot) {
    if (allowed.slots[slot] == 0) continue;
    if (confirmed(shelf, reader, slot, allowed.check, scratch)) continue;
    allowed.slots[slot] = 0;
    --allowed.count;
  }
  allowed.check.clear();
}

bool Engine::confirmed(const Shelf& shelf, const LogReader& reader, std::uint32_t slot,
                       const std::vector<std::pair<std::string, std::string>>& check,
                       std::string& scratch) const {
  if (check.empty()) return true;
  const auto bytes = reader.payload(shelf.table.place(slot).position, scratch);
  const auto view = bytes ? parse_upsert(*bytes) : std::nullopt;
  if (!view) return false;
  return std::ranges::all_of(check, [&](const auto& pair) {
    return metadata_matches(view->metadata, pair.first, pair.second);
  });
}

void Engine::rank_vectors(const Shelf& shelf, const LogReader& reader, const StoreQuery& query,
                          const Table::Allowed* allowed, std::size_t depth,
                          std::vector<VectorSet::Candidate>& out) const {
  out.clear();
  const VectorSet* set = nullptr;
  for (const auto& each : shelf.vectors) {
    if (each->model() == query.embedding_model && each->dimensions() == query.embedding.size()) {
      set = each.get();
    }
  }
  if (set == nullptr) return;
  const std::vector<float> unit = vector::unit_vector(query.embedding);
  // Bytes leave some doubt about the order: a few more are ranked by what was given.
  const std::size_t wanted = depth + std::max<std::size_t>(depth / 2, 16);
  set->search(unit, wanted, shelf.table.columns().visible,
              allowed != nullptr ? allowed->slots.data() : nullptr,
              allowed != nullptr ? allowed->count : 0, out);
  std::ranges::sort(out, {}, &VectorSet::Candidate::slot);
  const auto twice = std::ranges::unique(out, {}, &VectorSet::Candidate::slot);
  out.erase(twice.begin(), twice.end());
  std::string scratch;
  std::vector<float> vector(unit.size());
  std::erase_if(out, [&](VectorSet::Candidate& candidate) {
    const auto bytes = reader.payload(shelf.table.place(candidate.slot).position, scratch);
    const auto view = bytes ? parse_upsert(*bytes) : std::nullopt;
    if (!view || view->dimensions != unit.size()) return true;
    if (allowed != nullptr && !allowed->check.empty() &&
        !confirmed(shelf, reader, candidate.slot, allowed->check, scratch)) {
      return true;
    }
    view->read_vector(vector.data());
    double product = 0, squares = 0;
    for (std::size_t i = 0; i < vector.size(); ++i) {
      product += static_cast<double>(vector[i]) * static_cast<double>(unit[i]);
      squares += static_cast<double>(vector[i]) * static_cast<double>(vector[i]);
    }
    candidate.similarity = vector::clamp_score(product / std::sqrt(squares));
    return false;
  });
  std::ranges::sort(out, [](const auto& a, const auto& b) {
    return a.similarity != b.similarity ? a.similarity > b.similarity : a.slot < b.slot;
  });
  if (out.size() > depth) out.resize(depth);
}

namespace {

/// What a search knows of a row so far.
struct Ranked {
  std::uint32_t slot = 0;
  double score = 0;
  Explanation why;
};

void keep_best(std::vector<Ranked>& ranked, std::size_t limit) {
  const std::size_t kept = std::min(limit, ranked.size());
  std::ranges::partial_sort(ranked, ranked.begin() + static_cast<std::ptrdiff_t>(kept),
                            [](const Ranked& a, const Ranked& b) {
                              return a.score != b.score ? a.score > b.score : a.slot < b.slot;
                            });
  ranked.resize(kept);
}

Result<void> check_query(const StoreQuery& query) {
  if (query.limit < 1 || query.limit > 1000) {
    return fail_field("limit", fmt::format("{}; 1 to 1000 are possible", query.limit));
  }
  if (query.embedding.empty()) return {};
  float most = 0;
  for (const float number : query.embedding) {
    if (!std::isfinite(number)) return fail_field("embedding", "a number of it is not finite");
    most = std::max(most, std::abs(number));
  }
  if (most == 0) return fail_field("embedding", "all its numbers are 0: it has no direction");
  return {};
}

}  // namespace

Result<StorePage> Engine::search(const StoreQuery& query) const {
  if (auto ok = check_query(query); !ok) return std::unexpected(ok.error());
  StorePage page;
  const Shelf* const shelf = find_shelf(query.tenant);
  if (shelf == nullptr) {
    for (const std::string& facet : query.facets) page.facets[facet];
    return page;
  }
  const bool semantic = query.mode != SearchMode::kKeyword && !query.embedding.empty();
  const bool keyword = query.mode != SearchMode::kSemantic && !query.text.empty();

  const std::shared_lock lock(shelf->gate);
  const LogReader reader = log_->reader();
  const Table& table = shelf->table;
  const Filter& filter = query.filter;
  std::optional<Table::Allowed> allowed;
  if (!filter.system_ids.empty() || filter.systems_allowed || filter.start || filter.end ||
      !filter.metadata.empty()) {
    table.allow(filter, allowed.emplace());
    if (!allowed->check.empty() && allowed->count <= kMostConfirmed) {
      confirm(*shelf, reader, *allowed);
    }
  }
  const Table::Allowed* const may = allowed ? &*allowed : nullptr;
  const std::uint8_t* const slots = may != nullptr ? may->slots.data() : nullptr;
  std::string scratch;
  page.total = may != nullptr ? may->count : table.rows();

  std::vector<Ranked> ranked;
  std::map<std::uint32_t, std::size_t> place;  // in `ranked`, by slot
  const std::size_t depth =
      semantic && keyword ? std::max(kFusedDepth, 2 * query.limit) : query.limit;
  if (semantic) {
    std::vector<VectorSet::Candidate> near;
    rank_vectors(*shelf, reader, query, may, depth, near);
    int rank = 0;
    for (const auto& candidate : near) {
      if (query.mode == SearchMode::kSemantic && candidate.similarity < query.threshold) break;
      Ranked& row = ranked.emplace_back();
      row.slot = candidate.slot;
      row.why.cosine = candidate.similarity;
      row.why.vector_rank = ++rank;
      row.score = keyword ? fusion_weight(query.embedding_model) / (kFusion + rank)
                          : static_cast<double>(candidate.similarity);
      place[row.slot] = ranked.size() - 1;
    }
    if (query.mode == SearchMode::kSemantic && ranked.size() < std::min(depth, near.size())) {
      page.total = ranked.size();
    }
  }
  std::vector<std::uint32_t> matched;  // by words, for facets
  if (keyword) {
    std::vector<KeywordIndex::Hit> hits;
    const bool count_words = !semantic && !query.facets.empty();
    const std::size_t found =
        shelf->keyword->search(query.text, count_words ? std::max(depth, kMostCounted) : depth,
                               slots, table.slots(), hits);
    int rank = 0;
    for (const KeywordIndex::Hit& hit : hits) {
      if (hit.document >= table.slots() || table.columns().visible[hit.document] == 0) continue;
      if (may != nullptr && !confirmed(*shelf, reader, hit.document, may->check, scratch)) continue;
      matched.push_back(hit.document);
      if (++rank > static_cast<int>(depth)) continue;
      const auto [at, fresh] = place.emplace(hit.document, ranked.size());
      if (fresh) ranked.emplace_back().slot = hit.document;
      Ranked& row = ranked[at->second];
      row.why.bm25 = hit.score;
      row.why.keyword_rank = rank;
      row.score = semantic ? row.score + 1 / (kFusion + rank) : static_cast<double>(hit.score);
    }
    if (!semantic) page.total = std::max<std::uint64_t>(matched.size(), found);
  }
  if (!semantic && !keyword && query.embedding.empty() && query.text.empty()) {
    // Nothing is asked for: the newest.
    const std::uint8_t* const which = slots != nullptr ? slots : table.columns().visible.data();
    std::vector<std::pair<std::int64_t, std::uint32_t>> newest;  // a heap, the oldest on top
    for (std::uint32_t slot = 0; slot < table.slots(); ++slot) {
      if (which[slot] == 0) continue;
      const std::int64_t time = table.columns().timestamp[slot];
      if (newest.size() == query.limit && time <= newest.front().first) continue;
      if (may != nullptr && !confirmed(*shelf, reader, slot, may->check, scratch)) continue;
      if (newest.size() == query.limit) {
        std::ranges::pop_heap(newest, std::greater<>());
        newest.pop_back();
      }
      newest.emplace_back(time, slot);
      std::ranges::push_heap(newest, std::greater<>());
    }
    for (const auto& [time, slot] : newest) {
      Ranked& row = ranked.emplace_back();
      row.slot = slot;
      row.score = static_cast<double>(time) / 1e9;
    }
  }
  keep_best(ranked, query.limit);
  page.total = std::max<std::uint64_t>(page.total, ranked.size());

  for (Ranked& row : ranked) {
    const auto bytes = reader.payload(table.place(row.slot).position, scratch);
    const auto view = bytes ? parse_upsert(*bytes) : std::nullopt;
    if (!view) return damaged(shelf->tenant);
    StoreHit& hit = page.hits.emplace_back();
    hit.key = {shelf->tenant, std::string(view->system_id), std::string(view->conversation_id)};
    hit.tier = Tier::kHot;
    if (query.include_content) hit.text = view->content;
    hit.similarity = row.why.cosine;
    hit.score = row.score;
    hit.timestamp = view->timestamp;
    if (keyword) row.why.matched_terms = shelf->keyword->matched_terms(query.text, view->content);
    hit.explanation = std::move(row.why);
    hit.metadata = with_seen_in(*shelf, reader, row.slot, std::string(view->metadata));
  }
  if (!query.facets.empty()) {
    if (keyword && !semantic) {
      table.count_facets_of(query.facets, matched, page.facets);
    } else {
      table.count_facets(query.facets, slots, page.facets);
    }
  }
  return page;
}

}  // namespace asahi::memory::hot
