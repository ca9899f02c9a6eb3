#include "storage/vector/local/local_index.h"

#include <fmt/format.h>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/hash.h"
#include "net/blocking.h"
#include "storage/vector/local/checked_file.h"
#include "storage/vector/local/segment.h"
#include "storage/vector/rules.h"

namespace asahi::vector {
namespace {

/// Writes that may wait for the writing thread.
constexpr std::size_t kMaxQueued = 1024;
/// A tenant's arrays are made anew when they are mostly of dead rows.
constexpr std::size_t kManyDead = 4096;
constexpr std::size_t kMaxTenants = 1'000'000;
constexpr std::size_t kMaxFields = 1024;
/// Items that one turn of the write mutex takes in when their links come later, and links: about a
/// millisecond each.
constexpr std::size_t kItemsPerTurn = 64;
constexpr std::size_t kLinkedPerTurn = 4;

}  // namespace

/// A search's scratch, given back at its end.
class LocalIndex::Borrowed {
 public:
  explicit Borrowed(const LocalIndex& index) : index_(index) {
    const std::lock_guard lock(index.scratch_mutex_);
    if (index.scratch_.empty()) {
      scratch_ = std::make_unique<Scratch>();
    } else {
      scratch_ = std::move(index.scratch_.back());
      index.scratch_.pop_back();
    }
  }
  ~Borrowed() {
    const std::lock_guard lock(index_.scratch_mutex_);
    index_.scratch_.push_back(std::move(scratch_));
  }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;
  Scratch& operator*() { return *scratch_; }

 private:
  const LocalIndex& index_;
  std::unique_ptr<Scratch> scratch_;
};

LocalIndex::LocalIndex(LocalOptions options)
    : options_(std::move(options)),
      on_evict_(options_.on_evict),
      shape_(make_shape()),
      writer_(std::make_unique<boost::asio::thread_pool>(1)),
      readers_(std::make_unique<boost::asio::thread_pool>(2)) {}

LocalIndex::~LocalIndex() {
  stopping_.store(true, std::memory_order_relaxed);
  writer_->join();
  readers_->join();
}

std::unique_ptr<SegmentShape> LocalIndex::make_shape() const {
  auto out = std::make_unique<SegmentShape>();
  out->space = options_.space;
  out->precision = options_.precision;
  out->build_effort = options_.build_effort;
  out->search_effort = options_.search_effort;
  out->exact_rows = options_.exact_rows;
  out->max_unlinked = options_.max_unlinked;
  out->seed = options_.seed;
  return out;
}

const Space& LocalIndex::space() const { return options_.space; }

std::shared_ptr<Segment> LocalIndex::find(std::string_view tenant) const {
  const std::shared_lock lock(segments_mutex_);
  const auto at = segments_.find(tenant);
  return at == segments_.end() ? nullptr : at->second;
}

std::uint64_t LocalIndex::seed_of(std::string_view tenant) const {
  const Digest256 digest = sha256(tenant);
  std::uint64_t out = 0;
  std::memcpy(&out, digest.data(), sizeof(out));
  return out ^ options_.seed;
}

Segment& LocalIndex::find_or_add(std::string_view tenant) {
  if (const auto known = find(tenant)) return *known;
  auto made = std::make_shared<Segment>(*shape_, seed_of(tenant));
  const std::unique_lock lock(segments_mutex_);
  return *segments_.emplace(tenant, std::move(made)).first->second;
}

Result<std::vector<Hit>> LocalIndex::search(std::string_view tenant, const Query& query,
                                            std::size_t effort) const {
  if (auto ok = check_tenant(tenant); !ok) return std::unexpected(ok.error());
  if (auto ok = check_query(options_.space, query.vector, query.top_k, query.filter); !ok) {
    return std::unexpected(ok.error());
  }
  std::vector<Hit> hits;
  const auto segment = find(tenant);
  if (segment == nullptr) return hits;
  const Probe probe = make_probe(unit_vector(query.vector));
  Borrowed scratch(*this);
  segment->search(probe, query, effort == 0 ? options_.search_effort : effort, *scratch, hits);
  return hits;
}

bool LocalIndex::full() const {
  if (size() >= options_.max_entries) return true;
  return options_.max_bytes > 0 && bytes() >= options_.max_bytes;
}

void LocalIndex::evict() {
  std::string tenant;
  std::shared_ptr<Segment> most;
  {
    const std::shared_lock lock(segments_mutex_);
    for (const auto& [name, segment] : segments_) {
      if (most != nullptr && segment->size() <= most->size()) continue;
      most = segment;
      tenant = name;
    }
  }
  const std::string id = most->evict_oldest();
  entries_.fetch_sub(1, std::memory_order_relaxed);
  drop_if_empty(tenant);
  tidy(tenant);
  if (on_evict_) on_evict_(tenant, id);
}

Result<void> LocalIndex::make_room(std::string_view tenant, std::string_view id) {
  if (!full()) return {};
  if (const auto segment = find(tenant); segment != nullptr && segment->holds(id)) return {};
  if (options_.when_full == WhenFull::kRefuse) {
    return fail(Errc::kTooLarge,
                fmt::format("the vector index is full ({} items, {} MiB); erase items or raise its "
                            "bounds",
                            size(), bytes() >> 20));
  }
  // Rows of erased items are used again, but not given back: memory that is over its bound shrinks
  // only as far as payloads go, so one eviction for each new item has to do.
  if (size() > 0) evict();
  return {};
}

/// Tenants that lost most of their items to others give their memory back.
void LocalIndex::tidy(std::string_view tenant) {
  std::shared_ptr<Segment> segment = find(tenant);
  if (segment == nullptr || segment->dead_rows() < kManyDead) return;
  if (segment->dead_rows() < 2 * segment->size()) return;
  std::shared_ptr<Segment> fresh = segment->rebuilt();
  const std::unique_lock lock(segments_mutex_);
  const bool behind = fresh->unlinked() > 0;
  segments_.find(tenant)->second = std::move(fresh);
  if (behind) catch_up_later(tenant);
}

void LocalIndex::drop_if_empty(std::string_view tenant) {
  const std::unique_lock lock(segments_mutex_);
  const auto at = segments_.find(tenant);
  if (at != segments_.end() && at->second->size() == 0) segments_.erase(at);
}

Result<void> LocalIndex::put(std::string_view tenant, std::span<const Item> items) {
  if (auto ok = check_tenant(tenant); !ok) return ok;
  if (auto ok = check_items(options_.space, items); !ok) return ok;
  if (options_.max_entries == 0) {
    return fail(Errc::kTooLarge, "the vector index may hold 0 items; raise max_entries");
  }
  // A large batch holds up no other writer for long.
  const std::size_t per_turn = options_.max_unlinked == 0 ? 1 : kItemsPerTurn;
  std::unique_lock lock(write_, std::defer_lock);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Item& item = items[i];
    if (i % per_turn == 0) {
      if (lock.owns_lock()) lock.unlock();
      lock.lock();
    }
    ASAHI_TRY(PreparedItem prepared, prepare_item(*shape_, item));
    if (auto ok = make_room(tenant, item.id); !ok) return ok;
    Segment& segment = find_or_add(tenant);
    const std::size_t before = segment.size();
    segment.put(std::move(prepared));
    entries_.fetch_add(segment.size() - before, std::memory_order_relaxed);
    if (segment.unlinked() > 0) catch_up_later(tenant);
  }
  return {};
}

/// The write mutex is held.
void LocalIndex::catch_up_later(std::string_view tenant) {
  if (options_.max_unlinked == 0) return;
  if (!behind_.contains(tenant)) behind_.emplace(tenant);
  if (std::exchange(catching_up_, true)) return;
  boost::asio::post(*writer_, [this] { catch_up(); });
}

/// A few items, then whatever has come to the writing thread meanwhile.
void LocalIndex::catch_up() {
  const std::lock_guard lock(write_);
  catching_up_ = !stopping_.load(std::memory_order_relaxed) && link_next(kLinkedPerTurn);
  if (catching_up_) boost::asio::post(*writer_, [this] { catch_up(); });
}

/// The write mutex is held.
bool LocalIndex::link_next(std::size_t most) {
  while (!behind_.empty()) {
    const auto segment = find(*behind_.begin());
    if (segment != nullptr) segment->link(most);
    if (segment != nullptr && segment->unlinked() > 0) return true;
    behind_.erase(behind_.begin());
    if (segment != nullptr) break;
  }
  return !behind_.empty();
}

bool LocalIndex::link(std::size_t most) {
  bool more = true;
  for (std::size_t done = 0; more && done < most; done += kLinkedPerTurn) {
    const std::lock_guard lock(write_);
    more = link_next(std::min(kLinkedPerTurn, most - done));
  }
  return more;
}

std::size_t LocalIndex::unlinked() const {
  const std::shared_lock lock(segments_mutex_);
  std::size_t sum = 0;
  for (const auto& [name, segment] : segments_) sum += segment->unlinked();
  return sum;
}

std::size_t LocalIndex::remove(std::string_view tenant, std::span<const std::string> ids) {
  std::size_t count = 0;
  for (const std::string& id : ids) {
    const std::lock_guard lock(write_);
    const auto segment = find(tenant);
    if (segment == nullptr) break;
    if (!segment->erase(id)) continue;
    ++count;
    entries_.fetch_sub(1, std::memory_order_relaxed);
    drop_if_empty(tenant);
  }
  const std::lock_guard lock(write_);
  tidy(tenant);
  return count;
}

std::size_t LocalIndex::remove_all(std::string_view tenant) {
  const std::lock_guard lock(write_);
  const std::unique_lock map_lock(segments_mutex_);
  const auto at = segments_.find(tenant);
  if (at == segments_.end()) return 0;
  const std::size_t count = at->second->size();
  entries_.fetch_sub(count, std::memory_order_relaxed);
  segments_.erase(at);
  return count;
}

std::size_t LocalIndex::size(std::string_view tenant) const {
  const auto segment = find(tenant);
  return segment == nullptr ? 0 : segment->size();
}

bool LocalIndex::contains(std::string_view tenant, std::string_view id) const {
  const std::lock_guard lock(write_);
  const auto segment = find(tenant);
  return segment != nullptr && segment->holds(id);
}

std::vector<std::string> LocalIndex::ids(std::string_view tenant) const {
  const std::lock_guard lock(write_);
  const auto segment = find(tenant);
  return segment == nullptr ? std::vector<std::string>{} : segment->ids();
}

std::vector<std::string> LocalIndex::tenants() const {
  const std::shared_lock lock(segments_mutex_);
  std::vector<std::string> out;
  for (const auto& [tenant, segment] : segments_) out.push_back(tenant);
  return out;
}

void LocalIndex::on_evict(std::function<void(std::string_view, std::string_view)> told) {
  const std::lock_guard lock(write_);
  on_evict_ = std::move(told);
}

std::size_t LocalIndex::bytes() const {
  const std::shared_lock lock(segments_mutex_);
  std::size_t sum = 0;
  for (const auto& [name, segment] : segments_) sum += segment->bytes() + sizeof(Segment);
  return sum;
}

template <class Work>
Task<void> LocalIndex::on_writer(Work work) {
  if (queued_.fetch_add(1, std::memory_order_relaxed) >= kMaxQueued) {
    queued_.fetch_sub(1, std::memory_order_relaxed);
    co_return fail(
        Errc::kUnavailable,
        fmt::format("{} writes wait for the vector index already; send fewer at once", kMaxQueued));
  }
  co_return co_await net::run_blocking(*writer_, [this, work = std::move(work)]() -> Result<void> {
    Result<void> done = work();
    queued_.fetch_sub(1, std::memory_order_relaxed);
    return done;
  });
}

Task<void> LocalIndex::upsert(std::string tenant, std::vector<Item> items) {
  co_return co_await on_writer(
      [this, tenant = std::move(tenant), items = std::move(items)] { return put(tenant, items); });
}

Task<std::vector<Hit>> LocalIndex::query(std::string tenant, Query query) {
  co_return co_await net::run_blocking(
      *readers_, [this, tenant = std::move(tenant), query = std::move(query)] {
        return search(tenant, query);
      });
}

Task<void> LocalIndex::erase(std::string tenant, std::vector<std::string> ids) {
  if (auto ok = check_tenant(tenant); !ok) co_return ok;
  if (auto ok = check_ids(ids); !ok) co_return ok;
  co_return co_await on_writer(
      [this, tenant = std::move(tenant), ids = std::move(ids)]() -> Result<void> {
        remove(tenant, ids);
        return {};
      });
}

Task<void> LocalIndex::erase_where(std::string tenant, Metadata filter) {
  if (auto ok = check_tenant(tenant); !ok) co_return ok;
  if (auto ok = check_erase_filter(options_.space, filter); !ok) co_return ok;
  co_return co_await on_writer(
      [this, tenant = std::move(tenant), filter = std::move(filter)]() -> Result<void> {
        const std::lock_guard lock(write_);
        if (const auto segment = find(tenant)) {
          entries_.fetch_sub(segment->erase_where(filter), std::memory_order_relaxed);
          drop_if_empty(tenant);
          tidy(tenant);
        }
        return {};
      });
}

Task<void> LocalIndex::erase_all(std::string tenant) {
  if (auto ok = check_tenant(tenant); !ok) co_return ok;
  co_return co_await on_writer([this, tenant = std::move(tenant)]() -> Result<void> {
    remove_all(tenant);
    return {};
  });
}

Task<std::uint64_t> LocalIndex::count(std::string tenant) {
  if (auto ok = check_tenant(tenant); !ok) co_return std::unexpected(ok.error());
  co_return size(tenant);
}

Task<void> LocalIndex::ping() { co_return Result<void>{}; }

Task<void> LocalIndex::save() {
  co_return co_await on_writer([this] { return save_now(); });
}

Result<void> LocalIndex::save_now() {
  if (options_.file.empty()) {
    return fail(Errc::kInvalidArgument, "this vector index has no file to be saved in");
  }
  const std::lock_guard lock(write_);
  CheckedWriter out(options_.file);
  out.text(options_.space.model);
  out.put(static_cast<std::uint32_t>(options_.space.dimensions));
  out.put(static_cast<std::uint32_t>(options_.precision));
  out.put(static_cast<std::uint32_t>(shape_->names.size()));
  for (std::size_t i = 0; i < shape_->names.size(); ++i) {
    out.text(shape_->names.at(static_cast<std::uint8_t>(i)));
  }
  out.put(static_cast<std::uint32_t>(options_.space.filter_fields.size()));
  for (const std::string& field : options_.space.filter_fields) out.text(field);
  Segments segments;
  {
    const std::shared_lock map_lock(segments_mutex_);
    segments = segments_;
  }
  out.put(static_cast<std::uint32_t>(segments.size()));
  for (const auto& [tenant, segment] : segments) {
    out.text(tenant);
    segment->write(out);
  }
  return out.finish();
}

Result<void> LocalIndex::load() {
  ASAHI_TRY(const MappedFile file, MappedFile::open(options_.file));
  auto done = load_bytes(file.bytes());
  if (!done) done.error().message += fmt::format(" ({})", options_.file);
  return done;
}

Result<void> LocalIndex::load_bytes(std::string_view bytes) {
  const auto damaged = [] {
    return fail(Errc::kCorrupt,
                "the vector index's file is cut or damaged; it must be filled from the rows that "
                "it was made of");
  };
  // What it said was two bytes a number. No one keeps vectors here only, so it is not converted.
  if (bytes.starts_with("asahi vectors 1\n")) {
    return fail(Errc::kConflict,
                "the vector index's file is of an older version; it is left alone until the next "
                "save, and the index must be filled from the rows that it was made of");
  }
  CheckedReader in(bytes);
  std::string text;
  std::uint32_t dimensions = 0, precision = 0, names = 0, tenants = 0;
  constexpr std::size_t kMostText = 1024;
  if (!in.text(text, kMostText) || !in.get(dimensions) || !in.get(precision) || !in.get(names)) {
    return damaged();
  }
  const Space& space = options_.space;
  if (text != space.model || dimensions != space.dimensions ||
      precision != static_cast<std::uint32_t>(options_.precision)) {
    return fail(Errc::kConflict,
                fmt::format("the file holds vectors of another kind ({} numbers, {} bytes each) "
                            "than this index ({} numbers, {} bytes each, model '{}'); it is left "
                            "alone until the next save",
                            dimensions, precision, space.dimensions,
                            static_cast<std::uint32_t>(options_.precision), space.model));
  }
  const std::lock_guard lock(write_);
  auto shape = make_shape();
  for (std::uint32_t i = 0; i < names; ++i) {
    if (!in.text(text, kMostText)) return damaged();
    const auto number = shape->names.add(text);
    if (!number || *number != i) return damaged();
  }
  std::uint32_t fields = 0;
  std::vector<std::string> filter_fields;
  if (!in.get(fields) || fields > kMaxFields) return damaged();
  for (std::uint32_t i = 0; i < fields; ++i) {
    if (!in.text(filter_fields.emplace_back(), kMostText)) return damaged();
  }
  const Segment::FileColumns columns{fields, filter_fields == space.filter_fields};
  if (!in.get(tenants) || tenants > kMaxTenants) return damaged();
  Segments segments;
  std::size_t entries = 0;
  for (std::uint32_t i = 0; i < tenants; ++i) {
    if (!in.text(text, kMostText) || !check_tenant(text)) return damaged();
    auto segment = std::make_shared<Segment>(*shape, seed_of(text));
    if (!segment->read(in, columns)) return damaged();
    entries += segment->size();
    if (segment->size() > 0 && !segments.emplace(text, std::move(segment)).second) return damaged();
  }
  if (!in.at_end()) return damaged();
  {
    const std::unique_lock map_lock(segments_mutex_);
    segments_ = std::move(segments);
    shape_ = std::move(shape);
  }
  behind_.clear();
  for (const auto& [name, segment] : segments_) {
    if (segment->unlinked() > 0) catch_up_later(name);
  }
  entries_.store(entries, std::memory_order_relaxed);
  // The bounds may be tighter than they were.
  while (size() > options_.max_entries) evict();
  return {};
}

}  // namespace asahi::vector
