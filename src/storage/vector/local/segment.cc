#include "storage/vector/local/segment.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <mutex>
#include <numeric>
#include <shared_mutex>

#include "base/hash.h"
#include "storage/vector/local/checked_file.h"
#include "storage/vector/local/simd.h"
#include "storage/vector/rules.h"

namespace asahi::vector {
namespace {

/// How many waiting rows a new one takes along into the graph.
constexpr std::size_t kLinkedPerPut = 4;
/// Comparisons that the graph costs for each place in its pool, and reading rows one behind another
/// being about twice as fast as jumping: where to change from one to the other.
constexpr double kComparisonsPerEffort = 24;
constexpr std::size_t kMostEffort = 4096;
constexpr std::size_t kBatch = 64;

/// Never 0, which stands for an absent field.
std::uint32_t digest_of(const Value& value) {
  constexpr Digest128 kKey{};
  Digest128 digest{};
  if (const auto* text = std::get_if<std::string>(&value)) {
    digest = keyed_digest(kKey, {"t", *text});
  } else if (const auto* number = std::get_if<double>(&value)) {
    const double plain = *number == 0 ? 0.0 : *number;  // one zero
    const auto bits = std::bit_cast<std::array<char, sizeof(double)>>(plain);
    digest = keyed_digest(kKey, {"n", std::string_view(bits.data(), bits.size())});
  } else {
    digest = keyed_digest(kKey, {std::get<bool>(value) ? "true" : "false"});
  }
  std::uint32_t out = 0;
  std::memcpy(&out, digest.data(), sizeof(out));
  return out == 0 ? 1 : out;
}

std::vector<std::uint32_t> digests_in(const Space& space, const Metadata& metadata) {
  std::vector<std::uint32_t> out(space.filter_fields.size());
  for (const Field& field : metadata) {
    const auto at = std::ranges::find(space.filter_fields, field.name);
    if (at == space.filter_fields.end()) continue;
    out[static_cast<std::size_t>(at - space.filter_fields.begin())] = digest_of(field.value);
  }
  return out;
}

}  // namespace

Result<PreparedItem> prepare_item(SegmentShape& shape, const Item& item) {
  PreparedItem out;
  ASAHI_TRY(out.payload, pack_payload(item.id, item.metadata, shape.names));
  out.vector = quantise(unit_vector(item.vector), shape.precision);
  out.digests = digests_in(shape.space, item.metadata);
  return out;
}

Segment::Segment(SegmentShape& shape, std::uint64_t seed)
    : shape_(shape),
      seed_(seed),
      rows_(shape.space.dimensions, shape.precision, shape.space.filter_fields.size()),
      graph_(rows_, seed) {}

std::uint32_t Segment::take_row() {
  if (free_.empty() && !dead_.empty()) {
    const std::uint32_t row = dead_.front();
    const Graph::Plan plan = graph_.plan_remove(row, writing_);
    const Exclusive change(gate_);
    graph_.apply_remove(row, plan, row_count_);
    dead_.pop_front();
    free_.push_back(row);
  }
  if (!free_.empty()) {
    const std::uint32_t row = free_.back();
    free_.pop_back();
    return row;
  }
  const Exclusive change(gate_);
  rows_.reserve(row_count_ + 1);
  return static_cast<std::uint32_t>(row_count_++);
}

void Segment::put(PreparedItem item) {
  const std::string_view id = payload_id(item.payload.get());
  const std::uint32_t replaced = row_of(id);
  const std::uint32_t row = take_row();
  {
    const Exclusive change(gate_);
    if (replaced != kNoRow) forget(replaced);
    rows_.set_vector(row, item.vector);
    for (std::size_t i = 0; i < item.digests.size(); ++i) rows_.columns[i][row] = item.digests[i];
    payload_bytes_ += payload_bytes(item.payload.get()).size();
    rows_.payload[row] = item.payload.release();
    rows_.live[row] = 1;
    set_oldest_last(row);
    by_id_.add(id, row);
    pending_.push_back(row);
    live_.fetch_add(1, std::memory_order_relaxed);
  }
  count_unlinked();
  if (unlinked() > shape_.max_unlinked) link(kLinkedPerPut);
  count_bytes();
}

std::uint32_t Segment::row_of(std::string_view id) const {
  static_assert(IdTable::kNone == kNoRow);
  return by_id_.find(id, [this](std::uint32_t row) { return payload_id(rows_.payload[row]); });
}

void Segment::count_unlinked() {
  const bool few = graph_.empty() && pending_.size() <= shape_.exact_rows;
  unlinked_.store(few ? 0 : pending_.size(), std::memory_order_relaxed);
}

void Segment::link(std::size_t most) {
  for (std::size_t i = 0; i < most && unlinked() > 0; ++i) {
    const std::uint32_t row = pending_.back();
    const std::size_t level = graph_.draw_level();
    {
      const Exclusive change(gate_);
      graph_.prepare(row, level);
    }
    const Graph::Plan plan = graph_.plan_insert(row, shape_.build_effort, row_count_, writing_);
    const Exclusive change(gate_);
    graph_.apply_insert(row, plan);
    pending_.pop_back();
    count_unlinked();
  }
}

/// Searches are kept out by the caller.
void Segment::forget(std::uint32_t row) {
  by_id_.remove(payload_id(rows_.payload[row]),
                [this](std::uint32_t other) { return payload_id(rows_.payload[other]); });
  const Payload payload(std::exchange(rows_.payload[row], nullptr));
  payload_bytes_ -= payload_bytes(payload.get()).size();
  rows_.live[row] = 0;
  leave_order(row);
  if (rows_.in_graph[row] != 0) {
    dead_.push_back(row);
  } else {
    std::erase(pending_, row);
    count_unlinked();
    free_.push_back(row);
  }
  live_.fetch_sub(1, std::memory_order_relaxed);
}

void Segment::set_oldest_last(std::uint32_t row) {
  rows_.older[row] = newest_;
  rows_.newer[row] = kNoRow;
  (newest_ == kNoRow ? oldest_ : rows_.newer[newest_]) = row;
  newest_ = row;
}

void Segment::leave_order(std::uint32_t row) {
  const std::uint32_t older = rows_.older[row], newer = rows_.newer[row];
  (older == kNoRow ? oldest_ : rows_.newer[older]) = newer;
  (newer == kNoRow ? newest_ : rows_.older[newer]) = older;
}

void Segment::count_bytes() {
  constexpr std::size_t kIdEntry = 16;     // the table of ids at its emptiest
  constexpr std::size_t kAllocation = 16;  // what the allocator adds
  bytes_.store(row_count_ * rows_.bytes_per_row() + payload_bytes_ +
                   size() * (kIdEntry + kAllocation + sizeof(std::uint32_t)),
               std::memory_order_relaxed);
}

bool Segment::erase(std::string_view id) {
  const std::uint32_t row = row_of(id);
  if (row == kNoRow) return false;
  {
    const Exclusive change(gate_);
    forget(row);
  }
  count_bytes();
  return true;
}

std::size_t Segment::erase_where(const Metadata& filter) {
  allow(filter, writing_.allowed);
  std::size_t count = 0;
  for (std::uint32_t row = 0; row < row_count_; ++row) {
    if (writing_.allowed[row] == 0) continue;
    if (!matches(payload_metadata(rows_.payload[row], shape_.names), filter)) continue;
    const Exclusive change(gate_);
    forget(row);
    ++count;
  }
  count_bytes();
  return count;
}

std::vector<std::string> Segment::ids() const {
  std::vector<std::string> out;
  out.reserve(by_id_.size());
  for (std::uint32_t row = oldest_; row != kNoRow; row = rows_.newer[row]) {
    out.emplace_back(payload_id(rows_.payload[row]));
  }
  return out;
}

std::string Segment::evict_oldest() {
  if (oldest_ == kNoRow) return {};
  std::string id(payload_id(rows_.payload[oldest_]));
  {
    const Exclusive change(gate_);
    forget(oldest_);
  }
  count_bytes();
  return id;
}

std::size_t Segment::allow(const Metadata& filter, std::vector<std::uint8_t>& allowed) const {
  allowed.resize(row_count_);
  for (std::size_t row = 0; row < row_count_;) {
    const std::size_t run = Blocks<std::uint8_t>::run(row, row_count_ - row);
    std::memcpy(allowed.data() + row, rows_.live.at(row), run);
    row += run;
  }
  const std::vector<std::uint32_t> wanted = digests_in(shape_.space, filter);
  for (std::size_t column = 0; column < wanted.size(); ++column) {
    if (wanted[column] == 0) continue;
    const std::uint32_t digest = wanted[column];
    for (std::size_t row = 0; row < row_count_;) {
      const std::size_t run = Blocks<std::uint32_t>::run(row, row_count_ - row);
      const std::uint32_t* const values = rows_.columns[column].at(row);
      std::uint8_t* const out = allowed.data() + row;
      for (std::size_t i = 0; i < run; ++i) {
        out[i] &= static_cast<std::uint8_t>(values[i] == digest);
      }
      row += run;
    }
  }
  std::size_t count = 0;
  for (const std::uint8_t each : allowed) count += each;
  return count;
}

void Segment::compare(const Probe& probe, std::size_t wanted, Scratch& scratch) const {
  scratch.products.resize(std::max(kBatch, kBaseLinks));
  simd::dot_bytes(probe.bytes.data(), probe.byte_sum, scratch.rows.data(), scratch.ids.size(),
                  rows_.stride, scratch.products.data());
  for (std::size_t i = 0; i < scratch.ids.size(); ++i) {
    const std::uint32_t row = scratch.ids[i];
    offer(scratch.found, wanted, {similarity(probe, rows_, row, scratch.products[i]), row});
  }
  scratch.ids.clear();
  scratch.rows.clear();
}

void Segment::scan(const Probe& probe, const std::uint8_t* allowed, std::size_t wanted,
                   Scratch& scratch) const {
  scratch.found.clear();
  scratch.ids.clear();
  scratch.rows.clear();
  const auto take = [&](std::uint32_t row) {
    scratch.ids.push_back(row);
    scratch.rows.push_back(rows_.high.at(row));
    if (scratch.ids.size() == kBatch) compare(probe, wanted, scratch);
  };
  std::uint32_t row = 0;
  if (allowed != nullptr) {
    // Most of them are not: eight at a time.
    for (; row + 8 <= row_count_; row += 8) {
      std::uint64_t eight = 0;
      std::memcpy(&eight, allowed + row, sizeof(eight));
      for (; eight != 0; eight &= eight - 1) {
        take(row + static_cast<std::uint32_t>(std::countr_zero(eight)) / 8);
      }
    }
  }
  for (; row < row_count_; ++row) {
    if ((allowed != nullptr ? allowed[row] : rows_.live[row]) != 0) take(row);
  }
  compare(probe, wanted, scratch);
}

void Segment::scan_pending(const Probe& probe, const std::uint8_t* allowed, std::size_t wanted,
                           Scratch& scratch) const {
  scratch.ids.clear();
  scratch.rows.clear();
  for (const std::uint32_t row : pending_) {
    if (allowed != nullptr && allowed[row] == 0) continue;
    scratch.ids.push_back(row);
    scratch.rows.push_back(rows_.high.at(row));
    if (scratch.ids.size() == kBatch) compare(probe, wanted, scratch);
  }
  compare(probe, wanted, scratch);
}

void Segment::search(const Probe& probe, const Query& query, std::size_t effort, Scratch& scratch,
                     std::vector<Hit>& hits) const {
  const std::shared_lock reading(gate_);
  hits.clear();
  std::size_t candidates = size();
  const std::uint8_t* allowed = nullptr;
  if (!query.filter.empty()) {
    candidates = allow(query.filter, scratch.allowed);
    allowed = scratch.allowed.data();
  }
  if (candidates == 0) return;
  // The bytes' order is not quite the right one: more than asked for are ranked by all there is.
  const std::size_t wanted = query.top_k + std::max<std::size_t>(query.top_k / 2, 16);
  effort = std::max(effort, query.top_k + query.top_k / 2);
  const double share = static_cast<double>(candidates) / static_cast<double>(row_count_);
  const double places = static_cast<double>(effort) / share;
  if (graph_.empty() || static_cast<double>(candidates) <= places * kComparisonsPerEffort) {
    scan(probe, allowed, wanted, scratch);
  } else {
    graph_.search(probe, std::min(static_cast<std::size_t>(places), kMostEffort), wanted,
                  dead_.empty() ? nullptr : &rows_.live, allowed, row_count_, scratch);
    scan_pending(probe, allowed, wanted, scratch);
  }
  for (Near& near : scratch.found) near.similarity = exact_similarity(probe, rows_, near.row);
  std::ranges::sort(scratch.found, std::greater<>{}, &Near::similarity);
  for (const Near& near : scratch.found) {
    if (hits.size() == query.top_k) return;
    const char* const payload = rows_.payload[near.row];
    Hit hit{std::string(payload_id(payload)), clamp_score(near.similarity), {}};
    if (query.with_metadata || !query.filter.empty()) {
      hit.metadata = payload_metadata(payload, shape_.names);
      // Digests may meet; the answer must not depend on it.
      if (!matches(hit.metadata, query.filter)) continue;
      if (!query.with_metadata) hit.metadata.clear();
    }
    hits.push_back(std::move(hit));
  }
}

std::unique_ptr<Segment> Segment::rebuilt() const {
  auto out = std::make_unique<Segment>(shape_, seed_);
  for (std::uint32_t row = oldest_; row != kNoRow; row = rows_.newer[row]) {
    PreparedItem item;
    item.vector.high.assign(rows_.high.at(row), rows_.high.at(row) + rows_.stride);
    if (rows_.precision == Precision::kTwelveBits) {
      item.vector.low.assign(rows_.low.at(row), rows_.low.at(row) + rows_.low_bytes());
    }
    item.vector.scale = rows_.scale[row];
    const std::string_view payload = payload_bytes(rows_.payload[row]);
    // It was taken in before, so it is whole.
    item.payload = std::move(*read_payload(payload, shape_.names));
    for (const auto& column : rows_.columns) item.digests.push_back(column[row]);
    out->put(std::move(item));
  }
  return out;
}

void Segment::write(CheckedWriter& out) const {
  // By age, so that reading restores the order.
  std::vector<std::uint32_t> age(row_count_);
  std::uint32_t next = 0;
  for (std::uint32_t row = oldest_; row != kNoRow; row = rows_.newer[row]) age[row] = next++;
  out.put(static_cast<std::uint32_t>(row_count_));
  out.put(graph_.entry());
  for (std::uint32_t row = 0; row < row_count_; ++row) {
    out.put(rows_.live[row]);
    out.put(rows_.in_graph[row]);
    out.put(rows_.level[row]);
    if (rows_.live[row] == 0 && rows_.in_graph[row] == 0) continue;
    out.put(rows_.scale[row]);
    out.put(rows_.high.at(row), rows_.stride);
    if (rows_.precision == Precision::kTwelveBits) out.put(rows_.low.at(row), rows_.low_bytes());
    if (rows_.in_graph[row] != 0) {
      for (std::size_t level = 0; level <= rows_.level[row]; ++level) {
        const std::uint32_t* const links = rows_.links(row, level);
        out.put(links, (links[0] + 1) * sizeof(std::uint32_t));
      }
    }
    if (rows_.live[row] != 0) {
      out.put(age[row]);
      out.text(payload_bytes(rows_.payload[row]));
      for (const auto& column : rows_.columns) out.put(column[row]);
    }
  }
}

bool Segment::read(CheckedReader& in, FileColumns columns) {
  std::uint32_t count = 0, entry = 0;
  if (!in.get(count) || !in.get(entry) || count > kNoRow / 2) return false;
  std::string buffer;
  for (std::uint32_t row = 0; row < count; ++row) {
    // Row by row: a damaged count must not take memory for rows that do not come.
    rows_.reserve(row + 1);
    row_count_ = row + 1;
    if (!read_row(row, in, columns, buffer)) return false;
  }
  // Links and the entry point to rows of the graph, and the order of age names each row once.
  std::size_t linked = 0;
  for (std::uint32_t row = 0; row < count; ++row) {
    if (rows_.in_graph[row] == 0) continue;
    ++linked;
    for (std::size_t level = 0; level <= rows_.level[row]; ++level) {
      const std::uint32_t* const links = rows_.links(row, level);
      for (std::uint32_t i = 1; i <= links[0]; ++i) {
        if (links[i] >= count) return false;
      }
    }
  }
  if (entry == kNoRow ? linked != 0 : entry >= count || rows_.in_graph[entry] == 0) return false;
  graph_.restore(entry);
  std::vector<std::uint32_t> order(size(), kNoRow);
  for (std::uint32_t row = 0; row < count; ++row) {
    if (rows_.live[row] == 0) continue;
    const std::uint32_t age = rows_.older[row];
    if (age >= order.size() || order[age] != kNoRow) return false;
    order[age] = row;
  }
  for (const std::uint32_t row : order) set_oldest_last(row);
  count_unlinked();
  count_bytes();
  return true;
}

bool Segment::read_row(std::uint32_t row, CheckedReader& in, FileColumns columns,
                       std::string& buffer) {
  std::uint8_t live = 0, in_graph = 0, level = 0;
  if (!in.get(live) || !in.get(in_graph) || !in.get(level)) return false;
  if (live > 1 || in_graph > 1 || level > kMaxLevel || (in_graph == 0 && level != 0)) return false;
  if (live == 0 && in_graph == 0) {
    free_.push_back(row);
    return true;
  }
  if (!in.get(rows_.scale[row]) || !std::isfinite(rows_.scale[row])) return false;
  if (!in.get(rows_.high.at(row), rows_.stride)) return false;
  if (rows_.precision == Precision::kTwelveBits && !in.get(rows_.low.at(row), rows_.low_bytes())) {
    return false;
  }
  if (in_graph != 0) {
    graph_.prepare(row, level);
    rows_.in_graph[row] = 1;
    for (std::size_t layer = 0; layer <= level; ++layer) {
      std::uint32_t links = 0;
      if (!in.get(links) || links > (layer == 0 ? kBaseLinks : kUpperLinks)) return false;
      std::uint32_t* const list = rows_.links(row, layer);
      list[0] = links;
      if (!in.get(list + 1, links * sizeof(std::uint32_t))) return false;
    }
  }
  if (live == 0) {
    dead_.push_back(row);
    return true;
  }
  constexpr std::size_t kMostPayload = 16 * 1024 * 1024;
  if (!in.get(rows_.older[row]) || !in.text(buffer, kMostPayload)) return false;
  auto payload = read_payload(buffer, shape_.names);
  if (!payload) return false;
  const std::string_view id = payload_id(payload->get());
  if (row_of(id) != kNoRow) return false;
  for (std::size_t i = 0; i < columns.count; ++i) {
    std::uint32_t digest = 0;
    if (!in.get(digest)) return false;
    if (columns.same) rows_.columns[i][row] = digest;
  }
  if (!columns.same) {
    const auto digests = digests_in(shape_.space, payload_metadata(payload->get(), shape_.names));
    for (std::size_t i = 0; i < digests.size(); ++i) rows_.columns[i][row] = digests[i];
  }
  payload_bytes_ += buffer.size();
  rows_.payload[row] = payload->release();
  rows_.live[row] = 1;
  by_id_.add(id, row);
  if (in_graph == 0) pending_.push_back(row);
  live_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

}  // namespace asahi::vector
