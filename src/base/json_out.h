#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.h"

namespace asahi {

/// Appends JSON to a string. Commas come by looking at the last byte written, so that a writer
/// costs nothing to make and pieces of text can be mixed in.
class JsonOut {
 public:
  explicit JsonOut(std::string& out) : out_(out) {}

  JsonOut& open_object();
  JsonOut& close_object();
  JsonOut& open_array();
  JsonOut& close_array();
  JsonOut& key(std::string_view name);
  /// A literal needs no look for what must be escaped.
  template <std::size_t N>
  JsonOut& key(const char (&name)[N]) {
    return clean_key(std::string_view(name, N - 1));
  }
  JsonOut& string(std::string_view text);
  JsonOut& integer(std::int64_t number);
  /// As append_json_number: 0.7, not 7E-1, which some vendors insist on.
  JsonOut& number(double number);
  JsonOut& boolean(bool value);
  JsonOut& null();
  /// A whole tree, members in their order.
  JsonOut& value(const json::value& value);
  /// Text that is JSON already.
  JsonOut& raw(std::string_view json_text);
  /// A member of `document`'s root object as it is: its very text where that can be had.
  JsonOut& same(const JsonDocument& document, const json::key_value_pair& member);

  JsonOut& member(const auto& name, std::string_view text) { return key(name).string(text); }
  JsonOut& member(const auto& name, const char* text) { return key(name).string(text); }
  JsonOut& member(const auto& name, const std::string& text) { return key(name).string(text); }
  JsonOut& member(const auto& name, std::int64_t n) { return key(name).integer(n); }
  JsonOut& member(const auto& name, double n) { return key(name).number(n); }
  JsonOut& member(const auto& name, bool b) { return key(name).boolean(b); }
  JsonOut& member(const auto& name, const json::value& v) { return key(name).value(v); }

 private:
  JsonOut& clean_key(std::string_view name);
  void comma();
  std::string& out_;
};

}  // namespace asahi
