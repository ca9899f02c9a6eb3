#include "storage/columnar/connection.h"

#include <algorithm>
#include <utility>

#include "storage/columnar/duckdb_error.h"
#include "storage/columnar/duckdb_types.h"

namespace asahi::columnar {

namespace {

duckdb_prepared_statement statement_of(void* handle) {
  return static_cast<duckdb_prepared_statement>(handle);
}

std::unexpected<Error> result_error(duckdb_result& result, std::string_view doing) {
  const char* const text = duckdb_result_error(&result);
  return duckdb_error(duckdb_result_error_type(&result), text == nullptr ? "" : text, doing);
}

}  // namespace

// ---- rows

struct Rows::State {
  Connection* connection = nullptr;
  duckdb_result result{};
  bool over = false;
};

Rows::Rows(std::unique_ptr<State> state) : state_(std::move(state)) {}
Rows::Rows(Rows&&) noexcept = default;
Rows::~Rows() {
  if (state_) duckdb_destroy_result(&state_->result);
}

std::size_t Rows::columns() const { return duckdb_column_count(&state_->result); }

std::string Rows::column_name(std::size_t index) const {
  const char* const name = duckdb_column_name(&state_->result, index);
  return name == nullptr ? "" : name;
}

Result<bool> Rows::next(Chunk& chunk) {
  chunk.reset(nullptr);
  if (state_->over) return false;
  if (auto ok = state_->connection->ready(); !ok) return std::unexpected(std::move(ok.error()));
  duckdb_data_chunk fetched = duckdb_fetch_chunk(state_->result);
  if (fetched == nullptr || duckdb_data_chunk_get_size(fetched) == 0) {
    state_->over = true;
    if (fetched != nullptr) duckdb_destroy_data_chunk(&fetched);
    // A failure looks like an end; only the text tells.
    const char* const text = duckdb_result_error(&state_->result);
    if (text != nullptr && *text != '\0') {
      return std::unexpected(
          state_->connection->told(result_error(state_->result, "go on with a statement").error()));
    }
    return false;
  }
  chunk.reset(fetched);
  return true;
}

// ---- statements

Statement::~Statement() {
  auto handle = statement_of(handle_);
  duckdb_destroy_prepare(&handle);
}

Result<void> Statement::bound(int state, std::size_t index) {
  if (state == DuckDBSuccess) return {};
  const char* const text = duckdb_prepare_error(statement_of(handle_));
  return fail(Errc::kInvalidArgument,
              "value " + std::to_string(index) +
                  " of a statement cannot be bound: " + (text == nullptr ? "there is none" : text));
}

Result<void> Statement::bind(std::size_t index, std::string_view text) {
  return bound(duckdb_bind_varchar_length(statement_of(handle_), index, text.data(), text.size()),
               index);
}
Result<void> Statement::bind(std::size_t index, std::int64_t value) {
  return bound(duckdb_bind_int64(statement_of(handle_), index, value), index);
}
Result<void> Statement::bind(std::size_t index, double value) {
  return bound(duckdb_bind_double(statement_of(handle_), index, value), index);
}
Result<void> Statement::bind(std::size_t index, bool value) {
  return bound(duckdb_bind_boolean(statement_of(handle_), index, value), index);
}
Result<void> Statement::bind(std::size_t index, Clock::Time time) {
  duckdb_value value = duckdb_create_timestamp_ns({.nanos = time.time_since_epoch().count()});
  auto result = bound(duckdb_bind_value(statement_of(handle_), index, value), index);
  duckdb_destroy_value(&value);
  return result;
}
Result<void> Statement::bind_blob(std::size_t index, std::span<const std::byte> bytes) {
  return bound(duckdb_bind_blob(statement_of(handle_), index, bytes.data(), bytes.size()), index);
}
Result<void> Statement::bind_null(std::size_t index) {
  return bound(duckdb_bind_null(statement_of(handle_), index), index);
}

Result<Rows> Statement::query() {
  if (auto ok = connection_.ready(); !ok) return std::unexpected(std::move(ok.error()));
  auto state = std::make_unique<Rows::State>();
  state->connection = &connection_;
  const bool fine =
      duckdb_execute_prepared_streaming(statement_of(handle_), &state->result) == DuckDBSuccess;
  Rows rows(std::move(state));
  if (!fine) {
    return std::unexpected(
        connection_.told(result_error(rows.state_->result, "run a statement").error()));
  }
  return rows;
}

Result<std::uint64_t> Statement::execute() {
  if (auto ok = connection_.ready(); !ok) return std::unexpected(std::move(ok.error()));
  duckdb_result result{};
  const bool fine = duckdb_execute_prepared(statement_of(handle_), &result) == DuckDBSuccess;
  Result<std::uint64_t> out =
      fine ? Result<std::uint64_t>(duckdb_rows_changed(&result))
           : std::unexpected(connection_.told(result_error(result, "run a statement").error()));
  duckdb_destroy_result(&result);
  return out;
}

// ---- appender

struct Appender::State {
  duckdb_appender appender = nullptr;
  duckdb_data_chunk chunk = nullptr;
  std::vector<duckdb_logical_type> types;

  ~State() {
    if (chunk != nullptr) duckdb_destroy_data_chunk(&chunk);
    for (duckdb_logical_type& type : types) duckdb_destroy_logical_type(&type);
    if (appender != nullptr) duckdb_appender_destroy(&appender);
  }
};

Appender::Appender(Connection& connection, std::unique_ptr<State> state, std::vector<Type> types)
    : connection_(&connection), state_(std::move(state)), types_(std::move(types)) {}
Appender::Appender(Appender&&) noexcept = default;
Appender::~Appender() = default;

void* Appender::data(std::size_t column) {
  return duckdb_vector_get_data(duckdb_data_chunk_get_vector(state_->chunk, column));
}

void* Appender::child(std::size_t column, Type type, std::size_t& length) {
  if (types_.at(column) != Type::kArray)
    throw std::logic_error("a column is written as an array that is none");
  length = duckdb_array_type_array_size(state_->types[column]);
  const Column values(
      duckdb_array_vector_get_child(duckdb_data_chunk_get_vector(state_->chunk, column)), 0);
  if (values.type() != type) throw std::logic_error("an array is written as another type");
  return duckdb_vector_get_data(
      duckdb_array_vector_get_child(duckdb_data_chunk_get_vector(state_->chunk, column)));
}

std::span<float> Appender::floats_of_array(std::size_t column) {
  std::size_t length = 0;
  auto* const values = static_cast<float*>(child(column, Type::kFloat, length));
  return {values, kRows * length};
}

std::span<std::int8_t> Appender::bytes_of_array(std::size_t column) {
  std::size_t length = 0;
  auto* const values = static_cast<std::int8_t*>(child(column, Type::kInt8, length));
  return {values, kRows * length};
}

void Appender::text(std::size_t column, std::size_t row, std::string_view bytes) {
  if (types_.at(column) != Type::kText && types_[column] != Type::kBlob)
    throw std::logic_error("a column is written as text");
  duckdb_vector_assign_string_element_len(duckdb_data_chunk_get_vector(state_->chunk, column), row,
                                          bytes.data(), bytes.size());
}

void Appender::null(std::size_t column, std::size_t row) {
  const duckdb_vector vector = duckdb_data_chunk_get_vector(state_->chunk, column);
  duckdb_vector_ensure_validity_writable(vector);
  duckdb_validity_set_row_validity(duckdb_vector_get_validity(vector), row, false);
}

Result<void> Appender::failed(std::string_view doing) {
  duckdb_error_data data = duckdb_appender_error_data(state_->appender);
  const char* const text = duckdb_error_data_message(data);
  auto error = duckdb_error(duckdb_error_data_error_type(data), text == nullptr ? "" : text, doing);
  duckdb_destroy_error_data(&data);
  return std::unexpected(connection_->told(std::move(error.error())));
}

Result<void> Appender::add(std::size_t rows) {
  if (auto ok = connection_->ready(); !ok) return ok;
  duckdb_data_chunk_set_size(state_->chunk, std::min(rows, kRows));
  const bool fine = duckdb_append_data_chunk(state_->appender, state_->chunk) == DuckDBSuccess;
  duckdb_data_chunk_reset(state_->chunk);
  if (!fine) return failed("append rows");
  return {};
}

Result<void> Appender::finish() {
  if (auto ok = connection_->ready(); !ok) return ok;
  if (duckdb_appender_close(state_->appender) != DuckDBSuccess) return failed("append rows");
  return {};
}

// ---- connection

Connection::~Connection() {
  kept_.clear();
  auto handle = static_cast<duckdb_connection>(handle_);
  duckdb_disconnect(&handle);
}

Result<void> Connection::ready() const {
  if (stopping_) return fail(Errc::kCancelled, "the database is stopping");
  if (expired_) return fail(Errc::kTimeout, "the time for a database's statement is over");
  return {};
}

Error Connection::told(Error error) const {
  if (error.code == Errc::kTimeout && stopping_) {
    error.code = Errc::kCancelled;
    error.message = "the database is stopping";
  } else if (error.code == Errc::kTimeout) {
    error.message = "the time for a database's statement is over";
  }
  return error;
}

void Connection::interrupt() { duckdb_interrupt(static_cast<duckdb_connection>(handle_)); }

void Connection::roll_back() {
  // Whatever the time: a connection must not keep an open transaction. Without one it fails, which
  // says the same.
  duckdb_result result{};
  (void)duckdb_query(static_cast<duckdb_connection>(handle_), "ROLLBACK", &result);
  duckdb_destroy_result(&result);
}

Result<Statement*> Connection::prepare(std::string_view sql) {
  if (auto ok = ready(); !ok) return std::unexpected(std::move(ok.error()));
  const auto known = std::ranges::find(kept_, sql, &Kept::sql);
  if (known != kept_.end()) {
    kept_.splice(kept_.begin(), kept_, known);
    (void)duckdb_clear_bindings(statement_of(kept_.front().statement->handle_));
    return kept_.front().statement.get();
  }
  duckdb_prepared_statement handle = nullptr;
  const std::string text(sql);
  const bool fine = duckdb_prepare(static_cast<duckdb_connection>(handle_), text.c_str(),
                                   &handle) == DuckDBSuccess;
  std::unique_ptr<Statement> statement(new Statement(*this, handle));
  if (!fine) {
    const char* const why = handle == nullptr ? nullptr : duckdb_prepare_error(handle);
    const std::string_view said = why == nullptr ? "" : why;
    // It gives no type here; words tell a missing or broken file from a wrong statement.
    return duckdb_error(said.starts_with("IO Error") ? DUCKDB_ERROR_IO : DUCKDB_ERROR_INVALID, said,
                        "read a statement");
  }
  kept_.push_front({text, std::move(statement)});
  if (kept_.size() > kKept) kept_.pop_back();
  return kept_.front().statement.get();
}

Result<std::uint64_t> Connection::execute(const std::string& sql) {
  if (auto ok = ready(); !ok) return std::unexpected(std::move(ok.error()));
  duckdb_result result{};
  const bool fine =
      duckdb_query(static_cast<duckdb_connection>(handle_), sql.c_str(), &result) == DuckDBSuccess;
  Result<std::uint64_t> out =
      fine ? Result<std::uint64_t>(duckdb_rows_changed(&result))
           : std::unexpected(told(result_error(result, "run a statement").error()));
  duckdb_destroy_result(&result);
  return out;
}

Result<Appender> Connection::append(const std::string& table) {
  if (auto ok = ready(); !ok) return std::unexpected(std::move(ok.error()));
  auto state = std::make_unique<Appender::State>();
  if (duckdb_appender_create(static_cast<duckdb_connection>(handle_), nullptr, table.c_str(),
                             &state->appender) != DuckDBSuccess)
    return fail(Errc::kInternal, "rows cannot be appended to table '" + table + "': is it there?");
  std::vector<Type> types;
  for (idx_t i = 0; i < duckdb_appender_column_count(state->appender); ++i) {
    state->types.push_back(duckdb_appender_column_type(state->appender, i));
    types.push_back(type_of(duckdb_get_type_id(state->types.back())));
  }
  state->chunk = duckdb_create_data_chunk(state->types.data(), state->types.size());
  return Appender(*this, std::move(state), std::move(types));
}

Result<void> Connection::checkpoint() {
  if (auto done = execute("CHECKPOINT"); !done) return std::unexpected(std::move(done.error()));
  return {};
}

}  // namespace asahi::columnar
