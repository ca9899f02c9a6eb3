#include "storage/sql/pg_value.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <charconv>
#include <optional>

#include "base/hex.h"
#include "storage/sql/sql_text.h"

namespace asahi::sql {
namespace {

// pg_type.dat; these numbers are part of the wire protocol.
enum PgType : Oid {
  kBool = 16,
  kBytea = 17,
  kInt8 = 20,
  kInt2 = 21,
  kInt4 = 23,
  kText = 25,
  kOid = 26,
  kFloat4 = 700,
  kFloat8 = 701,
  kVarchar = 1043,
  kTimestamptz = 1184,
};

constexpr const char* kNulInText =
    "a text parameter holds a NUL character, which PostgreSQL cannot store; pass it as a Blob";
constexpr std::size_t kMaxParameters = 65'535;  // a 16-bit count on the wire

/// bytea as the server writes it unless told otherwise: "\\x" and two digits a byte
/// (https://www.postgresql.org/docs/15/datatype-binary.html). By hand: pages of sums are read by
/// the megabyte, and PQunescapeBytea takes three times as long.
std::optional<std::string> bytea_of(std::string_view text) {
  if (!text.starts_with("\\x")) return std::nullopt;
  return from_hex(text.substr(2));
}

Value to_value(std::string_view text, Oid type) {
  switch (type) {
    case kBool:
      return std::int64_t{text == "t"};
    case kInt2:
    case kInt4:
    case kInt8:
    case kOid: {
      std::int64_t number = 0;
      std::from_chars(text.data(), text.data() + text.size(), number);
      return number;
    }
    case kFloat4:
    case kFloat8: {
      double number = 0;
      std::from_chars(text.data(), text.data() + text.size(), number);
      return number;
    }
    case kBytea: {
      if (auto bytes = bytea_of(text)) return Blob{std::move(*bytes)};
      std::size_t size = 0;
      const auto give_back = [](unsigned char* unescaped) { PQfreemem(unescaped); };
      const std::unique_ptr<unsigned char, decltype(give_back)> bytes(
          PQunescapeBytea(reinterpret_cast<const unsigned char*>(text.data()), &size));
      return Blob{std::string(reinterpret_cast<const char*>(bytes.get()), size)};
    }
    case kTimestamptz:
      return timestamp_to_rfc3339(text);
    default:
      return std::string(text);
  }
}

/// A number as it stands on the wire, most significant byte first.
std::uint64_t unsigned_of(std::string_view bytes) {
  std::uint64_t number = 0;
  for (const char byte : bytes) number = number << 8 | static_cast<unsigned char>(byte);
  return number;
}

/// The forms of each type's send function
/// (https://www.postgresql.org/docs/15/protocol-overview.html#PROTOCOL-FORMAT-CODES); nothing for a
/// type that is not read in binary, or a length that it cannot have.
std::optional<Value> from_binary(std::string_view bytes, Oid type) {
  const auto integer = [&]<class Signed>(Signed) -> std::optional<Value> {
    if (bytes.size() != sizeof(Signed)) return std::nullopt;
    return std::int64_t{static_cast<Signed>(unsigned_of(bytes))};
  };
  switch (type) {
    case kBool:
      return integer(std::int8_t{});
    case kInt2:
      return integer(std::int16_t{});
    case kInt4:
      return integer(std::int32_t{});
    case kInt8:
      return integer(std::int64_t{});
    case kOid:
      return integer(std::uint32_t{});
    case kFloat4:
      if (bytes.size() != sizeof(float)) return std::nullopt;
      return double{std::bit_cast<float>(static_cast<std::uint32_t>(unsigned_of(bytes)))};
    case kFloat8:
      if (bytes.size() != sizeof(double)) return std::nullopt;
      return std::bit_cast<double>(unsigned_of(bytes));
    case kBytea:
      return Blob{std::string(bytes)};
    case kText:
    case kVarchar:
      return std::string(bytes);
    default:
      return std::nullopt;
  }
}

std::int64_t affected_rows(const PGresult* result) {
  // libpq does not change the result here, but its older signatures lack the const.
  auto* mutable_result = const_cast<PGresult*>(result);
  const std::string_view tag = PQcmdStatus(mutable_result);
  if (tag.starts_with("SELECT") || tag.starts_with("FETCH")) return 0;
  const std::string_view count = PQcmdTuples(mutable_result);
  std::int64_t number = 0;
  std::from_chars(count.data(), count.data() + count.size(), number);
  return number;
}

struct Mapping {
  std::string_view state;  ///< a whole SQLSTATE or its beginning; the first match counts
  Errc code;
  std::string_view reason;
};

constexpr std::array kMappings = {
    Mapping{"23505", Errc::kConflict, "unique_violation"},
    Mapping{"23P01", Errc::kConflict, "unique_violation"},
    Mapping{"23503", Errc::kInvalidArgument, "foreign_key_violation"},
    Mapping{"23", Errc::kInvalidArgument, "constraint_violation"},
    Mapping{"40001", Errc::kConflict, "serialization_failure"},
    Mapping{"40P01", Errc::kConflict, "serialization_failure"},
    Mapping{"55P03", Errc::kTimeout, "busy"},
    Mapping{"57014", Errc::kTimeout, ""},
    Mapping{"57P0", Errc::kUnavailable, ""},
    Mapping{"08", Errc::kUnavailable, ""},
    Mapping{"53", Errc::kUnavailable, ""},     // too many connections, disk full, out of memory
    Mapping{"58", Errc::kUnavailable, ""},     // the server's own I/O
    Mapping{"25006", Errc::kUnavailable, ""},  // a read-only replica, as after a failover
    Mapping{"28", Errc::kUnavailable, ""},     // refused login
    Mapping{"3D", Errc::kUnavailable, ""},     // no such database
    Mapping{"54", Errc::kTooLarge, ""},
    Mapping{"XX001", Errc::kCorrupt, ""},
    Mapping{"XX002", Errc::kCorrupt, ""},
    Mapping{"XX", Errc::kInternal, ""},
};

}  // namespace

Result<PgStatement> PgStatement::encode(const Statement& statement) {
  if (auto ok = check_single_statement(statement.sql); !ok) return std::unexpected(ok.error());
  ASAHI_TRY(auto numbered, number_placeholders(statement.sql));
  if (numbered.parameters != statement.params.size() || numbered.parameters > kMaxParameters) {
    return fail(
        Errc::kInvalidArgument,
        fmt::format("the statement has {} placeholders but {} parameters were given (at most {})",
                    numbered.parameters, statement.params.size(), kMaxParameters));
  }
  PgStatement out;
  out.sql_ = std::move(numbered.text);
  out.wire_ = statement.wire;
  out.params_.reserve(statement.params.size());
  for (const Value& value : statement.params) {
    if (const auto* integer = std::get_if<std::int64_t>(&value)) {
      out.params_.emplace_back(std::to_string(*integer));
    } else if (const auto* real = std::get_if<double>(&value)) {
      out.params_.emplace_back(fmt::format("{}", *real));
    } else if (const auto* text = std::get_if<std::string>(&value);
               text != nullptr && text->find('\0') != std::string::npos) {
      return fail(Errc::kInvalidArgument, kNulInText);
    } else {
      out.params_.push_back(value);
    }
  }
  return out;
}

bool PgStatement::send(PGconn* connection) const {
  const std::size_t count = params_.size();
  std::vector<const char*> values(count, nullptr);
  std::vector<int> lengths(count, 0);
  std::vector<int> formats(count, 0);
  std::vector<Oid> types(count, 0);
  for (std::size_t i = 0; i < count; ++i) {
    if (const auto* text = std::get_if<std::string>(&params_[i])) {
      values[i] = text->c_str();
    } else if (const auto* blob = std::get_if<Blob>(&params_[i])) {
      values[i] = blob->bytes.data();
      lengths[i] = static_cast<int>(blob->bytes.size());
      formats[i] = 1;
      types[i] = kBytea;
    }
  }
  return PQsendQueryParams(connection, sql_.c_str(), static_cast<int>(count), types.data(),
                           values.data(), lengths.data(), formats.data(),
                           wire_ == Wire::kBinary ? 1 : 0) == 1;
}

Result<Rows> to_rows(const PGresult* result) {
  const int width = PQnfields(result);
  const int height = PQntuples(result);
  std::vector<std::string> columns;
  for (int column = 0; column < width; ++column) columns.emplace_back(PQfname(result, column));
  std::vector<std::vector<Value>> rows(static_cast<std::size_t>(height));
  for (int row = 0; row < height; ++row) {
    auto& values = rows[static_cast<std::size_t>(row)];
    values.reserve(static_cast<std::size_t>(width));
    for (int column = 0; column < width; ++column) {
      if (PQgetisnull(result, row, column) != 0) {
        values.emplace_back();
        continue;
      }
      const std::string_view sent(PQgetvalue(result, row, column),
                                  static_cast<std::size_t>(PQgetlength(result, row, column)));
      const Oid type = PQftype(result, column);
      if (PQfformat(result, column) == 0) {
        values.push_back(to_value(sent, type));
        continue;
      }
      auto value = from_binary(sent, type);
      if (!value) {
        return fail(
            Errc::kInvalidArgument,
            fmt::format("column \"{}\" of type {} is not read in binary; ask for it as text",
                        columns[static_cast<std::size_t>(column)], type));
      }
      values.push_back(std::move(*value));
    }
  }
  return Rows(std::move(columns), std::move(rows), affected_rows(result));
}

std::string timestamp_to_rfc3339(std::string_view text) {
  constexpr std::size_t kSeconds = 19;  // "2026-11-21 10:00:00"
  if (text.size() < kSeconds + 3 || text[10] != ' ' || !text.ends_with("+00"))
    return std::string(text);
  std::string out(text.substr(0, text.size() - 3));
  out[10] = 'T';
  if (out.size() == kSeconds) out += '.';
  constexpr std::size_t kMillis = kSeconds + 4;
  if (out.size() < kMillis) out.append(kMillis - out.size(), '0');
  out += 'Z';
  return out;
}

std::string_view sqlstate(const PGresult* result) {
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  return state == nullptr ? std::string_view{} : std::string_view(state);
}

Error pg_error(const PGresult* result) {
  const std::string_view state = sqlstate(result);
  const char* primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  std::string message = primary != nullptr ? primary : PQresultErrorMessage(result);
  if (state == "57014") message += " (statement_timeout passed, or an operator cancelled it)";
  // libpq makes results without a SQLSTATE when the connection breaks.
  if (state.empty()) return fail(Errc::kUnavailable, "PostgreSQL: " + message).error();
  Error error =
      fail(Errc::kInvalidArgument, fmt::format("PostgreSQL {}: {}", state, message)).error();
  for (const auto& mapping : kMappings) {
    if (!state.starts_with(mapping.state)) continue;
    error.code = mapping.code;
    error.reason = mapping.reason;
    break;
  }
  return error;
}

}  // namespace asahi::sql
