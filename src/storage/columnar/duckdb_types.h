#pragma once

#include "storage/columnar/chunk.h"
#include "storage/columnar/duckdb_library.h"

namespace asahi::columnar {

Type type_of(duckdb_type type);

}  // namespace asahi::columnar
