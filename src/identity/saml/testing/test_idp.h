#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

struct evp_pkey_st;

namespace asahi::identity::testing {

/// What a response of the test provider says. Times are RFC 3339 texts; an empty text leaves the
/// attribute or element out.
struct ResponseParts {
  std::string request_id = "_request", acs_url = "https://gw.example.com/auth/saml/acme/acs";
  std::string audience = "https://gw.example.com/auth/saml/acme/metadata";
  std::string issuer = "https://idp.example/metadata", response_issuer = issuer;
  std::string response_id = "_response1", assertion_id = "_assertion1";
  std::string destination = acs_url, recipient = acs_url, confirmed_request = request_id;
  std::string status = "urn:oasis:names:tc:SAML:2.0:status:Success";
  std::string name_id = "jane@acme.example";
  std::string name_id_format = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress";
  std::string method = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
  std::string issued, not_before, not_on_or_after, confirmed_until;  ///< set by response_parts
  std::string conditions;                                            ///< further ones, as XML
  std::string statements = "<saml:AuthnStatement AuthnInstant=\"2023-11-14T22:13:20Z\"/>";
  std::string attributes;  ///< Attribute elements
  bool sign_assertion = true, sign_response = false;
  std::string signature_method = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
  std::string digest_method = "http://www.w3.org/2001/04/xmlenc#sha256";
  std::string key_info;  ///< in the signatures, as XML
};
/// A response that is good at `now`.
ResponseParts response_parts(Clock::Time now);
std::string attribute_xml(std::string_view name, const std::vector<std::string>& values);

/// A SAML identity provider with a key of its own.
class TestIdp {
 public:
  static constexpr std::string_view kEntityId = "https://idp.example/metadata";
  explicit TestIdp(int rsa_bits = 2048);

  /// Base64 of the certificate's DER.
  const std::string& certificate() const { return certificate_; }
  std::string key_info() const;
  /// Metadata with this and further certificates.
  std::string metadata(const std::vector<std::string>& more_certificates = {}) const;
  /// The signed response as XML.
  std::string response(const ResponseParts& parts) const;
  /// Signs what `signature_template` left open, each by its ID in turn.
  std::string sign(std::string xml, const std::vector<std::string>& ids) const;
  static std::string signature_template(const ResponseParts& parts, std::string_view id);

 private:
  std::shared_ptr<evp_pkey_st> key_;
  std::string certificate_;
};

}  // namespace asahi::identity::testing
