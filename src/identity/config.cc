#include "identity/config.h"

#include <fmt/format.h>

#include <algorithm>

#include "identity/http/client_ip.h"
#include "identity/tokens/http_fetch.h"

namespace asahi::identity {
namespace {

using config::Binder;

void fault(Binder& binder, std::string path, std::string value, std::string rule) {
  binder.fault(
      {.path = std::move(path), .value = std::move(value), .rule = std::move(rule), .origin = ""});
}

void bind_secret(Binder& binder, const char* variable, Secret& field, std::size_t least,
                 const char* alias = nullptr) {
  for (const char* name : {alias, variable}) {
    if (name == nullptr) continue;
    if (auto given = binder.environment(name); given && !given->empty())
      field = Secret(*std::move(given));
  }
  if (!field.empty() && field.reveal().size() < least) {
    fault(binder, variable, "***", fmt::format("must have at least {} characters", least));
  }
}

void bind_governance(Binder& binder, Config& c) {
  // The aliases first: what the keys themselves say counts more.
  auto security = binder.section("security");
  security.value("api_key_required", c.auth_required,
                 {.help = "same as governance.auth_api_key_required"});
  security.value("brute_force_max_failures", c.max_failures,
                 {.min = 1, .max = 1000, .help = "failed logins before a lock-out"});
  security.value("brute_force_max_lockout_seconds", c.max_lockout_seconds,
                 {.min = 1, .max = 86'400, .help = "longest lock-out"});

  auto governance = binder.section("governance");
  governance.value("auth_api_key_required", c.auth_required,
                   {.env = {"ASAHI_AUTH_API_KEY_REQUIRED", "AKOSHA_AUTH_ENABLED"},
                    .help = "callers need a credential"});
  governance.value("auth_allow_open", c.allow_open,
                   {.help = "start without required credentials outside development too"});
  governance.value("auth_key_expiry_days", c.key_expiry_days,
                   {.min = 1, .max = 3650, .help = "life of new API keys"});
  governance.value("auth_key_prefix", c.key_prefix,
                   {.min = 3, .max = 3, .help = "first letters of API keys"});
  governance.value("rotation_overlap_hours", c.rotation_overlap_hours,
                   {.min = 0, .max = 720, .help = "how long a rotated key stays valid"});
  if (!std::ranges::all_of(c.key_prefix, [](char l) { return l >= 'a' && l <= 'z'; })) {
    fault(binder, "governance.auth_key_prefix", c.key_prefix, "must be three small letters");
  }

  if (!c.auth_required) c.rate_limit_per_minute = 0;
  security.value("rate_limit_per_minute", c.rate_limit_per_minute,
                 {.min = 0, .max = 1e9, .help = "same as api.rate_limit_per_minute"});
  auto api = binder.section("api");
  api.value("rate_limit_per_minute", c.rate_limit_per_minute,
            {.min = 0, .max = 1e9, .help = "requests per caller and minute; 0: no limit"});
  api.value("trusted_proxies", c.trusted_proxies,
            {.help = "networks whose X-Forwarded-For is believed"});
  if (auto parsed = Networks::parse(c.trusted_proxies); !parsed) {
    fault(binder, "api.trusted_proxies", fmt::format("{}", fmt::join(c.trusted_proxies, ",")),
          parsed.error().message);
  }
}

void bind_auth(Binder& binder, Config& c) {
  auto auth = binder.section("auth");
  auth.value("signup", c.signup,
             {.one_of = {"auto", "open", "first", "off"}, .help = "who may found an organisation"});
  auth.value("public_url", c.public_url, {.help = "where browsers reach this gateway"});
  auth.value("jwt_issuer", c.jwt_issuer, {.min = 1, .help = "iss of tokens"});
  auth.value("jwt_audience", c.jwt_audience, {.min = 1, .help = "aud of tokens"});
  auth.value("jwt_alg", c.jwt_alg,
             {.one_of = {"HS256", "RS256", "ES256"}, .help = "how tokens are signed"});
  auth.value("jwt_key_file", c.jwt_key_file, {.help = "PEM private key for RS256 and ES256"});
  auth.value(
      "access_ttl_seconds", c.access_ttl_seconds,
      {.min = 60, .max = 86'400, .env = {"AKOSHA_TOKEN_EXPIRY"}, .help = "life of access tokens"});
  auth.value("refresh_ttl_seconds", c.refresh_ttl_seconds,
             {.min = 60, .max = 31'536'000, .help = "life of refresh tokens"});
  auth.value("jwks_cache_seconds", c.jwks_cache_seconds,
             {.min = 10, .max = 86'400, .help = "how long keys of identity providers are kept"});
  auto jwks = auth.section("jwks");
  jwks.value("url", c.external.jwks_url,
             {.env = {"AKOSHA_JWKS_URL"}, .help = "keys of another issuer of tokens"});
  jwks.value("issuer", c.external.issuer,
             {.env = {"AKOSHA_JWT_ISSUER"}, .help = "its iss; empty: the place of its keys"});
  jwks.value("audience", c.external.audience,
             {.min = 1, .env = {"AKOSHA_JWT_AUDIENCE"}, .help = "aud of its tokens"});
  auth.value("verify_service_url", c.external.service_url,
             {.env = {"AKOSHA_AUTH_SERVICE_URL"}, .help = "asked about tokens that nobody knows"});
  auth.value("required_claims", c.external.required_claims,
             {.max = 20,
              .env = {"AKOSHA_REQUIRED_CLAIMS"},
              .help = "claims that tokens of others must have"});
  for (const auto& [path, url] : {std::pair("auth.jwks.url", &c.external.jwks_url),
                                  std::pair("auth.verify_service_url", &c.external.service_url)}) {
    if (url->empty()) continue;
    if (auto good = request_to(http::Method::kGet, *url); !good)
      fault(binder, path, *url, "must be an http or https URL: " + good.error().message);
  }
  auth.section("oidc.providers").each([&](const std::string& name, Binder::Section section) {
    OidcProviderConfig& provider = c.oidc_providers[name];
    section.value("name", provider.name, {.help = "on the login page"});
    section.value("issuer", provider.issuer, {.help = "https URL of the provider"});
    section.value("client_id", provider.client_id, {.help = "this gateway's id at the provider"});
    section.value("client_secret", provider.client_secret, {.help = "its secret there"});
    section.value("scopes", provider.scopes, {.help = "what to ask for"});
    section.value("org_id", provider.org_id, {.help = "organisation of its users"});
    section.value("role_claim", provider.role_claim, {.help = "claim that names the role"});
    section.value("role_map", provider.role_map,
                  {.help = "value=role of that claim, the most important first"});
    section.value("create_users", provider.create_users,
                  {.help = "create unknown users at their first login"});
    const std::string path = "auth.oidc.providers." + name;
    if (provider.issuer.empty()) fault(binder, path + ".issuer", "", "must be the provider's URL");
    if (provider.client_id.empty()) fault(binder, path + ".client_id", "", "must not be empty");
  });
  auth.section("saml").value("key_file", c.saml_key_file,
                             {.help = "PEM key and certificate that sign SAML requests"});
  auth.section("saml.orgs").each([&](const std::string& org, Binder::Section section) {
    SamlOrgConfig& saml = c.saml_orgs[org];
    section.value("name", saml.name, {.help = "on the login page"});
    section.value("idp_metadata_file", saml.idp_metadata_file,
                  {.help = "metadata of the identity provider"});
    section.value("entity_id", saml.entity_id,
                  {.help = "this gateway's entity id; empty: its metadata URL"});
    section.value("email_attribute", saml.email_attribute,
                  {.help = "attribute with the e-mail address; empty: the usual names"});
    section.value("name_attribute", saml.name_attribute,
                  {.help = "attribute with the user's name; empty: the usual names"});
    section.value("role_attribute", saml.role_attribute, {.help = "attribute that names the role"});
    section.value("role_map", saml.role_map,
                  {.help = "value=role of that attribute, the most important first"});
    section.value("create_users", saml.create_users,
                  {.help = "create unknown users at their first login"});
    if (saml.idp_metadata_file.empty()) {
      fault(binder, "auth.saml.orgs." + org + ".idp_metadata_file", "", "must name a file");
    }
  });
}

}  // namespace

void bind(Binder& binder, Config& config, std::string_view environment) {
  bind_governance(binder, config);
  bind_auth(binder, config);
  bind_secret(binder, "ASAHI_ADMIN_SECRET", config.admin_secret, 16);
  bind_secret(binder, "ASAHI_KEY_PEPPER", config.key_pepper, 32);
  bind_secret(binder, "ASAHI_JWT_SECRET", config.jwt_secret, 32, "AKOSHA_JWT_SECRET");
  bind_secret(binder, "AKOSHA_API_TOKEN", config.api_token, 32);
  bind_secret(binder, "ASAHI_JWT_SECRET_PREVIOUS", config.jwt_secrets_previous, 32);
  // A variable that says false is the word of whoever starts the process; a line of YAML may be a
  // copied sample.
  for (const char* variable :
       {"ASAHI_AUTH_API_KEY_REQUIRED", "ASAHI_GOVERNANCE_AUTH_API_KEY_REQUIRED"}) {
    const auto said = binder.environment(variable);
    config.allow_open = config.allow_open || (said && !said->empty());
  }
  if (!config.auth_required && !config.allow_open && environment != "development") {
    fault(binder, "governance.auth_api_key_required", "false",
          fmt::format("must be true in {}: without it anybody may use and manage everything; set "
                      "ASAHI_AUTH_API_KEY_REQUIRED=true, or governance.auth_allow_open to start "
                      "open on purpose",
                      environment));
  }
}

std::string signup_rule(const Config& config, std::string_view environment) {
  if (config.signup != "auto") return config.signup;
  return environment == "development" ? "open" : "first";
}

}  // namespace asahi::identity
