#include "storage/columnar/chunk.h"

#include "storage/columnar/duckdb_library.h"
#include "storage/columnar/duckdb_types.h"

namespace asahi::columnar {

Type type_of(duckdb_type type) {
  switch (type) {
    case DUCKDB_TYPE_BOOLEAN:
      return Type::kBoolean;
    case DUCKDB_TYPE_TINYINT:
      return Type::kInt8;
    case DUCKDB_TYPE_SMALLINT:
      return Type::kInt16;
    case DUCKDB_TYPE_INTEGER:
      return Type::kInt32;
    case DUCKDB_TYPE_BIGINT:
      return Type::kInt64;
    case DUCKDB_TYPE_UTINYINT:
      return Type::kUint8;
    case DUCKDB_TYPE_USMALLINT:
      return Type::kUint16;
    case DUCKDB_TYPE_UINTEGER:
      return Type::kUint32;
    case DUCKDB_TYPE_UBIGINT:
      return Type::kUint64;
    case DUCKDB_TYPE_FLOAT:
      return Type::kFloat;
    case DUCKDB_TYPE_DOUBLE:
      return Type::kDouble;
    case DUCKDB_TYPE_TIMESTAMP:
    case DUCKDB_TYPE_TIMESTAMP_TZ:
      return Type::kTimestamp;
    case DUCKDB_TYPE_TIMESTAMP_NS:
      return Type::kTimestampNs;
    case DUCKDB_TYPE_VARCHAR:
      return Type::kText;
    case DUCKDB_TYPE_BLOB:
      return Type::kBlob;
    case DUCKDB_TYPE_ARRAY:
      return Type::kArray;
    case DUCKDB_TYPE_LIST:
      return Type::kList;
    default:
      return Type::kOther;
  }
}

Column::Column(void* vector, std::size_t rows) : rows_(rows), vector_(vector) {
  const auto handle = static_cast<duckdb_vector>(vector);
  duckdb_logical_type type = duckdb_vector_get_column_type(handle);
  type_ = type_of(duckdb_get_type_id(type));
  if (type_ == Type::kArray) array_length_ = duckdb_array_type_array_size(type);
  duckdb_destroy_logical_type(&type);
  data_ = duckdb_vector_get_data(handle);
  valid_ = duckdb_vector_get_validity(handle);
}

Column Column::child() const {
  const auto handle = static_cast<duckdb_vector>(vector_);
  if (type_ == Type::kArray) return {duckdb_array_vector_get_child(handle), rows_ * array_length_};
  if (type_ != Type::kList) throw std::logic_error("a column without a child is read as a list");
  std::size_t values = 0;
  for (std::size_t row = 0; row < rows_; ++row) {
    if (!null(row)) values = std::max<std::size_t>(values, list(row).begin + list(row).length);
  }
  return {duckdb_list_vector_get_child(handle), values};
}

std::size_t Chunk::rows() const {
  return chunk_ == nullptr ? 0 : duckdb_data_chunk_get_size(static_cast<duckdb_data_chunk>(chunk_));
}

std::size_t Chunk::columns() const {
  return chunk_ == nullptr
             ? 0
             : duckdb_data_chunk_get_column_count(static_cast<duckdb_data_chunk>(chunk_));
}

Column Chunk::column(std::size_t index) const {
  if (index >= columns()) throw std::logic_error("a column is read that the statement has not");
  return {duckdb_data_chunk_get_vector(static_cast<duckdb_data_chunk>(chunk_), index), rows()};
}

void Chunk::reset(void* chunk) {
  auto old = static_cast<duckdb_data_chunk>(chunk_);
  if (old != nullptr) duckdb_destroy_data_chunk(&old);
  chunk_ = chunk;
}

}  // namespace asahi::columnar
