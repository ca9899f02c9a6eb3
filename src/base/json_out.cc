#include "base/json_out.h"

#include <fmt/format.h>

#include <utility>

namespace asahi {

void JsonOut::comma() {
  if (out_.empty()) return;
  const char last = out_.back();
  // ' ' and '\n' end the "data: " of an event and the event before it.
  if (last != '{' && last != '[' && last != ':' && last != ' ' && last != '\n') out_ += ',';
}

JsonOut& JsonOut::open_object() {
  comma();
  out_ += '{';
  return *this;
}

JsonOut& JsonOut::close_object() {
  out_ += '}';
  return *this;
}

JsonOut& JsonOut::open_array() {
  comma();
  out_ += '[';
  return *this;
}

JsonOut& JsonOut::close_array() {
  out_ += ']';
  return *this;
}

JsonOut& JsonOut::key(std::string_view name) {
  comma();
  append_json_string(out_, name);
  out_ += ':';
  return *this;
}

JsonOut& JsonOut::clean_key(std::string_view name) {
  comma();
  const std::size_t before = out_.size();
  const std::size_t after = before + name.size() + 3;
  // Not the size that the function is told: libstdc++ 12 gives it the new capacity.
  out_.resize_and_overwrite(after, [&](char* bytes, std::size_t) {
    bytes[before] = '"';
    name.copy(bytes + before + 1, name.size());
    bytes[after - 2] = '"';
    bytes[after - 1] = ':';
    return after;
  });
  return *this;
}

JsonOut& JsonOut::string(std::string_view text) {
  comma();
  append_json_string(out_, text);
  return *this;
}

JsonOut& JsonOut::integer(std::int64_t number) {
  comma();
  const fmt::format_int digits(number);
  out_.append(digits.data(), digits.size());
  return *this;
}

JsonOut& JsonOut::number(double number) {
  comma();
  append_json_number(out_, number);
  return *this;
}

JsonOut& JsonOut::boolean(bool value) {
  comma();
  out_ += value ? "true" : "false";
  return *this;
}

JsonOut& JsonOut::null() {
  comma();
  out_ += "null";
  return *this;
}

JsonOut& JsonOut::value(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return null();
    case json::kind::bool_:
      return boolean(value.get_bool());
    case json::kind::int64:
      return integer(value.get_int64());
    case json::kind::uint64: {
      const fmt::format_int digits(value.get_uint64());
      return raw({digits.data(), digits.size()});
    }
    case json::kind::double_:
      return number(value.get_double());
    case json::kind::string:
      return string(value.get_string());
    case json::kind::array:
      open_array();
      for (const auto& element : value.get_array()) this->value(element);
      return close_array();
    case json::kind::object:
      open_object();
      for (const auto& member : value.get_object()) key(member.key()).value(member.value());
      return close_object();
  }
  std::unreachable();
}

JsonOut& JsonOut::raw(std::string_view json_text) {
  comma();
  out_ += json_text;
  return *this;
}

JsonOut& JsonOut::same(const JsonDocument& document, const json::key_value_pair& member) {
  const std::string_view text = document.text_of(member);
  return text.empty() ? key(member.key()).value(member.value()) : raw(text);
}

}  // namespace asahi
