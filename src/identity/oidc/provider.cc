#include "identity/oidc/provider.h"

#include <fmt/format.h>

#include <algorithm>

#include "identity/http/browser_login.h"
#include "identity/tokens/http_fetch.h"
#include "identity/tokens/strict_json.h"

namespace asahi::identity {
namespace {

std::string text_of(const json::object& document, std::string_view name) {
  const auto* value = document.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

bool is_safe_url(std::string_view url, bool local) {
  return (url.starts_with("https://") || (local && is_local_http(url))) &&
         request_to(http::Method::kGet, url);
}

}  // namespace

Result<void> check(const OidcProvider& provider) {
  const auto wrong = [&](std::string_view what) {
    return fail(Errc::kInvalidArgument, fmt::format("OIDC provider '{}': {}", provider.id, what));
  };
  const bool good_id =
      !provider.id.empty() && provider.id.size() <= 32 &&
      std::ranges::all_of(provider.id, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
      });
  if (!good_id) return wrong("its name must be 1 to 32 of a-z, 0-9, _ and -");
  if (!is_safe_url(provider.issuer, true))
    return wrong("issuer must be an https:// URL (http:// only on this machine)");
  if (provider.client_id.empty()) return wrong("client_id is missing");
  if (!is_org_id(provider.org_id))
    return wrong("org_id must be 1 to 255 of A-Z, a-z, 0-9, dot, _ and -");
  if (std::ranges::find(provider.scopes, "openid") == provider.scopes.end())
    return wrong("scopes must have openid");
  return {};
}

Result<OidcMetadata> parse_oidc_metadata(std::string_view text, const std::string& issuer) {
  const auto document = parse_strict_object(text, 16);
  const auto wrong = [&](std::string_view what) {
    return fail(Errc::kUpstream, fmt::format("the discovery document of {} {}", issuer, what));
  };
  if (!document) return wrong("is no JSON object");
  if (text_of(*document, "issuer") != issuer) return wrong("names another issuer");
  OidcMetadata metadata;
  const bool local = is_local_http(issuer);
  for (const auto& [name, target] :
       {std::pair("authorization_endpoint", &metadata.authorization_endpoint),
        std::pair("token_endpoint", &metadata.token_endpoint),
        std::pair("jwks_uri", &metadata.jwks_uri)}) {
    *target = text_of(*document, name);
    if (!is_safe_url(*target, local)) return wrong(fmt::format("has no usable {}", name));
  }
  const auto* sends = document->if_contains("authorization_response_iss_parameter_supported");
  metadata.sends_issuer = sends != nullptr && sends->is_bool() && sends->get_bool();
  if (const auto* methods = document->if_contains("token_endpoint_auth_methods_supported");
      methods != nullptr && methods->is_array()) {
    const json::array& list = methods->get_array();
    metadata.basic_auth =
        std::ranges::find(list, json::value("client_secret_basic")) != list.end() ||
        std::ranges::find(list, json::value("client_secret_post")) == list.end();
  }
  return metadata;
}

}  // namespace asahi::identity
