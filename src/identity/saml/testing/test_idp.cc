#include "identity/saml/testing/test_idp.h"

// Before the rest of its kind: they do not include what they need.
#include <xmlsec/xmlsec.h>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <libxml/parser.h>
#include <libxml/valid.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <xmlsec/openssl/evp.h>
#include <xmlsec/xmldsig.h>
#include <xmlsec/xmltree.h>

#include "base/hash.h"
#include "identity/saml/signature.h"
#include "identity/saml/xml.h"

namespace asahi::identity::testing {
namespace {

std::string attribute(std::string_view name, const std::string& value) {
  return value.empty() ? "" : fmt::format(" {}=\"{}\"", name, value);
}

void know_ids(xmlDoc* document) {
  xml::each_element(xmlDocGetRootElement(document), [&](xml::Node* node) {
    xmlAttr* const id = xmlHasProp(node, reinterpret_cast<const xmlChar*>("ID"));
    if (id != nullptr) xmlAddID(nullptr, document, id->children->content, id);
  });
}

}  // namespace

ResponseParts response_parts(Clock::Time now) {
  using std::chrono::minutes;
  ResponseParts parts;
  parts.issued = format_rfc3339(now);
  parts.not_before = format_rfc3339(now - minutes(1));
  parts.not_on_or_after = format_rfc3339(now + minutes(5));
  parts.confirmed_until = parts.not_on_or_after;
  return parts;
}

std::string attribute_xml(std::string_view name, const std::vector<std::string>& values) {
  std::string xml = fmt::format("<saml:Attribute Name=\"{}\">", name);
  for (const std::string& value : values)
    xml += fmt::format("<saml:AttributeValue>{}</saml:AttributeValue>", value);
  return xml + "</saml:Attribute>";
}

TestIdp::TestIdp(int rsa_bits)
    : key_(EVP_RSA_gen(static_cast<unsigned>(rsa_bits)), &EVP_PKEY_free) {
  X509* const certificate = X509_new();
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -7200);
  // Long over: the metadata is what is trusted, not the dates in it.
  X509_gmtime_adj(X509_getm_notAfter(certificate), -3600);
  X509_set_pubkey(certificate, key_.get());
  X509_sign(certificate, key_.get(), EVP_sha256());
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate, &der);
  certificate_ = base64_encode({reinterpret_cast<char*>(der), static_cast<std::size_t>(size)});
  OPENSSL_free(der);
  X509_free(certificate);
}

std::string TestIdp::key_info() const {
  return fmt::format(
      "<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data>"
      "</ds:KeyInfo>",
      certificate_);
}

std::string TestIdp::metadata(const std::vector<std::string>& more_certificates) const {
  std::vector<std::string> certificates = more_certificates;
  certificates.push_back(certificate_);
  std::string descriptors;
  for (const std::string& certificate : certificates) {
    descriptors += fmt::format(
        "<md:KeyDescriptor use=\"signing\"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>\n{}\n"
        "</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>",
        certificate);
  }
  return fmt::format(
      "<?xml version=\"1.0\"?><!-- as providers publish it -->\n<md:EntityDescriptor "
      "xmlns:md=\"{}\" xmlns:ds=\"{}\" entityID=\"{}\"><md:IDPSSODescriptor "
      "protocolSupportEnumeration=\"{}\">{}<md:SingleSignOnService "
      "Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST\" "
      "Location=\"https://idp.example/post\"/><md:SingleSignOnService "
      "Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" "
      "Location=\"https://idp.example/sso?tenant=1&amp;x=2\"/></md:IDPSSODescriptor>"
      "</md:EntityDescriptor>",
      xml::kMetadata, xml::kSignature, kEntityId, xml::kProtocol, descriptors);
}

std::string TestIdp::signature_template(const ResponseParts& parts, std::string_view id) {
  return fmt::format(
      "<ds:Signature xmlns:ds=\"{}\"><ds:SignedInfo><ds:CanonicalizationMethod "
      "Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"/><ds:SignatureMethod "
      "Algorithm=\"{}\"/><ds:Reference URI=\"#{}\"><ds:Transforms><ds:Transform "
      "Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"/><ds:Transform "
      "Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"/></ds:Transforms><ds:DigestMethod "
      "Algorithm=\"{}\"/><ds:DigestValue></ds:DigestValue></ds:Reference></ds:SignedInfo>"
      "<ds:SignatureValue></ds:SignatureValue>{}</ds:Signature>",
      xml::kSignature, parts.signature_method, id, parts.digest_method, parts.key_info);
}

std::string TestIdp::response(const ResponseParts& p) const {
  const std::string attributes =
      p.attributes.empty()
          ? ""
          : fmt::format("<saml:AttributeStatement>{}</saml:AttributeStatement>", p.attributes);
  const std::string audience =
      p.audience.empty() ? ""
                         : fmt::format(
                               "<saml:AudienceRestriction><saml:Audience>{}</saml:Audience>"
                               "</saml:AudienceRestriction>",
                               p.audience);
  const std::string assertion = fmt::format(
      "<saml:Assertion xmlns:saml=\"{}\" ID=\"{}\" Version=\"2.0\"{}><saml:Issuer>{}</saml:Issuer>"
      "{}<saml:Subject><saml:NameID{}>{}</saml:NameID><saml:SubjectConfirmation Method=\"{}\">"
      "<saml:SubjectConfirmationData{}{}{}/></saml:SubjectConfirmation></saml:Subject>"
      "<saml:Conditions{}{}>{}{}</saml:Conditions>{}{}</saml:Assertion>",
      xml::kAssertion, p.assertion_id, attribute("IssueInstant", p.issued), p.issuer,
      p.sign_assertion ? signature_template(p, p.assertion_id) : "",
      attribute("Format", p.name_id_format), p.name_id, p.method,
      attribute("Recipient", p.recipient), attribute("InResponseTo", p.confirmed_request),
      attribute("NotOnOrAfter", p.confirmed_until), attribute("NotBefore", p.not_before),
      attribute("NotOnOrAfter", p.not_on_or_after), audience, p.conditions, p.statements,
      attributes);
  const std::string response = fmt::format(
      "<samlp:Response xmlns:samlp=\"{}\" ID=\"{}\" Version=\"2.0\"{}{}{}>{}{}<samlp:Status>"
      "<samlp:StatusCode Value=\"{}\"/></samlp:Status>{}</samlp:Response>",
      xml::kProtocol, p.response_id, attribute("IssueInstant", p.issued),
      attribute("InResponseTo", p.request_id), attribute("Destination", p.destination),
      p.response_issuer.empty() ? ""
                                : fmt::format("<saml:Issuer xmlns:saml=\"{}\">{}</saml:Issuer>",
                                              xml::kAssertion, p.response_issuer),
      p.sign_response ? signature_template(p, p.response_id) : "", p.status, assertion);
  std::vector<std::string> ids;
  if (p.sign_assertion) ids.push_back(p.assertion_id);
  if (p.sign_response) ids.push_back(p.response_id);
  return sign(response, ids);
}

std::string TestIdp::sign(std::string xml, const std::vector<std::string>& ids) const {
  EXPECT_TRUE(start_xmlsec());
  xmlDoc* const document =
      xmlReadMemory(xml.data(), static_cast<int>(xml.size()), nullptr, "UTF-8", 0);
  if (document == nullptr) {
    ADD_FAILURE() << "no XML: " << xml;
    return {};
  }
  know_ids(document);
  for (const std::string& id : ids) {
    xml::Node* open = nullptr;
    xml::each_element(xmlDocGetRootElement(document), [&](xml::Node* node) {
      if (!xml::is(node, xml::kSignature, "Signature")) return;
      const xml::Node* const info = xml::only_child(node, xml::kSignature, "SignedInfo");
      const auto references = xml::children(info, xml::kSignature, "Reference");
      if (xml::attribute(references.at(0), "URI") == "#" + id) open = node;
    });
    xmlSecDSigCtx* const context = xmlSecDSigCtxCreate(nullptr);
    EVP_PKEY_up_ref(key_.get());
    context->signKey = xmlSecKeyCreate();
    xmlSecKeySetValue(context->signKey, xmlSecOpenSSLEvpKeyAdopt(key_.get()));
    EXPECT_EQ(open != nullptr ? xmlSecDSigCtxSign(context, open) : -1, 0) << id;
    xmlSecDSigCtxDestroy(context);
  }
  xmlChar* text = nullptr;
  int size = 0;
  xmlDocDumpMemoryEnc(document, &text, &size, "UTF-8");
  std::string out(reinterpret_cast<const char*>(text), static_cast<std::size_t>(size));
  xmlFree(text);
  xmlFreeDoc(document);
  return out;
}

}  // namespace asahi::identity::testing
