#pragma once

#include <memory>

#include "base/clock.h"
#include "gateway/cache/semantic_cache.h"
#include "gateway/config.h"
#include "gateway/dispatch/vendor_set.h"
#include "net/http/client.h"
#include "net/loop.h"
#include "storage/vector/open/open_index.h"

namespace asahi::gateway {

/// Tier 2 with all that it stands on, as the settings name it.
struct SemanticTier {
  std::unique_ptr<llm::TextEmbedder> embedder;
  std::unique_ptr<StandIn>
      stand_in;  ///< null: the embedder works in this process, or none is wanted
  vector::OpenedIndex index;
  std::unique_ptr<semantic::ThresholdTuner> tuner;
  std::unique_ptr<SemanticCache> cache;
};

/// What the tier is made from; all outlive it.
struct SemanticTierParts {
  const GatewayConfig& config;
  VendorSet& vendors;
  net::PerLoop<http::Client>& clients;
  sql::Database& database;
  const Clock& clock;
  net::Loop& home;
};

/// The embedder of `embeddings`; the local one, with a warning in the log, where its vendor has no
/// key. Errors: invalid_argument with the field, when a model file cannot be used.
Result<std::unique_ptr<llm::TextEmbedder>> make_text_embedder(const EmbeddingsConfig& config,
                                                              VendorSet& vendors);
/// Keeps the thresholds for later starts and for other processes, which read them now and then.
Task<void> keep_thresholds(SemanticTier& tier, sql::Database& database, const Clock& clock);
Aw<void> read_thresholds(SemanticTier& tier, sql::Database& database);
/// Null where tier 2 is off. Errors: invalid_argument with the field.
Result<std::unique_ptr<SemanticTier>> make_semantic_tier(SemanticTierParts parts);

}  // namespace asahi::gateway
