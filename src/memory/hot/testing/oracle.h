#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "memory/hot/testing/samples.h"

namespace asahi::memory::hot_testing {

/// A change of a store, made from a seed and a number alone, so that another process knows it.
struct Step {
  enum class Kind { kUpsert, kErase, kEraseSystem, kAge } kind = Kind::kUpsert;
  std::vector<Memory> memories;
  std::vector<Key> keys;
  std::string system;
  std::size_t count = 0;  ///< rows to age
};

inline Key any_key(std::uint64_t number) {
  return {"acme", "s" + std::to_string(number % 3), "k" + std::to_string(number % 40)};
}

inline Memory any_memory(std::mt19937_64& random, std::uint64_t number) {
  const auto key = random() % 40;
  const std::string text = random() % 2 == 0 ? "shared" + std::to_string(random() % 8)
                                             : "own" + std::to_string(number) + "n" +
                                                   std::to_string(random() % 1000) +
                                                   std::string(random() % 600, '.');
  // Mostly later than before, so that most of them change something; all times differ.
  const auto time = static_cast<std::int64_t>(random() % 4 == 0 ? random() % (number + 1) : number);
  Memory out = sample("", text, time * 1000 + static_cast<std::int64_t>(random() % 1000));
  out.key = any_key(key);
  out.embedding = direction(std::hash<std::string>()(text), 8);
  out.embedding_model = "m";
  return out;
}

inline Step any_step(std::uint64_t seed, std::uint64_t number) {
  std::mt19937_64 random(seed * 1'000'003 + number);
  Step out;
  const auto kind = random() % 100;
  if (kind < 70) {
    const std::size_t count = 1 + (random() % 3 == 0 ? random() % 8 : 0);
    for (std::size_t i = 0; i < count; ++i) out.memories.push_back(any_memory(random, number));
  } else if (kind < 92) {
    out.kind = Step::Kind::kErase;
    const std::size_t count = 1 + random() % 3;
    for (std::size_t i = 0; i < count; ++i) out.keys.push_back(any_key(random() % 40));
  } else if (kind < 94) {
    out.kind = Step::Kind::kEraseSystem;
    out.system = "s" + std::to_string(random() % 3);
  } else {
    out.kind = Step::Kind::kAge;
    out.count = 1 + random() % 4;
  }
  return out;
}

/// The hot tier's rules over plain maps.
class Oracle {
 public:
  struct Row {
    std::uint64_t order = 0;
    Memory memory;
    std::vector<Memory> seen;  ///< duplicates with what they had of their own
  };

  UpsertOutcome upsert(const Memory& memory) {
    const Key& key = memory.key;
    if (const auto at = rows_.find(key); at != rows_.end()) {
      if (at->second.memory.content == memory.content) return UpsertOutcome::kUnchanged;
      if (memory.timestamp <= at->second.memory.timestamp) return UpsertOutcome::kOlder;
      hand_over(key);
      rows_.erase(key);
      store(memory);
      return UpsertOutcome::kReplaced;
    }
    if (auto [owner, place] = find_seen(key); owner != nullptr) {
      if (owner->memory.content == memory.content) return UpsertOutcome::kDuplicate;
      if (memory.timestamp <= owner->seen[place].timestamp) return UpsertOutcome::kOlder;
      owner->seen.erase(owner->seen.begin() + static_cast<std::ptrdiff_t>(place));
      store(memory);
      return UpsertOutcome::kReplaced;
    }
    Row* same = nullptr;
    for (auto& [each, row] : rows_) {
      if (row.memory.content != memory.content) continue;
      if (same == nullptr || row.order < same->order) same = &row;
    }
    if (same != nullptr) {
      same->seen.push_back(memory);
      return UpsertOutcome::kDuplicate;
    }
    store(memory);
    return UpsertOutcome::kStored;
  }

  std::uint64_t erase(const std::vector<Key>& keys) {
    std::uint64_t count = 0;
    for (const Key& key : keys) count += erase_seen(key) ? 1 : 0;
    // One that got a row of its own by an erasure is gone by the next of the same key.
    for (const Key& key : keys) count += erase_row(key) || erase_seen(key) ? 1 : 0;
    return count;
  }

  std::uint64_t erase_system(const std::string& system) {
    std::uint64_t count = 0;
    for (auto& [key, row] : rows_) {
      count += std::erase_if(row.seen, [&](const Memory& m) { return m.key.system_id == system; });
    }
    std::vector<std::pair<std::uint64_t, Key>> keys;
    for (const auto& [key, row] : rows_) {
      if (key.system_id == system) keys.emplace_back(row.order, key);
    }
    std::ranges::sort(keys);
    for (const auto& [order, key] : keys) count += erase_row(key) ? 1 : 0;
    return count;
  }

  /// The oldest `count` rows leave with their duplicates.
  void age(std::size_t count) {
    std::vector<std::pair<Clock::Time, Key>> oldest;
    for (const auto& [key, row] : rows_) oldest.emplace_back(row.memory.timestamp, key);
    std::ranges::sort(oldest);
    for (std::size_t i = 0; i < std::min(count, oldest.size()); ++i) rows_.erase(oldest[i].second);
  }

  void apply(const Step& step) {
    for (const Memory& memory : step.memories) upsert(memory);
    if (step.kind == Step::Kind::kErase) erase(step.keys);
    if (step.kind == Step::Kind::kEraseSystem) erase_system(step.system);
    if (step.kind == Step::Kind::kAge) age(step.count);
  }

  const std::map<Key, Row>& rows() const { return rows_; }

  /// What the store should say of this key, if anything.
  std::optional<Memory> get(const Key& key) {
    if (const auto at = rows_.find(key); at != rows_.end()) return as_shown(at->second);
    auto [owner, place] = find_seen(key);
    if (owner == nullptr) return std::nullopt;
    return owner->seen[place];
  }

  static Memory as_shown(const Row& row) {
    Memory out = row.memory;
    if (row.seen.empty()) return out;
    out.metadata = R"({"seen_in":[)";
    for (const Memory& each : row.seen) {
      if (out.metadata.back() == '}') out.metadata += ',';
      out.metadata += R"({"system_id":")" + each.key.system_id + R"(","conversation_id":")" +
                      each.key.conversation_id + "\"}";
    }
    out.metadata += "]}";
    return out;
  }

  /// Empty: the store holds just this. Else what differs.
  std::string difference(hot::Engine& engine) {
    StoreQuery query;
    query.tenant = "acme";
    query.limit = 1000;
    const auto page = engine.search(query);
    if (!page) return "search fails: " + page.error().message;
    if (page->hits.size() != rows_.size()) {
      return std::to_string(page->hits.size()) + " rows, expected " + std::to_string(rows_.size());
    }
    if (engine.stats("acme").records != rows_.size()) return "the count of rows differs";
    for (const StoreHit& hit : page->hits) {
      const auto at = rows_.find(hit.key);
      if (at == rows_.end()) return "row " + hit.key.conversation_id + " should not be there";
    }
    for (std::uint64_t number = 0; number < 40; ++number) {
      for (std::uint64_t system = 0; system < 3; ++system) {
        const Key key{"acme", "s" + std::to_string(system), "k" + std::to_string(number)};
        const auto held = engine.get({key});
        if (!held) return "get fails: " + held.error().message;
        const auto expected = get(key);
        if ((*held)[0] == expected) continue;
        return key.system_id + "/" + key.conversation_id + " differs: " +
               ((*held)[0] ? (*held)[0]->content.substr(0, 20) + (*held)[0]->metadata : "nothing") +
               ", expected " +
               (expected ? expected->content.substr(0, 20) + expected->metadata : "nothing");
      }
    }
    return {};
  }

 private:
  void store(const Memory& memory) { rows_[memory.key] = {++order_, memory, {}}; }

  std::pair<Row*, std::size_t> find_seen(const Key& key) {
    for (auto& [each, row] : rows_) {
      for (std::size_t i = 0; i < row.seen.size(); ++i) {
        if (row.seen[i].key == key) return {&row, i};
      }
    }
    return {nullptr, 0};
  }

  void hand_over(const Key& key) {
    std::vector<Memory> seen = std::move(rows_[key].seen);
    rows_[key].seen.clear();
    if (seen.empty()) return;
    const Key heir = seen.front().key;
    store(seen.front());
    rows_[heir].seen.assign(seen.begin() + 1, seen.end());
  }

  bool erase_row(const Key& key) {
    if (!rows_.contains(key)) return false;
    hand_over(key);
    rows_.erase(key);
    return true;
  }

  bool erase_seen(const Key& key) {
    auto [owner, place] = find_seen(key);
    if (owner == nullptr) return false;
    owner->seen.erase(owner->seen.begin() + static_cast<std::ptrdiff_t>(place));
    return true;
  }

  std::map<Key, Row> rows_;
  std::uint64_t order_ = 0;
};

/// Small segments and a graph from few rows on, so that a short test sees all of the machinery.
inline hot::EngineOptions small_engine(const std::string& folder) {
  hot::EngineOptions out;
  out.folder = folder;
  out.log.segment_bytes = 16 << 10;
  out.log.smallest_segment = 4 << 10;
  out.vectors.exact_rows = 12;
  out.checkpoint_rows = 256;
  return out;
}

}  // namespace asahi::memory::hot_testing
