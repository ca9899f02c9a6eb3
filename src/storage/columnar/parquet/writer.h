#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "storage/columnar/parquet/layout.h"

namespace asahi::columnar::parquet {

struct WriterOptions {
  std::size_t group_rows = 10'000;  ///< rows of a row group; what is in memory at a time
  std::size_t page_rows = 1'024;    ///< rows that one look-up reads and decompresses
  int level = 1;                    ///< of zstd, 1 to 19
  /// Name of the column by which the caller brings the rows in ascending order; empty: none.
  std::string sorted_by;
  std::vector<std::pair<std::string, std::string>> metadata;
};

/// What was written.
struct Written {
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
  Digest256 sha256{};
};

/// Writes a Parquet file row by row: version 1 pages, PLAIN or dictionary, an index of pages. Each
/// column has the compression that suits it, which is why this is not DuckDB's writer: one that
/// compresses hashes and vectors as well takes five times as long for nothing
/// (bench/memory/cold.cc). One thread at a time; blocking.
class Writer {
 public:
  /// Makes the file (0600), which must not exist. Errors: unavailable (reason "disk_full"),
  /// invalid_argument (columns that cannot be meant).
  static Result<std::unique_ptr<Writer>> create(const std::string& path,
                                                std::vector<ColumnSpec> columns,
                                                WriterOptions options = {});
  ~Writer();

  /// Values of the row, each column once, in any order; then `end_row`. `column`: its place in
  /// `columns`. Of the wrong kind or length: `end_row` says so.
  void bytes(std::size_t column, std::string_view value);
  void number(std::size_t column, std::int64_t value);
  void real(std::size_t column, float value);
  void null(std::size_t column);
  /// Errors: invalid_argument (a column without a value, or with two), unavailable; after any the
  /// file is of no use.
  Result<void> end_row();
  /// Ends the file. It is not synced: what is to stay goes on through storage/object, which does.
  /// Once. Errors: unavailable; invalid_argument without rows.
  Result<Written> finish();

 private:
  struct Impl;
  explicit Writer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace asahi::columnar::parquet
