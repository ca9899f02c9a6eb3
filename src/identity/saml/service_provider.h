#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "identity/saml/idp_metadata.h"
#include "identity/saml/sp_key.h"
#include "identity/tokens/claim_mapping.h"
#include "identity/users/users.h"

namespace asahi::identity {

struct SamlAssertion;

/// One organisation's login with its SAML identity provider (settings).
struct SamlProvider {
  std::string org_id;
  std::string name;       ///< on the login page; empty: the organisation's id
  std::string entity_id;  ///< of this gateway; empty: the URL of its metadata
  IdpMetadata idp;
  RoleMapping roles;            ///< its claim is an attribute's Name
  std::string email_attribute;  ///< empty: the usual names, or a NameID that is an address
  std::string name_attribute;   ///< empty: the usual names
  bool create_users = false;    ///< unknown users are created at their first login

  const std::string& shown_name() const { return name.empty() ? org_id : name; }
};

/// How this gateway calls itself before an identity provider.
struct SpAddress {
  std::string entity_id;
  std::string acs_url;
};
/// `base`: scheme and host, without '/' at the end.
SpAddress sp_address(const SamlProvider& provider, std::string_view base);

/// The gateway's own metadata (SAML 2.0 Metadata §2.4.4).
std::string sp_metadata(const SpAddress& address, const SpKey& key);

/// Where to send the browser: an AuthnRequest in the HTTP-Redirect binding (Bindings §3.4), signed.
/// Errors: internal.
Result<std::string> saml_login_url(const SamlProvider& provider, const SpAddress& address,
                                   const SpKey& key, std::string_view request_id, Clock::Time now);

/// What an assertion says of its user.
SsoIdentity saml_identity(const SamlProvider& provider, const SamlAssertion& assertion);

}  // namespace asahi::identity
