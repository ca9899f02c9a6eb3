#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "identity/tokens/claim_mapping.h"

namespace asahi::identity {

/// An OpenID provider that users may log in with (settings).
struct OidcProvider {
  std::string id;      ///< in paths: 1 to 32 of [a-z0-9_-]
  std::string name;    ///< on the login page; empty: the id
  std::string issuer;  ///< https://…, exactly as the provider writes it; http:// only on this
                       ///< machine (127.0.0.1, localhost)
  std::string client_id;
  Secret client_secret;  ///< empty: a public client
  std::vector<std::string> scopes = {"openid", "email", "profile"};
  std::string org_id = "default";  ///< organisation of its users
  RoleMapping roles;
  bool create_users = false;  ///< unknown users are created at their first login

  const std::string& shown_name() const { return name.empty() ? id : name; }
};

/// Errors: invalid_argument naming the setting.
Result<void> check(const OidcProvider& provider);

/// What a provider says about itself (OpenID Connect Discovery 1.0 §3), as far as it is used.
struct OidcMetadata {
  std::string authorization_endpoint, token_endpoint, jwks_uri;
  bool sends_issuer = false;  ///< RFC 9207: its answers name it, and one that does not is refused
  bool basic_auth = true;     ///< the secret goes by Basic authentication, else in the form
};
/// Errors: upstream (no JSON, another issuer's document, an endpoint missing or not https while the
/// issuer is).
Result<OidcMetadata> parse_oidc_metadata(std::string_view text, const std::string& issuer);

}  // namespace asahi::identity
