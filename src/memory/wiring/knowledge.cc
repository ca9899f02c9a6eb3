#include "memory/wiring/knowledge.h"

#include <utility>

#include "base/log.h"
#include "memory/wiring/feeds.h"

namespace asahi::memory {
namespace {

knowledge::GraphStore::Options graph_options(const MemoryConfig& config,
                                             knowledge::Adjacency* adjacency) {
  knowledge::GraphStore::Options options{.limits = {.entities = config.graph.max_entities,
                                                    .edges = config.graph.max_edges,
                                                    .facts = 2 * config.graph.max_edges}};
  if (adjacency != nullptr)
    options.forgotten = [adjacency](const std::string& tenant) { adjacency->forget(tenant); };
  return options;
}

knowledge::Knowledge::Options knowledge_options(const MemoryConfig& config,
                                                knowledge::Adjacency* adjacency) {
  knowledge::Knowledge::Options options;
  options.series_kept.five_minutes = std::chrono::days(config.analytics.retention_days);
  options.adjacency = adjacency;
  return options;
}

std::unique_ptr<MeasuredCache> shared_of(const KnowledgeWiring::Parts& parts) {
  if (!parts.config.graph.redis_adjacency) return nullptr;
  if (parts.shared_cache == nullptr) {
    Logger("memory").warning(
        "memory.graph.redis_adjacency is on, and there is no Redis: graphs are loaded as without "
        "it",
        {{"fix", "set REDIS_URL"}});
    return nullptr;
  }
  return std::make_unique<MeasuredCache>(*parts.shared_cache, parts.metrics, parts.clock);
}

std::unique_ptr<knowledge::Adjacency> adjacency_of(const KnowledgeWiring::Parts& parts,
                                                   MeasuredCache* shared) {
  if (shared == nullptr) return nullptr;
  return std::make_unique<knowledge::Adjacency>(
      *shared, parts.loops.at(0), parts.metrics,
      knowledge::Adjacency::Options{
          .life = std::chrono::seconds(parts.config.graph.adjacency_ttl_seconds)});
}

}  // namespace

KnowledgeWiring::KnowledgeWiring(Parts parts)
    : parts_(parts),
      shared_(shared_of(parts)),
      adjacency_(adjacency_of(parts, shared_.get())),
      knowledge_(parts.database, parts.clock, parts.metrics,
                 graph_options(parts.config, adjacency_.get()),
                 knowledge_options(parts.config, adjacency_.get())) {}

KnowledgeWiring::~KnowledgeWiring() { stop(); }

void KnowledgeWiring::follow(swap::SwapStore& hot, std::vector<Store*> tiers) {
  begin(feed_of(hot, std::move(tiers), parts_.loops));
}

void KnowledgeWiring::follow(remote::RemoteStore& hot, std::vector<Store*> tiers) {
  begin(feed_of(hot, std::move(tiers), parts_.loops));
}

void KnowledgeWiring::begin(std::unique_ptr<knowledge::MemoryFeed> feed) {
  feeds_.push_back(std::move(feed));
  derivers_.push_back(std::make_unique<knowledge::Deriver>(
      knowledge::Deriver::Parts{*feeds_.back(), knowledge_.graph(), knowledge_.series(),
                                parts_.database, parts_.clock, parts_.metrics},
      knowledge::Deriver::Options{}));
  derivers_.back()->start();
}

void KnowledgeWiring::stop() {
  for (const auto& deriver : derivers_) deriver->stop();
  if (adjacency_ != nullptr) adjacency_->stop();
}

}  // namespace asahi::memory
