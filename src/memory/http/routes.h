#pragma once

#include <functional>
#include <memory>
#include <string>

#include "identity/audit/audit.h"
#include "identity/security/security_log.h"
#include "llm/embed/text_embedder.h"
#include "memory/http/reach.h"
#include "memory/model/store.h"
#include "memory/search/search.h"
#include "net/http/router.h"
#include "telemetry/metrics.h"

namespace asahi::memory {

class Push;
class Ledger;
class IngestWorker;
class ScanRequests;
class Tiers;
class CacheWarmer;
class Hits;
class Orchestrator;
namespace ageing {
class Ageing;
class Originals;
class Reembedding;
}  // namespace ageing
namespace knowledge {
class Knowledge;
}
namespace fitness {
struct Fitness;
}
namespace swap {
class Mover;
}

/// What the routes work with; all outlive them. A tier that is not served here is null.
struct RouteParts {
  Search& search;
  CacheWarmer& warmer;
  Epochs& epochs;
  llm::TextEmbedder& embedder;
  Store* hot = nullptr;
  Store* warm = nullptr;
  Store* cold = nullptr;
  Push* push = nullptr;
  Ledger* ledger = nullptr;
  IngestWorker* worker = nullptr;             ///< null: uploads are taken in elsewhere
  ScanRequests* scans = nullptr;              ///< to tell those who do; null: nobody
  knowledge::Knowledge* knowledge = nullptr;  ///< graph and series
  const fitness::Fitness* fitness = nullptr;  ///< traces; null: served elsewhere
  Tiers* tiers = nullptr;                     ///< null: tests without them
  swap::Mover* mover = nullptr;               ///< of the hot tier; null: it is elsewhere
  ageing::Ageing* ageing = nullptr;           ///< null: memories age elsewhere
  const Orchestrator& orchestrator;
  ageing::Reembedding* reembedding = nullptr;  ///< null: tests without it
  ageing::Originals* originals = nullptr;      ///< of duplicates whose original has aged
  Hits* hits = nullptr;                        ///< how often what is found; null: nobody counts
  bool has_bucket = false;                     ///< uploads come from one
  identity::AuditLog& audit;
  telemetry::Registry& metrics;
  const Clock& clock;
  identity::SecurityLog* security = nullptr;  ///< null: nobody is told
};
using SharedRouteParts = std::shared_ptr<const RouteParts>;

using RouteBody = Task<http::Response> (*)(const RouteParts& parts, http::Context& context);

/// Adds a route below each prefix of `where`, as it is and under /api/v1. What routes do is counted
/// here, and so are their errors (measure/operation.h, measure/errors.h). The security log hears of
/// every access to what is not public, and of what in addresses looks like an attack.
class RouteAdder {
 public:
  /// `mount`: "/memory" beside other modules, "" where the memory has the process to itself.
  RouteAdder(http::Router& router, SharedRouteParts parts, std::string mount);
  void add(http::Method method, std::string_view pattern, std::string_view access, RouteBody body,
           std::size_t max_body_bytes = 0) const;
  /// For routes that work with more than RouteParts.
  using Body = std::function<Task<http::Response>(http::Context& context)>;
  void add_body(http::Method method, std::string_view pattern, std::string_view access, Body body,
                std::size_t max_body_bytes = 0) const;
  const std::string& mount() const { return mount_; }
  const RouteParts& parts() const { return *parts_; }

 private:
  http::Router& router_;
  SharedRouteParts parts_;
  std::string mount_;
};

/// POST /search and /query/search, GET /search/{query_id}, POST /embeddings, POST /cache/warm, GET
/// /cache/stats, DELETE /cache.
void add_search_routes(const RouteAdder& routes);
/// GET and DELETE /memories/{system_id}/{conversation_id}, DELETE /systems/{system_id}, GET
/// /storage/status.
void add_store_routes(const RouteAdder& routes);

/// POST /ingest/upload, /memories and /memories/batch, GET /uploads and
/// /uploads/{system_id}/{upload_id}, POST …/retry, POST /ingestion/trigger, GET /ingestion/status.
void add_ingest_routes(const RouteAdder& routes);

/// Whether who reaches so far may have the bucket looked through for uploads of the system (empty:
/// of all). Errors: forbidden.
Result<void> check_scan(const Reach& reach, std::string_view system);

/// /analytics/…: points in, trends, anomalies, correlations, changepoints and series out; /graph/…:
/// neighbours, paths, statistics, communities, centralities, components, and facts to read and
/// change.
void add_knowledge_routes(const RouteAdder& routes);
/// POST and GET /embeddings/reembed.
void add_embedding_routes(const RouteAdder& routes);
/// POST and GET /storage/migrations, GET /storage/migrations/{id}, GET /health/warm; none where
/// memories age elsewhere.
void add_ageing_routes(const RouteAdder& routes);

/// POST and GET /traces, GET /analytics/fitness.
void add_fitness_routes(const RouteAdder& routes);

/// POST and GET /storage/hot/backend, POST …/revert and …/finish.
void add_backend_routes(const RouteAdder& routes);

/// The parameters of the address. One that stands there twice counts once.
json::object parameters_of(const http::Request& request);
http::Response json_reply(int status, const json::object& body);
/// The body as a JSON object; an empty one is an empty object. Errors: invalid_argument.
Result<json::object> body_of(const http::Request& request);
/// Notes who did what; what was done stays done when the log cannot be written, which is logged.
Aw<void> note(const RouteParts& parts, const http::Context& context, std::string action,
              std::string resource, json::object details = {});

}  // namespace asahi::memory
