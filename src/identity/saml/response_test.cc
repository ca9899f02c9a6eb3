#include "identity/saml/response.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/hash.h"
#include "identity/saml/testing/test_idp.h"

namespace asahi::identity {
namespace {

using namespace std::chrono_literals;
using testing::ResponseParts;
using testing::TestIdp;

const TestIdp& idp() {
  static const TestIdp one;
  return one;
}
const TestIdp& stranger() {
  static const TestIdp one;
  return one;
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from << " is not in " << text;
  if (at != std::string::npos) text.replace(at, from.size(), to);
  return text;
}

struct SamlResponseTest : ::testing::Test {
  std::expected<SamlAssertion, std::string_view> verify(const std::string& xml) const {
    return verify_saml_response(base64_encode(xml), rules, now);
  }
  std::expected<SamlAssertion, std::string_view> verify(const ResponseParts& given) const {
    return verify(idp().response(given));
  }
  void expect_refused(const std::string& xml, std::string_view reason) const {
    const auto verified = verify(xml);
    ASSERT_FALSE(verified) << verified->name_id;
    EXPECT_EQ(verified.error(), reason);
  }
  void expect_refused(const ResponseParts& given, std::string_view reason) const {
    expect_refused(idp().response(given), reason);
  }

  const Clock::Time now{std::chrono::seconds(1'700'000'000)};
  const IdpMetadata metadata = parse_idp_metadata(idp().metadata()).value();
  ResponseParts parts = testing::response_parts(now);
  SamlRules rules{metadata, parts.audience, parts.acs_url, parts.request_id};
};

TEST_F(SamlResponseTest, TakesASignedAssertionASignedResponseAndBoth) {
  for (const auto [assertion, response] : {std::pair(true, false), {false, true}, {true, true}}) {
    parts.sign_assertion = assertion;
    parts.sign_response = response;
    parts.attributes = testing::attribute_xml("role", {"admins", "staff &amp; more"}) +
                       testing::attribute_xml("mail", {"Jane@Acme.example"});
    const auto verified = verify(parts);
    ASSERT_TRUE(verified) << verified.error();
    EXPECT_EQ(verified->id, "_assertion1");
    EXPECT_EQ(verified->name_id, "jane@acme.example");
    EXPECT_TRUE(verified->name_id_is_email);
    EXPECT_EQ(json::serialize(verified->attributes),
              R"({"role":["admins","staff & more"],"mail":["Jane@Acme.example"]})");
  }
}

TEST_F(SamlResponseTest, WhatNobodySignedIsRefused) {
  parts.sign_assertion = false;
  expect_refused(parts, "unsigned");
}

TEST_F(SamlResponseTest, OnlyTheMetadatasKeysCountWhateverTheMessageBrings) {
  parts.key_info = stranger().key_info();
  expect_refused(stranger().response(parts), "signature");
  // The right certificate named beside a foreign signature helps as little.
  parts.key_info = idp().key_info();
  expect_refused(stranger().response(parts), "signature");
  EXPECT_TRUE(verify(parts)) << "the provider's own KeyInfo does no harm";
}

TEST_F(SamlResponseTest, EveryKeyOfTheMetadataCountsWhileAProviderRotates) {
  const IdpMetadata both = parse_idp_metadata(idp().metadata({stranger().certificate()})).value();
  const SamlRules with_both{both, rules.entity_id, rules.acs_url, rules.request_id};
  for (const TestIdp* signer : {&idp(), &stranger()}) {
    EXPECT_TRUE(verify_saml_response(base64_encode(signer->response(parts)), with_both, now));
  }
}

TEST_F(SamlResponseTest, AChangedByteIsNoticed) {
  const std::string good = idp().response(parts);
  expect_refused(replaced(good, ">jane@", ">admin@"), "signature");
  expect_refused(replaced(good, "<ds:DigestValue>", "<ds:DigestValue>AAAA"), "signature");
  parts.sign_response = true;
  const std::string both = idp().response(parts);
  // Both signatures must hold, not one of them.
  expect_refused(replaced(both, " Version=\"2.0\" IssueInstant",
                          " Version=\"2.0\" Consent=\"x\" IssueInstant"),
                 "signature");
}

TEST_F(SamlResponseTest, HoldsTheRulesOfTheProfile) {
  struct Case {
    std::string_view reason;
    std::function<void(ResponseParts&)> change;
  };
  const auto at = [&](std::chrono::seconds offset) { return format_rfc3339(now + offset); };
  const std::vector<Case> cases{
      {"in_response_to", [](auto& p) { p.request_id = "_another"; }},
      {"in_response_to", [](auto& p) { p.request_id = ""; }},
      {"in_response_to", [](auto& p) { p.confirmed_request = "_another"; }},
      {"in_response_to", [](auto& p) { p.confirmed_request = ""; }},
      {"destination", [](auto& p) { p.destination = "https://evil.example/acs"; }},
      {"recipient", [](auto& p) { p.recipient = "https://evil.example/acs"; }},
      {"recipient", [](auto& p) { p.recipient = ""; }},
      {"audience", [](auto& p) { p.audience = "https://other.example"; }},
      {"audience", [](auto& p) { p.audience = ""; }},
      {"issuer", [](auto& p) { p.issuer = "https://other.example"; }},
      {"issuer", [](auto& p) { p.response_issuer = "https://other.example"; }},
      {"status", [](auto& p) { p.status = "urn:oasis:names:tc:SAML:2.0:status:Responder"; }},
      {"subject", [](auto& p) { p.method = "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches"; }},
      {"subject", [](auto& p) { p.confirmed_until = ""; }},
      {"subject", [](auto& p) { p.name_id = " "; }},
      {"subject", [](auto& p) { p.name_id = "<saml:x/>jane"; }},
      {"subject",
       [](auto& p) { p.name_id_format = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"; }},
      {"expired", [&](auto& p) { p.confirmed_until = at(-60s); }},
      {"expired", [&](auto& p) { p.not_on_or_after = at(-60s); }},
      {"expired",
       [&](auto& p) {
         p.statements = "<saml:AuthnStatement SessionNotOnOrAfter=\"2020-01-01T00:00:00Z\"/>";
       }},
      {"not_yet_valid", [&](auto& p) { p.not_before = at(61s); }},
      {"not_yet_valid", [&](auto& p) { p.issued = at(61s); }},
      {"malformed", [](auto& p) { p.not_before = "soon"; }},
      {"malformed", [](auto& p) { p.issued = ""; }},
      {"conditions", [](auto& p) { p.conditions = "<x:Ask xmlns:x=\"urn:x\"/>"; }},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.reason);
    ResponseParts changed = parts;
    one.change(changed);
    expect_refused(changed, one.reason);
  }
}

TEST_F(SamlResponseTest, AnIdStandsOnce) {
  const std::string good = idp().response(parts);
  expect_refused(replaced(good, "_response1", "_assertion1"), "structure");
  expect_refused(replaced(good, "<samlp:Status>", "<samlp:Status Id=\"_assertion1\">"),
                 "structure");
}

TEST_F(SamlResponseTest, ClocksMayBeAMinuteApart) {
  parts.not_before = format_rfc3339(now + 60s);
  parts.issued = parts.not_before;
  EXPECT_TRUE(verify(parts));
  parts = testing::response_parts(now);
  parts.not_on_or_after = parts.confirmed_until = format_rfc3339(now - 59s);
  EXPECT_TRUE(verify(parts));
}

TEST_F(SamlResponseTest, ASignedResponseMustSayWhereItGoes) {
  parts.destination = "";
  EXPECT_TRUE(verify(parts));
  parts.sign_response = true;
  expect_refused(parts, "destination");
}

TEST_F(SamlResponseTest, OneTimeUseAndProxyRestrictionAreKeptAnyway) {
  parts.conditions = "<saml:OneTimeUse/><saml:ProxyRestriction Count=\"0\"/>";
  EXPECT_TRUE(verify(parts));
}

TEST_F(SamlResponseTest, EncryptedAssertionsAreRefusedByName) {
  const std::string encrypted = replaced(idp().response(parts), "<saml:Assertion ",
                                         "<saml:EncryptedAssertion xmlns:saml=\"urn:oasis:names:tc:"
                                         "SAML:2.0:assertion\"/><saml:Assertion ");
  expect_refused(encrypted, "encrypted");
}

TEST_F(SamlResponseTest, AnAnswerWithoutAssertionIsReadAsTheProvidersNo) {
  const std::string xml = idp().response(parts);
  const std::size_t from = xml.find("<saml:Assertion "), to = xml.find("</samlp:Response>");
  const std::string none = xml.substr(0, from) + xml.substr(to);
  expect_refused(replaced(none, "status:Success", "status:Requester"), "status");
  expect_refused(none, "structure");
}

TEST_F(SamlResponseTest, WeakAndOtherAlgorithmsAreRefused) {
  for (const auto& [signature, digest] : {std::pair("http://www.w3.org/2000/09/xmldsig#rsa-sha1",
                                                    "http://www.w3.org/2001/04/xmlenc#sha256"),
                                          {"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
                                           "http://www.w3.org/2000/09/xmldsig#sha1"}}) {
    ResponseParts weak = parts;
    weak.signature_method = signature;
    weak.digest_method = digest;
    expect_refused(weak, "algorithm");
  }
  const std::string good = idp().response(parts);
  // A secret that everybody knows: the provider's public key.
  expect_refused(replaced(good, "#rsa-sha256", "#hmac-sha256"), "algorithm");
  for (const char* other :
       {"http://www.w3.org/TR/1999/REC-xslt-19991116",
        "http://www.w3.org/TR/1999/REC-xpath-19991116", "http://www.w3.org/2000/09/xmldsig#base64",
        "http://www.w3.org/2001/10/xml-exc-c14n#WithComments"}) {
    expect_refused(replaced(good, "http://www.w3.org/2000/09/xmldsig#enveloped-signature", other),
                   "algorithm");
    expect_refused(
        replaced(good, "<ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#",
                 std::string("<ds:Transform Algorithm=\"") + other),
        "algorithm");
  }
}

TEST_F(SamlResponseTest, OtherFormsOfSignatureAreRefused) {
  const std::string good = idp().response(parts);
  expect_refused(replaced(good, "URI=\"#_assertion1\"", "URI=\"\""), "signature_form");
  expect_refused(replaced(good, " URI=\"#_assertion1\"", ""), "signature_form");
  expect_refused(replaced(good, "URI=\"#_assertion1\"", "URI=\"#_response1\""), "signature_form");
  expect_refused(replaced(good, "URI=\"#_assertion1\"", "URI=\"#xpointer(id('_assertion1'))\""),
                 "signature_form");
  expect_refused(replaced(good, "URI=\"#_assertion1\"", "URI=\"file:///etc/passwd\""),
                 "signature_form");
  const std::size_t from = good.find("<ds:Reference"), to = good.find("</ds:SignedInfo>");
  const std::string reference = good.substr(from, to - from);
  expect_refused(replaced(good, reference, reference + reference), "signature_form");
  expect_refused(replaced(good, reference, ""), "signature_form");
  const std::size_t s = good.find("<ds:Signature "), e = good.find("</ds:Signature>") + 15;
  const std::string signature = good.substr(s, e - s);
  expect_refused(replaced(good, signature, signature + signature), "signature_form");
  expect_refused(replaced(good, "</ds:SignatureValue>",
                          "</ds:SignatureValue><ds:Object><ds:Manifest/></ds:Object>"),
                 "signature_form");
  const std::string exclusive =
      "<ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"/>";
  expect_refused(replaced(good, exclusive, exclusive + exclusive), "signature_form");
  expect_refused(replaced(good, exclusive, ""), "signature_form");
}

/// Signature wrapping after Somorovsky et al., "On Breaking SAML: Be Whoever You Want to Be"
/// (2012).
struct SamlWrapping : SamlResponseTest {
  /// Pieces of a good message, and a forged copy of its assertion without signature.
  void take_apart(bool response_signed) {
    parts.sign_assertion = !response_signed;
    parts.sign_response = response_signed;
    whole = idp().response(parts);
    whole.erase(0, whole.find("<samlp:Response"));
    whole.resize(whole.rfind('>') + 1);
    const std::size_t s = whole.find("<ds:Signature "), e = whole.find("</ds:Signature>") + 15;
    signature = whole.substr(s, e - s);
    const std::size_t a = whole.find("<saml:Assertion "), z = whole.find("</saml:Assertion>") + 17;
    assertion = whole.substr(a, z - a);
    before = whole.substr(0, a);
    after = whole.substr(z);
    bare = response_signed ? assertion : replaced(assertion, signature, "");
    evil = replaced(replaced(bare, ">jane@", ">admin@"), "_assertion1", "_evil");
  }
  /// Whatever the reason, and with the original's ID as well as with another.
  void expect_refused_both(const std::string& xml) {
    for (const std::string& id : {std::string("_evil"), std::string("_assertion1")}) {
      const auto verified = verify(replaced(xml, "_evil", id));
      ASSERT_FALSE(verified) << "taken for " << verified->name_id;
      EXPECT_THAT(std::string(verified.error()),
                  ::testing::AnyOf("structure", "signature_form", "signature", "unsigned"));
    }
  }
  std::string whole, signature, assertion, bare, evil, before, after;
};

TEST_F(SamlWrapping, Xsw1TheSignedResponseInsideTheForgedOnesSignature) {
  take_apart(true);
  const std::string original = replaced(whole, signature, "");
  const std::string inside = replaced(signature, "</ds:Signature>", original + "</ds:Signature>");
  expect_refused_both(replaced(replaced(whole, signature, inside), assertion, evil));
  expect_refused_both(replaced(
      replaced(replaced(whole, signature, inside), "_response1", "_response2"), assertion, evil));
}
TEST_F(SamlWrapping, Xsw2TheSignedResponseBesideTheSignature) {
  take_apart(true);
  const std::string original = replaced(whole, signature, "");
  const std::string forged =
      replaced(replaced(whole, assertion, evil), signature, original + signature);
  expect_refused_both(forged);
  expect_refused_both(replaced(forged, "_response1", "_response2"));
}
TEST_F(SamlWrapping, Xsw3TheForgedAssertionBeforeTheSignedOne) {
  take_apart(false);
  expect_refused_both(before + evil + assertion + after);
  expect_refused_both(before + assertion + evil + after);
}
TEST_F(SamlWrapping, Xsw4TheSignedAssertionInsideTheForgedOne) {
  take_apart(false);
  expect_refused_both(before +
                      replaced(evil, "</saml:Assertion>", assertion + "</saml:Assertion>") + after);
}
TEST_F(SamlWrapping, Xsw5TheSignatureMovedIntoTheForgedAssertion) {
  take_apart(false);
  expect_refused_both(before + replaced(evil, "<saml:Subject>", signature + "<saml:Subject>") +
                      bare + after);
}
TEST_F(SamlWrapping, Xsw6TheSignedAssertionInsideTheMovedSignature) {
  take_apart(false);
  const std::string with = replaced(signature, "</ds:Signature>", bare + "</ds:Signature>");
  expect_refused_both(before + replaced(evil, "<saml:Subject>", with + "<saml:Subject>") + after);
}
TEST_F(SamlWrapping, Xsw7TheForgedAssertionAmongExtensions) {
  take_apart(false);
  expect_refused_both(before + "<samlp:Extensions>" + evil + "</samlp:Extensions>" + assertion +
                      after);
  expect_refused_both(before + "<samlp:Extensions>" + assertion + "</samlp:Extensions>" + evil +
                      after);
}
TEST_F(SamlWrapping, Xsw8TheSignedAssertionInAnObjectOfTheSignature) {
  take_apart(false);
  const std::string with =
      replaced(signature, "</ds:Signature>", "<ds:Object>" + bare + "</ds:Object></ds:Signature>");
  expect_refused_both(before + replaced(evil, "<saml:Subject>", with + "<saml:Subject>") + after);
}
TEST_F(SamlWrapping, AForgedAssertionUnderAnotherNameSpaceOrIdAttribute) {
  take_apart(false);
  EXPECT_FALSE(verify(before + replaced(evil, "urn:oasis:names:tc:SAML:2.0:assertion", "urn:x") +
                      assertion + after));
  for (const char* id : {"xml:id", "Id", "id"}) {
    const std::string other =
        replaced(evil, " ID=\"_evil\"", std::string(" ") + id + "=\"_assertion1\"");
    EXPECT_FALSE(verify(before + "<samlp:Extensions>" +
                        replaced(replaced(other, "<saml:Assertion ", "<saml:Other "),
                                 "</saml:Assertion>", "</saml:Other>") +
                        "</samlp:Extensions>" + assertion + after));
  }
}
TEST_F(SamlWrapping, ASignatureThatCameWithAnotherAssertionStaysWithIt) {
  take_apart(false);
  expect_refused_both(before + replaced(evil, "<saml:Subject>", signature + "<saml:Subject>") +
                      after);
}

TEST_F(SamlResponseTest, ACommentInANameCutsNothingOff) {
  // Signed as "admin@acme.example.evil.example"; a reader of the first piece takes the first half.
  parts.name_id = "admin@acme.example.evil.example";
  const std::string good = idp().response(parts);
  ASSERT_TRUE(verify(good));
  for (const char* cut : {"<!---->", "<!-- x -->", "<?x y?>"}) {
    expect_refused(replaced(good, "example.evil", std::string("example") + cut + ".evil"),
                   "malformed");
  }
  // A section of characters is no place to cut: all of it is the text.
  const auto sections = verify(replaced(good, "admin@acme.example.evil.example",
                                        "admin@<![CDATA[acme.example]]>.evil.example"));
  if (sections) {
    EXPECT_EQ(sections->name_id, "admin@acme.example.evil.example");
  }
}

TEST_F(SamlResponseTest, DocumentTypesAndEntitiesAreRefusedUnread) {
  const std::string good = idp().response(parts);
  const std::string body = good.substr(good.find("<samlp:Response"));
  for (const std::string& prolog :
       {std::string("<!DOCTYPE r [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>"),
        std::string("<!DOCTYPE r SYSTEM \"http://127.0.0.1:1/x.dtd\">"),
        std::string("<!DOCTYPE r [<!ENTITY a \"aaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\"><!ENTITY c "
                    "\"&b;&b;&b;&b;\">]>"),
        std::string("<!DOCTYPE r [<!ATTLIST samlp:Response ID ID #IMPLIED>]>")}) {
    expect_refused(prolog + body, "malformed");
    expect_refused(prolog + replaced(body, ">jane@", ">&x;&c;"), "malformed");
  }
  expect_refused(replaced(good, ">jane@", ">&undefined;"), "malformed");
  // In UTF-16 none of these words can be found by their bytes; nor is it read.
  std::string wide = "\xff\xfe";
  for (const char c : "<!DOCTYPE r><r/>") {
    wide += c;
    wide += '\0';
  }
  expect_refused(wide, "malformed");
}

TEST_F(SamlResponseTest, WhatIsTooMuchIsRefused) {
  expect_refused(std::string(300 * 1024, ' ') + idp().response(parts), "malformed");
  std::string deep, wide, flat;
  for (int i = 0; i < 200; ++i) deep += "<a>";
  for (int i = 0; i < 200; ++i) deep += "</a>";
  for (int i = 0; i < 10'000; ++i) wide += " a" + std::to_string(i) + "=\"\"";
  for (int i = 0; i < 10'000; ++i) flat += "<a/>";
  const std::string good = idp().response(parts);
  for (const std::string& extra : {deep, "<a" + wide + "/>", flat}) {
    expect_refused(replaced(good, "<samlp:Status>", extra + "<samlp:Status>"), "malformed");
  }
  std::vector<std::string> values(300, "x");
  parts.attributes = testing::attribute_xml("role", values);
  expect_refused(parts, "attributes");
  parts.attributes = testing::attribute_xml("role", {std::string(5000, 'x')});
  expect_refused(parts, "attributes");
}

TEST_F(SamlResponseTest, WhatIsNoResponseIsRefused) {
  for (const char* text : {"", "x", "<a/>", "<Response/>", "\x01\x02"})
    EXPECT_FALSE(verify(std::string(text)));
  EXPECT_FALSE(verify_saml_response("%%%", rules, now));
  EXPECT_FALSE(verify_saml_response("", rules, now));
  EXPECT_TRUE(
      verify_saml_response(base64_encode(idp().response(parts)).insert(76, "\r\n"), rules, now))
      << "lines are broken by some providers";
}

}  // namespace
}  // namespace asahi::identity
