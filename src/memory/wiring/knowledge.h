#pragma once

#include <memory>
#include <vector>

#include "memory/config.h"
#include "memory/hot/engine.h"
#include "memory/knowledge/deriver.h"
#include "memory/knowledge/graph_rows.h"
#include "memory/knowledge/knowledge.h"
#include "memory/model/store.h"
#include "net/loop.h"

namespace asahi::memory {

/// Graph and series of this process: they follow the hot tier, and answer.
class KnowledgeWiring {
 public:
  /// All outlive it.
  struct Parts {
    const MemoryConfig& config;
    net::LoopPool& loops;
    sql::Database& database;
    telemetry::Registry& metrics;
    const Clock& clock;
    hot::Engine& engine;
  };
  /// Errors: unavailable (the folder of the hot tier cannot be written).
  static Result<std::unique_ptr<KnowledgeWiring>> make(Parts parts);
  ~KnowledgeWiring();

  knowledge::Knowledge& knowledge() { return knowledge_; }
  /// Follows from now on. `tiers`: all that a memory may have moved to; what is in none of them is
  /// forgotten.
  void start(std::vector<Store*> tiers);
  void stop();

 private:
  class HotFeed;
  KnowledgeWiring(Parts parts, std::string feed_name);

  const Parts parts_;
  knowledge::Knowledge knowledge_;
  std::unique_ptr<HotFeed> feed_;
  knowledge::Deriver::Options options_;
  std::unique_ptr<knowledge::Deriver> deriver_;
};

}  // namespace asahi::memory
