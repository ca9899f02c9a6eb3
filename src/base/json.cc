#include "base/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <vector>

namespace asahi {
namespace {

json::parse_options options(std::size_t max_depth) {
  json::parse_options result;
  result.max_depth = max_depth;
  return result;
}

Error syntax_error(const json::error_code& error, std::size_t offset) {
  return Error{.code = Errc::kInvalidArgument,
               .message = fmt::format("the text is not valid JSON: {} at byte {}", error.message(), offset)};
}

void append_canonical(std::string& out, const json::value& value) {
  switch (value.kind()) {
    case json::kind::object: {
      std::vector<const json::key_value_pair*> members;
      for (const auto& member : value.get_object()) members.push_back(&member);
      std::ranges::sort(members, {}, [](const auto* member) { return std::string_view(member->key()); });
      out += '{';
      for (std::size_t i = 0; i < members.size(); ++i) {
        if (i > 0) out += ',';
        append_json_string(out, members[i]->key());
        out += ':';
        append_canonical(out, members[i]->value());
      }
      out += '}';
      return;
    }
    case json::kind::array: {
      out += '[';
      bool first = true;
      for (const auto& element : value.get_array()) {
        if (!first) out += ',';
        first = false;
        append_canonical(out, element);
      }
      out += ']';
      return;
    }
    case json::kind::string: append_json_string(out, value.get_string()); return;
    case json::kind::double_: {
      // 1.0 and 1 are the same JSON number; clients differ in how they print it.
      const double number = value.get_double();
      if (std::abs(number) < 1e15 && number == static_cast<double>(static_cast<std::int64_t>(number))) {
        out += std::to_string(static_cast<std::int64_t>(number));
      } else {
        out += fmt::format("{}", number);
      }
      return;
    }
    default: out += json::serialize(value); return;
  }
}

void append_value(std::string& out, const json::value& value) {
  switch (value.kind()) {
    case json::kind::object: {
      out += '{';
      bool first = true;
      for (const auto& member : value.get_object()) {
        if (!first) out += ',';
        first = false;
        append_json_string(out, member.key());
        out += ':';
        append_value(out, member.value());
      }
      out += '}';
      return;
    }
    case json::kind::array: {
      out += '[';
      bool first = true;
      for (const auto& element : value.get_array()) {
        if (!first) out += ',';
        first = false;
        append_value(out, element);
      }
      out += ']';
      return;
    }
    case json::kind::string: append_json_string(out, value.get_string()); return;
    case json::kind::double_: append_json_number(out, value.get_double()); return;
    default: out += json::serialize(value); return;
  }
}

/// Length of the part at the front of `text` that stands in a JSON string as it is. Looks at eight bytes at a time
/// ("Bit Twiddling Hacks", determine if a word has a byte less than n): most text needs no escape at all.
std::size_t clean_prefix(std::string_view text) {
  constexpr std::uint64_t kOnes = 0x0101010101010101ULL;
  constexpr std::uint64_t kHighs = 0x8080808080808080ULL;
  const auto below = [](std::uint64_t word, std::uint64_t limit) { return (word - kOnes * limit) & ~word & kHighs; };
  const auto is_clean = [&](const char* eight) {
    std::uint64_t word;
    std::memcpy(&word, eight, 8);
    return (below(word, 0x20) | below(word ^ (kOnes * '"'), 1) | below(word ^ (kOnes * '\\'), 1)) == 0;
  };
  std::size_t i = 0;
  while (i + 8 <= text.size() && is_clean(text.data() + i)) i += 8;
  // The rest at once, together with some that was looked at.
  if (i > 0 && i + 8 > text.size() && is_clean(text.data() + text.size() - 8)) return text.size();
  for (; i < text.size(); ++i) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == '"' || c == '\\') break;
  }
  return i;
}

}  // namespace

Result<std::shared_ptr<const JsonDocument>> JsonDocument::parse(std::string_view text, std::size_t max_depth) {
  auto document = std::make_shared<JsonDocument>();
  json::error_code error;
  unsigned char scratch[4096];
  json::stream_parser parser(json::storage_ptr(), options(max_depth), scratch);
  parser.reset(&document->arena_);
  const std::size_t offset = parser.write(text, error);
  if (!error) parser.finish(error);
  if (error) return std::unexpected(syntax_error(error, offset));
  void* place = document->arena_.allocate(sizeof(json::value), alignof(json::value));
  document->root_ = new (place) json::value(parser.release());
  return document;
}

Result<json::value> parse_json(std::string_view text, std::size_t max_depth) {
  json::error_code error;
  json::stream_parser parser(json::storage_ptr(), options(max_depth));
  const std::size_t offset = parser.write(text, error);
  if (!error) parser.finish(error);
  if (error) return std::unexpected(syntax_error(error, offset));
  return parser.release();
}

void append_json_string(std::string& out, std::string_view text) {
  std::size_t clean = clean_prefix(text);
  if (clean == text.size()) {
    // Most strings are short keys: one change of size instead of three.
    const std::size_t before = out.size();
    const std::size_t after = before + text.size() + 2;
    // Not the size that the function is told: libstdc++ 12 gives it the new capacity.
    out.resize_and_overwrite(after, [&](char* bytes, std::size_t) {
      bytes[before] = '"';
      text.copy(bytes + before + 1, text.size());
      bytes[after - 1] = '"';
      return after;
    });
    return;
  }
  out += '"';
  for (;; clean = clean_prefix(text)) {
    out.append(text, 0, clean);
    if (clean == text.size()) break;
    const unsigned char c = static_cast<unsigned char>(text[clean]);
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default: fmt::format_to(std::back_inserter(out), "\\u{:04x}", c);
    }
    text.remove_prefix(clean + 1);
  }
  out += '"';
}

void append_json_number(std::string& out, double value) {
  if (!std::isfinite(value) || value == 0) value = 0;  // -0 too
  const double size = std::abs(value);
  const bool plain = size == 0 || (size >= 1e-7 && size < 1e21);
  char text[64];
  const auto written = std::to_chars(text, text + sizeof text, value,
                                     plain ? std::chars_format::fixed : std::chars_format::scientific);
  out.append(text, written.ptr);
}

std::string write_json(const json::value& value) {
  std::string out;
  append_value(out, value);
  return out;
}

std::string canonical_json(const json::value& value) {
  std::string out;
  append_canonical(out, value);
  return out;
}

}  // namespace asahi
