#include "identity/tokens/claim_mapping.h"

#include <fmt/format.h>

#include <algorithm>

namespace asahi::identity {
namespace {

constexpr std::size_t kMaxValues = 256;
constexpr std::size_t kMaxRole = 64;

std::vector<std::string> texts_at(const json::object& claims, std::string_view name) {
  std::vector<std::string> out;
  const json::value* const value = find_claim(claims, name);
  if (value == nullptr) return out;
  if (const auto* text = value->if_string()) out.emplace_back(*text);
  if (const auto* list = value->if_array()) {
    for (const json::value& item : *list) {
      if (item.is_string() && out.size() < kMaxValues) out.emplace_back(item.get_string());
    }
  }
  return out;
}

bool is_role_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxRole && name != "owner" && name != "operator";
}

}  // namespace

const json::value* find_claim(const json::object& claims, std::string_view name) {
  if (const auto* value = claims.if_contains(name)) return value;
  const json::object* object = &claims;
  for (;;) {
    const std::size_t dot = name.find('.');
    const auto* value = object->if_contains(name.substr(0, dot));
    if (value == nullptr || dot == std::string_view::npos) return value;
    if (!value->is_object()) return nullptr;
    object = &value->get_object();
    name.remove_prefix(dot + 1);
  }
}

std::string map_role(const json::object& claims, const RoleMapping& mapping) {
  const auto values = texts_at(claims, mapping.claim);
  for (const auto& [value, role] : mapping.map) {
    if (std::ranges::find(values, value) != values.end()) return role;
  }
  if (mapping.map.empty()) {
    const auto named =
        std::ranges::find_if(values, [](const std::string& value) { return is_role_name(value); });
    if (named != values.end()) return *named;
  }
  return mapping.fallback;
}

Result<std::vector<std::pair<std::string, std::string>>> parse_role_map(
    const std::vector<std::string>& items) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const std::string& item : items) {
    const std::size_t at = item.rfind('=');
    if (at == std::string::npos || at == 0 || at + 1 == item.size()) {
      return fail(Errc::kInvalidArgument,
                  fmt::format("'{}' is no mapping; write value=role, as in admins=admin", item));
    }
    out.emplace_back(item.substr(0, at), item.substr(at + 1));
  }
  return out;
}

std::optional<PermissionSet> scopes_of(const json::object& claims) {
  std::vector<std::string> names;
  for (const char* claim : {"scope", "scp", "scopes"}) {
    for (const std::string& text : texts_at(claims, claim)) {
      for (std::size_t from = 0; from < text.size();) {
        const std::size_t end = std::min(text.find(' ', from), text.size());
        if (end > from) names.push_back(text.substr(from, end - from));
        from = end + 1;
      }
    }
  }
  std::optional<PermissionSet> allowed;
  for (const std::string& name : names) {
    if (const auto known = scopes_to_permissions({name}))
      allowed = allowed.value_or(PermissionSet{}) | *known;
  }
  return allowed;
}

bool is_org_id(std::string_view id) {
  return !id.empty() && id.size() <= 255 && std::ranges::all_of(id, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

}  // namespace asahi::identity
