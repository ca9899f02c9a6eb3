#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "memory/model/record.h"
#include "memory/summary/quantise.h"
#include "storage/columnar/parquet/file.h"
#include "storage/columnar/parquet/writer.h"

namespace asahi::memory::cold {

/// `memory` as the cold tier gives it back: its vector through eight bits. Ageing compares
/// row_checksum of this with the copy's.
Memory as_kept(Memory memory);

struct FileOptions {
  std::size_t group_rows = 10'000;
  std::size_t page_rows = 1'024;
  int level = 1;  ///< of zstd
};

/// Writes memories of one tenant and one system, ascending by conversation id, each once.
/// `content` goes to the column ultra_summary: what is left of the text is the caller's to say.
class RowWriter {
 public:
  /// Errors of all: those of parquet::Writer.
  static Result<RowWriter> create(const std::string& path, const FileOptions& options);
  /// Errors: invalid_argument (order, another tenant or system).
  Result<void> add(const Memory& memory);
  Result<columnar::parquet::Written> finish();

  std::uint64_t rows() const { return rows_; }

 private:
  explicit RowWriter(std::unique_ptr<columnar::parquet::Writer> out) : out_(std::move(out)) {}
  std::unique_ptr<columnar::parquet::Writer> out_;
  Key last_;
  std::uint64_t rows_ = 0;
};

/// The columns of a cold file, by name; all of them in the order they are written in.
enum class ColumnId : std::uint8_t {
  kConversationId,
  kTimestamp,
  kUltraSummary,
  kMetadata,
  kSystemId,
  kTenantId,
  kContentHash,
  kFingerprint,
  kUploadedAt,
  kEmbeddingModel,
  kVector,
  kScale,
  kNearDuplicateOf,
  kDailyMetrics
};
inline constexpr std::size_t kColumns = 14;
const std::vector<columnar::parquet::ColumnSpec>& columns();

/// A cold file, opened. Not thread-safe; `layout` may be shared by several.
class RowFile {
 public:
  /// Errors: corrupt where its columns are not those of a cold file.
  static Result<RowFile> open(std::unique_ptr<columnar::parquet::Source> source,
                              std::shared_ptr<const columnar::parquet::Layout> layout = nullptr);

  const std::shared_ptr<const columnar::parquet::Layout>& layout() const { return layout_; }
  std::size_t groups() const { return layout_->groups.size(); }
  Result<columnar::parquet::Values> read(std::size_t group, ColumnId column);
  /// Whether a row of the group may have its timestamp in [start, end).
  bool overlaps(std::size_t group, std::optional<Clock::Time> start,
                std::optional<Clock::Time> end) const;
  /// All memories of a row group. Errors: corrupt, also when a row is of another tenant or system.
  Result<std::vector<Memory>> memories(std::size_t group, const std::string& tenant,
                                       const std::string& system_id);
  /// One of them; empty: it is not in the file.
  Result<std::optional<Memory>> find(const Key& key);
  Result<bool> holds(const std::string& conversation_id);

 private:
  RowFile(std::unique_ptr<columnar::parquet::Source> source,
          std::shared_ptr<const columnar::parquet::Layout> layout)
      : source_(std::move(source)), layout_(std::move(layout)) {}
  std::unique_ptr<columnar::parquet::Source> source_;
  std::shared_ptr<const columnar::parquet::Layout> layout_;
};

}  // namespace asahi::memory::cold
