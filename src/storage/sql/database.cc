#include "storage/sql/database.h"

#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <stdexcept>

#include "storage/sql/database_url.h"
#include "storage/sql/postgres_database.h"
#include "storage/sql/sqlite_database.h"

namespace asahi::sql {
namespace {

std::string plain_decimal(double value) {
  // Never an exponent: readers of money and of NUMERIC text do not take one. The longest double in
  // fixed notation has 309 digits before the point or about 1,075 behind it.
  std::array<char, 1100> buffer;
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed);
  return {buffer.data(), end.ptr};
}

template <class Number>
Number parse_number(const std::string& text) {
  Number number{};
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

const Value& Rows::at(std::size_t row, std::string_view name) const {
  for (std::size_t column = 0; column < columns_.size(); ++column) {
    if (columns_[column] == name) return rows_.at(row)[column];
  }
  throw std::out_of_range(fmt::format("the statement returned no column '{}'", name));
}

bool Rows::is_null(std::size_t row, std::string_view name) const {
  return std::holds_alternative<std::monostate>(at(row, name));
}

std::int64_t Rows::integer(std::size_t row, std::string_view name) const {
  const Value& value = at(row, name);
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return *integer;
  if (const auto* real = std::get_if<double>(&value)) return static_cast<std::int64_t>(*real);
  if (const auto* text = std::get_if<std::string>(&value)) return parse_number<std::int64_t>(*text);
  return 0;
}

double Rows::real(std::size_t row, std::string_view name) const {
  const Value& value = at(row, name);
  if (const auto* real = std::get_if<double>(&value)) return *real;
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return static_cast<double>(*integer);
  if (const auto* text = std::get_if<std::string>(&value)) return parse_number<double>(*text);
  return 0;
}

std::string Rows::text(std::size_t row, std::string_view name) const {
  const Value& value = at(row, name);
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return std::to_string(*integer);
  if (const auto* real = std::get_if<double>(&value)) return plain_decimal(*real);
  if (const auto* blob = std::get_if<Blob>(&value)) return blob->bytes;
  return {};
}

bool Rows::boolean(std::size_t row, std::string_view name) const {
  const Value& value = at(row, name);
  if (const auto* text = std::get_if<std::string>(&value)) {
    return *text == "t" || *text == "true" || *text == "1";
  }
  return integer(row, name) != 0;
}

Result<Target> parse_database_url(const std::string& url, const std::string& data_dir) {
  if (url.starts_with("postgres://") || url.starts_with("postgresql://")) {
    return Target{Dialect::kPostgres, url};
  }
  constexpr std::string_view kSqlite = "sqlite://";
  if (url == "sqlite://:memory:") return Target{Dialect::kSqlite, ":memory:"};
  if (url.starts_with(kSqlite) && url.size() > kSqlite.size() + 1 && url[kSqlite.size()] == '/' &&
      url.find('?') == std::string::npos) {
    const std::filesystem::path path = url.substr(kSqlite.size() + 1);
    if (!path.filename().empty()) {
      return Target{Dialect::kSqlite, (std::filesystem::path(data_dir) / path).string()};
    }
  }
  return fail_field("database.url",
                    "the database URL has an unknown form; expected sqlite:///file.db (in the data "
                    "directory), sqlite:////absolute/file.db, sqlite://:memory: or "
                    "postgres://user:password@host:port/name");
}

Result<std::unique_ptr<Database>> open_database(DatabaseOptions options) {
  ASAHI_TRY(auto target, parse_database_url(options.url, options.data_dir));
  if (options.pool_size == 0 || options.max_queued == 0 || options.statement_timeout.count() <= 0 ||
      options.connect_timeout.count() <= 0) {
    return fail_field(
        "database", "pool_size, max_queued, statement_timeout and connect_timeout must be above 0");
  }
  if (target.dialect == Dialect::kSqlite) return open_sqlite(target.location, options);
  return open_postgres(target.location, options);
}

}  // namespace asahi::sql
