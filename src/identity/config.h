#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/config/loader.h"
#include "base/secret.h"

namespace asahi::identity {

/// `auth.oidc.providers.<name>`: an OpenID provider that users may log in with.
struct OidcProviderConfig {
  std::string name;       ///< on the login page; empty: the provider's key
  std::string issuer;     ///< https://…; its discovery document names the rest
  std::string client_id;  ///< of this gateway at the provider
  Secret client_secret;  ///< ASAHI_AUTH_OIDC_PROVIDERS_<NAME>_CLIENT_SECRET; empty: a public client
  std::vector<std::string> scopes = {"openid", "email", "profile"};
  std::string org_id = "default";  ///< organisation of its users
  std::string role_claim = "role";
  std::vector<std::string>
      role_map;  ///< "value=role", the most important first; empty: the claim is the role
  bool create_users = false;  ///< unknown users are created at their first login
};

/// `auth.saml.orgs.<org>`: an organisation's SAML identity provider.
struct SamlOrgConfig {
  std::string name;                             ///< on the login page; empty: the organisation's id
  std::string idp_metadata_file;                ///< the provider's metadata, certificates included
  std::string entity_id;                        ///< of this gateway; empty: its metadata URL
  std::string email_attribute, name_attribute;  ///< empty: the names in common use
  std::string role_attribute = "role";
  std::vector<std::string>
      role_map;  ///< "value=role", the most important first; empty: the attribute is the role
  bool create_users = false;  ///< unknown users are created at their first login
};

/// The identity module's settings: keys `governance.auth_*`, `auth.*`, `security.*` and some of
/// `api.*` (spec §4.1). Read at start; restart to change.
struct Config {
  /// governance.auth_api_key_required, security.api_key_required, ASAHI_AUTH_API_KEY_REQUIRED. Off:
  /// callers without a credential may do everything, in development only (R30).
  bool auth_required = false;
  /// governance.auth_allow_open: staging and production start with authentication off all the same.
  bool allow_open = false;
  int key_expiry_days = 90;        ///< governance.auth_key_expiry_days: life of new keys, 1 to 3650
  std::string key_prefix = "ask";  ///< governance.auth_key_prefix: three small letters
  int rotation_overlap_hours =
      24;  ///< governance.rotation_overlap_hours: a rotated key stays valid, 0 to 720
  Secret
      admin_secret;  ///< ASAHI_ADMIN_SECRET, at least 16 bytes; empty: X-Admin-Secret opens nothing
  Secret key_pepper;  ///< ASAHI_KEY_PEPPER, at least 32 bytes; empty: kept in <data>/key_pepper

  int max_failures =
      10;  ///< security.brute_force_max_failures: then logins are locked out, 1 to 1000
  int max_lockout_seconds = 900;  ///< security.brute_force_max_lockout_seconds, 1 to 86400

  /// api.rate_limit_per_minute, security.rate_limit_per_minute: per key, per tenant, and per
  /// address for callers without a credential (R27); 0: no limit. Where nobody needs a credential
  /// the default is 0: a first hour at the command line is no attack.
  std::int64_t rate_limit_per_minute = 100;
  std::vector<std::string>
      trusted_proxies;  ///< api.trusted_proxies: networks whose X-Forwarded-For is believed

  /// auth.signup: who may found an organisation at POST /signup. open: anybody; first: whoever
  /// comes first to an empty installation; off; auto: open in development, first elsewhere.
  std::string signup = "auto";
  /// auth.public_url: where browsers reach this gateway, as identity providers know it; empty: this
  /// machine only.
  std::string public_url;
  std::string jwt_issuer = "asahi";        ///< auth.jwt_issuer
  std::string jwt_audience = "asahi-api";  ///< auth.jwt_audience
  std::string jwt_alg = "HS256";           ///< auth.jwt_alg: HS256, RS256 or ES256
  Secret jwt_secret;  ///< ASAHI_JWT_SECRET: HMAC key of HS256, at least 32 bytes
  /// ASAHI_JWT_SECRET_PREVIOUS: comma separated; what they signed stays good until it expires.
  Secret jwt_secrets_previous;
  /// Somebody else's tokens (memory spec §9.1).
  struct External {
    std::string jwks_url;  ///< auth.jwks.url, AKOSHA_JWKS_URL: keys of their issuer; empty: none
    std::string issuer;  ///< auth.jwks.issuer, AKOSHA_JWT_ISSUER: `iss`; empty: the keys' own place
    std::string audience = "akosha";  ///< auth.jwks.audience, AKOSHA_JWT_AUDIENCE: one of `aud`
    /// auth.verify_service_url, AKOSHA_AUTH_SERVICE_URL: asked about tokens of nobody we know.
    std::string service_url;
    /// auth.required_claims, AKOSHA_REQUIRED_CLAIMS.
    std::vector<std::string> required_claims = {"sub", "email", "roles"};
  } external;
  /// AKOSHA_API_TOKEN: whoever brings it may store, search and see the state; empty: nobody.
  Secret api_token;
  std::string jwt_key_file;  ///< auth.jwt_key_file: PEM private key of RS256 and ES256
  std::int64_t access_ttl_seconds = 3'600;    ///< auth.access_ttl_seconds, 60 to 86400
  std::int64_t refresh_ttl_seconds = 86'400;  ///< auth.refresh_ttl_seconds, 60 to 31536000
  std::int64_t jwks_cache_seconds = 3'600;    ///< auth.jwks_cache_seconds, 10 to 86400
  std::map<std::string, OidcProviderConfig, std::less<>> oidc_providers;  ///< auth.oidc.providers
  std::string saml_key_file;  ///< auth.saml.key_file: PEM key and certificate that sign requests;
                              ///< empty: made and kept in <data>/saml_keys
  std::map<std::string, SamlOrgConfig, std::less<>> saml_orgs;  ///< auth.saml.orgs
};

/// Declares every key above. `environment`: app.environment, for the rule of R30.
void bind(config::Binder& binder, Config& config, std::string_view environment);
/// auth.signup with "auto" decided.
std::string signup_rule(const Config& config, std::string_view environment);

}  // namespace asahi::identity
