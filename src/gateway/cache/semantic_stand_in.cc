#include "gateway/cache/semantic_stand_in.h"

#include <map>
#include <utility>

#include "storage/vector/local/local_index.h"

namespace asahi::gateway {

StandIn::StandIn(Options options, std::unique_ptr<llm::TextEmbedder> embedder, const Clock& clock)
    : options_(options), embedder_(std::move(embedder)), clock_(clock) {}

StandIn::~StandIn() = default;

std::shared_ptr<vector::LocalIndex> StandIn::index() const {
  const std::scoped_lock lock(mutex_);
  return index_;
}

void StandIn::need() {
  lookups_.fetch_add(1, std::memory_order_relaxed);
  const std::scoped_lock lock(mutex_);
  needed_ = clock_.steady_now();
  if (index_ != nullptr) return;
  vector::LocalOptions options;
  options.space = {
      .model = traits().tag, .dimensions = traits().width, .filter_fields = {"context"}};
  options.max_entries = options_.max_entries;
  index_ = std::make_shared<vector::LocalIndex>(std::move(options));
  waking_ = true;
  active_ = true;
}

bool StandIn::take_waking() {
  const std::scoped_lock lock(mutex_);
  return std::exchange(waking_, false);
}

bool StandIn::rest() {
  std::shared_ptr<vector::LocalIndex> dropped;  // freed without the lock
  const std::scoped_lock lock(mutex_);
  if (index_ == nullptr || clock_.steady_now() - needed_ < options_.linger) return false;
  active_ = false;
  waking_ = false;
  dropped = std::move(index_);
  return true;
}

Result<std::vector<vector::Hit>> StandIn::search(std::string_view org, std::string_view text,
                                                 vector::Metadata filter, std::size_t top_k) const {
  const auto entries = index();
  const auto embedded = embedder_->try_embed(text);
  if (entries == nullptr || !embedded) return std::vector<vector::Hit>{};
  return entries->search(org, {.vector = *embedded->vector,
                               .top_k = top_k,
                               .filter = std::move(filter),
                               .with_metadata = false});
}

Result<void> StandIn::put(std::span<const Entry> entries) {
  const auto into = index();
  if (into == nullptr) return {};
  std::map<std::string_view, std::vector<vector::Item>> by_org;
  for (const Entry& entry : entries) {
    auto made = embedder_->try_embed(entry.text);
    if (made)
      by_org[entry.org].push_back(
          {.id = entry.id, .vector = *made->vector, .metadata = entry.metadata});
  }
  for (const auto& [org, items] : by_org) {
    if (auto done = into->put(org, items); !done) return done;
  }
  return {};
}

void StandIn::remove(std::string_view org, std::span<const std::string> ids) {
  if (const auto from = index()) (void)from->remove(org, ids);
}

void StandIn::remove_all(std::string_view org) {
  if (const auto from = index()) (void)from->remove_all(org);
}

std::size_t StandIn::entries() const {
  const auto of = index();
  return of == nullptr ? 0 : of->size();
}

std::size_t StandIn::bytes() const {
  const auto of = index();
  return of == nullptr ? 0 : of->bytes();
}

}  // namespace asahi::gateway
