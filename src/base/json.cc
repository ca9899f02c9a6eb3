#include "base/json.h"

#include <fmt/format.h>

#include <boost/json/basic_parser_impl.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/json_out.h"

namespace asahi {
namespace {

json::parse_options options(std::size_t max_depth) {
  json::parse_options result;
  result.max_depth = max_depth;
  return result;
}

Error syntax_error(const json::error_code& error, std::size_t offset) {
  return Error{
      .code = Errc::kInvalidArgument,
      .message = fmt::format("the text is not valid JSON: {} at byte {}", error.message(), offset)};
}

void append_integer(std::string& out, auto number) {
  const fmt::format_int digits(number);
  out.append(digits.data(), digits.size());
}

/// Null, a boolean or an integer.
void append_plain(std::string& out, const json::value& value) {
  switch (value.kind()) {
    case json::kind::bool_:
      out += value.get_bool() ? "true" : "false";
      return;
    case json::kind::int64:
      append_integer(out, value.get_int64());
      return;
    case json::kind::uint64:
      append_integer(out, value.get_uint64());
      return;
    default:
      out += "null";
      return;
  }
}

void append_canonical(std::string& out, const json::value& value) {
  switch (value.kind()) {
    case json::kind::object: {
      const json::object& object = value.get_object();
      // Most objects are small: their members are sorted without an allocation.
      constexpr std::size_t kFew = 16;
      std::array<const json::key_value_pair*, kFew> few;
      std::vector<const json::key_value_pair*> many;
      if (object.size() > kFew) many.resize(object.size());
      const std::span members(object.size() > kFew ? many.data() : few.data(), object.size());
      std::ranges::transform(object, members.begin(), [](const auto& member) { return &member; });
      std::ranges::sort(members, {},
                        [](const auto* member) { return std::string_view(member->key()); });
      out += '{';
      bool first = true;
      for (const auto* member : members) {
        if (!first) out += ',';
        first = false;
        append_json_string(out, member->key());
        out += ':';
        append_canonical(out, member->value());
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
    case json::kind::string:
      append_json_string(out, value.get_string());
      return;
    case json::kind::double_: {
      // 1.0 and 1 are the same JSON number; clients differ in how they print it.
      const double number = value.get_double();
      if (std::abs(number) < 1e15 &&
          number == static_cast<double>(static_cast<std::int64_t>(number))) {
        append_integer(out, static_cast<std::int64_t>(number));
      } else {
        out += fmt::format("{}", number);
      }
      return;
    }
    default:
      append_plain(out, value);
      return;
  }
}

/// Length of the part at the front of `text` that stands in a JSON string as it is: most text needs
/// no escape at all, so sixteen bytes are looked at together, or eight ("Bit Twiddling Hacks",
/// determine if a word has a byte less than n).
std::size_t clean_prefix(std::string_view text) {
  using Bytes = unsigned char __attribute__((vector_size(16)));
  using Halves = std::uint64_t __attribute__((vector_size(16)));
  const auto sixteen_clean = [](const char* at) {
    Bytes bytes;
    std::memcpy(&bytes, at, sizeof bytes);
    const auto halves = (Halves)((bytes < 0x20) | (bytes == '"') | (bytes == '\\'));
    return (halves[0] | halves[1]) == 0;
  };
  const auto clean = [](std::uint64_t word) {
    constexpr std::uint64_t kOnes = 0x0101010101010101ULL;
    constexpr std::uint64_t kHighs = 0x8080808080808080ULL;
    const auto below = [](std::uint64_t x, std::uint64_t limit) {
      return (x - kOnes * limit) & ~x & kHighs;
    };
    return (below(word, 0x20) | below(word ^ (kOnes * '"'), 1) | below(word ^ (kOnes * '\\'), 1)) ==
           0;
  };
  const auto load = [&](std::size_t at, auto word) {
    std::memcpy(&word, text.data() + at, sizeof word);
    return word;
  };
  const std::size_t size = text.size();
  std::size_t i = 0;
  if (size >= 16) {
    while (i + 16 <= size && sixteen_clean(text.data() + i)) i += 16;
    // The rest at once, together with some that was looked at.
    if (i + 16 > size && sixteen_clean(text.data() + size - 16)) return size;
  } else if (size >= 8) {
    if (clean(load(0, std::uint64_t{})) && clean(load(size - 8, std::uint64_t{}))) return size;
  } else if (size >= 4) {
    const std::uint64_t low = load(0, std::uint32_t{});
    if (clean(low | std::uint64_t{load(size - 4, std::uint32_t{})} << 32)) return size;
  }
  for (; i < size; ++i) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == '"' || c == '\\') break;
  }
  return i;
}

/// Builds the tree and notes where the keys of the open objects stand in the source.
struct DocumentHandler {
  static constexpr std::size_t max_object_size = json::object::max_size();
  static constexpr std::size_t max_array_size = json::array::max_size();
  static constexpr std::size_t max_key_size = json::string::max_size();
  static constexpr std::size_t max_string_size = json::string::max_size();
  static constexpr std::size_t kMostKeys = 4'096;

  DocumentHandler(std::span<unsigned char> scratch, std::vector<std::string_view>& key_stack,
                  std::string_view text)
      : stack(json::storage_ptr(), scratch.data(), scratch.size()), keys(key_stack), source(text) {}

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code&) {
    ++depth;
    return true;
  }
  bool on_object_end(std::size_t size, json::error_code&) {
    stack.push_object(size);
    --depth;
    if (!plain) return true;
    const auto own = std::span(keys).last(size);
    plain = size <= JsonDocument::kMaxSplicedKeys && all_differ(own);
    // The root's stay.
    if (depth > 0) keys.resize(keys.size() - size);
    return true;
  }
  bool on_array_begin(json::error_code&) {
    ++depth;
    return true;
  }
  bool on_array_end(std::size_t size, json::error_code&) {
    stack.push_array(size);
    --depth;
    return true;
  }
  bool on_key_part(json::string_view part, std::size_t, json::error_code&) {
    stack.push_chars(part);
    plain = false;
    return true;
  }
  bool on_key(json::string_view key, std::size_t, json::error_code&) {
    stack.push_key(key);
    // One with escapes is put together elsewhere; as many as cannot be kept belong to objects that
    // are too large.
    plain = plain && keys.size() < kMostKeys && is_part_of_source(key);
    if (plain) keys.emplace_back(key);
    return true;
  }
  bool on_string_part(json::string_view part, std::size_t, json::error_code&) {
    stack.push_chars(part);
    return true;
  }
  bool on_string(json::string_view text, std::size_t, json::error_code&) {
    stack.push_string(text);
    return true;
  }
  bool on_number_part(json::string_view, json::error_code&) { return true; }
  bool on_int64(std::int64_t number, json::string_view, json::error_code&) {
    stack.push_int64(number);
    return true;
  }
  bool on_uint64(std::uint64_t number, json::string_view, json::error_code&) {
    stack.push_uint64(number);
    return true;
  }
  bool on_double(double number, json::string_view, json::error_code&) {
    stack.push_double(number);
    return true;
  }
  bool on_bool(bool value, json::error_code&) {
    stack.push_bool(value);
    return true;
  }
  bool on_null(json::error_code&) {
    stack.push_null();
    return true;
  }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

  static bool all_differ(std::span<const std::string_view> keys) {
    for (std::size_t i = 1; i < keys.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        if (keys[i] == keys[j]) return false;
      }
    }
    return true;
  }

  bool is_part_of_source(std::string_view key) const {
    const std::less_equal<const char*> not_after;
    return not_after(source.data(), key.data()) &&
           not_after(key.data() + key.size(), source.data() + source.size());
  }

  json::value_stack stack;
  std::vector<std::string_view>& keys;  ///< of the open objects, outermost first
  std::string_view source;
  std::size_t depth = 0;
  bool plain = true;  ///< see JsonDocument::members
};

bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

/// Where the value ends that stands before `at` with a comma or brace and blanks between them.
const char* value_end_before(const char* at) {
  do --at;
  while (is_blank(*at));
  do --at;
  while (is_blank(*at));
  return at + 1;
}

}  // namespace

Result<std::shared_ptr<const JsonDocument>> JsonDocument::parse(std::string_view text,
                                                                std::size_t max_depth) {
  // Enough for the text and its tree in most cases.
  constexpr std::size_t kMostAtOnce = 64 * 1024;
  auto document = std::make_shared<JsonDocument>(std::min(kMostAtOnce, 1024 + 4 * text.size()));
  auto* const copy = static_cast<char*>(document->arena_.allocate(text.size() + 1, 1));
  text.copy(copy, text.size());
  const std::string_view source = document->text_ = std::string_view(copy, text.size());

  thread_local std::vector<std::string_view> keys;
  keys.clear();
  unsigned char scratch[4096];
  json::error_code error;
  json::basic_parser<DocumentHandler> parser(options(max_depth), std::span<unsigned char>(scratch),
                                             keys, source);
  DocumentHandler& handler = parser.handler();
  handler.stack.reset(&document->arena_);
  const std::size_t offset = parser.write_some(false, source.data(), source.size(), error);
  if (!error && offset < source.size()) error = json::error::extra_data;
  if (error) return std::unexpected(syntax_error(error, offset));
  void* place = document->arena_.allocate(sizeof(json::value), alignof(json::value));
  document->root_ = new (place) json::value(handler.stack.release());

  if (handler.plain && document->root_->is_object() && !keys.empty()) {
    auto* const members = static_cast<std::string_view*>(document->arena_.allocate(
        keys.size() * sizeof(std::string_view), alignof(std::string_view)));
    const char* end = source.data() + source.size();
    while (is_blank(end[-1])) --end;
    for (std::size_t i = keys.size(); i-- > 0;) {
      const char* const begin = keys[i].data() - 1;
      new (members + i) std::string_view(begin, value_end_before(end));
      end = begin;
    }
    document->members_ = std::span<const std::string_view>(members, keys.size());
  }
  return document;
}

const json::value* find_member(const json::object& object, std::string_view key) {
  constexpr std::size_t kSmall = 16;  // larger ones have a hash table
  if (object.size() > kSmall) return object.if_contains(key);
  for (const auto& member : object) {
    const std::string_view own = member.key();
    if (own.size() == key.size() && (key.empty() || (own.front() == key.front() && own == key)))
      return &member.value();
  }
  return nullptr;
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
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        fmt::format_to(std::back_inserter(out), "\\u{:04x}", c);
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
  const auto written =
      std::to_chars(text, text + sizeof text, value,
                    plain ? std::chars_format::fixed : std::chars_format::scientific);
  out.append(text, written.ptr);
}

std::string write_json(const json::value& value) {
  std::string out;
  JsonOut(out).value(value);
  return out;
}

void append_canonical_json(std::string& out, const json::value& value) {
  append_canonical(out, value);
}

std::string canonical_json(const json::value& value) {
  std::string out;
  append_canonical(out, value);
  return out;
}

}  // namespace asahi
