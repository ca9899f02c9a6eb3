#include "memory/wiring/knowledge.h"

#include <utility>

#include "memory/wiring/feeds.h"

namespace asahi::memory {
namespace {

knowledge::GraphStore::Options graph_options(const MemoryConfig& config) {
  return {.limits = {.entities = config.graph.max_entities,
                     .edges = config.graph.max_edges,
                     .facts = 2 * config.graph.max_edges}};
}

knowledge::Knowledge::Options knowledge_options(const MemoryConfig& config) {
  knowledge::Knowledge::Options options;
  options.series_kept.five_minutes = std::chrono::days(config.analytics.retention_days);
  return options;
}

}  // namespace

KnowledgeWiring::KnowledgeWiring(Parts parts)
    : parts_(parts),
      knowledge_(parts.database, parts.clock, parts.metrics, graph_options(parts.config),
                 knowledge_options(parts.config)) {}

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
}

}  // namespace asahi::memory
