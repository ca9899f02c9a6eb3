#pragma once

#include "memory/backup/keeper.h"
#include "memory/http/routes.h"

namespace asahi::memory {

/// GET and POST /backups, POST /backups/verify. A backup holds every organisation: they need
/// manage_tenants beside system:migrate.
void add_backup_routes(const RouteAdder& routes, SharedRouteParts shared, BackupKeeper& keeper);

}  // namespace asahi::memory
