#include <fmt/format.h>

#include <algorithm>

#include "identity/http/route_support.h"

namespace asahi::identity {
namespace {

json::object key_json(const ProviderKey& key) {
  return {{"id", key.id},
          {"provider", key.vendor},
          {"hint", key.hint},
          {"created_by", text_or_null_json(key.created_by)},
          {"created_at", format_rfc3339(key.created_at)}};
}

/// The provider that a request names, one that this installation calls.
Result<std::string> known_provider(const RouteParts& parts, std::string name) {
  if (name.empty()) return fail_field("provider", "provider is missing");
  const auto& known = parts.provider_keys->providers;
  if (std::ranges::find(known, name) != known.end()) return name;
  return fail_field("provider",
                    fmt::format("'{}' is no provider of this installation; use one of {}", name,
                                fmt::join(known, ", ")));
}

/// This process's next call sees the change; the others hear of it.
Aw<void> take_up(const RouteParts& parts) {
  // What cannot be read now is read within the interval.
  (void)co_await parts.provider_keys->own.refresh();
}

Task<http::Response> put_key(const RouteParts& parts, http::Context& context) {
  const Principal& caller = principal_of(context);
  ASAHI_CO_TRY(const Fields fields, Fields::read(context.request));
  ASAHI_CO_TRY(const std::string wanted, fields.text("org_id"));
  ASAHI_CO_TRY(const std::string org_id, org_for(caller, wanted));
  ASAHI_CO_TRY(std::string named, fields.required_text("provider", 50));
  ASAHI_CO_TRY(const std::string provider, known_provider(parts, std::move(named)));
  ASAHI_CO_TRY(std::string text, fields.required_text("api_key", 4'096));
  auto stored = co_await parts.provider_keys->keys.put(
      org_id, provider, Secret(std::move(text)),
      caller.key_prefix.empty() ? caller.user_id : "key:" + caller.key_prefix);
  if (!stored) {
    if (stored.error().field == "key") stored.error().field = "api_key";
    co_return std::unexpected(std::move(stored.error()));
  }
  co_await take_up(parts);
  co_await audit(parts, context, org_id, "provider_key.set", "provider_key/" + provider,
                 {{"id", stored->id}, {"hint", stored->hint}});
  json::object body = key_json(*stored);
  body["org_id"] = org_id;
  co_return json_reply(201, body);
}

Task<http::Response> list_keys(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const std::string org_id,
               org_for(principal_of(context), context.request.query_param("org_id").value_or("")));
  ASAHI_CO_TRY(const auto keys, co_await parts.provider_keys->keys.list(org_id));
  json::array rows, providers;
  for (const ProviderKey& key : keys) rows.push_back(key_json(key));
  for (const std::string& name : parts.provider_keys->providers) providers.emplace_back(name);
  co_return json_reply(200, {{"org_id", org_id},
                             {"count", keys.size()},
                             {"keys", std::move(rows)},
                             {"providers", std::move(providers)}});
}

Task<http::Response> remove_key(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const std::string org_id,
               org_for(principal_of(context), context.request.query_param("org_id").value_or("")));
  std::string provider(context.path_param("provider"));
  if (provider.empty()) provider = context.request.query_param("provider").value_or("");
  // Also one that the installation has stopped calling.
  if (provider.empty()) co_return fail_field("provider", "provider is missing");
  if (auto done = co_await parts.provider_keys->keys.remove(org_id, provider); !done)
    co_return std::unexpected(std::move(done.error()));
  co_await take_up(parts);
  co_await audit(parts, context, org_id, "provider_key.remove", "provider_key/" + provider);
  co_return json_reply(200, {{"provider", provider}, {"org_id", org_id}, {"removed", true}});
}

}  // namespace

void add_provider_key_routes(http::Router& router, const SharedRouteParts& parts) {
  using enum http::Method;
  add_both(router, parts, kPost, "/providers/keys", "manage_policy", put_key);
  add_both(router, parts, kGet, "/providers/keys", "manage_policy", list_keys);
  add_both(router, parts, kDelete, "/providers/keys", "manage_policy", remove_key);
  add_both(router, parts, kDelete, "/providers/keys/{provider}", "manage_policy", remove_key);
}

}  // namespace asahi::identity
