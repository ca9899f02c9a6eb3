#pragma once

#include <boost/json.hpp>

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/result.h"

namespace asahi {

namespace json = boost::json;

/// A parsed JSON text with the arena that holds both. Immutable once parsed, so one document may be
/// shared by everything that looks at a request.
class JsonDocument {
 public:
  /// The most keys an object may have for `members` to be known.
  static constexpr std::size_t kMaxSplicedKeys = 64;

  /// Parses strict JSON (RFC 8259) with valid UTF-8, at most `max_depth` levels deep.
  /// Errors: invalid_argument with the byte offset.
  static Result<std::shared_ptr<const JsonDocument>> parse(std::string_view text,
                                                           std::size_t max_depth = 64);

  const json::value& root() const { return *root_; }
  /// What was parsed.
  std::string_view text() const { return text_; }
  /// The text of each member of the root object (`"key": value`), in the order of `root()`: for
  /// copying what stays as it is. Empty where the source may mean something else to another reader,
  /// or cutting it up is not worth the while: a key stands twice in an object or is written with
  /// escapes, an object is very large, the root is no object.
  std::span<const std::string_view> members() const { return members_; }
  /// The text of `member`, one of the root object's; empty when `members` is.
  std::string_view text_of(const json::key_value_pair& member) const {
    if (members_.empty()) return {};
    return members_[static_cast<std::size_t>(&member - root_->get_object().begin())];
  }

  explicit JsonDocument(std::size_t arena_bytes) : arena_(arena_bytes) {}
  JsonDocument(const JsonDocument&) = delete;
  JsonDocument& operator=(const JsonDocument&) = delete;

 private:
  json::monotonic_resource arena_;
  json::value* root_ = nullptr;  // lives in the arena, as the rest: never destroyed one by one
  std::string_view text_;
  std::span<const std::string_view> members_;
};

/// Tells of most keys at once that they are not among a set, say an object's: requests are asked
/// for dozens of fields and have four. Later changes of the object are not seen.
class JsonKeys {
 public:
  explicit JsonKeys(const json::object& object) {
    for (const auto& member : object) seen_ |= bit(member.key());
  }
  constexpr explicit JsonKeys(std::span<const std::string_view> keys) {
    for (const std::string_view key : keys) seen_ |= bit(key);
  }
  constexpr bool may_contain(std::string_view key) const { return (seen_ & bit(key)) != 0; }

 private:
  static constexpr std::uint64_t bit(std::string_view key) {
    if (key.empty()) return 1;
    // Weights that keep the fields of most chat requests apart from the rare ones.
    const std::size_t ends =
        static_cast<unsigned char>(key.front()) + 21U * static_cast<unsigned char>(key.back());
    return std::uint64_t{1} << ((ends + 15 * key.size()) % 64);
  }
  std::uint64_t seen_ = 0;
};

/// `object.if_contains(key)`, faster for the small objects that requests and answers consist of.
const json::value* find_member(const json::object& object, std::string_view key);

/// As JsonDocument::parse into an ordinary value, for code off the hot path.
Result<json::value> parse_json(std::string_view text, std::size_t max_depth = 64);

/// Writes `text` as a JSON string with quotes, escaping what RFC 8259 demands.
void append_json_string(std::string& out, std::string_view text);

/// Writes a number as JSON in the shortest plain form that reads back to it: 0.00005, 1.5, 12; with
/// an exponent only below 1e-7 and from 1e21 on, as JavaScript does. JSON has no infinities: what
/// is not finite becomes 0.
void append_json_number(std::string& out, double value);

/// Writes a value without blanks, members in their order. What replies are written with: unlike the
/// library's own writer it gives numbers as people write them (1.371, not 1.371E0).
std::string write_json(const json::value& value);

/// Sorted-key, whitespace-free form: equal values give equal bytes (digests, audit).
std::string canonical_json(const json::value& value);
/// The same behind what `out` holds.
void append_canonical_json(std::string& out, const json::value& value);

}  // namespace asahi
