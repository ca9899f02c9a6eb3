#include "storage/vector/local/payload.h"

#include <cstring>

namespace asahi::vector {
namespace {

// Size of the rest (4 bytes), length of the id (2), the id, then each field: name (1), kind (1) and
// a byte, 8 bytes or a length (4) with the text.
enum class Kind : char { kBool, kNumber, kText };

template <class T>
void put(std::string& out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

template <class T>
bool take(std::string_view& bytes, T& value) {
  if (bytes.size() < sizeof(T)) return false;
  std::memcpy(&value, bytes.data(), sizeof(T));
  bytes.remove_prefix(sizeof(T));
  return true;
}

bool take_text(std::string_view& bytes, std::size_t size, std::string_view& text) {
  if (bytes.size() < size) return false;
  text = bytes.substr(0, size);
  bytes.remove_prefix(size);
  return true;
}

/// The next field; false when there is none, or no whole one.
bool take_field(std::string_view& bytes, std::uint8_t& name, Value& value) {
  Kind kind{};
  if (!take(bytes, name) || !take(bytes, kind)) return false;
  switch (kind) {
    case Kind::kBool: {
      char flag = 0;
      if (!take(bytes, flag) || (flag != 0 && flag != 1)) return false;
      value = flag == 1;
      return true;
    }
    case Kind::kNumber: {
      double number = 0;
      if (!take(bytes, number)) return false;
      value = number;
      return true;
    }
    case Kind::kText: {
      std::uint32_t size = 0;
      std::string_view text;
      if (!take(bytes, size) || !take_text(bytes, size, text)) return false;
      value = std::string(text);
      return true;
    }
  }
  return false;
}

std::string_view fields_of(const char* payload) {
  const std::string_view bytes = payload_bytes(payload);
  std::uint16_t id = 0;
  std::memcpy(&id, bytes.data(), sizeof(id));
  return bytes.substr(sizeof(id) + id);
}

Payload own(std::string_view bytes) {
  const auto size = static_cast<std::uint32_t>(bytes.size());
  auto out = std::make_unique_for_overwrite<char[]>(sizeof(size) + bytes.size());
  std::memcpy(out.get(), &size, sizeof(size));
  std::memcpy(out.get() + sizeof(size), bytes.data(), bytes.size());
  return out;
}

}  // namespace

std::optional<std::uint8_t> FieldNames::find(std::string_view name) const {
  const std::size_t count = size();
  for (std::size_t i = 0; i < count; ++i) {
    if (names_[i] == name) return static_cast<std::uint8_t>(i);
  }
  return std::nullopt;
}

Result<std::uint8_t> FieldNames::add(std::string_view name) {
  if (const auto known = find(name)) return *known;
  const std::size_t count = size();
  if (count == kMost) {
    return fail(Errc::kTooLarge,
                "an index knows at most 250 names of metadata fields; names are "
                "for kinds of data, not for data");
  }
  names_[count] = name;
  count_.store(count + 1, std::memory_order_release);
  return static_cast<std::uint8_t>(count);
}

Result<Payload> pack_payload(std::string_view id, const Metadata& metadata, FieldNames& names) {
  std::string bytes;
  put(bytes, static_cast<std::uint16_t>(id.size()));
  bytes += id;
  for (const Field& field : metadata) {
    ASAHI_TRY(const std::uint8_t name, names.add(field.name));
    put(bytes, name);
    if (const auto* text = std::get_if<std::string>(&field.value)) {
      put(bytes, Kind::kText);
      put(bytes, static_cast<std::uint32_t>(text->size()));
      bytes += *text;
    } else if (const auto* number = std::get_if<double>(&field.value)) {
      put(bytes, Kind::kNumber);
      put(bytes, *number);
    } else {
      put(bytes, Kind::kBool);
      put(bytes, std::get<bool>(field.value) ? char{1} : char{0});
    }
  }
  return own(bytes);
}

Result<Payload> read_payload(std::string_view bytes, const FieldNames& names) {
  std::string_view rest = bytes;
  std::uint16_t id_size = 0;
  std::string_view id;
  if (!take(rest, id_size) || !take_text(rest, id_size, id) || id.empty()) {
    return fail(Errc::kCorrupt, "an item of the vector file has no id");
  }
  while (!rest.empty()) {
    std::uint8_t name = 0;
    Value value;
    if (!take_field(rest, name, value) || name >= names.size()) {
      return fail(Errc::kCorrupt, "an item of the vector file has broken metadata");
    }
  }
  return own(bytes);
}

std::string_view payload_bytes(const char* payload) {
  std::uint32_t size = 0;
  std::memcpy(&size, payload, sizeof(size));
  return {payload + sizeof(size), size};
}

std::string_view payload_id(const char* payload) {
  const std::string_view bytes = payload_bytes(payload);
  std::uint16_t size = 0;
  std::memcpy(&size, bytes.data(), sizeof(size));
  return bytes.substr(sizeof(size), size);
}

Metadata payload_metadata(const char* payload, const FieldNames& names) {
  Metadata out;
  std::string_view bytes = fields_of(payload);
  std::uint8_t name = 0;
  Value value;
  while (take_field(bytes, name, value)) out.push_back({names.at(name), std::move(value)});
  return out;
}

}  // namespace asahi::vector
