#pragma once

#include <boost/json.hpp>

#include <memory>
#include <string_view>

#include "base/result.h"

namespace asahi {

namespace json = boost::json;

/// A parsed JSON text with the arena that holds it. Immutable once parsed, so one document may be
/// shared by everything that looks at a request.
class JsonDocument {
 public:
  /// Parses strict JSON (RFC 8259) with valid UTF-8, at most `max_depth` levels deep.
  /// Errors: invalid_argument with the byte offset.
  static Result<std::shared_ptr<const JsonDocument>> parse(std::string_view text, std::size_t max_depth = 64);

  const json::value& root() const { return *root_; }

  JsonDocument() = default;
  JsonDocument(const JsonDocument&) = delete;
  JsonDocument& operator=(const JsonDocument&) = delete;

 private:
  json::monotonic_resource arena_;
  json::value* root_ = nullptr;  // lives in the arena: never destroyed one by one
};

/// The same into an ordinary value, for code off the hot path.
Result<json::value> parse_json(std::string_view text, std::size_t max_depth = 64);

/// Writes `text` as a JSON string with quotes, escaping what RFC 8259 demands.
void append_json_string(std::string& out, std::string_view text);

/// Writes a number as JSON in the shortest plain form that reads back to it: 0.00005, 1.5, 12; with an exponent only
/// below 1e-7 and from 1e21 on, as JavaScript does. JSON has no infinities: what is not finite becomes 0.
void append_json_number(std::string& out, double value);

/// Writes a value without blanks, members in their order. What replies are written with: unlike the library's own writer
/// it gives numbers as people write them (1.371, not 1.371E0).
std::string write_json(const json::value& value);

/// Sorted-key, whitespace-free form: equal values give equal bytes (digests, audit).
std::string canonical_json(const json::value& value);

}  // namespace asahi
