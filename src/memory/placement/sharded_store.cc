#include "memory/placement/sharded_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/log.h"
#include "memory/placement/ask_nodes.h"
#include "memory/search/merge.h"

namespace asahi::memory {
namespace {

/// What is left to merge and send what came, of a caller's patience.
constexpr std::chrono::milliseconds kMargin{50};

constexpr auto kOfKey = [](const Key& key) -> const Key& { return key; };
constexpr auto kOfPair = [](const std::pair<Key, Digest>& row) -> const Key& { return row.first; };

template <class Item>
std::vector<Item> chosen(const std::vector<Item>& items, const std::vector<std::size_t>& places) {
  std::vector<Item> out;
  out.reserve(places.size());
  for (const std::size_t place : places) out.push_back(items[place]);
  return out;
}

/// The nodes that have something to do.
std::vector<std::size_t> busy(const std::vector<std::vector<std::size_t>>& work) {
  std::vector<std::size_t> nodes;
  for (std::size_t node = 0; node < work.size(); ++node) {
    if (!work[node].empty()) nodes.push_back(node);
  }
  return nodes;
}

/// What each node called a rank is one among all now.
void rank_anew(std::vector<StoreHit>& hits, std::optional<float> Explanation::* value,
               std::optional<int> Explanation::* rank) {
  std::vector<StoreHit*> ranked;
  for (StoreHit& hit : hits) {
    if (hit.explanation.*rank && hit.explanation.*value) ranked.push_back(&hit);
  }
  // Of equals the one that stands before the other.
  std::ranges::sort(ranked, [&](const StoreHit* a, const StoreHit* b) {
    const float left = *(a->explanation.*value), right = *(b->explanation.*value);
    return left != right ? left > right : a < b;
  });
  for (std::size_t i = 0; i < ranked.size(); ++i)
    ranked[i]->explanation.*rank = static_cast<int>(i) + 1;
}

}  // namespace

ShardedStore::ShardedStore(Placement now, std::optional<Placement> before, std::vector<Part> parts,
                           Options options)
    : now_(std::move(now)),
      before_(std::move(before)),
      parts_(std::move(parts)),
      options_(options) {
  const auto place_of = [this](const std::string& name) {
    return static_cast<std::size_t>(std::ranges::find(parts_, name, &Part::name) - parts_.begin());
  };
  for (std::uint32_t shard = 0; shard < kShards; ++shard) {
    home_.push_back(place_of(now_.owner_name(shard)));
    old_home_.push_back(before_ ? place_of(before_->owner_name(shard)) : home_.back());
  }
}

Result<std::unique_ptr<ShardedStore>> ShardedStore::make(Placement now,
                                                         std::optional<Placement> before,
                                                         std::vector<Part> parts, Options options) {
  for (const Placement* placement : {&now, before ? &*before : nullptr}) {
    if (placement == nullptr) continue;
    if (placement->shards() != kShards)
      return fail_field("shards", fmt::format("{}; there are {}", placement->shards(), kShards));
    for (const Node& node : placement->nodes()) {
      if (std::ranges::find(parts, node.name, &Part::name) == parts.end())
        return fail_field("nodes", fmt::format("no store for {}", node.name));
    }
  }
  return std::unique_ptr<ShardedStore>(
      new ShardedStore(std::move(now), std::move(before), std::move(parts), options));
}

std::size_t ShardedStore::new_home(std::string_view system_id) const {
  return home_[shard_of(system_id)];
}

std::size_t ShardedStore::old_home(std::string_view system_id) const {
  return old_home_[shard_of(system_id)];
}

std::vector<std::size_t> ShardedStore::everywhere() const {
  std::vector<std::size_t> all(parts_.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  return all;
}

std::vector<std::size_t> ShardedStore::homes_of(const Filter& filter) const {
  const std::vector<std::string>* systems = nullptr;
  if (filter.systems_allowed) systems = &*filter.systems_allowed;
  if (!filter.system_ids.empty()) systems = &filter.system_ids;
  if (systems == nullptr) return everywhere();
  std::set<std::size_t> homes;
  for (const std::string& system : *systems) {
    homes.insert(new_home(system));
    homes.insert(old_home(system));
  }
  return {homes.begin(), homes.end()};
}

template <class Item, class KeyOf>
std::vector<std::vector<std::size_t>> ShardedStore::by_home(const std::vector<Item>& items,
                                                            KeyOf key_of, bool old) const {
  std::vector<std::vector<std::size_t>> out(parts_.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string& system = key_of(items[i]).system_id;
    const std::size_t home = new_home(system);
    if (!old) {
      out[home].push_back(i);
    } else if (const std::size_t was = old_home(system); was != home) {
      out[was].push_back(i);
    }
  }
  return out;
}

Task<std::vector<UpsertOutcome>> ShardedStore::upsert_batch(std::vector<Memory> memories,
                                                            UpsertOptions options) {
  const std::size_t count = memories.size();
  const auto work =
      by_home(memories, [](const Memory& memory) -> const Key& { return memory.key; });
  const std::vector<std::size_t> nodes = busy(work);
  if (nodes.size() == 1) {
    co_return co_await parts_[nodes.front()].store->upsert_batch(std::move(memories), options);
  }
  const auto answers = co_await ask_nodes<std::vector<UpsertOutcome>>(nodes, [&](std::size_t node) {
    std::vector<Memory> part;
    part.reserve(work[node].size());
    for (const std::size_t place : work[node]) part.push_back(std::move(memories[place]));
    return parts_[node].store->upsert_batch(std::move(part), options);
  });
  if (const auto error = first_error(answers)) co_return std::unexpected(*error);
  std::vector<UpsertOutcome> outcomes(count, UpsertOutcome::kStored);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const auto& places = work[nodes[i]];
    if (answers[i]->size() != places.size())
      co_return fail(Errc::kUpstream, "a node told of other memories than it was given");
    for (std::size_t j = 0; j < places.size(); ++j) outcomes[places[j]] = (*answers[i])[j];
  }
  co_return outcomes;
}

template <class T, class Ask>
Task<std::vector<std::optional<T>>> ShardedStore::look_up(std::vector<Key> keys, Ask ask) {
  std::vector<std::optional<T>> found(keys.size());
  for (const bool old : {true, false}) {
    if (old && !before_) continue;
    const auto work = by_home(keys, kOfKey, old);
    const std::vector<std::size_t> nodes = busy(work);
    auto answers = co_await ask_nodes<std::vector<std::optional<T>>>(nodes, [&](std::size_t node) {
      return ask(*parts_[node].store, chosen(keys, work[node]));
    });
    if (const auto error = first_error(answers)) co_return std::unexpected(*error);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const auto& places = work[nodes[i]];
      if (answers[i]->size() != places.size())
        co_return fail(Errc::kUpstream, "a node told of other memories than it was asked for");
      for (std::size_t j = 0; j < places.size(); ++j) {
        if (auto& one = (*answers[i])[j]) found[places[j]] = std::move(one);
      }
    }
  }
  co_return found;
}

Task<std::vector<std::optional<Memory>>> ShardedStore::get(std::vector<Key> keys) {
  co_return co_await look_up<Memory>(std::move(keys), [](Store& store, std::vector<Key> part) {
    return store.get(std::move(part));
  });
}

Task<std::vector<std::optional<Digest>>> ShardedStore::checksum(std::vector<Key> keys) {
  co_return co_await look_up<Digest>(std::move(keys), [](Store& store, std::vector<Key> part) {
    return store.checksum(std::move(part));
  });
}

Task<std::uint64_t> ShardedStore::delete_batch(std::vector<Key> keys) {
  std::uint64_t gone = 0;
  // The old node first: a row is there, or its move is waited for, or it is on the new one by now.
  for (const bool old : {true, false}) {
    const auto work = by_home(keys, kOfKey, old);
    const auto answers = co_await ask_nodes<std::uint64_t>(busy(work), [&](std::size_t node) {
      return parts_[node].store->delete_batch(chosen(keys, work[node]));
    });
    if (const auto error = first_error(answers)) co_return std::unexpected(*error);
    for (const auto& answer : answers) gone += *answer;
  }
  co_return std::min<std::uint64_t>(gone, keys.size());
}

Task<std::uint64_t> ShardedStore::delete_system(std::string tenant, std::string system_id) {
  std::uint64_t gone = 0;
  const std::size_t was = old_home(system_id), home = new_home(system_id);
  if (was != home) {
    ASAHI_CO_TRY(gone, co_await parts_[was].store->delete_system(tenant, system_id));
  }
  ASAHI_CO_TRY(const std::uint64_t here,
               co_await parts_[home].store->delete_system(std::move(tenant), std::move(system_id)));
  co_return gone + here;
}

Aw<void> ShardedStore::drop_moved(std::vector<std::pair<std::size_t, StorePage>>& pages) {
  std::vector<std::vector<Key>> keys(parts_.size());
  for (const auto& [node, page] : pages) {
    for (const StoreHit& hit : page.hits) {
      if (const std::size_t home = new_home(hit.key.system_id); home != node)
        keys[home].push_back(hit.key);
    }
  }
  std::set<Key> moved;
  for (std::size_t node = 0; node < keys.size(); ++node) {
    if (keys[node].empty()) continue;
    // Where it does not answer, what the old node told stands.
    const auto there = co_await parts_[node].store->checksum(keys[node]);
    if (!there) continue;
    for (std::size_t i = 0; i < keys[node].size() && i < there->size(); ++i) {
      if ((*there)[i]) moved.insert(keys[node][i]);
    }
  }
  for (auto& [node, page] : pages) {
    const std::size_t gone = std::erase_if(page.hits, [&](const StoreHit& hit) {
      return new_home(hit.key.system_id) != node && moved.contains(hit.key);
    });
    page.total -= std::min<std::uint64_t>(page.total, gone);
  }
}

Task<StorePage> ShardedStore::search(StoreQuery query) {
  const std::vector<std::size_t> nodes = homes_of(query.filter);
  if (nodes.size() == 1) co_return co_await parts_[nodes.front()].store->search(std::move(query));
  const auto patience = query.patience.value_or(options_.patience);
  query.patience =
      std::max(patience - std::min(kMargin, patience / 10), std::chrono::milliseconds(1));
  auto answers = co_await ask_nodes<StorePage>(
      nodes, [&](std::size_t node) { return parts_[node].store->search(query); },
      std::chrono::steady_clock::now() + *query.patience);
  StorePage out;
  for (const std::string& facet : query.facets) out.facets[facet];
  std::vector<std::pair<std::size_t, StorePage>> pages;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (answers[i]) {
      pages.emplace_back(nodes[i], std::move(*answers[i]));
      continue;
    }
    const std::string& name = parts_[nodes[i]].name;
    out.partial = true;
    out.missing.push_back(name);
    out.unread.push_back(fmt::format("{}: {}", name, answers[i].error().message));
  }
  if (pages.empty() && !nodes.empty()) {
    for (const auto& answer : answers) {
      // What no node can answer is the caller's fault, not theirs.
      if (answer.error().code == Errc::kInvalidArgument) co_return std::unexpected(answer.error());
    }
    co_return fail(Errc::kUnavailable,
                   fmt::format("none of {} {} stores answered: {}", nodes.size(),
                               tier_name(options_.tier), out.unread.front()));
  }
  if (before_) co_await drop_moved(pages);
  std::vector<TierHits> lists;
  for (auto& [node, page] : pages) {
    out.total += page.total;
    add_facets(out.facets, page.facets);
    out.partial = out.partial || page.partial;
    out.unread.insert(out.unread.end(), page.unread.begin(), page.unread.end());
    lists.push_back(std::move(page.hits));
  }
  out.hits = merge_tiers(std::move(lists), query.mode, fusion_weight(query.embedding_model));
  rank_anew(out.hits, &Explanation::cosine, &Explanation::vector_rank);
  rank_anew(out.hits, &Explanation::bm25, &Explanation::keyword_rank);
  if (out.hits.size() > query.limit) out.hits.resize(query.limit);
  co_return out;
}

Task<std::vector<Eligible>> ShardedStore::scan_eligible(ScanQuery wanted) {
  // Each node its share; what one does not need the next may have.
  std::vector<Eligible> rows;
  std::optional<Error> away;
  for (std::size_t node = 0; node < parts_.size() && rows.size() < wanted.limit; ++node) {
    const std::size_t left = parts_.size() - node;
    ScanQuery share = wanted;
    share.limit = (wanted.limit - rows.size() + left - 1) / left;
    auto some = co_await parts_[node].store->scan_eligible(std::move(share));
    if (some) {
      std::ranges::move(*some, std::back_inserter(rows));
    } else {
      away = some.error();
    }
  }
  if (rows.empty() && away) co_return std::unexpected(*away);
  std::ranges::sort(rows, [](const Eligible& a, const Eligible& b) {
    const auto left = a.memory.timestamp, right = b.memory.timestamp;
    return left != right ? left < right : a.memory.key < b.memory.key;
  });
  co_return rows;
}

Task<std::uint64_t> ShardedStore::delete_migrated(std::vector<std::pair<Key, Digest>> rows) {
  std::uint64_t gone = 0;
  for (const bool old : {true, false}) {
    const auto work = by_home(rows, kOfPair, old);
    const auto answers = co_await ask_nodes<std::uint64_t>(busy(work), [&](std::size_t node) {
      return parts_[node].store->delete_migrated(chosen(rows, work[node]));
    });
    if (const auto error = first_error(answers)) co_return std::unexpected(*error);
    for (const auto& answer : answers) gone += *answer;
  }
  co_return std::min<std::uint64_t>(gone, rows.size());
}

Task<std::uint64_t> ShardedStore::replace_vectors(std::vector<NewVector> rows) {
  constexpr auto kOfVector = [](const NewVector& row) -> const Key& { return row.key; };
  std::uint64_t count = 0;
  for (const bool old : {true, false}) {
    const auto work = by_home(rows, kOfVector, old);
    const auto answers = co_await ask_nodes<std::uint64_t>(busy(work), [&](std::size_t node) {
      return parts_[node].store->replace_vectors(chosen(rows, work[node]));
    });
    if (const auto error = first_error(answers)) co_return std::unexpected(*error);
    for (const auto& answer : answers) count += *answer;
  }
  co_return std::min<std::uint64_t>(count, rows.size());
}

Task<std::map<std::string, std::uint64_t>> ShardedStore::models(std::string tenant) {
  using Models = std::map<std::string, std::uint64_t>;
  const auto answers = co_await ask_nodes<Models>(
      everywhere(), [&](std::size_t node) { return parts_[node].store->models(tenant); });
  if (const auto error = first_error(answers)) co_return std::unexpected(*error);
  Models sum;
  for (const auto& one : answers) {
    for (const auto& [model, count] : *one) sum[model] += count;
  }
  co_return sum;
}

Task<TierStats> ShardedStore::stats(std::string tenant) {
  const auto answers = co_await ask_nodes<TierStats>(
      everywhere(), [&](std::size_t node) { return parts_[node].store->stats(tenant); });
  if (const auto error = first_error(answers)) co_return std::unexpected(*error);
  TierStats sum;
  for (const auto& one : answers) {
    sum.records += one->records;
    sum.bytes += one->bytes;
    if (one->oldest && (!sum.oldest || *one->oldest < *sum.oldest)) sum.oldest = one->oldest;
    if (one->newest && (!sum.newest || *one->newest > *sum.newest)) sum.newest = one->newest;
    if (one->unlinked) sum.unlinked = sum.unlinked.value_or(0) + *one->unlinked;
  }
  co_return sum;
}

Task<std::vector<HeldFile>> ShardedStore::snapshot(std::string folder, HeldSums held) {
  std::vector<HeldFile> left_out;
  // Memories go from nodes that leave to those that stay, and from both to those that join: in this
  // order one that is on its way is in the copy twice, where it counts once, and never in none.
  for (const std::vector<std::size_t>& nodes : in_order_of_moves()) {
    const auto answers = co_await ask_nodes<std::vector<HeldFile>>(nodes, [&](std::size_t node) {
      return parts_[node].store->snapshot(folder + "/" + parts_[node].name, held);
    });
    if (const auto error = first_error(answers)) co_return std::unexpected(*error);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      for (HeldFile file : *answers[i]) {
        file.path = parts_[nodes[i]].name + "/" + file.path;
        left_out.push_back(std::move(file));
      }
    }
  }
  co_return left_out;
}

std::vector<std::vector<std::size_t>> ShardedStore::in_order_of_moves() const {
  const auto has = [](const Placement& placement, const std::string& name) {
    return std::ranges::find(placement.nodes(), name, &Node::name) != placement.nodes().end();
  };
  std::vector<std::size_t> leaving, staying, joining;
  for (std::size_t node = 0; node < parts_.size(); ++node) {
    const bool was = !before_ || has(*before_, parts_[node].name);
    const bool is = has(now_, parts_[node].name);
    (is ? was ? staying : joining : leaving).push_back(node);
  }
  return {leaving, staying, joining};
}

}  // namespace asahi::memory
