#pragma once

#include <duckdb.h>

#include "base/dynamic_library.h"

namespace asahi::columnar {

/// DuckDB: 65 MB that only who opens a database needs. Its C interface alone is used: that of C++
/// has no stable form. Loaded by Database::open; no function may be called before.
inline constinit DynamicLibrary libduckdb{"libduckdb.so", "DuckDB",
                                          "npm's @duckdb/node-bindings-linux-x64, no package of",
                                          "duckdb_appender_error_data"};

#define ASAHI_DUCKDB(name) ASAHI_DYNAMIC_FUNCTION(libduckdb, duckdb_##name)
ASAHI_DUCKDB(append_data_chunk);
ASAHI_DUCKDB(appender_close);
ASAHI_DUCKDB(appender_column_count);
ASAHI_DUCKDB(appender_column_type);
ASAHI_DUCKDB(appender_create);
ASAHI_DUCKDB(appender_destroy);
ASAHI_DUCKDB(appender_error_data);
ASAHI_DUCKDB(array_type_array_size);
ASAHI_DUCKDB(array_vector_get_child);
ASAHI_DUCKDB(bind_blob);
ASAHI_DUCKDB(bind_boolean);
ASAHI_DUCKDB(bind_double);
ASAHI_DUCKDB(bind_float);
ASAHI_DUCKDB(bind_int64);
ASAHI_DUCKDB(bind_null);
ASAHI_DUCKDB(bind_value);
ASAHI_DUCKDB(bind_varchar_length);
ASAHI_DUCKDB(clear_bindings);
ASAHI_DUCKDB(close);
ASAHI_DUCKDB(column_count);
ASAHI_DUCKDB(column_logical_type);
ASAHI_DUCKDB(column_name);
ASAHI_DUCKDB(connect);
ASAHI_DUCKDB(create_config);
ASAHI_DUCKDB(create_data_chunk);
ASAHI_DUCKDB(create_timestamp_ns);
ASAHI_DUCKDB(data_chunk_get_column_count);
ASAHI_DUCKDB(data_chunk_get_size);
ASAHI_DUCKDB(data_chunk_get_vector);
ASAHI_DUCKDB(data_chunk_reset);
ASAHI_DUCKDB(data_chunk_set_size);
ASAHI_DUCKDB(destroy_config);
ASAHI_DUCKDB(destroy_data_chunk);
ASAHI_DUCKDB(destroy_error_data);
ASAHI_DUCKDB(destroy_extracted);
ASAHI_DUCKDB(destroy_logical_type);
ASAHI_DUCKDB(destroy_prepare);
ASAHI_DUCKDB(destroy_result);
ASAHI_DUCKDB(destroy_value);
ASAHI_DUCKDB(disconnect);
ASAHI_DUCKDB(error_data_error_type);
ASAHI_DUCKDB(error_data_has_error);
ASAHI_DUCKDB(error_data_message);
ASAHI_DUCKDB(execute_prepared);
ASAHI_DUCKDB(execute_prepared_streaming);
ASAHI_DUCKDB(fetch_chunk);
ASAHI_DUCKDB(free);
ASAHI_DUCKDB(get_type_id);
ASAHI_DUCKDB(interrupt);
ASAHI_DUCKDB(library_version);
ASAHI_DUCKDB(list_vector_get_child);
ASAHI_DUCKDB(nparams);
ASAHI_DUCKDB(open_ext);
ASAHI_DUCKDB(prepare);
ASAHI_DUCKDB(prepare_error);
ASAHI_DUCKDB(query);
ASAHI_DUCKDB(result_error);
ASAHI_DUCKDB(result_error_type);
ASAHI_DUCKDB(rows_changed);
ASAHI_DUCKDB(set_config);
ASAHI_DUCKDB(validity_set_row_validity);
ASAHI_DUCKDB(vector_assign_string_element_len);
ASAHI_DUCKDB(vector_ensure_validity_writable);
ASAHI_DUCKDB(vector_get_column_type);
ASAHI_DUCKDB(vector_get_data);
ASAHI_DUCKDB(vector_get_validity);
ASAHI_DUCKDB(vector_size);
#undef ASAHI_DUCKDB

}  // namespace asahi::columnar
