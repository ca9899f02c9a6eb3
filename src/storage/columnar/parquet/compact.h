#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace asahi::columnar::parquet {

/// Thrift's compact protocol, as far as Parquet's footers and page headers use it.
/// https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
namespace compact {

enum Type : std::uint8_t {
  kStop = 0,
  kTrue = 1,
  kFalse = 2,
  kByte = 3,
  kI16 = 4,
  kI32 = 5,
  kI64 = 6,
  kDouble = 7,
  kBinary = 8,
  kList = 9,
  kSet = 10,
  kMap = 11,
  kStruct = 12
};

/// Writes one struct; fields in ascending order of their ids.
class Writer {
 public:
  void i32(int field, std::int64_t value) { number(field, kI32, value); }
  void i64(int field, std::int64_t value) { number(field, kI64, value); }
  void boolean(int field, bool value) { header(field, value ? kTrue : kFalse); }
  void binary(int field, std::string_view bytes);
  /// Then its fields, then `end`.
  void begin(int field);
  /// Then `size` elements: `element` before and `end` after each struct, or values.
  void list(int field, Type type, std::size_t size);
  void element() { fields_.push_back(0); }
  void end();
  void value(std::int64_t number);
  void value(std::string_view bytes);

  /// Closes the outermost struct.
  std::string take();

 private:
  void number(int field, Type type, std::int64_t value);
  void header(int field, Type type);
  void varint(std::uint64_t value);

  std::string out_;
  std::vector<int> fields_ = {0};  ///< the last id of each struct that is open
};

/// Reads one struct. After any fault `failed` stays true and everything reads as nothing; so a
/// reader checks once, at the end. Sizes are checked against what is left: it never makes more
/// elements than there are bytes.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  struct Field {
    int id = 0;
    Type type = kStop;
  };
  /// The next field of the innermost struct; kStop: it ends here.
  Field next();
  /// Enters a field of type kStruct, or an element.
  void enter();
  std::int64_t integer(Field field);
  bool boolean(Field field);
  std::string_view binary(Field field);
  /// The number of elements of a list, each to be read; of another type than `type`: a fault.
  std::size_t list(Field field, Type type);
  std::int64_t element_integer() { return zigzag(); }
  std::string_view element_binary();
  void skip(Field field) { skip(field.type, 0); }

  bool failed() const { return failed_; }
  /// How many bytes have been read.
  std::size_t at() const { return at_; }

 private:
  static constexpr int kMaxDepth = 16;
  std::uint64_t varint();
  std::int64_t zigzag();
  std::uint8_t byte();
  void skip(Type type, int depth);
  void fail();

  std::string_view bytes_;
  std::size_t at_ = 0;
  bool failed_ = false;
  std::vector<int> fields_ = {0};
};

}  // namespace compact

}  // namespace asahi::columnar::parquet
