#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "storage/sql/database.h"
#include "storage/sql/pg_library.h"

namespace asahi::sql {

struct PgClear {
  void operator()(PGresult* result) const { PQclear(result); }
};
using PgResult = std::unique_ptr<PGresult, PgClear>;

/// A statement as libpq takes it: `?` numbered, parameters encoded.
/// Integers, doubles and text travel as text of no declared type, so that the server takes the type
/// from the context (a boolean column accepts 0/1, jsonb and timestamptz columns accept text).
/// Where there is no context, write CAST(? AS BIGINT). Blobs are bytea in binary.
class PgStatement {
 public:
  /// Errors: invalid_argument (wrong number of parameters, NUL in text, not a single plain
  /// statement).
  static Result<PgStatement> encode(const Statement& statement);

  /// Sends it on a connection with nothing or a pipeline under way. False when libpq refuses.
  bool send(PGconn* connection) const;

 private:
  std::string sql_;
  std::vector<Value> params_;  ///< numbers already turned into text
  Wire wire_ = Wire::kText;
};

/// All rows of a result: integers, booleans (0/1) and oids as int64, floats as double, bytea as
/// Blob, timestamptz as RFC 3339 in UTC, everything else as text. Errors: invalid_argument (a
/// column came in binary whose type is not read so; see Wire).
Result<Rows> to_rows(const PGresult* result);

/// "2026-11-21 10:00:00.1+00" → "2026-11-21T10:00:00.100Z": at least milliseconds, as
/// format_rfc3339 writes them. What is not such a time in UTC ("infinity") stays as it is.
std::string timestamp_to_rfc3339(std::string_view text);

/// The error of a failed result, by SQLSTATE
/// (https://www.postgresql.org/docs/15/errcodes-appendix.html). The server's detail line is left
/// out: it quotes stored values.
Error pg_error(const PGresult* result);

/// The SQLSTATE of a failed result, or "".
std::string_view sqlstate(const PGresult* result);

}  // namespace asahi::sql
