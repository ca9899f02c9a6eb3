#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string_view>
#include <type_traits>
#include <utility>

namespace asahi::columnar {

/// What a column holds, as DuckDB names it; the types that are read and written here.
enum class Type : std::uint8_t {
  kBoolean,      ///< bool
  kInt8,         ///< std::int8_t; DuckDB: TINYINT
  kInt16,        ///< std::int16_t
  kInt32,        ///< std::int32_t
  kInt64,        ///< std::int64_t
  kUint8,        ///< std::uint8_t
  kUint16,       ///< std::uint16_t
  kUint32,       ///< std::uint32_t
  kUint64,       ///< std::uint64_t
  kFloat,        ///< float
  kDouble,       ///< double
  kTimestamp,    ///< std::int64_t, microseconds since 1970
  kTimestampNs,  ///< std::int64_t, nanoseconds since 1970
  kText,         ///< VARCHAR, JSON: text()
  kBlob,         ///< text()
  kArray,        ///< of a fixed length: array_length(), child()
  kList,         ///< list(), child()
  kOther         ///< anything else: cast it in the statement
};

namespace internal {
template <class T>
constexpr bool holds(Type type) {
  if constexpr (std::is_same_v<T, bool>) return type == Type::kBoolean;
  if constexpr (std::is_same_v<T, std::int8_t>) return type == Type::kInt8;
  if constexpr (std::is_same_v<T, std::int16_t>) return type == Type::kInt16;
  if constexpr (std::is_same_v<T, std::int32_t>) return type == Type::kInt32;
  if constexpr (std::is_same_v<T, std::int64_t>)
    return type == Type::kInt64 || type == Type::kTimestamp || type == Type::kTimestampNs;
  if constexpr (std::is_same_v<T, std::uint8_t>) return type == Type::kUint8;
  if constexpr (std::is_same_v<T, std::uint16_t>) return type == Type::kUint16;
  if constexpr (std::is_same_v<T, std::uint32_t>) return type == Type::kUint32;
  if constexpr (std::is_same_v<T, std::uint64_t>) return type == Type::kUint64;
  if constexpr (std::is_same_v<T, float>) return type == Type::kFloat;
  if constexpr (std::is_same_v<T, double>) return type == Type::kDouble;
  return false;
}
}  // namespace internal

/// One column of a chunk, where the library keeps it; valid as long as the chunk is. Asked for
/// another type than it has it throws std::logic_error: the statement says which types come.
class Column {
 public:
  /// `vector`: a duckdb_vector of `rows` rows.
  Column(void* vector, std::size_t rows);

  Type type() const { return type_; }
  std::size_t rows() const { return rows_; }
  bool null(std::size_t row) const {
    return valid_ != nullptr && (valid_[row / 64] >> (row % 64) & 1U) == 0;
  }
  /// Null rows hold anything.
  template <class T>
  std::span<const T> values() const {
    if (!internal::holds<T>(type_)) throw std::logic_error("a column is read as another type");
    return {static_cast<const T*>(data_), rows_};
  }
  /// Of kText and kBlob. Null rows: empty.
  std::string_view text(std::size_t row) const {
    if (type_ != Type::kText && type_ != Type::kBlob)
      throw std::logic_error("a column is read as text");
    if (null(row)) return {};
    const Text& at = static_cast<const Text*>(data_)[row];
    return {at.length <= sizeof at.inlined ? at.inlined : at.pointer(), at.length};
  }
  /// How many values each row of a kArray has.
  std::size_t array_length() const { return array_length_; }
  struct Range {
    std::uint64_t begin, length;
  };
  /// Where in child() the values of a kList's row are.
  Range list(std::size_t row) const {
    if (type_ != Type::kList) throw std::logic_error("a column is read as a list");
    return static_cast<const Range*>(data_)[row];
  }
  /// The values of all rows, one after the other.
  Column child() const;

 private:
  /// As the library lays it out (duckdb_string_t): short ones within, long ones pointed at.
  struct Text {
    std::uint32_t length;
    char inlined[12];
    const char* pointer() const {
      const char* to = nullptr;
      __builtin_memcpy(&to, inlined + 4, sizeof to);
      return to;
    }
  };

  Type type_ = Type::kOther;
  std::size_t rows_;
  void* vector_;
  const void* data_;
  const std::uint64_t* valid_;
  std::size_t array_length_ = 0;
};

/// Up to 2,048 rows of a result, column by column. Empty when made.
class Chunk {
 public:
  Chunk() = default;
  ~Chunk() { reset(nullptr); }
  Chunk(Chunk&& other) noexcept : chunk_(std::exchange(other.chunk_, nullptr)) {}
  Chunk& operator=(Chunk&& other) noexcept {
    reset(std::exchange(other.chunk_, nullptr));
    return *this;
  }

  std::size_t rows() const;
  std::size_t columns() const;
  Column column(std::size_t index) const;

 private:
  friend class Rows;
  void reset(void* chunk);
  void* chunk_ = nullptr;  ///< duckdb_data_chunk
};

}  // namespace asahi::columnar
