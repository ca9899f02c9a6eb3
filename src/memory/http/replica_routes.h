#pragma once

#include <vector>

#include "memory/http/routes.h"
#include "memory/replicas/keeper.h"

namespace asahi::memory {

/// GET and POST /storage/replicas: how the replica buckets stand, and comparing them now. They hold
/// every organisation: manage_tenants is needed beside system:migrate.
void add_replica_routes(const RouteAdder& routes, SharedRouteParts shared,
                        std::vector<ReplicaKeeper*> keepers);

}  // namespace asahi::memory
