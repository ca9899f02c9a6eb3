#include "identity/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asahi::identity {
namespace {

struct Loaded {
  Config config;
  std::vector<config::Fault> faults;
};

Loaded load(const std::string& yaml,
            std::map<std::string, std::string, std::less<>> environment = {},
            std::string_view mode = "development") {
  config::Binder binder({.environment = std::move(environment),
                         .dotenv = {},
                         .yaml_path = "config.yaml",
                         .yaml_text = yaml});
  Loaded loaded;
  bind(binder, loaded.config, mode);
  loaded.faults = binder.finish();
  return loaded;
}

TEST(IdentityConfig, ReadsTheNamesOfTheSpecification) {
  const Loaded loaded = load(R"(
governance: {auth_api_key_required: true, auth_key_expiry_days: 30, rotation_overlap_hours: 2}
security: {brute_force_max_failures: 3, brute_force_max_lockout_seconds: 60}
api: {rate_limit_per_minute: 7, trusted_proxies: [10.0.0.0/8]}
auth:
  jwt_alg: RS256
  oidc: {providers: {corp: {issuer: "https://id.example.com", client_id: asahi}}}
  saml:
    key_file: sp.pem
    orgs: {acme: {idp_metadata_file: idp.xml, role_map: [admins=admin], create_users: true}}
)",
                             {{"ASAHI_ADMIN_SECRET", "0123456789abcdef"}});
  EXPECT_TRUE(loaded.faults.empty());
  EXPECT_TRUE(loaded.config.auth_required);
  EXPECT_EQ(loaded.config.key_expiry_days, 30);
  EXPECT_EQ(loaded.config.rotation_overlap_hours, 2);
  EXPECT_EQ(loaded.config.max_failures, 3);
  EXPECT_EQ(loaded.config.rate_limit_per_minute, 7);
  EXPECT_EQ(loaded.config.admin_secret.reveal(), "0123456789abcdef");
  EXPECT_EQ(loaded.config.oidc_providers.at("corp").issuer, "https://id.example.com");
  EXPECT_EQ(loaded.config.saml_key_file, "sp.pem");
  const SamlOrgConfig& saml = loaded.config.saml_orgs.at("acme");
  EXPECT_EQ(saml.idp_metadata_file, "idp.xml");
  EXPECT_EQ(saml.role_attribute, "role");
  EXPECT_THAT(saml.role_map, ::testing::ElementsAre("admins=admin"));
  EXPECT_TRUE(saml.create_users);
}

TEST(IdentityConfig, ASamlLoginNeedsItsProvidersMetadata) {
  const Loaded loaded = load("auth: {saml: {orgs: {acme: {name: Acme}}}}");
  ASSERT_EQ(loaded.faults.size(), 1u);
  EXPECT_EQ(loaded.faults[0].path, "auth.saml.orgs.acme.idp_metadata_file");
}

TEST(IdentityConfig, AliasesCountUnlessTheKeyItselfIsSet) {
  EXPECT_EQ(load("security: {rate_limit_per_minute: 5}").config.rate_limit_per_minute, 5);
  EXPECT_EQ(load("security: {rate_limit_per_minute: 5}\napi: {rate_limit_per_minute: 6}")
                .config.rate_limit_per_minute,
            6);
  EXPECT_TRUE(load("security: {api_key_required: true}").config.auth_required);
  EXPECT_TRUE(load("", {{"ASAHI_AUTH_API_KEY_REQUIRED", "true"}}).config.auth_required);
}

TEST(IdentityConfig, OnlyDevelopmentStartsOpen) {
  EXPECT_TRUE(load("").faults.empty());
  for (const char* mode : {"staging", "production"}) {
    const Loaded open = load("", {}, mode);
    ASSERT_EQ(open.faults.size(), 1u) << mode;
    EXPECT_EQ(open.faults[0].path, "governance.auth_api_key_required");
    EXPECT_TRUE(load("governance: {auth_api_key_required: true}", {}, mode).faults.empty());
    EXPECT_TRUE(load("governance: {auth_allow_open: true}", {}, mode).faults.empty());
  }
}

TEST(IdentityConfig, ShortSecretsAreFaultsThatDoNotShowThem) {
  const Loaded loaded = load("", {{"ASAHI_ADMIN_SECRET", "hunter2"}, {"ASAHI_KEY_PEPPER", "salt"}});
  ASSERT_EQ(loaded.faults.size(), 2u);
  for (const config::Fault& fault : loaded.faults) {
    EXPECT_EQ(fault.value, "***");
    EXPECT_THAT(fault.rule, ::testing::Not(::testing::HasSubstr("hunter2")));
  }
}

TEST(IdentityConfig, TokensGoByTheNamesOfTheMemoryToo) {
  const std::string one(32, 'a'), other(32, 'b');
  const Loaded loaded = load("", {{"AKOSHA_JWT_SECRET", one}, {"AKOSHA_TOKEN_EXPIRY", "600"}});
  EXPECT_EQ(loaded.config.jwt_secret.reveal(), one);
  EXPECT_EQ(loaded.config.access_ttl_seconds, 600);
  EXPECT_EQ(load("", {{"AKOSHA_JWT_SECRET", one}, {"ASAHI_JWT_SECRET", other}})
                .config.jwt_secret.reveal(),
            other);
  EXPECT_EQ(load("", {{"AKOSHA_JWT_SECRET", "jwt-secret-placeholder"}}).faults.size(), 1U);
}

TEST(IdentityConfig, NamesWhoseTokensAreAccepted) {
  const Loaded loaded = load("", {{"AKOSHA_JWKS_URL", "https://id.example/jwks"},
                                  {"AKOSHA_AUTH_SERVICE_URL", "https://auth.example/verify"},
                                  {"AKOSHA_REQUIRED_CLAIMS", "sub"},
                                  {"AKOSHA_API_TOKEN", std::string(40, 't')}});
  EXPECT_TRUE(loaded.faults.empty());
  EXPECT_EQ(loaded.config.external.jwks_url, "https://id.example/jwks");
  EXPECT_EQ(loaded.config.external.service_url, "https://auth.example/verify");
  EXPECT_THAT(loaded.config.external.required_claims, ::testing::ElementsAre("sub"));
  EXPECT_EQ(loaded.config.api_token.reveal(), std::string(40, 't'));
  EXPECT_THAT(Config().external.required_claims, ::testing::ElementsAre("sub", "email", "roles"));
  EXPECT_EQ(
      load("", {{"AKOSHA_JWKS_URL", "id.example"}, {"AKOSHA_API_TOKEN", "short"}}).faults.size(),
      2U);
}

TEST(IdentityConfig, SignUpIsOpenInDevelopmentAndForTheFirstElsewhere) {
  Config config;
  EXPECT_EQ(signup_rule(config, "development"), "open");
  EXPECT_EQ(signup_rule(config, "production"), "first");
  config.signup = "off";
  EXPECT_EQ(signup_rule(config, "development"), "off");
}

}  // namespace
}  // namespace asahi::identity
