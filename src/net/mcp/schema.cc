#include "net/mcp/schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string_view>

#include "base/utf8.h"

namespace asahi::mcp {
namespace {

constexpr std::size_t kShownBytes = 80;

std::string shown(const json::value& value) {
  std::string text = json::serialize(value);
  if (text.size() > kShownBytes) text.replace(kShownBytes, std::string::npos, "…");
  return text;
}

bool is_whole(const json::value& value) {
  if (value.is_int64() || value.is_uint64()) return true;
  return value.is_double() && std::isfinite(value.get_double()) &&
         std::trunc(value.get_double()) == value.get_double();
}

bool has_type(const json::value& value, std::string_view type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_bool();
  if (type == "null") return value.is_null();
  if (type == "integer") return is_whole(value);
  if (type == "number") return value.is_number();
  return true;
}

bool has_one_type(const json::value& value, const json::value& types) {
  if (types.is_string()) return has_type(value, types.get_string());
  if (!types.is_array()) return true;
  return std::ranges::any_of(types.get_array(), [&](const json::value& type) {
    return type.is_string() && has_type(value, type.get_string());
  });
}

std::optional<double> bound(const json::object& schema, std::string_view keyword) {
  const json::value* found = schema.if_contains(keyword);
  if (found == nullptr || !found->is_number()) return std::nullopt;
  return found->to_number<double>();
}

/// Walks value and schema side by side; `path` names where it is.
class Checker {
 public:
  Result<void> check(const json::value& value, const json::object& schema, std::string path) const {
    if (const json::value* types = schema.if_contains("type");
        types != nullptr && !has_one_type(value, *types)) {
      return broken(path, value, fmt::format("must be of type {}", json::serialize(*types)));
    }
    if (const json::value* allowed = schema.if_contains("enum");
        allowed != nullptr && allowed->is_array() &&
        std::ranges::count(allowed->get_array(), value) == 0) {
      return broken(path, value, fmt::format("must be one of {}", json::serialize(*allowed)));
    }
    if (value.is_number()) return size(path, value, schema, value.to_number<double>(), "imum", "");
    if (value.is_string()) {
      const auto length = static_cast<double>(utf8_characters(value.get_string()));
      return size(path, value, schema, length, "Length", " characters");
    }
    if (value.is_array()) return check_array(value, schema, std::move(path));
    if (value.is_object()) return check_object(value.get_object(), schema, path);
    return {};
  }

 private:
  static Result<void> broken(const std::string& path, const json::value& value,
                             std::string_view rule) {
    return fail_field(path, fmt::format("{} = {}: {}", path.empty() ? "the arguments" : path,
                                        shown(value), rule));
  }
  static Result<void> size(const std::string& path, const json::value& value,
                           const json::object& schema, double measured, std::string_view what,
                           std::string_view unit) {
    const auto least = bound(schema, fmt::format("min{}", what));
    const auto most = bound(schema, fmt::format("max{}", what));
    if (least && measured < *least)
      return broken(path, value, fmt::format("must be at least {}{}", *least, unit));
    if (most && measured > *most)
      return broken(path, value, fmt::format("must be at most {}{}", *most, unit));
    return {};
  }
  Result<void> check_array(const json::value& value, const json::object& schema,
                           std::string path) const {
    const json::array& list = value.get_array();
    if (auto ok = size(path, value, schema, static_cast<double>(list.size()), "Items", " items");
        !ok) {
      return ok;
    }
    const json::value* items = schema.if_contains("items");
    if (items == nullptr || !items->is_object()) return {};
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (auto ok = check(list[i], items->get_object(), fmt::format("{}[{}]", path, i)); !ok)
        return ok;
    }
    return {};
  }
  Result<void> check_object(const json::object& object, const json::object& schema,
                            const std::string& path) const {
    const auto below = [&](std::string_view name) {
      return path.empty() ? std::string(name) : fmt::format("{}.{}", path, name);
    };
    if (const json::value* required = schema.if_contains("required");
        required != nullptr && required->is_array()) {
      for (const json::value& name : required->get_array()) {
        if (name.is_string() && !object.contains(name.get_string()))
          return fail_field(below(name.get_string()),
                            fmt::format("{} is required", below(name.get_string())));
      }
    }
    const json::value* properties = schema.if_contains("properties");
    const bool known = properties != nullptr && properties->is_object();
    const json::value* additional = schema.if_contains("additionalProperties");
    const bool closed = additional != nullptr && additional->is_bool() && !additional->get_bool();
    for (const auto& member : object) {
      const json::value* rules =
          known ? properties->get_object().if_contains(member.key()) : nullptr;
      if (rules == nullptr) {
        if (closed)
          return fail_field(below(member.key()),
                            fmt::format("{} is not a parameter", below(member.key())));
        continue;
      }
      if (!rules->is_object()) continue;
      if (auto ok = check(member.value(), rules->get_object(), below(member.key())); !ok) return ok;
    }
    return {};
  }
};

}  // namespace

Result<void> check_schema(const json::value& value, const json::object& schema) {
  return Checker().check(value, schema, "");
}

void fill_defaults(json::object& arguments, const json::object& schema) {
  const json::value* properties = schema.if_contains("properties");
  if (properties == nullptr || !properties->is_object()) return;
  for (const auto& [name, rules] : properties->get_object()) {
    if (arguments.contains(name) || !rules.is_object()) continue;
    if (const json::value* given = rules.get_object().if_contains("default"))
      arguments.emplace(name, *given);
  }
}

}  // namespace asahi::mcp
