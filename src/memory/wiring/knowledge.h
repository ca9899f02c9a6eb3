#pragma once

#include <memory>
#include <vector>

#include "memory/config.h"
#include "memory/knowledge/adjacency.h"
#include "memory/knowledge/deriver.h"
#include "memory/knowledge/graph_rows.h"
#include "memory/knowledge/knowledge.h"
#include "memory/measure/measured_cache.h"
#include "memory/model/store.h"
#include "memory/remote/remote_store.h"
#include "memory/swap/swap_store.h"
#include "net/loop.h"

namespace asahi::memory {

/// Graph and series of this process. They are rows of the database, which all processes ask alike;
/// those that take memories in follow the hot tier and keep them up to date, one at a time.
class KnowledgeWiring {
 public:
  /// All outlive it.
  struct Parts {
    const MemoryConfig& config;
    net::LoopPool& loops;
    sql::Database& database;
    telemetry::Registry& metrics;
    const Clock& clock;
    cache::Store* shared_cache = nullptr;  ///< Redis; null: there is none
  };
  explicit KnowledgeWiring(Parts parts);
  ~KnowledgeWiring();

  knowledge::Knowledge& knowledge() { return knowledge_; }
  /// From now on, what is written into the hot tier of this process. `tiers`: all that a memory may
  /// have moved to, the hot one first; what is in none of them is forgotten.
  void follow(swap::SwapStore& hot, std::vector<Store*> tiers);
  /// The same for a hot tier in another process.
  void follow(remote::RemoteStore& hot, std::vector<Store*> tiers);
  void stop();

 private:
  void begin(std::unique_ptr<knowledge::MemoryFeed> feed);

  const Parts parts_;
  std::unique_ptr<MeasuredCache> shared_;
  std::unique_ptr<knowledge::Adjacency> adjacency_;  ///< null: graphs are loaded
  knowledge::Knowledge knowledge_;
  std::vector<std::unique_ptr<knowledge::MemoryFeed>> feeds_;
  std::vector<std::unique_ptr<knowledge::Deriver>> derivers_;
};

}  // namespace asahi::memory
