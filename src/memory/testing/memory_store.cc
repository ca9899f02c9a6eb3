#include "memory/testing/memory_store.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <unordered_map>
#include <unordered_set>

#include "base/json.h"

namespace asahi::memory::testing {

namespace {

constexpr std::size_t kMostRows = 1'000;

json::object metadata_of(const Memory& memory) {
  auto parsed = parse_json(memory.metadata);
  if (!parsed || !parsed->is_object()) return {};
  return std::move(parsed->get_object());
}

std::string plain(const json::value& value) {
  return value.is_string() ? std::string(value.get_string()) : write_json(value);
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || byte >= 0x80) {
      word += static_cast<char>(std::tolower(byte));
    } else if (!word.empty()) {
      words.push_back(std::move(word));
      word.clear();
    }
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

/// BM25 of each row, in the order of `rows`, and the terms of the query that it has. Robertson and
/// Zaragoza 2009, "The Probabilistic Relevance Framework".
struct Keyword {
  double score = 0;
  std::vector<std::string> terms;
};
std::vector<Keyword> bm25(const std::vector<const Memory*>& rows, std::string_view query) {
  constexpr double kK1 = 1.2;
  constexpr double kB = 0.75;
  std::vector<std::unordered_map<std::string, int>> counts(rows.size());
  std::vector<double> lengths(rows.size());
  double all = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (std::string& word : words_of(rows[i]->content)) {
      ++counts[i][std::move(word)];
      ++lengths[i];
    }
    all += lengths[i];
  }
  const double mean = rows.empty() ? 1 : std::max(all / static_cast<double>(rows.size()), 1.0);
  std::vector<Keyword> out(rows.size());
  std::set<std::string> asked;
  for (std::string& word : words_of(query)) asked.insert(std::move(word));
  for (const std::string& word : asked) {
    const auto having = static_cast<double>(
        std::ranges::count_if(counts, [&](const auto& row) { return row.contains(word); }));
    const auto n = static_cast<double>(rows.size());
    const double idf = std::log(1 + (n - having + 0.5) / (having + 0.5));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto found = counts[i].find(word);
      if (found == counts[i].end()) continue;
      const double tf = found->second;
      out[i].score += idf * tf * (kK1 + 1) / (tf + kK1 * (1 - kB + kB * lengths[i] / mean));
      out[i].terms.push_back(word);
    }
  }
  return out;
}

void count_facets(const std::vector<const Memory*>& rows, const std::vector<std::string>& names,
                  Tier tier, FacetCounts& out) {
  for (const std::string& name : names) {
    auto& counts = out[name];
    for (const Memory* row : rows) {
      if (name == "system_id") {
        ++counts[row->key.system_id];
      } else if (name == "tier") {
        ++counts[std::string(tier_name(tier))];
      } else if (const auto unit = date_unit(name)) {
        ++counts[date_text(row->timestamp, *unit)];
      } else {
        const json::object metadata = metadata_of(*row);
        const json::value* value = metadata.if_contains(name);
        if (value == nullptr || value->is_null()) continue;
        if (!value->is_array()) {
          ++counts[plain(*value)];
          continue;
        }
        for (const json::value& one : value->get_array()) ++counts[plain(one)];
      }
    }
  }
}

/// Of its vector; empty: it has none.
std::string model_of(const Memory& memory) {
  return memory.embedding.empty() ? std::string() : memory.embedding_model;
}

}  // namespace

bool matches(const Filter& filter, const Memory& memory) {
  const auto among = [&](const std::vector<std::string>& systems) {
    return std::ranges::find(systems, memory.key.system_id) != systems.end();
  };
  if (!filter.system_ids.empty() && !among(filter.system_ids)) return false;
  if (filter.systems_allowed && !among(*filter.systems_allowed)) return false;
  if (filter.start && memory.timestamp < *filter.start) return false;
  if (filter.end && memory.timestamp >= *filter.end) return false;
  if (filter.metadata.empty()) return true;
  const json::object metadata = metadata_of(memory);
  return std::ranges::all_of(filter.metadata, [&](const auto& wanted) {
    const json::value* value = metadata.if_contains(wanted.first);
    if (value == nullptr) return false;
    if (!value->is_array()) return plain(*value) == wanted.second;
    return std::ranges::any_of(value->get_array(),
                               [&](const json::value& one) { return plain(one) == wanted.second; });
  });
}

double estimated_jaccard(const Fingerprint& a, const Fingerprint& b) {
  const Fingerprint none{};
  if (a == none || b == none) return 0;
  double same = 0;
  for (std::size_t i = 0; i < a.size(); ++i) same += a[i] == b[i] ? 1 : 0;
  return same / static_cast<double>(a.size());
}

void MemoryStore::fail_upserts(int times, Error error) {
  const std::scoped_lock lock(mutex_);
  failures_ = times;
  failure_ = std::move(error);
}

std::vector<Memory> MemoryStore::all() const {
  const std::scoped_lock lock(mutex_);
  std::vector<Memory> out;
  for (const auto& [key, memory] : rows_) out.push_back(memory);
  return out;
}

std::size_t MemoryStore::batches() const {
  const std::scoped_lock lock(mutex_);
  return batches_;
}

void MemoryStore::erase(const Key& key) {
  const auto found = rows_.find(key);
  if (found == rows_.end()) return;
  const auto hash = by_hash_.find({key.tenant, found->second.content_hash});
  if (hash != by_hash_.end() && hash->second == key) by_hash_.erase(hash);
  migrating_.erase(key);
  rows_.erase(found);
}

UpsertOutcome MemoryStore::upsert(Memory memory, const UpsertOptions& options) {
  const auto same_key = rows_.find(memory.key);
  if (same_key != rows_.end()) {
    const Memory& old = same_key->second;
    if (old.content_hash == memory.content_hash) return UpsertOutcome::kUnchanged;
    if (memory.timestamp <= old.timestamp) return UpsertOutcome::kOlder;
  }
  UpsertOutcome outcome =
      same_key == rows_.end() ? UpsertOutcome::kStored : UpsertOutcome::kReplaced;
  if (options.deduplicate) {
    const auto same_text = by_hash_.find({memory.key.tenant, memory.content_hash});
    if (same_text != by_hash_.end() && same_text->second != memory.key) {
      Memory& first = rows_.at(same_text->second);
      json::object metadata = metadata_of(first);
      json::value& seen = metadata["seen_in"];
      if (!seen.is_array()) seen = json::array();
      const std::string name = memory.key.system_id + "/" + memory.key.conversation_id;
      if (std::ranges::find(seen.get_array(), json::value(name)) == seen.get_array().end())
        seen.get_array().emplace_back(name);
      first.metadata = write_json(metadata);
      migrating_.erase(first.key);
      return UpsertOutcome::kDuplicate;
    }
    double best = options.near_duplicate_threshold;
    for (const auto& [key, row] : rows_) {
      if (key.tenant != memory.key.tenant || key == memory.key) continue;
      const double likeness = estimated_jaccard(row.fingerprint, memory.fingerprint);
      if (likeness < best) continue;
      if (!memory.near_duplicate_of || likeness > best) memory.near_duplicate_of = key;
      best = likeness;
    }
    if (memory.near_duplicate_of && outcome == UpsertOutcome::kStored) {
      outcome = UpsertOutcome::kNearDuplicate;
      if (options.skip_near_duplicates) return outcome;
    }
  }
  erase(memory.key);
  by_hash_.try_emplace({memory.key.tenant, memory.content_hash}, memory.key);
  const Key key = memory.key;
  rows_.insert_or_assign(key, std::move(memory));
  return outcome;
}

Task<std::vector<UpsertOutcome>> MemoryStore::upsert_batch(std::vector<Memory> memories,
                                                           UpsertOptions options) {
  const std::scoped_lock lock(mutex_);
  if (failures_ > 0) {
    --failures_;
    co_return std::unexpected(failure_);
  }
  for (const Memory& memory : memories) {
    if (auto ok = check_key(memory.key); !ok) co_return std::unexpected(ok.error());
    for (const float x : memory.embedding) {
      if (!std::isfinite(x))
        co_return fail_field("embedding", "numbers that are finite; this one has others");
    }
    if (memory.content.size() > kMaxContent || memory.metadata.size() > kMaxMetadata)
      co_return fail(Errc::kTooLarge, "content or metadata is larger than a memory may have");
  }
  ++batches_;
  std::vector<UpsertOutcome> outcomes;
  outcomes.reserve(memories.size());
  for (Memory& memory : memories) outcomes.push_back(upsert(std::move(memory), options));
  co_return outcomes;
}

Task<std::vector<std::optional<Memory>>> MemoryStore::get(std::vector<Key> keys) {
  const std::scoped_lock lock(mutex_);
  std::vector<std::optional<Memory>> out;
  for (const Key& key : keys) {
    const auto found = rows_.find(key);
    out.push_back(found == rows_.end() ? std::nullopt : std::optional(found->second));
  }
  co_return out;
}

Task<std::uint64_t> MemoryStore::delete_batch(std::vector<Key> keys) {
  const std::scoped_lock lock(mutex_);
  const std::size_t before = rows_.size();
  for (const Key& key : keys) erase(key);
  co_return before - rows_.size();
}

Task<std::uint64_t> MemoryStore::delete_system(std::string tenant, std::string system_id) {
  const std::scoped_lock lock(mutex_);
  std::vector<Key> keys;
  for (const auto& [key, row] : rows_) {
    if (key.tenant == tenant && key.system_id == system_id) keys.push_back(key);
  }
  for (const Key& key : keys) erase(key);
  co_return keys.size();
}

Task<StorePage> MemoryStore::search(StoreQuery query) {
  if (query.limit < 1 || query.limit > kMostRows)
    co_return fail_field("limit", "a page holds 1 to 1000 results");
  const std::scoped_lock lock(mutex_);
  // Word statistics are those of the tenant's rows: a filter changes which rows are given, not how
  // they score.
  std::vector<const Memory*> rows;
  for (const auto& [key, row] : rows_) {
    if (key.tenant == query.tenant) rows.push_back(&row);
  }
  const bool by_vector = !query.embedding.empty() && query.mode != SearchMode::kKeyword;
  const bool by_words = !query.text.empty() && query.mode != SearchMode::kSemantic;
  std::vector<Keyword> words;
  if (by_words) words = bm25(rows, query.text);

  struct Scored {
    const Memory* row;
    StoreHit hit;
  };
  std::vector<Scored> found;
  std::vector<const Memory*> matching;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Memory& row = *rows[i];
    if (!matches(query.filter, row)) continue;
    Scored scored{&row, {}};
    StoreHit& hit = scored.hit;
    hit.key = row.key;
    hit.tier = tier_;
    hit.timestamp = row.timestamp;
    hit.metadata = row.metadata;
    if (query.include_content) hit.text = row.content;
    if (by_vector && row.embedding.size() == query.embedding.size() &&
        row.embedding_model == query.embedding_model) {
      double sum = 0;
      for (std::size_t d = 0; d < row.embedding.size(); ++d)
        sum += static_cast<double>(row.embedding[d]) * query.embedding[d];
      hit.similarity = static_cast<float>(std::clamp(sum, -1.0, 1.0));
      if (*hit.similarity >= query.threshold || query.mode != SearchMode::kSemantic)
        hit.explanation.cosine = hit.similarity;
    }
    if (by_words && !words[i].terms.empty()) {
      hit.explanation.bm25 = static_cast<float>(words[i].score);
      hit.explanation.matched_terms = words[i].terms;
    }
    const bool asked = by_vector || by_words;
    if (asked && !hit.explanation.cosine && !hit.explanation.bm25) continue;
    matching.push_back(&row);
    found.push_back(std::move(scored));
  }

  const auto rank = [&](auto value, auto place) {
    std::vector<Scored*> order;
    for (Scored& scored : found) {
      if (value(scored)) order.push_back(&scored);
    }
    std::ranges::sort(order, [&](const Scored* a, const Scored* b) {
      if (*value(*a) != *value(*b)) return *value(*a) > *value(*b);
      return a->hit.timestamp != b->hit.timestamp ? a->hit.timestamp > b->hit.timestamp
                                                  : a->hit.key < b->hit.key;
    });
    for (std::size_t i = 0; i < order.size(); ++i) place(*order[i]) = static_cast<int>(i + 1);
  };
  rank([](const Scored& s) { return s.hit.explanation.cosine; },
       [](Scored& s) -> auto& { return s.hit.explanation.vector_rank; });
  rank([](const Scored& s) { return s.hit.explanation.bm25; },
       [](Scored& s) -> auto& { return s.hit.explanation.keyword_rank; });
  constexpr double kFusion = 60;
  for (Scored& scored : found) {
    const Explanation& why = scored.hit.explanation;
    if (by_vector && by_words) {
      if (why.vector_rank) scored.hit.score += 1 / (kFusion + *why.vector_rank);
      if (why.keyword_rank) scored.hit.score += 1 / (kFusion + *why.keyword_rank);
    } else if (by_vector) {
      scored.hit.score = why.cosine.value_or(-1);
    } else if (by_words) {
      scored.hit.score = why.bm25.value_or(0);
    }
  }
  std::ranges::sort(found, [](const Scored& a, const Scored& b) {
    if (a.hit.score != b.hit.score) return a.hit.score > b.hit.score;
    if (a.hit.timestamp != b.hit.timestamp) return a.hit.timestamp > b.hit.timestamp;
    return a.hit.key < b.hit.key;
  });
  StorePage page;
  page.total = found.size();
  count_facets(matching, query.facets, tier_, page.facets);
  for (Scored& scored : found) {
    if (page.hits.size() == query.limit) break;
    page.hits.push_back(std::move(scored.hit));
  }
  co_return page;
}

Task<std::vector<Eligible>> MemoryStore::scan_eligible(ScanQuery wanted) {
  const std::scoped_lock lock(mutex_);
  std::vector<const Memory*> due;
  for (const auto& [key, row] : rows_) {
    if (row.timestamp >= wanted.before || migrating_.contains(key)) continue;
    if (!wanted.tenant.empty() && key.tenant != wanted.tenant) continue;
    if (!wanted.keys.empty() && std::ranges::find(wanted.keys, key) == wanted.keys.end()) continue;
    if (wanted.without_model && model_of(row) == *wanted.without_model) continue;
    due.push_back(&row);
  }
  std::ranges::sort(due, [](const Memory* a, const Memory* b) {
    return a->timestamp != b->timestamp ? a->timestamp < b->timestamp : a->key < b->key;
  });
  if (due.size() > wanted.limit) due.resize(wanted.limit);
  std::vector<Eligible> out;
  for (const Memory* row : due) {
    migrating_.insert(row->key);
    out.push_back({*row, row_checksum(*row)});
  }
  co_return out;
}

Task<std::uint64_t> MemoryStore::delete_migrated(std::vector<std::pair<Key, Digest>> rows) {
  const std::scoped_lock lock(mutex_);
  std::uint64_t gone = 0;
  for (const auto& [key, sum] : rows) {
    const auto found = rows_.find(key);
    if (sum == Digest{}) migrating_.erase(key);
    if (found == rows_.end() || row_checksum(found->second) != sum) continue;
    erase(key);
    ++gone;
  }
  co_return gone;
}

Task<std::uint64_t> MemoryStore::replace_vectors(std::vector<NewVector> rows) {
  const std::scoped_lock lock(mutex_);
  std::uint64_t count = 0;
  for (NewVector& row : rows) {
    const auto found = rows_.find(row.key);
    if (row.checksum == Digest{}) migrating_.erase(row.key);
    if (found == rows_.end() || row_checksum(found->second) != row.checksum) continue;
    migrating_.erase(row.key);
    found->second.embedding = std::move(row.embedding);
    found->second.embedding_model = std::move(row.model);
    ++count;
  }
  co_return count;
}

Task<std::map<std::string, std::uint64_t>> MemoryStore::models(std::string tenant) {
  const std::scoped_lock lock(mutex_);
  std::map<std::string, std::uint64_t> out;
  for (const auto& [key, row] : rows_) {
    if (tenant.empty() || key.tenant == tenant) ++out[model_of(row)];
  }
  co_return out;
}

Task<std::vector<std::optional<Digest>>> MemoryStore::checksum(std::vector<Key> keys) {
  const std::scoped_lock lock(mutex_);
  std::vector<std::optional<Digest>> out;
  for (const Key& key : keys) {
    const auto found = rows_.find(key);
    out.push_back(found == rows_.end() ? std::nullopt : std::optional(row_checksum(found->second)));
  }
  co_return out;
}

Task<TierStats> MemoryStore::stats(std::string tenant) {
  const std::scoped_lock lock(mutex_);
  TierStats stats;
  for (const auto& [key, row] : rows_) {
    if (!tenant.empty() && key.tenant != tenant) continue;
    ++stats.records;
    stats.bytes += row.content.size() + row.metadata.size() + row.embedding.size() * sizeof(float) +
                   sizeof(Memory);
    if (!stats.oldest || row.timestamp < *stats.oldest) stats.oldest = row.timestamp;
    if (!stats.newest || row.timestamp > *stats.newest) stats.newest = row.timestamp;
  }
  co_return stats;
}

Task<std::vector<HeldFile>> MemoryStore::snapshot(std::string folder, HeldSums) {
  const std::scoped_lock lock(mutex_);
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  std::ofstream file(folder + "/memories.jsonl");
  for (const auto& [key, row] : rows_) {
    json::object line;
    line["tenant"] = key.tenant;
    line["system_id"] = key.system_id;
    line["id"] = key.conversation_id;
    line["content"] = row.content;
    line["timestamp"] = format_rfc3339(row.timestamp);
    line["metadata"] = metadata_of(row);
    file << write_json(line) << '\n';
  }
  file.close();
  if (error || !file) co_return fail(Errc::kUnavailable, "cannot write the snapshot to " + folder);
  co_return std::vector<HeldFile>{};
}

}  // namespace asahi::memory::testing
