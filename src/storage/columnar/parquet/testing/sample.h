#pragma once

#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "storage/columnar/parquet/writer.h"

namespace asahi::columnar::parquet {

/// One column of each kind, some with nulls and dictionaries.
inline std::vector<ColumnSpec> every_kind() {
  return {{.name = "id", .kind = Kind::kText, .statistics = true},
          {.name = "group", .kind = Kind::kText, .dictionary = true},
          {.name = "note", .kind = Kind::kText, .optional = true, .dictionary = true},
          {.name = "extra", .kind = Kind::kJson, .optional = true},
          {.name = "blob", .kind = Kind::kBlob, .compression = Compression::kNone},
          {.name = "code",
           .kind = Kind::kFixed,
           .length = 5,
           .optional = true,
           .compression = Compression::kNone},
          {.name = "count", .kind = Kind::kInt64, .statistics = true},
          {.name = "at", .kind = Kind::kTimestampNs, .optional = true, .statistics = true},
          {.name = "scale", .kind = Kind::kFloat, .optional = true}};
}

/// What row `i` of such a file holds; rows ascend by `id`.
struct SampleRow {
  explicit SampleRow(std::size_t i)
      : id(fmt::format("id-{:06}", i)),
        group(fmt::format("group {}", i / 7 % 3)),
        note(i % 5 == 0 ? "" : fmt::format("note {}", i % 11)),
        extra(fmt::format("{{\"n\":{}}}", i)),
        blob(i % 13, static_cast<char>(i)),
        code(fmt::format("{:05}", i % 100'000)),
        count(static_cast<std::int64_t>(i) - 1'000),
        at(1'700'000'000'000'000'000 + static_cast<std::int64_t>(i)),
        scale(static_cast<float>(i) / 4),
        has_note(i % 4 != 0),
        has_extra(i % 3 == 0),
        has_code(i < 100 || i % 2 == 0),
        has_at(i % 17 != 0),
        has_scale(i % 2 == 1) {}
  std::string id, group, note, extra, blob, code;
  std::int64_t count, at;
  float scale;
  bool has_note, has_extra, has_code, has_at, has_scale;
};

inline Result<Written> write_sample(const std::string& path, std::size_t rows,
                                    WriterOptions options) {
  options.sorted_by = "id";
  ASAHI_TRY(const auto writer, Writer::create(path, every_kind(), std::move(options)));
  for (std::size_t i = 0; i < rows; ++i) {
    const SampleRow row(i);
    writer->bytes(0, row.id);
    writer->bytes(1, row.group);
    row.has_note ? writer->bytes(2, row.note) : writer->null(2);
    row.has_extra ? writer->bytes(3, row.extra) : writer->null(3);
    writer->bytes(4, row.blob);
    row.has_code ? writer->bytes(5, row.code) : writer->null(5);
    writer->number(6, row.count);
    row.has_at ? writer->number(7, row.at) : writer->null(7);
    row.has_scale ? writer->real(8, row.scale) : writer->null(8);
    if (auto ok = writer->end_row(); !ok) return std::unexpected(std::move(ok.error()));
  }
  return writer->finish();
}

}  // namespace asahi::columnar::parquet
