#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "storage/columnar/parquet/layout.h"

namespace asahi::columnar::parquet {

/// The bytes of a file, wherever it lies.
class Source {
 public:
  virtual ~Source() = default;
  virtual std::uint64_t size() const = 0;
  /// Exactly these bytes. Errors: the source's; corrupt where the file is shorter.
  virtual Result<std::string> read(std::uint64_t offset, std::uint64_t length) = 0;
};

class LocalSource final : public Source {
 public:
  /// Errors: not_found, unavailable.
  static Result<LocalSource> open(const std::string& path);
  std::uint64_t size() const override { return size_; }
  Result<std::string> read(std::uint64_t offset, std::uint64_t length) override;

 private:
  LocalSource(File file, std::uint64_t size) : file_(std::move(file)), size_(size) {}
  File file_;
  std::uint64_t size_;
};

/// A file that is in memory as a whole.
class MemorySource final : public Source {
 public:
  explicit MemorySource(std::shared_ptr<const std::string> bytes) : bytes_(std::move(bytes)) {}
  std::uint64_t size() const override { return bytes_->size(); }
  Result<std::string> read(std::uint64_t offset, std::uint64_t length) override;

 private:
  std::shared_ptr<const std::string> bytes_;
};

/// Values of neighbouring rows of one column.
class Values {
 public:
  /// The place of the first of them within the row group.
  std::uint64_t first_row() const { return first_row_; }
  std::size_t rows() const { return rows_; }
  bool null(std::size_t row) const { return !present_.empty() && present_[row] == 0; }
  /// Of kText, kJson, kBlob, kFixed; valid as long as these values are. Null: empty.
  std::string_view bytes(std::size_t row) const { return row < bytes_.size() ? bytes_[row] : ""; }
  /// Of kInt64, kTimestampNs. Null: 0.
  std::int64_t number(std::size_t row) const { return row < numbers_.size() ? numbers_[row] : 0; }
  /// Of kFloat. Null: 0.
  float real(std::size_t row) const { return row < reals_.size() ? reals_[row] : 0; }

 private:
  friend class PageReader;
  std::uint64_t first_row_ = 0;
  std::size_t rows_ = 0;
  std::vector<std::uint8_t> present_;
  std::vector<std::string_view> bytes_;
  std::vector<std::int64_t> numbers_;
  std::vector<float> reals_;
  std::vector<std::unique_ptr<std::string>> held_;  ///< what `bytes_` looks into
};

/// The footer. Errors: corrupt (no Parquet file, cut off), the source's.
Result<std::shared_ptr<const Layout>> read_layout(Source& source);

/// All rows of a row group. Errors: corrupt, the source's.
Result<Values> read_column(Source& source, const Layout& layout, std::size_t group,
                           std::size_t column);
/// The page that holds `row` of the group, where the file has an index of pages; else as above.
Result<Values> read_page(Source& source, const Layout& layout, std::size_t group,
                         std::size_t column, std::uint64_t row);

struct RowPlace {
  std::size_t group = 0;
  std::uint64_t row = 0;
};
/// A row whose column `layout.sorted_by` (kText) holds `value`: row groups by their least and
/// greatest, then pages by halves. Empty: there is none. Errors: invalid_argument for a file that
/// is not sorted.
Result<std::optional<RowPlace>> find_row(Source& source, const Layout& layout,
                                         std::string_view value);

}  // namespace asahi::columnar::parquet
