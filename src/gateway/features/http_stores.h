#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/secret.h"
#include "gateway/features/feature_store.h"
#include "net/http/client.h"
#include "net/loop.h"

namespace asahi::gateway {

/// What the stores behind HTTP have in common; both references outlive the store.
struct FeatureServer {
  http::Origin origin;
  Secret api_key;
  net::PerLoop<http::Client>& clients;
  const Clock& clock;
};

/// Feast's online feature server (docs.feast.dev, "Python feature server"): POST
/// /get-online-features with the features `<project>_<type>:<name>` of one feature view per entity
/// type. Entities are joined by organization_id, and for users and products by user_id or
/// product_id as well, so that a view cannot answer for another organisation.
std::unique_ptr<FeatureStore> make_feast_store(FeatureServer server, std::string project);

/// Tecton (docs.tecton.ai/http-api): POST /api/v1/feature-service/get-features with the feature
/// service `<type>_features` of the workspace and the same join keys. Only the last part of a name
/// ("view.tier") counts.
std::unique_ptr<FeatureStore> make_tecton_store(FeatureServer server, std::string workspace);

/// A server of one's own: POST /features with {"organization_id", "entity_type", "entity_ids",
/// "features"} answers {"entities": {id: {feature: {"value", "updated_at"}}}}; GET /health answers
/// 200. The key, where there is one, is a bearer token.
std::unique_ptr<FeatureStore> make_custom_store(FeatureServer server);

}  // namespace asahi::gateway
