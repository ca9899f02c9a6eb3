#pragma once

#include <vector>

#include "storage/sql/migrations.h"

namespace asahi::gateway {

/// Tables of files and batches, versions 140–149: `batch_files` with `batch_file_parts`, `batches`
/// with `batch_rows` and `batch_vendor_jobs`. Times are milliseconds since 1970.
std::vector<sql::Migration> batch_api_migrations();

}  // namespace asahi::gateway
