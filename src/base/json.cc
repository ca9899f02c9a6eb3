#include "base/json.h"

#include <fmt/format.h>

#include <algorithm>
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
  out += '"';
  std::size_t clean_from = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text, clean_from, i - clean_from);
    clean_from = i + 1;
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default: fmt::format_to(std::back_inserter(out), "\\u{:04x}", c);
    }
  }
  out.append(text, clean_from, text.size() - clean_from);
  out += '"';
}

std::string canonical_json(const json::value& value) {
  std::string out;
  append_canonical(out, value);
  return out;
}

}  // namespace asahi
