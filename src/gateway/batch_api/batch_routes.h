#pragma once

#include "gateway/batch_api/batch_runner.h"
#include "gateway/batch_api/batch_store.h"
#include "gateway/config.h"
#include "gateway/governance/governor.h"
#include "net/http/router.h"

namespace asahi::gateway {

/// What the routes work with; all but `errors` outlive them.
struct BatchRouteParts {
  const BatchApiConfig& config;
  BatchStore& store;
  const BatchRunner& runner;
  Governor& governor;
  const Clock& clock;
  http::ErrorWriter errors;  ///< OpenAI's
};

/// POST, GET /v1/files, GET, DELETE /v1/files/{id}, GET /v1/files/{id}/content, POST, GET
/// /v1/batches, GET /v1/batches/{id}, POST /v1/batches/{id}/cancel, as OpenAI has them. What
/// another organisation owns is not there.
void add_batch_routes(http::Router& router, BatchRouteParts parts);

}  // namespace asahi::gateway
