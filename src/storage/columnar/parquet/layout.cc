#include "storage/columnar/parquet/layout.h"

#include <fmt/format.h>

#include <algorithm>

#include "storage/columnar/parquet/compact.h"

// Numbers of fields and enums: https://github.com/apache/parquet-format, parquet.thrift.
namespace asahi::columnar::parquet {

namespace {

enum Physical { kInt64 = 2, kFloat = 4, kByteArray = 6, kFixedLength = 7 };
enum Converted { kUtf8 = 0, kConvertedJson = 19 };
enum LogicalField { kString = 1, kTimestamp = 8, kLogicalJson = 12 };
enum Codec { kUncompressed = 0, kZstdCodec = 6 };
enum PageType { kDataPage = 0, kDictionaryPage = 2 };
constexpr int kNanos = 3;

int physical_of(Kind kind) {
  switch (kind) {
    case Kind::kText:
    case Kind::kJson:
    case Kind::kBlob:
      return kByteArray;
    case Kind::kFixed:
      return kFixedLength;
    case Kind::kInt64:
    case Kind::kTimestampNs:
      return kInt64;
    case Kind::kFloat:
      return kFloat;
  }
  return kByteArray;
}

void write_column(compact::Writer& out, const ColumnSpec& column) {
  out.element();
  out.i32(1, physical_of(column.kind));
  if (column.kind == Kind::kFixed) out.i32(2, column.length);
  out.i32(3, column.optional ? 1 : 0);
  out.binary(4, column.name);
  if (column.kind == Kind::kText) out.i32(6, kUtf8);
  if (column.kind == Kind::kJson) out.i32(6, kConvertedJson);
  if (column.kind == Kind::kText || column.kind == Kind::kJson) {
    out.begin(10);
    out.begin(column.kind == Kind::kText ? kString : kLogicalJson);
    out.end();
    out.end();
  }
  if (column.kind == Kind::kTimestampNs) {
    out.begin(10);
    out.begin(kTimestamp);
    out.boolean(1, true);
    out.begin(2);
    out.begin(kNanos);
    out.end();
    out.end();
    out.end();
    out.end();
  }
  out.end();
}

void write_chunk(compact::Writer& out, const ColumnSpec& column, const ChunkAt& chunk,
                 std::uint64_t rows) {
  out.element();
  out.i64(2, 0);
  out.begin(3);
  out.i32(1, physical_of(column.kind));
  out.list(2, compact::kI32, chunk.dictionary ? 3 : 2);
  out.value(std::int64_t{kPlain});
  out.value(std::int64_t{kRle});
  if (chunk.dictionary) out.value(std::int64_t{kRleDictionary});
  out.list(3, compact::kBinary, 1);
  out.value(column.name);
  out.i32(4, column.compression == Compression::kZstd ? kZstdCodec : kUncompressed);
  out.i64(5, static_cast<std::int64_t>(rows));
  out.i64(6, static_cast<std::int64_t>(chunk.plain_bytes));
  out.i64(7, static_cast<std::int64_t>(chunk.bytes));
  out.i64(9, static_cast<std::int64_t>(chunk.begin));
  if (chunk.dictionary) out.i64(11, static_cast<std::int64_t>(*chunk.dictionary));
  out.begin(12);
  if (chunk.nulls) out.i64(3, static_cast<std::int64_t>(*chunk.nulls));
  if (chunk.least && chunk.greatest) {
    out.binary(5, *chunk.greatest);
    out.binary(6, *chunk.least);
  }
  out.end();
  out.end();
  if (chunk.offset_index != 0) {
    out.i64(4, static_cast<std::int64_t>(chunk.offset_index));
    out.i32(5, chunk.offset_index_bytes);
  }
  out.end();
}

std::unexpected<Error> broken(std::string_view what) {
  return fail(Errc::kCorrupt, fmt::format("a Parquet file's {} cannot be read", what));
}
std::unexpected<Error> unknown(std::string_view what) {
  return fail(Errc::kInvalidArgument,
              fmt::format("a Parquet file has {}, which is not read here", what));
}

struct Element {
  ColumnSpec column;
  std::int64_t type = -1, repetition = 0, children = 0, converted = -1;
  int logical = 0;
  bool nanos = false;
};

void read_logical(compact::Reader& in, Element& element) {
  in.enter();
  for (auto field = in.next(); field.type != compact::kStop; field = in.next()) {
    element.logical = field.id;
    if (field.id != kTimestamp || field.type != compact::kStruct) {
      in.skip(field);
      continue;
    }
    in.enter();
    for (auto part = in.next(); part.type != compact::kStop; part = in.next()) {
      if (part.id != 2 || part.type != compact::kStruct) {
        in.skip(part);
        continue;
      }
      in.enter();
      for (auto unit = in.next(); unit.type != compact::kStop; unit = in.next()) {
        element.nanos = unit.id == kNanos;
        in.skip(unit);
      }
    }
  }
}

Element read_element(compact::Reader& in) {
  Element element;
  in.enter();
  for (auto field = in.next(); field.type != compact::kStop; field = in.next()) {
    switch (field.id) {
      case 1:
        element.type = in.integer(field);
        break;
      case 2:
        element.column.length = static_cast<std::uint32_t>(in.integer(field));
        break;
      case 3:
        element.repetition = in.integer(field);
        break;
      case 4:
        element.column.name = in.binary(field);
        break;
      case 5:
        element.children = in.integer(field);
        break;
      case 6:
        element.converted = in.integer(field);
        break;
      case 10:
        if (field.type == compact::kStruct) {
          read_logical(in, element);
        } else {
          in.skip(field);
        }
        break;
      default:
        in.skip(field);
    }
  }
  return element;
}

Result<ColumnSpec> column_of(Element element) {
  ColumnSpec& column = element.column;
  if (element.children != 0 || element.repetition > 1) return unknown("nested columns");
  column.optional = element.repetition == 1;
  switch (element.type) {
    case kByteArray:
      column.kind = element.logical == kLogicalJson || element.converted == kConvertedJson
                        ? Kind::kJson
                    : element.logical == kString || element.converted == kUtf8 ? Kind::kText
                                                                               : Kind::kBlob;
      break;
    case kFixedLength:
      column.kind = Kind::kFixed;
      if (column.length == 0 || column.length > 1 << 20) return broken("schema");
      break;
    case kInt64:
      if (element.logical == kTimestamp && !element.nanos) return unknown("times in coarse units");
      column.kind = element.logical == kTimestamp ? Kind::kTimestampNs : Kind::kInt64;
      break;
    case kFloat:
      column.kind = Kind::kFloat;
      break;
    default:
      return unknown("a column of a type");
  }
  return std::move(column);
}

struct ChunkRead {
  ChunkAt chunk;
  std::int64_t codec = 0, values = -1;
};

std::uint64_t place(compact::Reader& in, compact::Reader::Field field) {
  const std::int64_t value = in.integer(field);
  return value < 0 ? ~std::uint64_t{0} : static_cast<std::uint64_t>(value);
}

void read_statistics(compact::Reader& in, ChunkAt& chunk) {
  in.enter();
  for (auto field = in.next(); field.type != compact::kStop; field = in.next()) {
    if (field.id == 3) {
      chunk.nulls = place(in, field);
    } else if (field.id == 5) {
      chunk.greatest = in.binary(field);
    } else if (field.id == 6) {
      chunk.least = in.binary(field);
    } else {
      in.skip(field);
    }
  }
}

void read_metadata(compact::Reader& in, ChunkRead& read) {
  in.enter();
  for (auto field = in.next(); field.type != compact::kStop; field = in.next()) {
    switch (field.id) {
      case 4:
        read.codec = in.integer(field);
        break;
      case 5:
        read.values = in.integer(field);
        break;
      case 6:
        read.chunk.plain_bytes = place(in, field);
        break;
      case 7:
        read.chunk.bytes = place(in, field);
        break;
      case 9:
        read.chunk.begin = place(in, field);
        break;
      case 11:
        read.chunk.dictionary = place(in, field);
        break;
      case 12:
        if (field.type == compact::kStruct) {
          read_statistics(in, read.chunk);
        } else {
          in.skip(field);
        }
        break;
      default:
        in.skip(field);
    }
  }
}

ChunkRead read_chunk(compact::Reader& in) {
  ChunkRead read;
  in.enter();
  for (auto field = in.next(); field.type != compact::kStop; field = in.next()) {
    if (field.id == 3 && field.type == compact::kStruct) {
      read_metadata(in, read);
    } else if (field.id == 4) {
      read.chunk.offset_index = place(in, field);
    } else if (field.id == 5) {
      read.chunk.offset_index_bytes = static_cast<std::uint32_t>(in.integer(field));
    } else {
      in.skip(field);
    }
  }
  return read;
}

/// Whether [begin, begin + bytes) lies in the file.
bool within(std::uint64_t begin, std::uint64_t bytes, std::uint64_t file) {
  return begin <= file && bytes <= file - begin;
}

struct GroupRead {
  std::int64_t rows = -1;
  std::vector<ChunkRead> chunks;
  std::int64_t sorted_by = -1;
};

GroupRead read_group(compact::Reader& in) {
  GroupRead group;
  in.enter();
  for (auto field = in.next(); field.type != compact::kStop; field = in.next()) {
    if (field.id == 1) {
      const std::size_t size = in.list(field, compact::kStruct);
      for (std::size_t i = 0; i < size && !in.failed(); ++i) group.chunks.push_back(read_chunk(in));
    } else if (field.id == 3) {
      group.rows = in.integer(field);
    } else if (field.id == 4) {
      const std::size_t size = in.list(field, compact::kStruct);
      for (std::size_t i = 0; i < size && !in.failed(); ++i) {
        in.enter();
        bool descending = false;
        std::int64_t column = -1;
        for (auto part = in.next(); part.type != compact::kStop; part = in.next()) {
          if (part.id == 1) {
            column = in.integer(part);
          } else if (part.id == 2) {
            descending = in.boolean(part);
          } else {
            in.skip(part);
          }
        }
        if (i == 0 && !descending) group.sorted_by = column;
      }
    } else {
      in.skip(field);
    }
  }
  return group;
}

Result<RowGroup> group_of(GroupRead read, std::vector<ColumnSpec>& columns,
                          std::uint64_t file_bytes) {
  if (read.rows < 0 || read.rows > 1 << 30 || read.chunks.size() != columns.size())
    return broken("row group");
  RowGroup group{.rows = static_cast<std::uint64_t>(read.rows), .columns = {}};
  for (std::size_t i = 0; i < columns.size(); ++i) {
    ChunkAt& chunk = read.chunks[i].chunk;
    if (read.chunks[i].codec != kUncompressed && read.chunks[i].codec != kZstdCodec)
      return unknown("another compression than zstd");
    columns[i].compression =
        read.chunks[i].codec == kZstdCodec ? Compression::kZstd : Compression::kNone;
    if (read.chunks[i].values != read.rows || !within(chunk.start(), chunk.bytes, file_bytes) ||
        !within(chunk.begin, 0, chunk.start() + chunk.bytes) ||
        !within(chunk.offset_index, chunk.offset_index_bytes, file_bytes))
      return broken("row group");
    if (chunk.least.has_value() != chunk.greatest.has_value() ||
        (columns[i].numeric() && chunk.least &&
         (chunk.least->size() != 8 || chunk.greatest->size() != 8)))
      return broken("statistics");
    group.columns.push_back(std::move(chunk));
  }
  return group;
}

}  // namespace

std::optional<std::size_t> Layout::find(std::string_view column) const {
  const auto at = std::ranges::find(columns, column, &ColumnSpec::name);
  if (at == columns.end()) return std::nullopt;
  return static_cast<std::size_t>(at - columns.begin());
}

std::string write_footer(const Layout& layout) {
  compact::Writer out;
  out.i32(1, 1);
  out.list(2, compact::kStruct, layout.columns.size() + 1);
  out.element();
  out.binary(4, "rows");
  out.i32(5, static_cast<std::int64_t>(layout.columns.size()));
  out.end();
  for (const ColumnSpec& column : layout.columns) write_column(out, column);
  out.i64(3, static_cast<std::int64_t>(layout.rows));
  out.list(4, compact::kStruct, layout.groups.size());
  for (const RowGroup& group : layout.groups) {
    std::uint64_t plain = 0;
    for (const ChunkAt& chunk : group.columns) plain += chunk.plain_bytes;
    out.element();
    out.list(1, compact::kStruct, group.columns.size());
    for (std::size_t i = 0; i < group.columns.size(); ++i)
      write_chunk(out, layout.columns[i], group.columns[i], group.rows);
    out.i64(2, static_cast<std::int64_t>(plain));
    out.i64(3, static_cast<std::int64_t>(group.rows));
    if (layout.sorted_by) {
      out.list(4, compact::kStruct, 1);
      out.element();
      out.i32(1, static_cast<std::int64_t>(*layout.sorted_by));
      out.boolean(2, false);
      out.boolean(3, false);
      out.end();
    }
    out.end();
  }
  if (!layout.metadata.empty()) {
    out.list(5, compact::kStruct, layout.metadata.size());
    for (const auto& [key, value] : layout.metadata) {
      out.element();
      out.binary(1, key);
      out.binary(2, value);
      out.end();
    }
  }
  out.binary(6, "asahi");
  // Least and greatest are meant in each type's own order.
  out.list(7, compact::kStruct, layout.columns.size());
  for (std::size_t i = 0; i < layout.columns.size(); ++i) {
    out.element();
    out.begin(1);
    out.end();
    out.end();
  }
  return out.take();
}

Result<Layout> read_footer(std::string_view footer, std::uint64_t file_bytes) {
  compact::Reader in(footer);
  Layout layout;
  std::vector<Element> elements;
  std::vector<GroupRead> groups;
  std::int64_t rows = -1;
  for (auto field = in.next(); field.type != compact::kStop; field = in.next()) {
    if (field.id == 2) {
      const std::size_t size = in.list(field, compact::kStruct);
      for (std::size_t i = 0; i < size && !in.failed(); ++i) elements.push_back(read_element(in));
    } else if (field.id == 3) {
      rows = in.integer(field);
    } else if (field.id == 4) {
      const std::size_t size = in.list(field, compact::kStruct);
      for (std::size_t i = 0; i < size && !in.failed(); ++i) groups.push_back(read_group(in));
    } else if (field.id == 5) {
      const std::size_t size = in.list(field, compact::kStruct);
      for (std::size_t i = 0; i < size && !in.failed(); ++i) {
        auto& [key, value] = layout.metadata.emplace_back();
        in.enter();
        for (auto part = in.next(); part.type != compact::kStop; part = in.next()) {
          if (part.id == 1) {
            key = in.binary(part);
          } else if (part.id == 2) {
            value = in.binary(part);
          } else {
            in.skip(part);
          }
        }
      }
    } else {
      in.skip(field);
    }
  }
  if (in.failed() || elements.size() < 2 || rows < 0) return broken("footer");
  if (elements[0].children != static_cast<std::int64_t>(elements.size() - 1))
    return unknown("nested columns");
  for (std::size_t i = 1; i < elements.size(); ++i) {
    ASAHI_TRY(auto column, column_of(std::move(elements[i])));
    layout.columns.push_back(std::move(column));
  }
  for (GroupRead& read : groups) {
    if (read.sorted_by >= 0 && static_cast<std::size_t>(read.sorted_by) < layout.columns.size())
      layout.sorted_by = static_cast<std::size_t>(read.sorted_by);
    ASAHI_TRY(auto group, group_of(std::move(read), layout.columns, file_bytes));
    layout.rows += group.rows;
    layout.groups.push_back(std::move(group));
  }
  if (layout.rows != static_cast<std::uint64_t>(rows)) return broken("footer");
  return layout;
}

std::string write_offset_index(const std::vector<PageAt>& pages) {
  compact::Writer out;
  out.list(1, compact::kStruct, pages.size());
  for (const PageAt& page : pages) {
    out.element();
    out.i64(1, static_cast<std::int64_t>(page.offset));
    out.i32(2, page.bytes);
    out.i64(3, static_cast<std::int64_t>(page.first_row));
    out.end();
  }
  return out.take();
}

Result<std::vector<PageAt>> read_offset_index(std::string_view bytes, const ChunkAt& chunk) {
  compact::Reader in(bytes);
  std::vector<PageAt> pages;
  for (auto field = in.next(); field.type != compact::kStop; field = in.next()) {
    if (field.id != 1) {
      in.skip(field);
      continue;
    }
    const std::size_t size = in.list(field, compact::kStruct);
    for (std::size_t i = 0; i < size && !in.failed(); ++i) {
      PageAt& page = pages.emplace_back();
      in.enter();
      for (auto part = in.next(); part.type != compact::kStop; part = in.next()) {
        if (part.id == 1) {
          page.offset = place(in, part);
        } else if (part.id == 2) {
          page.bytes = static_cast<std::uint32_t>(in.integer(part));
        } else if (part.id == 3) {
          page.first_row = place(in, part);
        } else {
          in.skip(part);
        }
      }
    }
  }
  bool good = !in.failed() && !pages.empty() && pages.front().first_row == 0;
  for (std::size_t i = 0; i < pages.size() && good; ++i) {
    good = pages[i].offset >= chunk.begin &&
           within(pages[i].offset, pages[i].bytes, chunk.start() + chunk.bytes) &&
           (i == 0 || pages[i].first_row > pages[i - 1].first_row);
  }
  if (!good) return broken("index of pages");
  return pages;
}

std::string write_page_header(const PageHeader& header) {
  compact::Writer out;
  out.i32(1, header.dictionary ? kDictionaryPage : kDataPage);
  out.i32(2, header.plain_bytes);
  out.i32(3, header.stored_bytes);
  if (header.crc) out.i32(4, static_cast<std::int32_t>(*header.crc));
  out.begin(header.dictionary ? 7 : 5);
  out.i32(1, header.values);
  out.i32(2, header.encoding);
  if (!header.dictionary) {
    out.i32(3, kRle);
    out.i32(4, kRle);
  }
  out.end();
  return out.take();
}

Result<PageHeader> read_page_header(std::string_view bytes) {
  compact::Reader in(bytes);
  PageHeader header;
  std::int64_t type = -1, plain = -1, stored = -1, values = -1;
  for (auto field = in.next(); field.type != compact::kStop; field = in.next()) {
    if (field.id == 1) {
      type = in.integer(field);
    } else if (field.id == 2) {
      plain = in.integer(field);
    } else if (field.id == 3) {
      stored = in.integer(field);
    } else if (field.id == 4) {
      header.crc = static_cast<std::uint32_t>(in.integer(field));
    } else if ((field.id == 5 || field.id == 7) && field.type == compact::kStruct) {
      in.enter();
      for (auto part = in.next(); part.type != compact::kStop; part = in.next()) {
        if (part.id == 1) {
          values = in.integer(part);
        } else if (part.id == 2) {
          header.encoding = static_cast<int>(in.integer(part));
        } else {
          in.skip(part);
        }
      }
    } else {
      in.skip(field);
    }
  }
  constexpr std::int64_t kMost = 256 << 20;
  if (in.failed() || plain < 0 || plain > kMost || stored < 0 || stored > kMost)
    return broken("page");
  if (type != kDataPage && type != kDictionaryPage) return unknown("pages of version 2");
  if (values < 0 || values > kMost) return broken("page");
  header.dictionary = type == kDictionaryPage;
  header.plain_bytes = static_cast<std::uint32_t>(plain);
  header.stored_bytes = static_cast<std::uint32_t>(stored);
  header.values = static_cast<std::uint32_t>(values);
  header.header_bytes = in.at();
  return header;
}

}  // namespace asahi::columnar::parquet
