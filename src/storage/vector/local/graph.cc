#include "storage/vector/local/graph.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "storage/vector/local/simd.h"

namespace asahi::vector {
namespace {

/// Set in a pool's entry once its links have been followed.
constexpr std::uint32_t kFollowed = 0x8000'0000;

std::size_t most_links(std::size_t level) { return level == 0 ? kBaseLinks : kUpperLinks; }

bool better(const Near& a, const Near& b) {
  return a.similarity > b.similarity || (a.similarity == b.similarity && a.row < b.row);
}

constexpr std::size_t kFetchedFirst = 8;
constexpr std::size_t kListBytes = (kBaseLinks + 1) * sizeof(std::uint32_t);

void fetch(const void* at, std::size_t bytes) {
  constexpr std::size_t kLine = 64;
  for (std::size_t line = 0; line < bytes; line += kLine) {
    __builtin_prefetch(static_cast<const char*>(at) + line);
  }
}

bool see(std::vector<std::uint64_t>& seen, std::uint32_t row) {
  std::uint64_t& word = seen[row / 64];
  const std::uint64_t bit = std::uint64_t{1} << (row % 64);
  if ((word & bit) != 0) return false;
  word |= bit;
  return true;
}

}  // namespace

void offer(std::vector<Near>& best, std::size_t most, Near candidate) {
  if (best.size() == most) {
    if (best.empty() || !better(candidate, best.back())) return;
    best.pop_back();
  }
  best.insert(std::ranges::upper_bound(best, candidate, better), candidate);
}

void Graph::between(std::uint32_t base, std::size_t count, Scratch& scratch) const {
  const std::int8_t* const query = rows_.high.at(base);
  scratch.rows.resize(count);
  scratch.products.resize(count);
  for (std::size_t i = 0; i < count; ++i) scratch.rows[i] = rows_.high.at(scratch.ids[i]);
  simd::dot_bytes(query, simd::sum_of(query, rows_.stride), scratch.rows.data(), count,
                  rows_.stride, scratch.products.data());
  scratch.similarities.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    scratch.similarities[i] =
        static_cast<float>(scratch.products[i]) * rows_.scale[base] * rows_.scale[scratch.ids[i]];
  }
}

template <class Offer>
void Graph::walk(const Probe& probe, Near start, std::size_t effort, std::size_t level,
                 std::size_t row_count, Scratch& scratch, Offer take) const {
  auto& pool = scratch.pool;
  const std::int8_t* const bytes = probe.bytes.data();
  scratch.seen.assign((row_count + 63) / 64, 0);
  scratch.ids.resize(kBaseLinks);
  scratch.rows.resize(kBaseLinks);
  scratch.products.resize(kBaseLinks);
  pool.clear();
  pool.reserve(effort + 1);
  pool.push_back(start);
  see(scratch.seen, start.row);
  take(start);
  std::size_t next = 0;
  while (next < pool.size()) {
    if ((pool[next].row & kFollowed) != 0) {
      ++next;
      continue;
    }
    const std::uint32_t* const links = rows_.links(pool[next].row, level);
    pool[next].row |= kFollowed;
    std::size_t count = 0;
    for (std::uint32_t i = 1; i <= links[0]; ++i) {
      const std::uint32_t row = links[i];
      if (!see(scratch.seen, row) || !linked_at(row, level)) continue;
      scratch.ids[count] = row;
      scratch.rows[count] = rows_.high.at(row);
      // The others are fetched while these are compared.
      if (count < kFetchedFirst) fetch(scratch.rows[count], rows_.stride);
      __builtin_prefetch(rows_.scale.at(row));
      ++count;
    }
    simd::dot_bytes(bytes, probe.byte_sum, scratch.rows.data(), count, rows_.stride,
                    scratch.products.data());
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint32_t row = scratch.ids[i];
      const Near found{similarity(probe, rows_, row, scratch.products[i]), row};
      take(found);
      if (pool.size() == effort) {
        if (found.similarity <= pool.back().similarity) continue;
        pool.pop_back();
      }
      const auto at =
          std::ranges::upper_bound(pool, found.similarity, std::greater<>{}, &Near::similarity);
      next = std::min(next, static_cast<std::size_t>(at - pool.begin()));
      pool.insert(at, found);
      if (level == 0) fetch(rows_.base_links.at(row), kListBytes);
    }
  }
  for (Near& each : pool) each.row &= ~kFollowed;
}

Near Graph::descend(const Probe& probe, std::size_t level, Scratch& scratch) const {
  const std::int8_t* row = rows_.high.at(entry_);
  std::int32_t product = 0;
  const std::int8_t* const bytes = probe.bytes.data();
  simd::dot_bytes(bytes, probe.byte_sum, &row, 1, rows_.stride, &product);
  Near best{similarity(probe, rows_, entry_, product), entry_};
  scratch.ids.resize(kBaseLinks);
  scratch.rows.resize(kBaseLinks);
  scratch.products.resize(kBaseLinks);
  for (std::size_t layer = rows_.level[entry_]; layer > level; --layer) {
    for (bool moved = true; moved;) {
      moved = false;
      const std::uint32_t* const links = rows_.links(best.row, layer);
      std::size_t count = 0;
      for (std::uint32_t i = 1; i <= links[0]; ++i) {
        if (!linked_at(links[i], layer)) continue;
        scratch.ids[count] = links[i];
        scratch.rows[count] = rows_.high.at(links[i]);
        fetch(scratch.rows[count++], rows_.stride);
      }
      simd::dot_bytes(bytes, probe.byte_sum, scratch.rows.data(), count, rows_.stride,
                      scratch.products.data());
      for (std::size_t i = 0; i < count; ++i) {
        const float found = similarity(probe, rows_, scratch.ids[i], scratch.products[i]);
        if (found <= best.similarity) continue;
        best = {found, scratch.ids[i]};
        moved = true;
      }
    }
  }
  return best;
}

void Graph::search(const Probe& probe, std::size_t effort, std::size_t wanted,
                   const Blocks<std::uint8_t>* live, const std::uint8_t* allowed,
                   std::size_t row_count, Scratch& scratch) const {
  scratch.found.clear();
  if (empty()) return;
  const Near start = descend(probe, 0, scratch);
  if (live == nullptr && allowed == nullptr) {
    walk(probe, start, effort, 0, row_count, scratch, [](const Near&) {});
    scratch.found.assign(
        scratch.pool.begin(),
        scratch.pool.begin() + static_cast<std::ptrdiff_t>(std::min(wanted, scratch.pool.size())));
    return;
  }
  walk(probe, start, effort, 0, row_count, scratch, [&](const Near& near) {
    const bool counts = allowed != nullptr ? allowed[near.row] != 0 : (*live)[near.row] != 0;
    if (counts) offer(scratch.found, wanted, near);
  });
}

std::size_t Graph::draw_level() {
  // Each layer holds one in kUpperLinks rows of the one below.
  const double uniform = static_cast<double>((random_() >> 11) + 1) * 0x1.0p-53;
  const double level = -std::log(uniform) / std::log(static_cast<double>(kUpperLinks));
  return std::min(static_cast<std::size_t>(level), kMaxLevel);
}

void Graph::prepare(std::uint32_t row, std::size_t level) {
  delete[] rows_.upper_links[row];
  rows_.upper_links[row] = level == 0 ? nullptr : new std::uint32_t[level * (kUpperLinks + 1)]();
  rows_.level[row] = static_cast<std::uint8_t>(level);
  rows_.in_graph[row] = 0;
  rows_.base_links.at(row)[0] = 0;
}

void Graph::select(const std::vector<Near>& candidates, std::size_t most, Change& out) const {
  // The nearest chosen first: they are the likeliest to be nearer than the base.
  constexpr std::size_t kAtOnce = 4;
  std::array<const std::int8_t*, kBaseLinks> chosen;
  for (std::size_t i = 0; i < out.count; ++i) chosen[i] = rows_.high.at(out.links[i]);
  std::array<std::int32_t, kAtOnce> products;
  for (const Near& candidate : candidates) {
    if (out.count == most) return;
    const std::int8_t* const row = rows_.high.at(candidate.row);
    const std::int32_t sum = out.count == 0 ? 0 : simd::sum_of(row, rows_.stride);
    const float scale = rows_.scale[candidate.row];
    bool apart = true;
    for (std::size_t from = 0; from < out.count && apart; from += kAtOnce) {
      const std::size_t count = std::min(kAtOnce, out.count - from);
      simd::dot_bytes(row, sum, chosen.data() + from, count, rows_.stride, products.data());
      for (std::size_t i = 0; i < count; ++i) {
        const float mutual =
            static_cast<float>(products[i]) * scale * rows_.scale[out.links[from + i]];
        apart = apart && mutual <= candidate.similarity;
      }
    }
    if (!apart) continue;
    chosen[out.count] = row;
    out.links[out.count++] = candidate.row;
  }
}

void Graph::sort_by_nearness(std::uint32_t base, Scratch& scratch) const {
  between(base, scratch.ids.size(), scratch);
  auto& order = scratch.order;
  order.clear();
  for (std::size_t i = 0; i < scratch.ids.size(); ++i) {
    order.push_back({scratch.similarities[i], scratch.ids[i]});
  }
  std::ranges::sort(order, better);
}

Graph::Plan Graph::plan_insert(std::uint32_t row, std::size_t effort, std::size_t row_count,
                               Scratch& scratch) {
  Plan plan;
  const std::size_t own_level = rows_.level[row];
  if (empty()) return plan;
  // What is stored is what is looked for.
  Probe probe(rows_.stride);
  std::memcpy(probe.bytes.data(), rows_.high.at(row), rows_.stride);
  probe.byte_sum = simd::sum_of(probe.bytes.data(), rows_.stride);
  probe.byte_scale = rows_.scale[row];
  const std::size_t top = rows_.level[entry_];
  const std::size_t from = std::min(own_level, top);
  Near start = descend(probe, from, scratch);
  std::vector<Near> candidates;
  for (std::size_t level = from;; --level) {
    walk(probe, start, effort, level, row_count, scratch, [](const Near&) {});
    start = scratch.pool.front();
    candidates.clear();
    for (const Near& near : scratch.pool) {
      if (near.row != row && rows_.live[near.row] != 0) candidates.push_back(near);
    }
    // Nothing alive around: better dead neighbours than none.
    if (candidates.empty()) {
      for (const Near& near : scratch.pool) {
        if (near.row != row) candidates.push_back(near);
      }
    }
    Change own{row, static_cast<std::uint8_t>(level), 0, {}};
    select(candidates, kUpperLinks, own);
    plan.push_back(own);
    for (std::size_t i = 0; i < own.count; ++i) {
      const std::uint32_t neighbour = own.links[i];
      const std::uint32_t* const links = rows_.links(neighbour, level);
      if (std::find(links + 1, links + 1 + links[0], row) != links + 1 + links[0]) continue;
      if (links[0] < most_links(level)) {
        Change change{neighbour, static_cast<std::uint8_t>(level), 0, {}};
        change.count = static_cast<std::uint8_t>(links[0] + 1);
        std::copy(links + 1, links + 1 + links[0], change.links.begin());
        change.links[links[0]] = row;
        plan.push_back(change);
        continue;
      }
      // The new row is not yet linked, so it is judged here.
      scratch.ids.clear();
      for (std::uint32_t j = 1; j <= links[0]; ++j) {
        if (linked_at(links[j], level)) scratch.ids.push_back(links[j]);
      }
      scratch.ids.push_back(row);
      sort_by_nearness(neighbour, scratch);
      Change change{neighbour, static_cast<std::uint8_t>(level), 0, {}};
      select(scratch.order, most_links(level), change);
      plan.push_back(change);
    }
    if (level == 0) return plan;
  }
}

void Graph::apply(const Plan& plan) {
  for (const Change& change : plan) {
    std::uint32_t* const links = rows_.links(change.row, change.level);
    std::copy_n(change.links.begin(), change.count, links + 1);
    links[0] = change.count;
  }
}

void Graph::apply_insert(std::uint32_t row, const Plan& plan) {
  rows_.in_graph[row] = 1;
  apply(plan);
  if (empty() || rows_.level[row] > rows_.level[entry_]) entry_ = row;
}

Graph::Plan Graph::plan_remove(std::uint32_t row, Scratch& scratch) const {
  Plan plan;
  for (std::size_t level = 0; level <= rows_.level[row]; ++level) {
    const std::uint32_t* const own = rows_.links(row, level);
    const std::vector<std::uint32_t> around(own + 1, own + 1 + own[0]);
    // Who links to it is near it: a neighbour, or a neighbour's neighbour.
    std::vector<std::uint32_t> near;
    for (const std::uint32_t neighbour : around) {
      if (!linked_at(neighbour, level)) continue;
      near.push_back(neighbour);
      const std::uint32_t* const links = rows_.links(neighbour, level);
      near.insert(near.end(), links + 1, links + 1 + links[0]);
    }
    std::ranges::sort(near);
    const auto repeated = std::ranges::unique(near);
    near.erase(repeated.begin(), repeated.end());
    for (const std::uint32_t other : near) {
      if (other == row || !linked_at(other, level)) continue;
      const std::uint32_t* const links = rows_.links(other, level);
      if (std::find(links + 1, links + 1 + links[0], row) == links + 1 + links[0]) continue;
      // What it has stays: chosen anew, lists would grow shorter with every turnover.
      Change change{other, static_cast<std::uint8_t>(level), 0, {}};
      for (std::uint32_t i = 1; i <= links[0]; ++i) {
        if (links[i] != row && linked_at(links[i], level)) change.links[change.count++] = links[i];
      }
      const auto kept_end = change.links.begin() + change.count;
      auto& candidates = scratch.ids;
      candidates.clear();
      for (const std::uint32_t neighbour : around) {
        if (rows_.live[neighbour] != 0 && linked_at(neighbour, level) && neighbour != other &&
            std::find(change.links.begin(), kept_end, neighbour) == kept_end) {
          candidates.push_back(neighbour);
        }
      }
      sort_by_nearness(other, scratch);
      select(scratch.order, most_links(level), change);
      plan.push_back(change);
    }
  }
  return plan;
}

void Graph::apply_remove(std::uint32_t row, const Plan& plan, std::size_t row_count) {
  apply(plan);
  rows_.in_graph[row] = 0;
  if (entry_ == row) {
    // Seldom enough for a look at all rows: the highest takes over.
    entry_ = kNoRow;
    for (std::uint32_t other = 0; other < row_count; ++other) {
      if (rows_.in_graph[other] == 0) continue;
      if (entry_ == kNoRow || rows_.level[other] > rows_.level[entry_]) entry_ = other;
    }
  }
  rows_.base_links.at(row)[0] = 0;
  delete[] rows_.upper_links[row];
  rows_.upper_links[row] = nullptr;
  rows_.level[row] = 0;
}

}  // namespace asahi::vector
