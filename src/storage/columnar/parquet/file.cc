#include "storage/columnar/parquet/file.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "storage/columnar/parquet/compression.h"

namespace asahi::columnar::parquet {

namespace {

constexpr std::string_view kMagic = "PAR1";
/// Footers of a few row groups come with the first read.
constexpr std::uint64_t kTail = 64 * 1024;
constexpr std::uint32_t kMaxFooter = 256U << 20;

std::unexpected<Error> broken(std::string_view what) {
  return fail(Errc::kCorrupt, fmt::format("a Parquet file is damaged: {}", what));
}

template <class T>
T raw(std::string_view bytes) {
  T value{};
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

/// Reads Parquet's RLE and bit-packing hybrid into `count` values. False: it ends before, or is
/// wrong.
bool read_hybrid(std::string_view bytes, unsigned width, std::size_t count,
                 std::vector<std::uint32_t>& out) {
  out.clear();
  out.reserve(count);
  std::size_t at = 0;
  while (out.size() < count) {
    std::uint64_t head = 0;
    unsigned shift = 0;
    for (;; shift += 7) {
      if (at >= bytes.size() || shift > 35) return false;
      const auto part = static_cast<std::uint8_t>(bytes[at++]);
      head |= static_cast<std::uint64_t>(part & 0x7f) << shift;
      if (part < 0x80) break;
    }
    if ((head & 1) == 0) {
      const std::size_t size = (width + 7) / 8;
      if (head == 0 || bytes.size() - at < size) return false;
      std::uint32_t value = 0;
      for (std::size_t i = 0; i < size; ++i)
        value |= static_cast<std::uint32_t>(static_cast<std::uint8_t>(bytes[at + i])) << (8 * i);
      at += size;
      out.insert(out.end(), std::min<std::uint64_t>(head >> 1, count - out.size()), value);
      continue;
    }
    const std::uint64_t values = (head >> 1) * 8;
    const std::uint64_t size = (head >> 1) * width;
    if (size > bytes.size() - at || values == 0) return false;
    std::uint64_t bits = 0;
    unsigned filled = 0;
    std::size_t place = at;
    const std::uint64_t mask = (std::uint64_t{1} << width) - 1;
    for (std::uint64_t i = 0; i < values && out.size() < count; ++i) {
      while (filled < width) {
        bits |= static_cast<std::uint64_t>(static_cast<std::uint8_t>(bytes[place++])) << filled;
        filled += 8;
      }
      out.push_back(static_cast<std::uint32_t>(bits & mask));
      bits >>= width;
      filled -= width;
    }
    at += size;
  }
  return true;
}

}  // namespace

// ---- sources

Result<LocalSource> LocalSource::open(const std::string& path) {
  File file = File::open(path, O_RDONLY);
  struct stat status{};
  if (!file || ::fstat(file.get(), &status) != 0) {
    const bool missing = errno == ENOENT;
    auto failure = file_error("open", path);
    if (missing) failure.error().code = Errc::kNotFound;
    return failure;
  }
  return LocalSource(std::move(file), static_cast<std::uint64_t>(status.st_size));
}

Result<std::string> LocalSource::read(std::uint64_t offset, std::uint64_t length) {
  if (offset > size_ || length > size_ - offset) return broken("it ends too early");
  std::string out;
  std::size_t got = 0;
  out.resize_and_overwrite(length, [&](char* data, std::size_t) {
    while (got < length) {
      const auto n =
          ::pread(file_.get(), data + got, length - got, static_cast<off_t>(offset + got));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) break;
      got += static_cast<std::size_t>(n);
    }
    return got;
  });
  if (got != length) return broken("it ends too early");
  return out;
}

Result<std::string> MemorySource::read(std::uint64_t offset, std::uint64_t length) {
  if (offset > bytes_->size() || length > bytes_->size() - offset)
    return broken("it ends too early");
  return bytes_->substr(offset, length);
}

// ---- pages

/// Takes pages apart, one after the other, into values.
class PageReader {
 public:
  explicit PageReader(const ColumnSpec& spec) : spec_(spec) {}

  Result<void> open() {
    if (spec_.compression == Compression::kNone) return {};
    ASAHI_TRY(auto zstd, Zstd::open());
    zstd_.emplace(std::move(zstd));
    return {};
  }
  /// All pages in `bytes`.
  Result<void> read(std::string_view bytes) {
    while (!bytes.empty()) {
      ASAHI_TRY(const PageHeader header, read_page_header(bytes));
      if (header.header_bytes + header.stored_bytes > bytes.size())
        return broken("a page ends too early");
      const std::string_view body = bytes.substr(header.header_bytes, header.stored_bytes);
      if (auto ok = read_body(header, body); !ok) return ok;
      bytes.remove_prefix(header.header_bytes + header.stored_bytes);
    }
    return {};
  }
  Values take(std::uint64_t first_row) {
    values_.first_row_ = first_row;
    return std::move(values_);
  }

 private:
  Result<void> read_body(const PageHeader& header, std::string_view body) {
    if (header.crc && *header.crc != ::crc32(0, reinterpret_cast<const unsigned char*>(body.data()),
                                             static_cast<unsigned>(body.size())))
      return broken("a page's checksum is wrong");
    auto& held = values_.held_.emplace_back(std::make_unique<std::string>());
    if (spec_.compression == Compression::kZstd) {
      ASAHI_TRY(*held, zstd_->decompress(body, header.plain_bytes));
    } else {
      *held = body;
    }
    std::string_view plain = *held;
    if (header.dictionary) return read_dictionary(header, plain);
    std::vector<std::uint32_t> levels;
    std::size_t present = header.values;
    if (spec_.optional) {
      if (plain.size() < 4) return broken("a page ends too early");
      const auto size = raw<std::uint32_t>(plain);
      plain.remove_prefix(4);
      if (size > plain.size() || !read_hybrid(plain.substr(0, size), 1, header.values, levels))
        return broken("a page's levels");
      plain.remove_prefix(size);
      present = static_cast<std::size_t>(std::ranges::count(levels, 1U));
    }
    const std::size_t before = values_.rows_;
    values_.rows_ += header.values;
    if (present < header.values || !values_.present_.empty()) {
      values_.present_.resize(before, 1);
      for (std::size_t i = 0; i < header.values; ++i)
        values_.present_.push_back(levels.empty() ? 1 : static_cast<std::uint8_t>(levels[i]));
    }
    const auto each = [&](auto value) {
      for (std::size_t i = 0; i < header.values; ++i) value(levels.empty() || levels[i] == 1);
    };
    if (header.encoding == kRleDictionary || header.encoding == kPlainDictionary) {
      if (plain.empty() || dictionary_.empty()) {
        if (present > 0) return broken("a page without its dictionary");
        values_.bytes_.resize(values_.rows_);
        return {};
      }
      const auto width = static_cast<std::uint8_t>(plain[0]);
      std::vector<std::uint32_t> codes;
      if (width > 32 || !read_hybrid(plain.substr(1), width, present, codes) ||
          std::ranges::any_of(codes, [&](auto code) { return code >= dictionary_.size(); }))
        return broken("a page's codes");
      std::size_t next = 0;
      each([&](bool there) {
        values_.bytes_.push_back(there ? dictionary_[codes[next++]] : std::string_view{});
      });
      return {};
    }
    if (header.encoding != kPlain)
      return fail(Errc::kInvalidArgument, "a Parquet file has an encoding that is not read here");
    return read_plain(plain, present, each);
  }

  template <class Each>
  Result<void> read_plain(std::string_view plain, std::size_t present, Each each) {
    const std::size_t width = spec_.kind == Kind::kFixed   ? spec_.length
                              : spec_.numeric()            ? sizeof(std::int64_t)
                              : spec_.kind == Kind::kFloat ? sizeof(float)
                                                           : 0;
    if (width > 0) {
      if (plain.size() / width < present) return broken("a page ends too early");
      each([&](bool there) {
        const std::string_view value = there ? plain.substr(0, width) : std::string_view{};
        plain.remove_prefix(value.size());
        if (spec_.kind == Kind::kFixed) {
          values_.bytes_.push_back(value);
        } else if (spec_.numeric()) {
          values_.numbers_.push_back(there ? raw<std::int64_t>(value) : 0);
        } else {
          values_.reals_.push_back(there ? raw<float>(value) : 0);
        }
      });
      return {};
    }
    bool good = true;
    each([&](bool there) {
      std::string_view value;
      if (there && good) good = take_bytes(plain, value);
      values_.bytes_.push_back(value);
    });
    if (!good) return broken("a page ends too early");
    return {};
  }

  static bool take_bytes(std::string_view& plain, std::string_view& value) {
    if (plain.size() < 4) return false;
    const auto size = raw<std::uint32_t>(plain);
    if (size > plain.size() - 4) return false;
    value = plain.substr(4, size);
    plain.remove_prefix(4 + size);
    return true;
  }

  Result<void> read_dictionary(const PageHeader& header, std::string_view plain) {
    if (spec_.numeric() || spec_.kind == Kind::kFloat || spec_.kind == Kind::kFixed)
      return fail(Errc::kInvalidArgument, "a Parquet file has a dictionary of numbers");
    dictionary_.clear();
    for (std::uint32_t i = 0; i < header.values; ++i) {
      if (!take_bytes(plain, dictionary_.emplace_back())) return broken("a dictionary");
    }
    return {};
  }

  const ColumnSpec& spec_;
  std::optional<Zstd> zstd_;
  std::vector<std::string_view> dictionary_;  ///< into values_.held_
  Values values_;
};

Result<std::shared_ptr<const Layout>> read_layout(Source& source) {
  const std::uint64_t size = source.size();
  if (size < 12) return broken("it is shorter than any");
  const std::uint64_t first = std::min(size, kTail);
  ASAHI_TRY(std::string tail, source.read(size - first, first));
  if (!tail.ends_with(kMagic)) return broken("it does not end as one");
  const auto length = raw<std::uint32_t>(std::string_view(tail).substr(tail.size() - 8));
  if (length > size - 12 || length > kMaxFooter) return broken("its footer is longer than it");
  if (length + 8 > tail.size()) {
    ASAHI_TRY(tail, source.read(size - 8 - length, length + 8));
  }
  const std::string_view footer = std::string_view(tail).substr(tail.size() - 8 - length, length);
  ASAHI_TRY(auto layout, read_footer(footer, size));
  return std::make_shared<const Layout>(std::move(layout));
}

Result<Values> read_column(Source& source, const Layout& layout, std::size_t group,
                           std::size_t column) {
  const ChunkAt& chunk = layout.groups.at(group).columns.at(column);
  PageReader pages(layout.columns[column]);
  if (auto ok = pages.open(); !ok) return std::unexpected(std::move(ok.error()));
  ASAHI_TRY(const std::string bytes, source.read(chunk.start(), chunk.bytes));
  if (auto ok = pages.read(bytes); !ok) return std::unexpected(std::move(ok.error()));
  Values values = pages.take(0);
  if (values.rows() != layout.groups[group].rows) return broken("a column lacks rows");
  return values;
}

Result<Values> read_page(Source& source, const Layout& layout, std::size_t group,
                         std::size_t column, std::uint64_t row) {
  const RowGroup& rows = layout.groups.at(group);
  const ChunkAt& chunk = rows.columns.at(column);
  if (chunk.offset_index == 0) return read_column(source, layout, group, column);
  PageReader pages(layout.columns[column]);
  if (auto ok = pages.open(); !ok) return std::unexpected(std::move(ok.error()));
  ASAHI_TRY(const std::string index, source.read(chunk.offset_index, chunk.offset_index_bytes));
  ASAHI_TRY(const auto places, read_offset_index(index, chunk));
  if (chunk.dictionary) {
    ASAHI_TRY(const std::string bytes,
              source.read(*chunk.dictionary, chunk.begin - *chunk.dictionary));
    if (auto ok = pages.read(bytes); !ok) return std::unexpected(std::move(ok.error()));
  }
  const auto after = std::ranges::upper_bound(places, row, {}, &PageAt::first_row);
  const PageAt& place = *(after - 1);  // the first begins with row 0
  ASAHI_TRY(const std::string bytes, source.read(place.offset, place.bytes));
  if (auto ok = pages.read(bytes); !ok) return std::unexpected(std::move(ok.error()));
  Values values = pages.take(place.first_row);
  const std::uint64_t end = after == places.end() ? rows.rows : after->first_row;
  if (place.first_row + values.rows() != end) return broken("a page lacks rows");
  return values;
}

Result<std::optional<RowPlace>> find_row(Source& source, const Layout& layout,
                                         std::string_view value) {
  if (!layout.sorted_by || layout.columns[*layout.sorted_by].kind != Kind::kText)
    return fail(Errc::kInvalidArgument, "a Parquet file is not sorted by a text");
  const std::size_t column = *layout.sorted_by;
  for (std::size_t group = 0; group < layout.groups.size(); ++group) {
    const ChunkAt& chunk = layout.groups[group].columns[column];
    if (chunk.least && (value < *chunk.least || value > *chunk.greatest)) continue;
    // The pages between `low` and `high` may hold it.
    std::uint64_t low = 0, high = layout.groups[group].rows;
    while (low < high) {
      ASAHI_TRY(const Values page, read_page(source, layout, group, column, (low + high) / 2));
      if (page.rows() == 0) return broken("an empty page");
      if (value < page.bytes(0)) {
        high = page.first_row();
      } else if (value > page.bytes(page.rows() - 1)) {
        low = page.first_row() + page.rows();
      } else {
        std::size_t from = 0, to = page.rows();
        while (from < to) {
          const std::size_t middle = (from + to) / 2;
          if (page.bytes(middle) < value) {
            from = middle + 1;
          } else {
            to = middle;
          }
        }
        if (from == page.rows() || page.bytes(from) != value) return std::nullopt;
        return RowPlace{.group = group, .row = page.first_row() + from};
      }
    }
  }
  return std::nullopt;
}

}  // namespace asahi::columnar::parquet
