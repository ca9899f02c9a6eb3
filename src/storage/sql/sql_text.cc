#include "storage/sql/sql_text.h"

#include <fmt/format.h>

#include <array>

namespace asahi::sql {
namespace {

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0;
}
bool is_name_part(char c) { return is_name_start(c) || (c >= '0' && c <= '9'); }

/// Walks over SQL one lexical element at a time. Each `*_end` returns the offset behind the element
/// that begins at `at`, or npos when it never ends.
class Lexer {
 public:
  explicit Lexer(std::string_view sql) : sql_(sql) {}

  /// The end of the quote, comment or dollar-quoted body that begins at `at`; `at` when none does.
  std::size_t skip(std::size_t at) const {
    const char c = sql_[at];
    const char next = at + 1 < sql_.size() ? sql_[at + 1] : '\0';
    if (c == '\'') return quote_end(at, '\'', has_escape_prefix(at));
    if (c == '"') return quote_end(at, '"', false);
    if (c == '-' && next == '-') return line_end(at);
    if (c == '/' && next == '*') return comment_end(at);
    if (c == '$' && (at == 0 || !is_name_part(sql_[at - 1]))) return dollar_end(at);
    return at;
  }

 private:
  /// E'…' lets a backslash escape the closing quote.
  bool has_escape_prefix(std::size_t at) const {
    if (at == 0 || (sql_[at - 1] != 'E' && sql_[at - 1] != 'e')) return false;
    return at == 1 || !is_name_part(sql_[at - 2]);
  }

  std::size_t quote_end(std::size_t at, char quote, bool backslash) const {
    for (std::size_t i = at + 1; i < sql_.size(); ++i) {
      if (backslash && sql_[i] == '\\') {
        ++i;
      } else if (sql_[i] == quote) {
        if (i + 1 < sql_.size() && sql_[i + 1] == quote) {
          ++i;  // a doubled quote stands for itself
        } else {
          return i + 1;
        }
      }
    }
    return std::string_view::npos;
  }

  std::size_t line_end(std::size_t at) const {
    const auto end = sql_.find('\n', at);
    return end == std::string_view::npos ? sql_.size() : end + 1;
  }

  std::size_t comment_end(std::size_t at) const {
    int depth = 0;
    for (std::size_t i = at; i + 1 < sql_.size(); ++i) {
      if (sql_[i] == '/' && sql_[i + 1] == '*') {
        ++depth;
        ++i;
      } else if (sql_[i] == '*' && sql_[i + 1] == '/') {
        ++i;
        if (--depth == 0) return i + 1;
      }
    }
    return std::string_view::npos;
  }

  std::size_t dollar_end(std::size_t at) const {
    std::size_t tag = at + 1;
    if (tag < sql_.size() && is_name_start(sql_[tag])) {
      while (tag < sql_.size() && is_name_part(sql_[tag])) ++tag;
    }
    if (tag >= sql_.size() || sql_[tag] != '$') return at;  // "$1" or a lone dollar
    const auto opening = sql_.substr(at, tag - at + 1);
    const auto closing = sql_.find(opening, tag + 1);
    return closing == std::string_view::npos ? closing : closing + opening.size();
  }

  std::string_view sql_;
};

constexpr std::array kTransactionControl = {"BEGIN",     "COMMIT",  "ROLLBACK", "END",    "ABORT",
                                            "SAVEPOINT", "RELEASE", "START",    "PREPARE"};
constexpr std::array kSessionState = {"SET",     "RESET",   "LISTEN",    "UNLISTEN",
                                      "DISCARD", "DECLARE", "EXECUTE",   "LOAD",
                                      "ATTACH",  "DETACH",  "DEALLOCATE"};

}  // namespace

Result<NumberedSql> number_placeholders(std::string_view sql) {
  NumberedSql out;
  out.text.reserve(sql.size() + 16);
  const Lexer lexer(sql);
  for (std::size_t at = 0; at < sql.size();) {
    const std::size_t end = lexer.skip(at);
    if (end == std::string_view::npos) {
      return fail(Errc::kInvalidArgument,
                  fmt::format("SQL has a quote or comment at byte {} that never ends", at));
    }
    if (end > at) {
      out.text.append(sql.substr(at, end - at));
      at = end;
    } else if (sql[at] == '?') {
      out.text += '$';
      out.text += std::to_string(++out.parameters);
      ++at;
    } else {
      out.text += sql[at++];
    }
  }
  return out;
}

std::string leading_keyword(std::string_view sql) {
  const Lexer lexer(sql);
  std::size_t at = 0;
  while (at < sql.size()) {
    const char c = sql[at];
    const bool comment = (c == '-' || c == '/') && lexer.skip(at) != at;
    if (comment) {
      at = lexer.skip(at);
      if (at == std::string_view::npos) return {};
    } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '(' || c == ';') {
      ++at;
    } else {
      break;
    }
  }
  std::string word;
  for (; at < sql.size() && is_name_part(sql[at]); ++at) {
    const char c = sql[at];
    word += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return word;
}

bool is_transaction_control(std::string_view keyword) {
  return std::find(kTransactionControl.begin(), kTransactionControl.end(), keyword) !=
         kTransactionControl.end();
}

Result<void> check_single_statement(std::string_view sql) {
  const std::string keyword = leading_keyword(sql);
  if (keyword.empty()) return fail(Errc::kInvalidArgument, "the SQL statement is empty");
  if (is_transaction_control(keyword)) {
    return fail(Errc::kInvalidArgument,
                keyword +
                    " cannot run as a statement of its own: connections are shared; use "
                    "batch() or transaction()");
  }
  if (std::find(kSessionState.begin(), kSessionState.end(), keyword) != kSessionState.end()) {
    return fail(Errc::kInvalidArgument,
                keyword +
                    " would change a shared connection for its next user; use SET LOCAL "
                    "through Session::script()");
  }
  return {};
}

}  // namespace asahi::sql
