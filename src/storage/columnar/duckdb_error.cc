#include "storage/columnar/duckdb_error.h"

#include <fmt/format.h>

#include "base/utf8.h"

namespace asahi::columnar {

namespace {

struct Meaning {
  Errc code;
  const char* reason;
};

/// Files' faults all have one type; only the words tell them apart.
Meaning meaning_of(duckdb_error_type type, std::string_view text) {
  const auto says = [text](std::string_view words) { return text.contains(words); };
  switch (type) {
    case DUCKDB_ERROR_INTERRUPT:
      return {Errc::kTimeout, ""};
    case DUCKDB_ERROR_OUT_OF_MEMORY:
      return {Errc::kUnavailable, "out_of_memory"};
    case DUCKDB_ERROR_CONSTRAINT:
    case DUCKDB_ERROR_TRANSACTION:
    case DUCKDB_ERROR_DEPENDENCY:
      return {Errc::kConflict, ""};
    case DUCKDB_ERROR_PERMISSION:
      return {Errc::kForbidden, ""};
    case DUCKDB_ERROR_OUT_OF_RANGE:
    case DUCKDB_ERROR_CONVERSION:
    case DUCKDB_ERROR_MISMATCH_TYPE:
    case DUCKDB_ERROR_DIVIDE_BY_ZERO:
    case DUCKDB_ERROR_OBJECT_SIZE:
      return {Errc::kInvalidArgument, ""};
    case DUCKDB_ERROR_SERIALIZATION:
      return {Errc::kCorrupt, ""};
    default:
      break;
  }
  if (says("No space left") || says("Disk quota")) return {Errc::kUnavailable, "disk_full"};
  if (says("Could not set lock")) return {Errc::kUnavailable, "locked"};
  // The library words it once as "corrupted", once as "Corrupt database file", ...
  if (says("orrupt") || says("checksum") || says("not a valid DuckDB database") ||
      says("No magic bytes") || says("too small to be a Parquet"))
    return {Errc::kCorrupt, ""};
  if (type == DUCKDB_ERROR_IO) {
    if (says("No files found") || says("No such file")) return {Errc::kNotFound, ""};
    return {Errc::kUnavailable, ""};
  }
  // After a fatal error the library refuses everything until the file is opened again.
  if (type == DUCKDB_ERROR_FATAL) return {Errc::kCorrupt, ""};
  return {Errc::kInternal, ""};
}

}  // namespace

std::unexpected<Error> duckdb_error(duckdb_error_type type, std::string_view text,
                                    std::string_view doing) {
  const Meaning meaning = meaning_of(type, text);
  auto failure =
      fail(meaning.code, fmt::format("DuckDB cannot {}: {}", doing, mended_utf8(text, 500)));
  failure.error().reason = meaning.reason;
  return failure;
}

}  // namespace asahi::columnar
