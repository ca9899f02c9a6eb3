// The semantic cache beside its requests: what stands in SQL becomes known, what was learned is
// written, what is over goes.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "gateway/cache/semantic/context.h"
#include "gateway/cache/semantic_cache.h"
#include "net/blocking.h"
#include "storage/vector/local/local_index.h"

namespace asahi::gateway {
namespace {

using std::chrono::milliseconds;

/// Rows of others that committed late may carry lower numbers than rows seen already: the last ones
/// are read once more.
constexpr std::int64_t kOverlap = 200;
constexpr std::size_t kPage = 500;
constexpr std::size_t kLearnedAtOnce = 500;
/// Buckets of a tenant's entries that are looked at in one go, while questions wait.
constexpr std::size_t kBucketsAtOnce = 2'000;

std::int64_t unix_ms(Clock::Time time) {
  return std::chrono::duration_cast<milliseconds>(time.time_since_epoch()).count();
}

vector::Metadata metadata_of(std::uint64_t context_digest) {
  return {{"context", fmt::format("{:016x}", context_digest)}};
}

}  // namespace

// ---- from SQL

SemanticCache::Known SemanticCache::known_of(const semantic::EntryRow& row) const {
  const auto now = parts_.clock.now();
  // No time of life is longer than a century: what a damaged row says must not overflow.
  constexpr std::chrono::nanoseconds kLongest = std::chrono::hours(24 * 365 * 100);
  const auto left = std::clamp(std::chrono::nanoseconds(row.expires - now),
                               std::chrono::nanoseconds(0), kLongest);
  Known known{.query = row.query,
              .task = row.task,
              .context_digest = row.context_digest,
              .answer_digest = row.answer_digest,
              .created_at_ms = unix_ms(row.created),
              .expires_at_ms = unix_ms(row.expires),
              .ends = parts_.clock.steady_now() + left,
              .evidence = {},
              .earlier = row.earlier};
  if (auto evidence = semantic::EntryEvidence::decode(row.evidence)) known.evidence = *evidence;
  return known;
}

/// Vectors for the rows that have none, as far as they can be had.
Aw<std::vector<semantic::EntryRow>> SemanticCache::embedded(
    std::vector<semantic::EntryRow> entries) {
  const llm::EmbedderTraits& traits = parts_.embedder.traits();
  const auto text_of = [](const semantic::EntryRow& row) {
    return semantic::contextual_text(row.query, row.earlier, row.task);
  };
  co_await net::run_blocking(background_, [&] {
    for (semantic::EntryRow& row : entries) {
      if (row.vector.size() != traits.width) row.vector.clear();
      if (!row.vector.empty()) continue;
      if (auto made = parts_.embedder.try_embed(text_of(row))) row.vector = *made->vector;
    }
    return true;
  });
  std::vector<std::string> texts;
  std::vector<std::size_t> waiting;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (!entries[i].vector.empty()) continue;
    texts.push_back(text_of(entries[i]));
    waiting.push_back(i);
  }
  if (texts.empty()) co_return entries;
  // From here on rows are read anew when the embedder is back.
  if (!unplaced_since_) unplaced_since_ = last_seen_;
  if (!embedder_breaker_.allow(parts_.clock.steady_now())) co_return entries;
  auto made = co_await parts_.embedder.embed(std::move(texts), llm::EmbedPurpose::kDocument, {});
  if (!made) log("what is kept cannot be embedded", made.error());
  bool all = made && made->size() == waiting.size();
  for (std::size_t i = 0; all && i < waiting.size(); ++i) {
    auto mine = own(std::move((*made)[i]));
    if (mine) entries[waiting[i]].vector = *mine->vector;
    all = mine.has_value();
  }
  embedder_answered(all);
  if (all) last_seen_ = std::min(last_seen_, *std::exchange(unplaced_since_, std::nullopt));
  co_return entries;
}

void SemanticCache::know(const semantic::EntryRow& row, bool placed) {
  const auto owner = tenant(row.org);
  const std::scoped_lock lock(owner->mutex);
  Known& place = owner->entries[row.id];
  const std::int64_t new_hits = place.new_hits;
  const bool changed = place.changed;
  place = known_of(row);
  place.new_hits = new_hits;
  place.changed = changed;
  place.placed = placed;
}

bool SemanticCache::knows(const semantic::EntryRow& row) const {
  const auto owner = find_tenant(row.org);
  if (owner == nullptr) return false;
  const std::scoped_lock lock(owner->mutex);
  return owner->entries.contains(row.id);
}

Aw<void> SemanticCache::add(std::vector<semantic::EntryRow> entries, bool from_rows) {
  std::map<std::string, std::vector<vector::Item>> by_org;
  const bool stands_in = parts_.stand_in != nullptr && parts_.stand_in->active();
  std::vector<std::pair<std::string, std::string>> fresh;
  if (from_rows && parts_.local != nullptr) {
    // An id tells embedder, context and text: what the file brought under it is its vector.
    entries = co_await net::run_blocking(background_, [&] {
      std::erase_if(entries, [&](const semantic::EntryRow& row) {
        if (!parts_.local->contains(row.org, row.id)) return false;
        know(row, true);
        if (stands_in) fresh.emplace_back(row.org, row.id);
        return true;
      });
      return std::move(entries);
    });
  }
  if (!entries.empty()) entries = co_await embedded(std::move(entries));
  for (semantic::EntryRow& row : entries) {
    const bool placed = !row.vector.empty();
    // Without a vector it is of use to the stand-in only, which has it if it is known.
    if (!placed && (!stands_in || (from_rows && knows(row)))) continue;
    know(row, placed);
    if (stands_in) fresh.emplace_back(row.org, row.id);
    if (!placed) continue;
    by_org[row.org].push_back({.id = row.id,
                               .vector = std::move(row.vector),
                               .metadata = metadata_of(row.context_digest)});
  }
  std::ranges::move(fresh, std::back_inserter(for_stand_in_));
  for (auto& [org, items] : by_org) {
    std::vector<std::string> ids;
    for (const vector::Item& item : items) ids.push_back(item.id);
    unsaved_.fetch_add(items.size(), std::memory_order_relaxed);
    auto put = co_await parts_.index.upsert(org, std::move(items));
    if (put) continue;
    log("the vector index takes no new entries", put.error());
    // Not known: then they are tried again with the rows read last.
    const auto owner = tenant(org);
    const std::scoped_lock lock(owner->mutex);
    for (const std::string& id : ids) owner->entries.erase(id);
  }
}

// ---- while the embedder is away

std::vector<std::pair<std::string, std::string>> SemanticCache::all_entries() const {
  std::vector<std::pair<std::string, std::string>> out;
  std::vector<std::pair<std::string, std::shared_ptr<Tenant>>> tenants;
  {
    const std::shared_lock lock(tenants_mutex_);
    tenants.assign(tenants_.begin(), tenants_.end());
  }
  for (const auto& [org, owner] : tenants) {
    for (std::size_t bucket = 0, more = 1; more != 0;) {
      const std::scoped_lock lock(owner->mutex);
      const std::size_t end = std::min(bucket + kBucketsAtOnce, owner->entries.bucket_count());
      for (; bucket < end; ++bucket) {
        for (auto at = owner->entries.cbegin(bucket); at != owner->entries.cend(bucket); ++at)
          out.emplace_back(org, at->first);
      }
      more = bucket < owner->entries.bucket_count() ? 1 : 0;
    }
  }
  return out;
}

/// Some of what the stand-in lacks: not so many that the cache's other work waits.
void SemanticCache::fill_stand_in() {
  constexpr milliseconds kAtOnce{50};
  constexpr std::size_t kBatch = 16;
  const auto until = std::chrono::steady_clock::now() + kAtOnce;
  while (!for_stand_in_.empty() && std::chrono::steady_clock::now() < until) {
    std::vector<StandIn::Entry> batch;
    while (!for_stand_in_.empty() && batch.size() < kBatch) {
      auto [org, id] = std::move(for_stand_in_.back());
      for_stand_in_.pop_back();
      const auto owner = find_tenant(org);
      if (owner == nullptr) continue;
      const std::scoped_lock lock(owner->mutex);
      const auto found = owner->entries.find(id);
      if (found == owner->entries.end()) continue;
      const Known& known = found->second;
      batch.push_back({.org = std::move(org),
                       .id = std::move(id),
                       .text = semantic::contextual_text(known.query, known.earlier, known.task),
                       .metadata = metadata_of(known.context_digest)});
    }
    if (auto put = parts_.stand_in->put(batch); !put)
      log("the stand-in's index takes no entries", put.error());
  }
}

Aw<void> SemanticCache::tend_stand_in() {
  if (parts_.stand_in == nullptr || !parts_.stand_in->active()) co_return;
  co_await net::run_blocking(background_, [this] {
    if (parts_.stand_in->take_waking()) for_stand_in_ = all_entries();
    fill_stand_in();
    if (parts_.stand_in->rest()) for_stand_in_ = {};
    return true;
  });
}

/// What is known of entries that are there already, brought up to date; returns the others.
std::vector<semantic::EntryRow> SemanticCache::refresh_known(
    std::vector<semantic::EntryRow> entries) {
  std::erase_if(entries, [this](const semantic::EntryRow& row) {
    const auto owner = find_tenant(row.org);
    if (owner == nullptr) return false;
    const std::scoped_lock lock(owner->mutex);
    const auto found = owner->entries.find(row.id);
    if (found == owner->entries.end()) return false;
    Known& known = found->second;
    if (!known.placed) return false;
    if (known.created_at_ms == unix_ms(row.created)) return true;
    // Another process asked the model again: another answer, another life time.
    const std::int64_t new_hits = known.new_hits;
    const bool changed = known.changed;
    known = known_of(row);
    known.new_hits = new_hits;
    known.changed = changed;
    return true;
  });
  return entries;
}

Aw<void> SemanticCache::restore_knowledge(const std::vector<semantic::EntryRow>& entries) {
  for (const semantic::EntryRow& row : entries) {
    if (find_tenant(row.org) != nullptr) continue;
    auto knowledge = co_await rows_.knowledge(row.org, row.embedder);
    const auto owner = tenant(row.org);
    if (!knowledge || knowledge->empty()) continue;
    if (auto restored = owner->evidence.restore(*knowledge); !restored) {
      logger_.warning("what was learned about cached answers cannot be read",
                      {{"org", row.org}, {"error", restored.error().message}});
    }
  }
}

Aw<void> SemanticCache::read_news() {
  for (bool more = true; more && !stopping_.cancelled();) {
    auto page = co_await rows_.after(std::max<std::int64_t>(0, last_seen_ - kOverlap), space_,
                                     parts_.clock.now(), kPage);
    if (!page) {
      log("its entries cannot be read", page.error());
      co_return;
    }
    auto entries = refresh_known(std::move(page->entries));
    co_await restore_knowledge(entries);
    more = page->more && page->last > last_seen_;
    last_seen_ = std::max(last_seen_, page->last);
    co_await add(std::move(entries), true);
  }
  if (all_read_ || stopping_.cancelled()) co_return;
  all_read_ = true;
  co_await drop_strangers();
}

/// What the index's file brought and no row knows: deleted or over while this process was away.
Aw<void> SemanticCache::drop_strangers() {
  if (parts_.local == nullptr) co_return;
  const std::size_t gone = co_await net::run_blocking(background_, [this] {
    std::size_t count = 0;
    for (const std::string& org : parts_.local->tenants()) {
      std::vector<std::string> strangers;
      const auto owner = find_tenant(org);
      for (std::string& id : parts_.local->ids(org)) {
        if (owner != nullptr) {
          const std::scoped_lock lock(owner->mutex);
          if (owner->entries.contains(id)) continue;
        }
        strangers.push_back(std::move(id));
      }
      count += parts_.local->remove(org, strangers);
    }
    return count;
  });
  unsaved_.fetch_add(gone, std::memory_order_relaxed);
}

// ---- to SQL

Aw<void> SemanticCache::write_learned() {
  std::vector<std::pair<std::string, std::shared_ptr<Tenant>>> tenants;
  {
    const std::shared_lock lock(tenants_mutex_);
    tenants.assign(tenants_.begin(), tenants_.end());
  }
  for (const auto& [org, owner] : tenants) {
    std::vector<semantic::EntryRows::Learned> learned;
    bool knowledge = false;
    {
      const std::scoped_lock lock(owner->mutex);
      while (!owner->changed.empty() && learned.size() < kLearnedAtOnce) {
        const auto found = owner->entries.find(owner->changed.back());
        owner->changed.pop_back();
        if (found == owner->entries.end() || !found->second.changed) continue;
        Known& known = found->second;
        learned.push_back({org, found->first, known.evidence.encode(), known.new_hits});
        known.changed = false;
        known.new_hits = 0;
      }
      knowledge = std::exchange(owner->knowledge_changed, false);
    }
    // What cannot be written is learned again: evidence is a sample.
    if (auto done = co_await rows_.learn(std::move(learned)); !done)
      log("what was learned cannot be written", done.error());
    if (knowledge) co_await share_knowledge(org, *owner);
  }
}

/// Adds what this process learned to what all have learned. What is stored meanwhile by another
/// waits for the next time.
Aw<void> SemanticCache::share_knowledge(const std::string& org, Tenant& tenant) {
  const std::string& embedder = space_;
  auto stored = co_await rows_.knowledge(org, embedder);
  if (!stored) {
    log("what was learned cannot be read", stored.error());
    co_return;
  }
  auto merged =
      co_await net::run_blocking(background_, [&] { return tenant.evidence.merge(*stored); });
  if (!merged) {
    // Damaged: what this process knows takes its place.
    log("what was learned cannot be read", merged.error());
    (void)co_await rows_.keep_knowledge(org, embedder, tenant.evidence.encode(),
                                        parts_.clock.now());
    co_return;
  }
  auto put = co_await rows_.exchange_knowledge(org, embedder, *std::move(stored), merged->text,
                                               parts_.clock.now());
  if (!put) log("what was learned cannot be written", put.error());
  if (put && *put) {
    tenant.evidence.adopt(*merged);
    co_return;
  }
  const std::scoped_lock lock(tenant.mutex);
  tenant.knowledge_changed = true;
}

// ---- keeping house

Aw<void> SemanticCache::save() {
  if (parts_.local == nullptr || !parts_.local->has_file()) co_return;
  const std::size_t changes = unsaved_.load();
  if (changes == 0) co_return;
  if (auto saved = co_await parts_.local->save(); !saved) {
    // The old file stays, and what it lacks comes from the rows.
    log("the vector index cannot be saved", saved.error());
    co_return;
  }
  unsaved_.fetch_sub(changes);
}

Aw<void> SemanticCache::forget(std::string org, std::string entry_id) {
  if (const auto owner = find_tenant(org)) {
    const std::scoped_lock lock(owner->mutex);
    owner->entries.erase(entry_id);
  }
  unsaved_.fetch_add(1, std::memory_order_relaxed);
  std::vector<std::string> ids(1, std::move(entry_id));
  if (parts_.stand_in != nullptr) parts_.stand_in->remove(org, ids);
  (void)co_await parts_.index.erase(std::move(org), std::move(ids));
}

Task<bool> SemanticCache::report(std::string org, std::string entry_id) {
  auto row = co_await rows_.get(org, entry_id);
  if (!row) co_return std::unexpected(std::move(row.error()));
  if (!*row) co_return false;
  semantic::EntryEvidence learned;
  if (auto stored = semantic::EntryEvidence::decode((*row)->evidence)) learned = *stored;
  const auto owner = tenant(org);
  {
    const std::scoped_lock lock(owner->mutex);
    const auto found = owner->entries.find(entry_id);
    // An earlier report may have come to another process.
    if (found != owner->entries.end() && found->second.evidence.reports() >= learned.reports())
      learned = found->second.evidence;
    // Nobody knows at which score it answered: at any.
    learned.report(1);
    if (found != owner->entries.end()) found->second.evidence = learned;
    owner->knowledge_changed = true;
  }
  owner->evidence.report((*row)->task, 1);
  for (const auto sensitivity :
       {semantic::Sensitivity::kHigh, semantic::Sensitivity::kMedium, semantic::Sensitivity::kLow})
    parts_.tuner.reported_wrong((*row)->task, sensitivity);
  std::vector<semantic::EntryRows::Learned> one;
  one.push_back({std::move(org), std::move(entry_id), learned.encode(), 0});
  auto done = co_await rows_.learn(std::move(one));
  if (!done) co_return std::unexpected(std::move(done.error()));
  co_return true;
}

Task<std::int64_t> SemanticCache::erase(std::string org, std::vector<std::string> entry_ids) {
  auto gone = co_await rows_.erase(org, entry_ids);
  if (!gone) co_return std::unexpected(std::move(gone.error()));
  for (std::string& id : entry_ids) co_await forget(org, std::move(id));
  co_return *gone;
}

Task<std::int64_t> SemanticCache::clear(std::string org) {
  {
    const std::scoped_lock lock(queue_mutex_);
    std::erase_if(queue_,
                  [&org](const Arrival& arrival) { return arrival.lookup->question.org == org; });
  }
  auto gone = co_await rows_.erase_all(org);
  if (!gone) co_return std::unexpected(std::move(gone.error()));
  if (const auto owner = find_tenant(org)) {
    const std::scoped_lock lock(owner->mutex);
    unsaved_.fetch_add(owner->entries.size(), std::memory_order_relaxed);
    owner->entries.clear();
    owner->changed.clear();
  }
  if (parts_.stand_in != nullptr) parts_.stand_in->remove_all(org);
  (void)co_await parts_.index.erase_all(std::move(org));
  co_return *gone;
}

/// Takes a few at a time: questions of the tenant wait meanwhile.
std::vector<std::string> SemanticCache::take_expired(Tenant& tenant) const {
  const std::int64_t now_ms = unix_ms(parts_.clock.now());
  const Clock::Steady steady = parts_.clock.steady_now();
  std::vector<std::string> ids;
  for (std::size_t bucket = 0, more = 1; more != 0;) {
    const std::scoped_lock lock(tenant.mutex);
    const std::size_t end = std::min(bucket + kBucketsAtOnce, tenant.entries.bucket_count());
    const std::size_t before = ids.size();
    for (; bucket < end; ++bucket) {
      for (auto at = tenant.entries.cbegin(bucket); at != tenant.entries.cend(bucket); ++at) {
        if (at->second.expires_at_ms <= now_ms || at->second.ends <= steady)
          ids.push_back(at->first);
      }
    }
    more = bucket < tenant.entries.bucket_count() ? 1 : 0;
    for (std::size_t i = before; i < ids.size(); ++i) tenant.entries.erase(ids[i]);
  }
  return ids;
}

Aw<void> SemanticCache::forget_expired(std::string org) {
  const auto owner = find_tenant(org);
  if (owner == nullptr) co_return;
  auto ids = co_await net::run_blocking(background_, [&] {
    auto gone = take_expired(*owner);
    if (parts_.stand_in != nullptr) parts_.stand_in->remove(org, gone);
    return gone;
  });
  if (ids.empty()) co_return;
  unsaved_.fetch_add(ids.size(), std::memory_order_relaxed);
  (void)co_await parts_.index.erase(std::move(org), std::move(ids));
}

Task<std::int64_t> SemanticCache::clear_expired(std::string org) {
  auto gone = co_await rows_.erase_expired(org, parts_.clock.now());
  if (!gone) co_return std::unexpected(std::move(gone.error()));
  co_await forget_expired(std::move(org));
  co_return *gone;
}

Aw<void> SemanticCache::sweep() {
  if (auto gone = co_await rows_.sweep(parts_.clock.now()); !gone)
    log("entries whose time is over cannot be deleted", gone.error());
  std::vector<std::string> orgs;
  {
    const std::shared_lock lock(tenants_mutex_);
    for (const auto& [org, owner] : tenants_) orgs.push_back(org);
  }
  for (std::string& org : orgs) co_await forget_expired(std::move(org));
}

SemanticCache::Stats SemanticCache::stats(const std::string& org) const {
  Stats stats{.dropped = dropped_.load(std::memory_order_relaxed)};
  const auto owner = find_tenant(org);
  if (owner == nullptr) return stats;
  stats.questions = owner->evidence.questions();
  stats.estimated_wrong = owner->evidence.estimated_wrong();
  stats.audit = owner->evidence.audit(options_.bound);
  const std::scoped_lock lock(owner->mutex);
  stats.entries = owner->entries.size();
  stats.explorations = owner->explorations;
  return stats;
}

}  // namespace asahi::gateway
