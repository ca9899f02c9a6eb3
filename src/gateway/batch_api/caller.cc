#include "gateway/batch_api/caller.h"

#include "base/json.h"

namespace asahi::gateway {

using identity::Principal;

std::string caller_json(const Principal& caller) {
  json::object out{{"kind", static_cast<std::int64_t>(caller.kind)},
                   {"org_id", caller.org_id},
                   {"user_id", caller.user_id},
                   {"role", caller.role},
                   {"key_prefix", caller.key_prefix},
                   {"org_active", caller.org_active}};
  json::array permissions, models;
  for (const std::string& name : caller.permissions.names()) permissions.emplace_back(name);
  for (const std::string& model : caller.allowed_models) models.emplace_back(model);
  out["permissions"] = std::move(permissions);
  out["allowed_models"] = std::move(models);
  if (caller.plan) {
    out["plan"] = {{"name", caller.plan->name},
                   {"requests_per_day", caller.plan->requests_per_day},
                   {"models", caller.plan->models},
                   {"users", caller.plan->users}};
  }
  if (caller.requests_per_minute) out["requests_per_minute"] = *caller.requests_per_minute;
  if (caller.tokens_per_minute) out["tokens_per_minute"] = *caller.tokens_per_minute;
  return write_json(out);
}

Result<std::shared_ptr<const Principal>> read_caller(std::string_view stored) {
  auto parsed = parse_json(stored);
  if (!parsed || !parsed->is_object())
    return fail(Errc::kCorrupt, "the stored caller of a batch cannot be read");
  const json::object& in = parsed->get_object();
  const auto text = [&](std::string_view key) -> std::string {
    const json::value* value = in.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
  };
  const auto number = [](const json::object& object,
                         std::string_view key) -> std::optional<std::int64_t> {
    const json::value* value = object.if_contains(key);
    if (value == nullptr || !value->is_int64()) return std::nullopt;
    return value->get_int64();
  };
  auto caller = std::make_shared<Principal>();
  // Of a kind that is not known nobody gets more than a key has.
  const std::int64_t kind = number(in, "kind").value_or(1);
  caller->kind = kind >= 0 && kind <= static_cast<std::int64_t>(Principal::Kind::kOperator)
                     ? static_cast<Principal::Kind>(kind)
                     : Principal::Kind::kApiKey;
  caller->org_id = text("org_id");
  caller->user_id = text("user_id");
  caller->role = text("role");
  caller->key_prefix = text("key_prefix");
  const json::value* active = in.if_contains("org_active");
  caller->org_active = active != nullptr && active->is_bool() && active->get_bool();
  const auto each = [&](std::string_view key, auto take) {
    const json::value* list = in.if_contains(key);
    if (list == nullptr || !list->is_array()) return;
    for (const json::value& item : list->get_array()) {
      if (item.is_string()) take(std::string(item.get_string()));
    }
  };
  each("permissions", [&](const std::string& name) {
    if (const auto permission = identity::parse_permission(name))
      caller->permissions.add(*permission);
  });
  each("allowed_models",
       [&](std::string name) { caller->allowed_models.push_back(std::move(name)); });
  if (const json::value* plan = in.if_contains("plan"); plan != nullptr && plan->is_object()) {
    const json::object& of = plan->get_object();
    identity::Plan bounds;
    if (const json::value* name = of.if_contains("name"); name != nullptr && name->is_string())
      bounds.name = name->get_string();
    bounds.requests_per_day = number(of, "requests_per_day").value_or(bounds.requests_per_day);
    bounds.models = number(of, "models").value_or(bounds.models);
    bounds.users = number(of, "users").value_or(bounds.users);
    caller->plan = bounds;
  }
  caller->requests_per_minute = number(in, "requests_per_minute");
  caller->tokens_per_minute = number(in, "tokens_per_minute");
  return std::shared_ptr<const Principal>(std::move(caller));
}

}  // namespace asahi::gateway
