#include "storage/sql/copy_rows.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <bit>
#include <chrono>
#include <cstring>
#include <type_traits>

#include "storage/sql/pg_session.h"

namespace asahi::sql {
namespace {

constexpr std::string_view kSignature("PGCOPY\n\377\r\n\0", 11);

}  // namespace

CopyRows::CopyRows(std::string_view table, std::span<const std::string_view> columns)
    : statement_(
          fmt::format("COPY {} ({}) FROM STDIN (FORMAT binary)", table, fmt::join(columns, ", "))),
      bytes_(kSignature),
      columns_(static_cast<std::int16_t>(columns.size())) {
  number(std::int32_t{0});  // flags
  number(std::int32_t{0});  // length of the header's extension
}

template <class Number>
void CopyRows::number(Number value) {
  auto bits = static_cast<std::make_unsigned_t<Number>>(value);
  if constexpr (std::endian::native == std::endian::little && sizeof bits > 1) {
    if constexpr (sizeof bits == 2) bits = __builtin_bswap16(bits);
    if constexpr (sizeof bits == 4) bits = __builtin_bswap32(bits);
    if constexpr (sizeof bits == 8) bits = __builtin_bswap64(bits);
  }
  std::array<char, sizeof bits> raw;
  std::memcpy(raw.data(), &bits, sizeof bits);
  bytes_.append(raw.data(), raw.size());
}

template <class Number>
void CopyRows::field(Number value) {
  number(static_cast<std::int32_t>(sizeof value));
  number(value);
}

void CopyRows::begin_row() {
  number(columns_);
  ++rows_;
}
void CopyRows::null() { number(std::int32_t{-1}); }
void CopyRows::boolean(bool value) { field(std::int8_t{value}); }
void CopyRows::smallint(std::int16_t value) { field(value); }
void CopyRows::integer(std::int32_t value) { field(value); }
void CopyRows::bigint(std::int64_t value) { field(value); }
void CopyRows::text(std::string_view value) {
  number(static_cast<std::int32_t>(value.size()));
  bytes_ += value;
}
void CopyRows::bytea(std::string_view value) { text(value); }

void CopyRows::timestamptz(Clock::Time value) {
  // Microseconds since 2000, in UTC.
  constexpr std::chrono::sys_days kEpoch = std::chrono::year(2000) / 1 / 1;
  const auto since = std::chrono::floor<std::chrono::microseconds>(value - kEpoch);
  field(static_cast<std::int64_t>(since.count()));
}

void CopyRows::numeric(std::int64_t units, int decimals) {
  // Digits to the base 10,000, the first worth 10,000^weight; whole digits stand before the point.
  constexpr std::uint64_t kBase = 10'000;
  constexpr int kDigitsOfBase = 4;
  constexpr std::uint16_t kNegative = 0x4000;
  auto rest = units < 0 ? std::uint64_t{0} - static_cast<std::uint64_t>(units)
                        : static_cast<std::uint64_t>(units);
  std::array<std::int16_t, 12> digits;  // the last first
  int count = 0;
  // The last digit's share of the base is filled up with zeros on the right.
  const int places = (decimals + kDigitsOfBase - 1) / kDigitsOfBase;
  std::uint64_t fill = 1;
  for (int filled = decimals; filled < places * kDigitsOfBase; ++filled) fill *= 10;
  if (fill > 1 && places > 0) {
    const std::uint64_t part = kBase / fill;
    digits[static_cast<std::size_t>(count++)] = static_cast<std::int16_t>(rest % part * fill);
    rest /= part;
  }
  for (; rest > 0; rest /= kBase)
    digits[static_cast<std::size_t>(count++)] = static_cast<std::int16_t>(rest % kBase);
  const int weight = count - places - 1;
  int first = 0;  // zeros at the end are left out
  while (first < count && digits[static_cast<std::size_t>(first)] == 0) ++first;
  const int kept = count - first;
  number(static_cast<std::int32_t>(2 * (4 + kept)));
  number(static_cast<std::int16_t>(kept));
  number(static_cast<std::int16_t>(kept == 0 ? 0 : weight));
  number(units < 0 && kept > 0 ? kNegative : std::uint16_t{0});
  number(static_cast<std::int16_t>(decimals));
  for (int at = count - 1; at >= first; --at) number(digits[static_cast<std::size_t>(at)]);
}

std::string_view CopyRows::finish() {
  if (!finished_) number(std::int16_t{-1});
  finished_ = true;
  return bytes_;
}

Result<std::int64_t> copy(Session& session, CopyRows& rows) {
  if (auto* postgres = dynamic_cast<PgSession*>(&session)) return postgres->copy(rows);
  return fail(Errc::kInvalidArgument,
              fmt::format("only PostgreSQL takes '{}'; INSERT the rows", rows.statement()));
}

}  // namespace asahi::sql
