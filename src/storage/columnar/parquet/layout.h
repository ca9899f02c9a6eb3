#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace asahi::columnar::parquet {

/// What a column holds.
enum class Kind : std::uint8_t {
  kText,         ///< UTF-8
  kJson,         ///< UTF-8 that is JSON
  kBlob,         ///< any bytes
  kFixed,        ///< bytes, the same number in every row
  kInt64,        ///< std::int64_t
  kTimestampNs,  ///< std::int64_t, nanoseconds since 1970, UTC
  kFloat         ///< float
};

enum class Compression : std::uint8_t {
  kNone,  ///< for what does not get smaller (hashes, codes of vectors): it costs nothing
  kZstd
};

struct ColumnSpec {
  std::string name;
  Kind kind = Kind::kText;
  std::uint32_t length = 0;  ///< of kFixed, in bytes
  bool optional = false;     ///< may be null
  Compression compression = Compression::kZstd;
  /// Values that repeat are kept once per row group, when they are few: at most a quarter of the
  /// rows and 4,096. Not for kFixed and numbers.
  bool dictionary = false;
  /// Least and greatest value per row group, when they are not longer than 256 bytes. For kText,
  /// kInt64, kTimestampNs.
  bool statistics = false;

  bool numeric() const { return kind == Kind::kInt64 || kind == Kind::kTimestampNs; }
  bool operator==(const ColumnSpec&) const = default;
};

/// Where a page of data lies.
struct PageAt {
  std::uint64_t offset = 0;
  std::uint32_t bytes = 0;      ///< with its header
  std::uint64_t first_row = 0;  ///< within the row group
};

/// One column of one row group.
struct ChunkAt {
  std::optional<std::uint64_t> dictionary;  ///< where its dictionary's page begins
  std::uint64_t begin = 0;                  ///< of the first page of data
  std::uint64_t bytes = 0;                  ///< all pages with their headers
  std::uint64_t plain_bytes = 0;            ///< the same before compression
  std::uint64_t offset_index = 0;           ///< where the places of its pages stand; 0: nowhere
  std::uint32_t offset_index_bytes = 0;
  std::optional<std::uint64_t> nulls;
  /// As the column's values are: bytes, or 8 of them for numbers. Both or none.
  std::optional<std::string> least, greatest;

  std::uint64_t start() const { return dictionary ? std::min(*dictionary, begin) : begin; }
};

struct RowGroup {
  std::uint64_t rows = 0;
  std::vector<ChunkAt> columns;
};

/// A file's footer: what stands where.
struct Layout {
  std::vector<ColumnSpec> columns;
  std::vector<RowGroup> groups;
  std::vector<std::pair<std::string, std::string>> metadata;
  std::uint64_t rows = 0;
  /// The rows of each row group ascend by this column.
  std::optional<std::size_t> sorted_by;

  std::optional<std::size_t> find(std::string_view column) const;
};

/// The footer's struct, without the length and "PAR1" behind it.
std::string write_footer(const Layout& layout);
/// Reads footers of flat files with the kinds above. `file_bytes`: places behind that are faults.
/// Errors: corrupt; invalid_argument for what Parquet allows and this reader does not know.
Result<Layout> read_footer(std::string_view footer, std::uint64_t file_bytes);

std::string write_offset_index(const std::vector<PageAt>& pages);
Result<std::vector<PageAt>> read_offset_index(std::string_view bytes, const ChunkAt& chunk);

/// Encodings as Parquet numbers them.
inline constexpr int kPlain = 0, kRle = 3, kRleDictionary = 8, kPlainDictionary = 2;

struct PageHeader {
  bool dictionary = false;
  std::uint32_t plain_bytes = 0, stored_bytes = 0;
  std::optional<std::uint32_t> crc;  ///< CRC-32 of the stored bytes
  std::uint32_t values = 0;
  int encoding = kPlain;
  std::size_t header_bytes = 0;  ///< filled when read
};
std::string write_page_header(const PageHeader& header);
/// Errors: corrupt; invalid_argument for version 2 pages.
Result<PageHeader> read_page_header(std::string_view bytes);

}  // namespace asahi::columnar::parquet
