#include "storage/columnar/parquet/compact.h"

#include <utility>

namespace asahi::columnar::parquet::compact {

// ---- writer

void Writer::varint(std::uint64_t value) {
  while (value >= 0x80) {
    out_ += static_cast<char>(value | 0x80);
    value >>= 7;
  }
  out_ += static_cast<char>(value);
}

void Writer::header(int field, Type type) {
  const int step = field - fields_.back();
  if (step > 0 && step <= 15) {
    out_ += static_cast<char>(step << 4 | type);
  } else {
    out_ += static_cast<char>(type);
    value(field);
  }
  fields_.back() = field;
}

void Writer::value(std::int64_t number) {
  varint(static_cast<std::uint64_t>(number) << 1 ^ static_cast<std::uint64_t>(number >> 63));
}

void Writer::value(std::string_view bytes) {
  varint(bytes.size());
  out_ += bytes;
}

void Writer::number(int field, Type type, std::int64_t number) {
  header(field, type);
  value(number);
}

void Writer::binary(int field, std::string_view bytes) {
  header(field, kBinary);
  value(bytes);
}

void Writer::begin(int field) {
  header(field, kStruct);
  fields_.push_back(0);
}

void Writer::list(int field, Type type, std::size_t size) {
  header(field, kList);
  if (size < 15) {
    out_ += static_cast<char>(size << 4 | type);
  } else {
    out_ += static_cast<char>(0xf0 | type);
    varint(size);
  }
}

void Writer::end() {
  out_ += static_cast<char>(kStop);
  fields_.pop_back();
}

std::string Writer::take() {
  out_ += static_cast<char>(kStop);
  fields_ = {0};
  return std::exchange(out_, {});
}

// ---- reader

void Reader::fail() {
  failed_ = true;
  at_ = bytes_.size();
}

std::uint8_t Reader::byte() {
  if (at_ >= bytes_.size()) {
    fail();
    return 0;
  }
  return static_cast<std::uint8_t>(bytes_[at_++]);
}

std::uint64_t Reader::varint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const std::uint8_t part = byte();
    value |= static_cast<std::uint64_t>(part & 0x7f) << shift;
    if (part < 0x80) return value;
  }
  fail();
  return 0;
}

std::int64_t Reader::zigzag() {
  const std::uint64_t value = varint();
  return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
}

Reader::Field Reader::next() {
  if (failed_ || fields_.empty()) return {};
  const std::uint8_t head = byte();
  const auto type = static_cast<Type>(head & 0x0f);
  if (failed_ || type == kStop) {
    fields_.pop_back();
    return {};
  }
  const int step = head >> 4;
  const std::int64_t id = step == 0 ? zigzag() : fields_.back() + step;
  if (type > kStruct || id < 0 || id > 0x7fff) {
    fail();
    return {};
  }
  fields_.back() = static_cast<int>(id);
  return {.id = static_cast<int>(id), .type = type};
}

void Reader::enter() {
  if (fields_.size() >= kMaxDepth) return fail();
  fields_.push_back(0);
}

std::int64_t Reader::integer(Field field) {
  if (field.type < kByte || field.type > kI64) {
    fail();
    return 0;
  }
  return field.type == kByte ? static_cast<std::int8_t>(byte()) : zigzag();
}

bool Reader::boolean(Field field) {
  if (field.type != kTrue && field.type != kFalse) fail();
  return field.type == kTrue;
}

std::string_view Reader::element_binary() {
  const std::uint64_t size = varint();
  if (failed_ || size > bytes_.size() - at_) {
    fail();
    return {};
  }
  const std::string_view value = bytes_.substr(at_, size);
  at_ += size;
  return value;
}

std::string_view Reader::binary(Field field) {
  if (field.type != kBinary) {
    fail();
    return {};
  }
  return element_binary();
}

std::size_t Reader::list(Field field, Type type) {
  if (field.type != kList) {
    fail();
    return 0;
  }
  const std::uint8_t head = byte();
  const std::uint64_t size = head >> 4 == 15 ? varint() : head >> 4;
  // Each element takes a byte at least.
  if (failed_ || size > bytes_.size() - at_ || (size > 0 && (head & 0x0f) != type)) {
    fail();
    return 0;
  }
  return size;
}

void Reader::skip(Type type, int depth) {
  if (failed_ || depth > kMaxDepth) return fail();
  switch (type) {
    case kTrue:
    case kFalse:
      return;
    case kByte:
      byte();
      return;
    case kI16:
    case kI32:
    case kI64:
      varint();
      return;
    case kDouble:
      if (bytes_.size() - at_ < 8) return fail();
      at_ += 8;
      return;
    case kBinary:
      element_binary();
      return;
    case kList:
    case kSet: {
      const std::uint8_t head = byte();
      const std::uint64_t size = head >> 4 == 15 ? varint() : head >> 4;
      if (size > bytes_.size() - at_) return fail();
      const auto element = static_cast<Type>(head & 0x0f);
      for (std::uint64_t i = 0; i < size && !failed_; ++i) {
        if (element == kTrue || element == kFalse) {
          byte();
        } else {
          skip(element, depth + 1);
        }
      }
      return;
    }
    case kMap: {
      const std::uint64_t size = varint();
      if (size == 0) return;
      const std::uint8_t types = byte();
      if (size > bytes_.size() - at_) return fail();
      for (std::uint64_t i = 0; i < size && !failed_; ++i) {
        skip(static_cast<Type>(types >> 4), depth + 1);
        skip(static_cast<Type>(types & 0x0f), depth + 1);
      }
      return;
    }
    case kStruct:
      if (fields_.size() >= kMaxDepth) return fail();
      fields_.push_back(0);
      for (Field field = next(); field.type != kStop; field = next()) skip(field.type, depth + 1);
      return;
    default:
      return fail();
  }
}

}  // namespace asahi::columnar::parquet::compact
