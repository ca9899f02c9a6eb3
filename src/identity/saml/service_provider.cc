#include "identity/saml/service_provider.h"

#include <fmt/format.h>

#include <array>
#include <span>

#include "base/hash.h"
#include "base/markup.h"
#include "identity/saml/response.h"
#include "identity/saml/xml.h"
#include "identity/tokens/form.h"

namespace asahi::identity {
namespace {

constexpr std::string_view kPost = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";
constexpr std::string_view kRsaSha256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";

constexpr std::array<std::string_view, 6> kEmailNames{
    "email",
    "mail",
    "emailAddress",
    "urn:oid:0.9.2342.19200300.100.1.3",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
    "urn:oid:1.2.840.113549.1.9.1"};
constexpr std::array<std::string_view, 5> kPersonNames{
    "displayName", "urn:oid:2.16.840.1.113730.3.1.241",
    "http://schemas.microsoft.com/identity/claims/displayname", "name", "urn:oid:2.5.4.3"};

/// The first value of an attribute; empty when there is none.
std::string first(const json::object& attributes, std::string_view name) {
  const json::value* const list = attributes.if_contains(name);
  if (list == nullptr || list->get_array().empty()) return {};
  return std::string(list->get_array().front().get_string());
}

std::string chosen(const json::object& attributes, const std::string& name,
                   std::span<const std::string_view> usual) {
  if (!name.empty()) return first(attributes, name);
  for (const std::string_view one : usual) {
    if (std::string value = first(attributes, one); !value.empty()) return value;
  }
  return {};
}

/// DEFLATE (RFC 1951) without compression: one stored block. A request is a few hundred bytes, and
/// this needs no library. `text`: at most 65,535 bytes.
std::string deflate_stored(std::string_view text) {
  const auto size = static_cast<unsigned>(text.size());
  std::string out{'\x01'};
  for (const unsigned word : {size, ~size}) {
    out += static_cast<char>(word & 0xff);
    out += static_cast<char>((word >> 8) & 0xff);
  }
  out += text;
  return out;
}

}  // namespace

SpAddress sp_address(const SamlProvider& provider, std::string_view base) {
  const std::string own = fmt::format("{}/auth/saml/{}", base, provider.org_id);
  return {provider.entity_id.empty() ? own + "/metadata" : provider.entity_id, own + "/acs"};
}

std::string sp_metadata(const SpAddress& address, const SpKey& key) {
  return fmt::format(
      R"(<?xml version="1.0" encoding="UTF-8"?>
<md:EntityDescriptor xmlns:md="{}" entityID="{}">
  <md:SPSSODescriptor AuthnRequestsSigned="true" WantAssertionsSigned="true" protocolSupportEnumeration="{}">
    <md:KeyDescriptor use="signing">
      <ds:KeyInfo xmlns:ds="{}"><ds:X509Data><ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>
    </md:KeyDescriptor>
    <md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</md:NameIDFormat>
    <md:NameIDFormat>urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress</md:NameIDFormat>
    <md:NameIDFormat>urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified</md:NameIDFormat>
    <md:AssertionConsumerService Binding="{}" Location="{}" index="0" isDefault="true"/>
  </md:SPSSODescriptor>
</md:EntityDescriptor>
)",
      xml::kMetadata, escape_markup(address.entity_id), xml::kProtocol, xml::kSignature,
      key.certificate(), kPost, escape_markup(address.acs_url));
}

Result<std::string> saml_login_url(const SamlProvider& provider, const SpAddress& address,
                                   const SpKey& key, std::string_view request_id, Clock::Time now) {
  const std::string request = fmt::format(
      R"(<samlp:AuthnRequest xmlns:samlp="{}" xmlns:saml="{}" ID="{}" Version="2.0" IssueInstant="{}" )"
      R"(Destination="{}" AssertionConsumerServiceURL="{}" ProtocolBinding="{}">)"
      R"(<saml:Issuer>{}</saml:Issuer><samlp:NameIDPolicy AllowCreate="true"/></samlp:AuthnRequest>)",
      xml::kProtocol, xml::kAssertion, request_id, format_rfc3339(now),
      escape_markup(provider.idp.login_url), escape_markup(address.acs_url), kPost,
      escape_markup(address.entity_id));
  std::string query;
  append_form(query, "SAMLRequest", base64_encode(deflate_stored(request)));
  append_form(query, "SigAlg", kRsaSha256);
  ASAHI_TRY(const std::string signature, key.sign(query));
  append_form(query, "Signature", base64_encode(signature));
  const std::string& url = provider.idp.login_url;
  return fmt::format("{}{}{}", url, url.find('?') == std::string::npos ? '?' : '&', query);
}

SsoIdentity saml_identity(const SamlProvider& provider, const SamlAssertion& assertion) {
  SsoIdentity identity;
  identity.subject = fmt::format("saml:{}:{}", provider.org_id, assertion.name_id);
  identity.org_id = provider.org_id;
  identity.email = chosen(assertion.attributes, provider.email_attribute, kEmailNames);
  if (identity.email.empty() && assertion.name_id_is_email) identity.email = assertion.name_id;
  identity.full_name = chosen(assertion.attributes, provider.name_attribute, kPersonNames);
  identity.role = map_role(assertion.attributes, provider.roles);
  identity.create_users = provider.create_users;
  return identity;
}

}  // namespace asahi::identity
