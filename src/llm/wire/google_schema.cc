#include "llm/wire/google_schema.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace asahi::llm::wire {
namespace {

constexpr std::array<std::string_view, 14> kKept = {
    "title",    "description",   "nullable",      "maxItems",        "minItems",
    "required", "minProperties", "maxProperties", "minLength",       "maxLength",
    "pattern",  "minimum",       "maximum",       "propertyOrdering"};
// Say nothing that changes which values are valid, or only forbid extra members, which Gemini never
// writes.
constexpr std::array<std::string_view, 10> kDropped = {
    "$schema",    "$id",      "$comment",  "examples", "example",
    "deprecated", "readOnly", "writeOnly", "default",  "$anchor"};

bool listed(std::span<const std::string_view> list, std::string_view key) {
  return std::ranges::find(list, key) != list.end();
}

bool is_null_type(const json::value& schema) {
  const auto* object = schema.if_object();
  if (object == nullptr) return false;
  const auto* type = object->if_contains("type");
  return type != nullptr && type->is_string() && type->get_string() == "null";
}

// "string", or ["string", "null"] as a nullable string.
bool add_type(json::object& out, const json::value& type) {
  if (type.is_string()) {
    out["type"] = type;
    return true;
  }
  const auto* list = type.if_array();
  if (list == nullptr) return false;
  for (const auto& name : *list) {
    if (!name.is_string()) return false;
    if (name.get_string() == "null") {
      out["nullable"] = true;
    } else if (out.contains("type")) {
      return false;
    } else {
      out["type"] = name;
    }
  }
  return out.contains("type");
}

bool add_any_of(json::object& out, const json::value& branches) {
  const auto* list = branches.if_array();
  if (list == nullptr) return false;
  json::array kept;
  for (const auto& branch : *list) {
    if (is_null_type(branch)) {
      out["nullable"] = true;
      continue;
    }
    auto converted = to_google_schema(branch);
    if (!converted) return false;
    kept.push_back(std::move(*converted));
  }
  if (kept.empty()) return false;
  out["anyOf"] = std::move(kept);
  return true;
}

bool all_strings(const json::value& value) {
  const auto* list = value.if_array();
  return list != nullptr && !list->empty() &&
         std::ranges::all_of(*list, [](const json::value& item) { return item.is_string(); });
}

// Formats are hints; Gemini answers 400 to those that it does not know.
bool known_format(const json::value& format) {
  static constexpr std::array<std::string_view, 6> kFormats = {"float", "double", "int32",
                                                               "int64", "enum",   "date-time"};
  return format.is_string() && listed(kFormats, std::string_view(format.get_string()));
}

bool add_properties(json::object& out, const json::value& properties) {
  const auto* members = properties.if_object();
  if (members == nullptr || members->empty()) return false;
  json::object converted;
  for (const auto& member : *members) {
    auto schema = to_google_schema(member.value());
    if (!schema) return false;
    converted[member.key()] = std::move(*schema);
  }
  out["properties"] = std::move(converted);
  return true;
}

bool add_member(json::object& out, std::string_view key, const json::value& value) {
  if (listed(kKept, key)) {
    out[key] = value;
    return true;
  }
  if (listed(kDropped, key)) return true;
  if (key == "type") return add_type(out, value);
  if (key == "properties") return add_properties(out, value);
  if (key == "anyOf") return add_any_of(out, value);
  if (key == "additionalProperties") return value.is_bool();
  if (key == "items") {
    auto items = to_google_schema(value);
    if (items) out["items"] = std::move(*items);
    return items.has_value();
  }
  if (key == "enum") {
    out["enum"] = value;
    return all_strings(value);
  }
  if (key == "const") {
    out["enum"] = json::array{value};
    return value.is_string();
  }
  if (key == "format") {
    if (known_format(value)) out["format"] = value;
    return true;
  }
  return false;
}

}  // namespace

std::optional<json::value> to_google_schema(const json::value& schema) {
  const auto* object = schema.if_object();
  if (object == nullptr) return std::nullopt;
  json::object out;
  for (const auto& member : *object) {
    if (!add_member(out, member.key(), member.value())) return std::nullopt;
  }
  // Gemini refuses an enum or constant without a type, and an object that lists no properties.
  if (out.contains("enum") && !out.contains("type")) out["type"] = "string";
  const auto* type = out.if_contains("type");
  if (type != nullptr && type->is_string() && type->get_string() == "object" &&
      !out.contains("properties")) {
    return std::nullopt;
  }
  if (type == nullptr && !out.contains("anyOf")) return std::nullopt;
  return json::value(std::move(out));
}

}  // namespace asahi::llm::wire
