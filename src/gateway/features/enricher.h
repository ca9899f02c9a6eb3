#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "gateway/config.h"
#include "gateway/features/feature_store.h"
#include "gateway/features/monitor.h"
#include "telemetry/metrics.h"

namespace asahi::gateway {

/// Which features help with a task (gateway spec §3.9), in the order in which they are put in.
struct FeatureNeeds {
  std::vector<std::string> user, organization;
};
/// Empty: features do not help with this task.
std::optional<FeatureNeeds> needs_of_task(std::string_view task);

/// What goes before a prompt: a header, one line "- Title Case Name: value, value" per feature, a
/// footer and a blank line; empty when nothing is left to say. Features older than `freshness` and
/// lines that do not fit into `max_tokens` any more are left out; so is whatever could be taken for
/// the block's own lines. Pure.
std::string feature_block(std::span<const FeatureVector> vectors, const FeatureNeeds& needs,
                          std::chrono::seconds freshness, std::int64_t max_tokens, Clock::Time now);

/// Puts what is known about a user and an organisation before their prompts. Callable from any
/// loop.
class Enricher {
 public:
  /// `clock` and `metrics` outlive it.
  Enricher(const FeatureStoreConfig& config, std::unique_ptr<FeatureStore> store,
           const Clock& clock, telemetry::Registry& metrics);

  struct Request {
    std::string task;
    std::string org;
    std::string user;            ///< empty: unknown
    bool org_known = false;      ///< the organisation was named or is the credential's
    std::optional<bool> wanted;  ///< the request's enrich_with_features
  };
  /// Whose features may shape the answer: what a cache key must tell apart.
  enum class Scope { kNone, kOrganization, kUser };
  Scope scope(const Request& request) const;

  /// The block for a request whose scope is not kNone; empty: none, for whatever reason. Errors
  /// only where `feature_store.fallback_on_timeout` is false: feature_store_error.
  Task<std::string> block(Request request);

  /// Tells how good an answer was, 0 to 5, to a request with a scope.
  void note_quality(bool enriched, double score) {
    monitor_.quality(enriched, score, clock_.steady_now());
  }
  FeatureStats stats() const { return monitor_.stats(); }
  FeatureStore& store() { return *store_; }

 private:
  Task<std::vector<FeatureVector>> look_up(const Request& request, const FeatureNeeds& needs);

  const FeatureStoreConfig config_;
  std::unique_ptr<FeatureStore> store_;
  const Clock& clock_;
  Logger logger_{"features"};
  RateLimited outage_{std::chrono::seconds(30)};
  FeatureMonitor monitor_;
  telemetry::Counter &found_, &nothing_, &failed_, &skipped_;
};

}  // namespace asahi::gateway
