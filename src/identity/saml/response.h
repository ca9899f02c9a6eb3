#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/json.h"
#include "identity/saml/idp_metadata.h"

namespace asahi::identity {

/// What a response must say to be taken.
struct SamlRules {
  const IdpMetadata& idp;
  std::string entity_id;   ///< of this gateway: the audience
  std::string acs_url;     ///< where the response was sent to
  std::string request_id;  ///< of the AuthnRequest that this browser began with
};

/// Whom the provider vouches for. Every word of it was signed.
struct SamlAssertion {
  std::string id;  ///< unique at the provider
  std::string name_id;
  bool name_id_is_email = false;
  json::object attributes;  ///< name to list of texts
};

/// How far the provider's clock may be off.
constexpr std::chrono::seconds kSamlLeeway{60};

/// Checks a samlp:Response (Web Browser SSO Profile §4.1.4) and reads its one assertion out of the
/// bytes that were signed. `encoded`: base64 as it was posted. On failure a word for the log, never
/// for the sender: "malformed", "structure", "encrypted", "unsigned", "signature_form",
/// "algorithm", "signature", "version", "issuer", "status", "destination", "in_response_to",
/// "recipient", "subject", "not_yet_valid", "expired", "audience", "conditions", "attributes".
std::expected<SamlAssertion, std::string_view> verify_saml_response(std::string_view encoded,
                                                                    const SamlRules& rules,
                                                                    Clock::Time now);

}  // namespace asahi::identity
