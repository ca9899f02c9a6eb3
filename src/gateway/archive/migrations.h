#pragma once

#include "storage/sql/migrations.h"

namespace asahi::gateway {

/// Version 170: `event_archives`, what the archive holds and by which rules it was cleaned.
sql::Migration archive_migration();

}  // namespace asahi::gateway
