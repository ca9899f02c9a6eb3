#include "memory/cold/keys.h"

#include <fmt/format.h>

#include <charconv>
#include <vector>

#include "base/hash.h"
#include "memory/model/record.h"

namespace asahi::memory::cold {

namespace {

bool plain(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (plain(c)) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

template <class Number>
bool read_number(std::string_view text, Number& out, int base = 10) {
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), out, base);
  return fault == std::errc{} && end == text.data() + text.size() && !text.empty();
}

bool unescaped(std::string_view text, std::string& out) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (plain(text[i])) {
      out += text[i];
      continue;
    }
    unsigned value = 0;
    if (text[i] != '%' || i + 2 >= text.size() || !read_number(text.substr(i + 1, 2), value, 16))
      return false;
    out += static_cast<char>(value);
    i += 2;
  }
  return !out.empty();
}

std::vector<std::string_view> parts_of(std::string_view text, char border) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t at = text.find(border);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

}  // namespace

std::string tenant_prefix(std::string_view tenant) { return escaped(tenant) + "/conversations/"; }

std::string object_key(const ObjectName& name) {
  const std::chrono::year_month_day day{name.day};
  const auto second = std::chrono::floor<std::chrono::seconds>(name.written);
  const auto written_day = std::chrono::floor<std::chrono::days>(second);
  const std::chrono::year_month_day date{written_day};
  const std::chrono::hh_mm_ss time{second - written_day};
  return fmt::format(
      "{}{}/{:04}/{:02}/{:02}/batch_{:04}{:02}{:02}_{:02}{:02}{:02}_{:03}_{:06}.parquet",
      tenant_prefix(name.tenant), name.system_id, static_cast<int>(day.year()),
      static_cast<unsigned>(day.month()), static_cast<unsigned>(day.day()),
      static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
      static_cast<unsigned>(date.day()), time.hours().count(), time.minutes().count(),
      time.seconds().count(), name.shard, name.sequence);
}

Result<ObjectName> parse_object_key(std::string_view key) {
  const auto wrong = [&] {
    return fail(Errc::kInvalidArgument,
                fmt::format("'{}' is not the key of a cold file", key.substr(0, 300)));
  };
  const auto parts = parts_of(key, '/');
  if (parts.size() != 7 || parts[1] != "conversations") return wrong();
  ObjectName name;
  int year = 0;
  unsigned month = 0, day = 0;
  if (!unescaped(parts[0], name.tenant) || !check_system_id(parts[2]) ||
      !read_number(parts[3], year) || !read_number(parts[4], month) || !read_number(parts[5], day))
    return wrong();
  name.system_id = parts[2];
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(day)};
  std::string_view file = parts[6];
  if (!date.ok() || !file.starts_with("batch_") || !file.ends_with(".parquet")) return wrong();
  name.day = date;
  file.remove_prefix(6);
  file.remove_suffix(8);
  const auto pieces = parts_of(file, '_');
  if (pieces.size() != 4 || pieces[0].size() != 8 || pieces[1].size() != 6) return wrong();
  unsigned written_month = 0, written_day = 0, hours = 0, minutes = 0, seconds = 0;
  if (!read_number(pieces[0].substr(0, 4), year) ||
      !read_number(pieces[0].substr(4, 2), written_month) ||
      !read_number(pieces[0].substr(6), written_day) ||
      !read_number(pieces[1].substr(0, 2), hours) ||
      !read_number(pieces[1].substr(2, 2), minutes) || !read_number(pieces[1].substr(4), seconds) ||
      !read_number(pieces[2], name.shard) || !read_number(pieces[3], name.sequence))
    return wrong();
  const std::chrono::year_month_day written{
      std::chrono::year(year), std::chrono::month(written_month), std::chrono::day(written_day)};
  if (!written.ok() || hours > 23 || minutes > 59 || seconds > 59) return wrong();
  name.written = std::chrono::sys_days(written) + std::chrono::hours(hours) +
                 std::chrono::minutes(minutes) + std::chrono::seconds(seconds);
  if (object_key(name) != key) return wrong();
  return name;
}

std::uint32_t shard_of(std::string_view system_id, std::uint32_t shards) {
  const Digest256 sum = sha256(system_id);
  const std::uint32_t first = static_cast<std::uint32_t>(sum[0]) << 24 |
                              static_cast<std::uint32_t>(sum[1]) << 16 |
                              static_cast<std::uint32_t>(sum[2]) << 8 | sum[3];
  return shards == 0 ? 0 : first % shards;
}

}  // namespace asahi::memory::cold
