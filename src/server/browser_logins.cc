#include "server/browser_logins.h"

#include "base/clock.h"
#include "identity/oidc/oidc_routes.h"
#include "identity/saml/saml_routes.h"
#include "identity/tokens/claim_mapping.h"

namespace asahi::server {
namespace {

Result<std::vector<identity::OidcProvider>> oidc_providers(const identity::Config& config) {
  std::vector<identity::OidcProvider> providers;
  for (const auto& [id, settings] : config.oidc_providers) {
    identity::OidcProvider& provider = providers.emplace_back();
    provider.id = id;
    provider.name = settings.name;
    provider.issuer = settings.issuer;
    provider.client_id = settings.client_id;
    provider.client_secret = settings.client_secret;
    provider.scopes = settings.scopes;
    provider.org_id = settings.org_id;
    provider.roles.claim = settings.role_claim;
    ASAHI_TRY(provider.roles.map, identity::parse_role_map(settings.role_map));
    provider.create_users = settings.create_users;
  }
  return providers;
}

Result<std::vector<identity::SamlProvider>> saml_providers(const identity::Config& config) {
  std::vector<identity::SamlProvider> providers;
  for (const auto& [org, settings] : config.saml_orgs) {
    ASAHI_TRY(auto idp, identity::read_idp_metadata(settings.idp_metadata_file));
    ASAHI_TRY(auto role_map, identity::parse_role_map(settings.role_map));
    providers.push_back(
        {.org_id = org,
         .name = settings.name,
         .entity_id = settings.entity_id,
         .idp = std::move(idp),
         .roles = {.claim = settings.role_attribute, .map = std::move(role_map), .fallback = ""},
         .email_attribute = settings.email_attribute,
         .name_attribute = settings.name_attribute,
         .create_users = settings.create_users});
  }
  return providers;
}

}  // namespace

Result<void> add_browser_logins(http::Router& router, BrowserLoginParts parts) {
  const identity::Config& config = parts.config;
  const identity::BrowserLogin::Parts browser{.users = parts.identity.users(),
                                              .sessions = parts.identity.sessions(),
                                              .session_cookie = identity::Sessions::cookie,
                                              .public_url = config.public_url,
                                              .audit = parts.audit,
                                              .client_ip = parts.client_ip};
  ASAHI_TRY(auto oidc, oidc_providers(config));
  ASAHI_TRY(auto saml, saml_providers(config));
  if (auto added = identity::add_oidc_routes(
          router,
          {.providers = std::move(oidc),
           .fetch =
               [&clients = parts.clients](http::ClientRequest request, http::CallOptions options) {
                 return clients.local().send(std::move(request), options);
               },
           .states = parts.states,
           .browser = browser,
           .more_options = [options = identity::saml_options(saml)] { return options; },
           .clock = system_clock()});
      !added) {
    return added;
  }
  // The routes are there without a provider too: what they answer then is part of the interface.
  std::optional<identity::SpKey> key;
  if (!saml.empty()) {
    ASAHI_TRY(key, identity::SpKey::open(config.saml_key_file, parts.data_dir + "/saml_keys",
                                         system_clock()));
  }
  return identity::add_saml_routes(router, {.providers = std::move(saml),
                                            .key = std::move(key),
                                            .states = parts.states,
                                            .used = parts.identity.store(),
                                            .browser = browser,
                                            .clock = system_clock()});
}

}  // namespace asahi::server
