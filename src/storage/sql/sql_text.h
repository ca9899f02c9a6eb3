#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace asahi::sql {

/// SQL as PostgreSQL takes it, and how many parameters it names.
struct NumberedSql {
  std::string text;
  std::size_t parameters = 0;
};

/// Turns each `?` into `$1`, `$2`, …, leaving quoted text, quoted names, comments and dollar-quoted
/// bodies alone. Lexical rules: https://www.postgresql.org/docs/15/sql-syntax-lexical.html
/// Errors: invalid_argument for an unterminated quote or comment.
Result<NumberedSql> number_placeholders(std::string_view sql);

/// The first word of a statement in upper case, behind blanks, comments and opening parentheses;
/// empty when there is none.
std::string leading_keyword(std::string_view sql);

/// Refuses what would change a shared connection for its next user: BEGIN, COMMIT, SAVEPOINT, SET,
/// … Errors: invalid_argument saying what to use instead.
Result<void> check_single_statement(std::string_view sql);

/// "BEGIN", "COMMIT" and their relatives: words that a transaction body may not use either.
bool is_transaction_control(std::string_view keyword);

}  // namespace asahi::sql
