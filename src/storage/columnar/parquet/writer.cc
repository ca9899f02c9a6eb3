#include "storage/columnar/parquet/writer.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <unordered_map>

#include "base/file.h"
#include "base/sha256_stream.h"
#include "storage/columnar/parquet/compression.h"

namespace asahi::columnar::parquet {

namespace {

static_assert(std::endian::native == std::endian::little, "Parquet's values are little-endian");

constexpr std::string_view kMagic = "PAR1";
constexpr std::size_t kMaxStatistic = 256;
constexpr std::size_t kMaxDictionary = 4'096;

template <class T>
void append_raw(std::string& out, const T& value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void append_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

/// Parquet's RLE and bit-packing hybrid: runs of one value, the rest packed in eights.
/// https://github.com/apache/parquet-format/blob/master/Encodings.md
void append_hybrid(std::string& out, const std::uint32_t* values, std::size_t count,
                   unsigned width) {
  const auto run_at = [&](std::size_t at) {
    std::size_t end = at + 1;
    while (end < count && values[end] == values[at]) ++end;
    return end - at;
  };
  std::size_t at = 0;
  while (at < count) {
    const std::size_t run = run_at(at);
    if (run >= 8 || at + run == count) {
      append_varint(out, run << 1);
      for (unsigned byte = 0; byte < (width + 7) / 8; ++byte)
        out += static_cast<char>(values[at] >> (8 * byte));
      at += run;
      continue;
    }
    // Eights until a long run begins at one of their borders.
    std::size_t end = at;
    while (end < count && (end == at || run_at(end) < 8)) end = std::min(end + 8, count);
    const std::size_t eights = (end - at + 7) / 8;
    append_varint(out, eights << 1 | 1);
    std::uint64_t bits = 0;
    unsigned filled = 0;
    for (std::size_t i = 0; i < eights * 8; ++i) {
      bits |= static_cast<std::uint64_t>(at + i < end ? values[at + i] : 0) << filled;
      filled += width;
      for (; filled >= 8; filled -= 8, bits >>= 8) out += static_cast<char>(bits);
    }
    at = end;
  }
}

unsigned width_of(std::size_t values) {
  return std::max(1, static_cast<int>(std::bit_width(values - 1)));
}

/// The values of one column in the row group that is being filled, encoded as PLAIN.
struct Pending {
  std::string plain;
  std::vector<std::uint8_t> present;     ///< optional columns: one per row
  std::vector<std::size_t> page_starts;  ///< in `plain`, one per page begun
  std::vector<std::size_t> page_values;  ///< values that are not null before each page
  std::size_t rows = 0, values = 0;
  bool has_range = false;
  std::string least, greatest;
  std::int64_t least_number = 0, greatest_number = 0;
  bool range_lost = false;  ///< a value was too long

  void clear() {
    plain.clear();
    present.clear();
    page_starts.clear();
    page_values.clear();
    rows = values = 0;
    has_range = range_lost = false;
  }
};

}  // namespace

struct Writer::Impl {
  std::string path;
  WriterOptions options;
  Layout layout;
  File file;
  Sha256Stream sum;
  std::uint64_t at = 0;
  std::vector<Pending> columns;
  std::size_t group_rows = 0;
  std::vector<std::vector<std::vector<PageAt>>> pages;  ///< by group, column
  Zstd zstd;
  std::string buffer, stored;
  std::optional<std::string> wrong;

  explicit Impl(Zstd codec) : zstd(std::move(codec)) {}

  Pending& begin_value(std::size_t column);
  Result<void> write(std::string_view bytes);
  Result<void> write_group();
  Result<ChunkAt> write_chunk(std::size_t column, std::vector<PageAt>& at_pages);
  Result<std::uint32_t> append_page(const ColumnSpec& spec, PageHeader header,
                                    std::string_view plain, ChunkAt& chunk);
};

Writer::Writer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Writer::~Writer() = default;

Result<std::unique_ptr<Writer>> Writer::create(const std::string& path,
                                               std::vector<ColumnSpec> columns,
                                               WriterOptions options) {
  if (columns.empty() || options.group_rows < 1 || options.group_rows > 1'000'000 ||
      options.page_rows < 1 || options.level < 1 || options.level > 19)
    return fail(Errc::kInvalidArgument,
                "a Parquet file has columns, row groups of 1 to 1,000,000 rows, pages of 1 row at "
                "least, level 1 to 19");
  for (const ColumnSpec& column : columns) {
    if (column.name.empty() || (column.kind == Kind::kFixed) != (column.length > 0))
      return fail(Errc::kInvalidArgument, "a Parquet column has a name, fixed ones a length");
  }
  ASAHI_TRY(auto zstd, Zstd::open());
  auto impl = std::make_unique<Impl>(std::move(zstd));
  impl->path = path;
  impl->layout.columns = std::move(columns);
  if (!options.sorted_by.empty()) {
    impl->layout.sorted_by = impl->layout.find(options.sorted_by);
    if (!impl->layout.sorted_by)
      return fail_field("sorted_by", "no column is named '" + options.sorted_by + "'");
  }
  impl->layout.metadata = options.metadata;
  impl->options = std::move(options);
  impl->columns.resize(impl->layout.columns.size());
  impl->file = File::open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (!impl->file) return file_error("make", path);
  if (auto ok = impl->write(kMagic); !ok) return std::unexpected(std::move(ok.error()));
  return std::unique_ptr<Writer>(new Writer(std::move(impl)));
}

Result<void> Writer::Impl::write(std::string_view bytes) {
  if (!write_all(file.get(), bytes)) {
    const bool full = errno == ENOSPC || errno == EDQUOT;
    auto failure = file_error("write", path);
    if (full) failure.error().reason = "disk_full";
    return failure;
  }
  sum.add(bytes);
  at += bytes.size();
  return {};
}

/// Notes that the row has a value here and that a page may begin with it.
Pending& Writer::Impl::begin_value(std::size_t column) {
  Pending& pending = columns[column];
  if (pending.rows % options.page_rows == 0) {
    pending.page_starts.push_back(pending.plain.size());
    pending.page_values.push_back(pending.values);
  }
  ++pending.rows;
  return pending;
}

void Writer::bytes(std::size_t column, std::string_view value) {
  const ColumnSpec& spec = impl_->layout.columns[column];
  if (spec.numeric() || spec.kind == Kind::kFloat ||
      (spec.kind == Kind::kFixed && value.size() != spec.length)) {
    impl_->wrong = fmt::format("column {} does not take {} bytes", spec.name, value.size());
    return;
  }
  Pending& pending = impl_->begin_value(column);
  if (spec.optional) pending.present.push_back(1);
  ++pending.values;
  if (spec.kind != Kind::kFixed)
    append_raw(pending.plain, static_cast<std::uint32_t>(value.size()));
  pending.plain += value;
  if (!spec.statistics || spec.kind != Kind::kText || pending.range_lost) return;
  if (value.size() > kMaxStatistic) {
    pending.range_lost = true;
  } else if (!pending.has_range) {
    pending.has_range = true;
    pending.least = pending.greatest = value;
  } else if (value < pending.least) {
    pending.least = value;
  } else if (value > pending.greatest) {
    pending.greatest = value;
  }
}

void Writer::number(std::size_t column, std::int64_t value) {
  const ColumnSpec& spec = impl_->layout.columns[column];
  if (!spec.numeric()) {
    impl_->wrong = fmt::format("column {} does not take numbers", spec.name);
    return;
  }
  Pending& pending = impl_->begin_value(column);
  if (spec.optional) pending.present.push_back(1);
  ++pending.values;
  append_raw(pending.plain, value);
  if (!spec.statistics) return;
  pending.least_number = pending.has_range ? std::min(pending.least_number, value) : value;
  pending.greatest_number = pending.has_range ? std::max(pending.greatest_number, value) : value;
  pending.has_range = true;
}

void Writer::real(std::size_t column, float value) {
  const ColumnSpec& spec = impl_->layout.columns[column];
  if (spec.kind != Kind::kFloat) {
    impl_->wrong = fmt::format("column {} does not take floats", spec.name);
    return;
  }
  Pending& pending = impl_->begin_value(column);
  if (spec.optional) pending.present.push_back(1);
  ++pending.values;
  append_raw(pending.plain, value);
}

void Writer::null(std::size_t column) {
  const ColumnSpec& spec = impl_->layout.columns[column];
  if (!spec.optional) {
    impl_->wrong = fmt::format("column {} is never null", spec.name);
    return;
  }
  impl_->begin_value(column).present.push_back(0);
}

Result<void> Writer::end_row() {
  Impl& impl = *impl_;
  ++impl.group_rows;
  for (std::size_t i = 0; i < impl.columns.size() && !impl.wrong; ++i) {
    if (impl.columns[i].rows != impl.group_rows)
      impl.wrong = fmt::format("column {} has no value, or two", impl.layout.columns[i].name);
  }
  if (impl.wrong) return fail(Errc::kInvalidArgument, "a row cannot be written: " + *impl.wrong);
  if (impl.group_rows < impl.options.group_rows) return {};
  return impl.write_group();
}

/// Gives the bytes that the page takes, header and all.
Result<std::uint32_t> Writer::Impl::append_page(const ColumnSpec& spec, PageHeader header,
                                                std::string_view plain, ChunkAt& chunk) {
  header.plain_bytes = static_cast<std::uint32_t>(plain.size());
  std::string_view body = plain;
  if (spec.compression == Compression::kZstd) {
    stored.clear();
    if (auto ok = zstd.compress(plain, options.level, stored); !ok)
      return std::unexpected(std::move(ok.error()));
    body = stored;
    // Only here: over bytes that are not compressed the sum would cost as much as the rest.
    header.crc =
        static_cast<std::uint32_t>(::crc32(0, reinterpret_cast<const unsigned char*>(body.data()),
                                           static_cast<unsigned>(body.size())));
  }
  header.stored_bytes = static_cast<std::uint32_t>(body.size());
  const std::string head = write_page_header(header);
  buffer += head;
  buffer += body;
  chunk.plain_bytes += head.size() + plain.size();
  chunk.bytes += head.size() + body.size();
  return static_cast<std::uint32_t>(head.size() + body.size());
}

/// The column's pages go to the end of `buffer`.
Result<ChunkAt> Writer::Impl::write_chunk(std::size_t column, std::vector<PageAt>& at_pages) {
  const ColumnSpec& spec = layout.columns[column];
  const Pending& pending = columns[column];
  ChunkAt chunk;
  chunk.nulls = pending.rows - pending.values;
  if (pending.has_range && !pending.range_lost) {
    if (spec.numeric()) {
      chunk.least.emplace();
      append_raw(*chunk.least, pending.least_number);
      chunk.greatest.emplace();
      append_raw(*chunk.greatest, pending.greatest_number);
    } else {
      chunk.least = pending.least;
      chunk.greatest = pending.greatest;
    }
  }
  // Which value each row has, when there are few.
  std::vector<std::uint32_t> codes;
  std::string dictionary;
  std::size_t distinct = 0;
  if (spec.dictionary && pending.values > 0) {
    const std::size_t most = std::min(kMaxDictionary, std::max<std::size_t>(1, pending.values / 4));
    std::unordered_map<std::string_view, std::uint32_t> known;
    std::size_t place = 0;
    codes.reserve(pending.values);
    while (place < pending.plain.size() && distinct <= most) {
      std::uint32_t size = 0;
      std::memcpy(&size, pending.plain.data() + place, sizeof size);
      const std::string_view value(pending.plain.data() + place + sizeof size, size);
      const auto [entry, fresh] = known.try_emplace(value, static_cast<std::uint32_t>(distinct));
      if (fresh) {
        ++distinct;
        dictionary.append(pending.plain, place, sizeof size + size);
      }
      codes.push_back(entry->second);
      place += sizeof size + size;
    }
    if (distinct > most) codes.clear();
  }
  const bool coded = !codes.empty();
  if (coded) {
    chunk.dictionary = at + buffer.size();
    ASAHI_TRY([[maybe_unused]] const auto bytes,
              append_page(spec,
                          {.dictionary = true,
                           .values = static_cast<std::uint32_t>(distinct),
                           .encoding = kPlain},
                          dictionary, chunk));
  }
  chunk.begin = at + buffer.size();
  std::string page;
  for (std::size_t i = 0; i < pending.page_starts.size(); ++i) {
    const std::size_t first_row = i * options.page_rows;
    const std::size_t rows = std::min(options.page_rows, pending.rows - first_row);
    const bool last = i + 1 == pending.page_starts.size();
    const std::size_t value_end = last ? pending.values : pending.page_values[i + 1];
    const std::size_t byte_end = last ? pending.plain.size() : pending.page_starts[i + 1];
    const std::string_view plain(pending.plain.data() + pending.page_starts[i],
                                 byte_end - pending.page_starts[i]);
    std::string_view body = plain;
    if (spec.optional || coded) {
      page.clear();
      if (spec.optional) {
        std::vector<std::uint32_t> levels(
            pending.present.begin() + static_cast<long>(first_row),
            pending.present.begin() + static_cast<long>(first_row + rows));
        std::string packed;
        append_hybrid(packed, levels.data(), levels.size(), 1);
        append_raw(page, static_cast<std::uint32_t>(packed.size()));
        page += packed;
      }
      if (coded) {
        const unsigned width = width_of(distinct);
        page += static_cast<char>(width);
        const std::size_t begin = pending.page_values[i];
        append_hybrid(page, codes.data() + begin, value_end - begin, width);
      } else {
        page += plain;
      }
      body = page;
    }
    const std::uint64_t offset = at + buffer.size();
    ASAHI_TRY(const std::uint32_t bytes, append_page(spec,
                                                     {.values = static_cast<std::uint32_t>(rows),
                                                      .encoding = coded ? kRleDictionary : kPlain},
                                                     body, chunk));
    at_pages.push_back({.offset = offset, .bytes = bytes, .first_row = first_row});
  }
  return chunk;
}

Result<void> Writer::Impl::write_group() {
  RowGroup group{.rows = group_rows, .columns = {}};
  auto& group_pages = pages.emplace_back(columns.size());
  buffer.clear();
  for (std::size_t i = 0; i < columns.size(); ++i) {
    ASAHI_TRY(auto chunk, write_chunk(i, group_pages[i]));
    group.columns.push_back(std::move(chunk));
    columns[i].clear();
  }
  layout.rows += group_rows;
  layout.groups.push_back(std::move(group));
  group_rows = 0;
  return write(buffer);
}

Result<Written> Writer::finish() {
  Impl& impl = *impl_;
  if (impl.wrong) return fail(Errc::kInvalidArgument, "a row cannot be written: " + *impl.wrong);
  if (impl.group_rows > 0) {
    if (auto ok = impl.write_group(); !ok) return std::unexpected(std::move(ok.error()));
  }
  if (impl.layout.rows == 0) return fail(Errc::kInvalidArgument, "a Parquet file without rows");
  std::string tail;
  for (std::size_t group = 0; group < impl.pages.size(); ++group) {
    for (std::size_t column = 0; column < impl.columns.size(); ++column) {
      ChunkAt& chunk = impl.layout.groups[group].columns[column];
      const std::string index = write_offset_index(impl.pages[group][column]);
      chunk.offset_index = impl.at + tail.size();
      chunk.offset_index_bytes = static_cast<std::uint32_t>(index.size());
      tail += index;
    }
  }
  const std::string footer = write_footer(impl.layout);
  tail += footer;
  append_raw(tail, static_cast<std::uint32_t>(footer.size()));
  tail += kMagic;
  if (auto ok = impl.write(tail); !ok) return std::unexpected(std::move(ok.error()));
  impl.file.close();
  return Written{.rows = impl.layout.rows, .bytes = impl.at, .sha256 = impl.sum.finish()};
}

}  // namespace asahi::columnar::parquet
