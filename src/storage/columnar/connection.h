#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "storage/columnar/chunk.h"

namespace asahi::columnar {

class Connection;

/// The rows of a statement as they are made: what has not been fetched is not in memory. Before the
/// statement is used again, its rows are gone (destroyed).
class Rows {
 public:
  ~Rows();
  Rows(Rows&&) noexcept;
  Rows& operator=(Rows&&) = delete;

  std::size_t columns() const;
  std::string column_name(std::size_t index) const;
  /// The next rows; false: there are no more. Errors: those of Connection.
  Result<bool> next(Chunk& chunk);

 private:
  friend class Statement;
  struct State;
  explicit Rows(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// A statement with `$1`, `$2`, … or `?` for values. Belongs to its connection.
class Statement {
 public:
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  /// `index` from 1. What is bound stays bound. Errors: invalid_argument.
  Result<void> bind(std::size_t index, std::string_view text);
  Result<void> bind(std::size_t index, const char* text) {
    return bind(index, std::string_view(text));
  }
  Result<void> bind(std::size_t index, std::int64_t value);
  Result<void> bind(std::size_t index, double value);
  Result<void> bind(std::size_t index, bool value);
  /// As TIMESTAMP_NS.
  Result<void> bind(std::size_t index, Clock::Time time);
  Result<void> bind_blob(std::size_t index, std::span<const std::byte> bytes);
  Result<void> bind_null(std::size_t index);

  /// Binds $1, $2, … in one go, then runs.
  template <class... Values>
  Result<Rows> query_with(const Values&... values) {
    std::size_t index = 0;
    Result<void> bound;
    ((bound = bound ? bind(++index, values) : std::move(bound)), ...);
    if (!bound) return std::unexpected(std::move(bound.error()));
    return query();
  }

  Result<Rows> query();
  /// Runs it for its effect; how many rows it changed.
  Result<std::uint64_t> execute();

 private:
  friend class Connection;
  Statement(Connection& connection, void* handle) : connection_(connection), handle_(handle) {}
  Result<void> bound(int state, std::size_t index);
  Connection& connection_;
  void* handle_;  ///< duckdb_prepared_statement
};

/// Puts rows into a table by columns, 2,048 at a time, past the parser. What it took is there after
/// `finish`; destroyed without, the last rows may be missing: put it into a transaction.
class Appender {
 public:
  static constexpr std::size_t kRows = 2'048;

  ~Appender();
  Appender(Appender&&) noexcept;
  Appender& operator=(Appender&&) = delete;

  std::size_t columns() const { return types_.size(); }
  Type type(std::size_t column) const { return types_[column]; }
  /// Room for kRows values of `column`, to be filled before `add`. Throws std::logic_error where
  /// the table has another type.
  template <class T>
  std::span<T> values(std::size_t column) {
    if (!internal::holds<T>(types_.at(column)))
      throw std::logic_error("a column is written as another type");
    return {static_cast<T*>(data(column)), kRows};
  }
  /// The same of a kArray column: kRows × array_length values.
  std::span<float> floats_of_array(std::size_t column);
  std::span<std::int8_t> bytes_of_array(std::size_t column);
  /// Of kText (UTF-8) and kBlob; copied.
  void text(std::size_t column, std::size_t row, std::string_view bytes);
  void null(std::size_t column, std::size_t row);

  /// The first `rows` rows of every column go in; the room is empty again. Errors: those of
  /// Connection, conflict where a key is there already (then the appender is over).
  Result<void> add(std::size_t rows);
  Result<void> finish();

 private:
  friend class Connection;
  struct State;
  Appender(Connection& connection, std::unique_ptr<State> state, std::vector<Type> types);
  void* data(std::size_t column);
  void* child(std::size_t column, Type type, std::size_t& length);
  Result<void> failed(std::string_view doing);
  Connection* connection_;
  std::unique_ptr<State> state_;
  std::vector<Type> types_;
};

/// One line to a database: statements one after the other, a transaction at a time. It belongs to
/// the thread that works with it; `interrupt` alone may come from any. Every call blocks.
/// Errors of all: timeout (the deadline passed), cancelled (the database stops), unavailable with
/// reason "disk_full" or "out_of_memory", corrupt, conflict, invalid_argument, internal (a
/// statement that is wrong).
class Connection {
 public:
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// A statement, kept for the next time: the 64 used last are. The reference holds until 64 others
  /// were asked for.
  Result<Statement*> prepare(std::string_view sql);
  /// Statements without values, all of them. How many rows the last one changed.
  Result<std::uint64_t> execute(const std::string& sql);
  Result<Appender> append(const std::string& table);
  /// `work` in a transaction: committed when it succeeds, else undone.
  template <class Work>
  auto transaction(Work work) -> std::invoke_result_t<Work> {
    if (auto begun = execute("BEGIN TRANSACTION"); !begun)
      return std::unexpected(std::move(begun.error()));
    auto value = work();
    if (value) {
      if (auto done = execute("COMMIT"); !done) {
        roll_back();
        return std::unexpected(std::move(done.error()));
      }
    } else {
      roll_back();
    }
    return value;
  }
  /// Writes what the log holds into the file and shortens the log.
  Result<void> checkpoint();

  /// Ends the statement that runs, soon; it fails with timeout (`stopping`: cancelled).
  void interrupt();

 private:
  friend class Database;
  friend class Statement;
  friend class Rows;
  friend class Appender;
  explicit Connection(void* handle) : handle_(handle) {}
  void roll_back();
  /// The error where the time is over before a statement begins.
  Result<void> ready() const;
  /// An interrupted statement's error says why.
  Error told(Error error) const;

  struct Kept {
    std::string sql;
    std::unique_ptr<Statement> statement;
  };
  static constexpr std::size_t kKept = 64;

  void* handle_;  ///< duckdb_connection
  std::list<Kept> kept_;
  std::atomic<bool> expired_{false}, stopping_{false};
};

}  // namespace asahi::columnar
