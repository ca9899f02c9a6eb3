#include "identity/saml/response.h"

#include <algorithm>
#include <set>

#include "base/hash.h"
#include "identity/saml/signature.h"
#include "identity/saml/xml.h"

// After the headers of this project: it has macros for everything.
#include <libxml/tree.h>

namespace asahi::identity {
namespace {

using xml::kAssertion;
using xml::kProtocol;
using Refusal = std::unexpected<std::string_view>;
using Checked = std::expected<void, std::string_view>;

constexpr std::string_view kSuccess = "urn:oasis:names:tc:SAML:2.0:status:Success";
constexpr std::string_view kBearer = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
constexpr std::string_view kEmail = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress";
constexpr std::string_view kTransient = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient";
constexpr std::size_t kMaxNameId = 200;  // with "saml:<org>:" before it, what the table holds
constexpr std::size_t kMaxAttributes = 128, kMaxValues = 256, kMaxValueBytes = 4096;

std::string text_of(const xml::Node* node) {
  return node == nullptr ? std::string() : xml::text(node).value_or("");
}

bool is_success(const xml::Node* response) {
  const xml::Node* const status = xml::only_child(response, kProtocol, "Status");
  const xml::Node* const code =
      status == nullptr ? nullptr : xml::only_child(status, kProtocol, "StatusCode");
  return code != nullptr && xml::attribute(code, "Value") == kSuccess;
}

/// A document in which nothing can be taken for something else: one Response as the root, one
/// assertion right below it, signatures only where they belong, every ID once. What wrapping needs
/// is a second place for the same thing.
Checked check_structure(const xml::Document& document) {
  xml::Node* const response = xml::root(document);
  if (!xml::is(response, kProtocol, "Response")) return Refusal("structure");
  if (!xml::children(response, kAssertion, "EncryptedAssertion").empty())
    return Refusal("encrypted");
  xml::Node* const assertion = xml::only_child(response, kAssertion, "Assertion");
  // A provider that says no sends none.
  if (assertion == nullptr) return Refusal(is_success(response) ? "structure" : "status");
  bool good = true;
  std::set<std::string, std::less<>> ids;
  xml::each_element(response, [&](xml::Node* node) {
    const std::string_view name(reinterpret_cast<const char*>(node->name));
    // By local name: another namespace makes no second assertion harmless.
    if (name == "Assertion") good = good && node == assertion;
    if (name == "Response") good = good && node == response;
    if (name == "EncryptedAssertion" || name == "EncryptedData") good = false;
    if (name == "Signature") good = good && (node->parent == response || node->parent == assertion);
    for (const xmlAttr* attribute = node->properties; attribute != nullptr;
         attribute = attribute->next) {
      std::string_view key(reinterpret_cast<const char*>(attribute->name));
      if (key != "ID" && key != "Id" && key != "id") continue;
      // xml:id would be an ID to the library as well.
      if (attribute->ns != nullptr) good = false;
      good = good && ids.insert(xml::attribute(node, key.data()).value_or("")).second;
    }
  });
  if (!good) return Refusal("structure");
  return {};
}

std::optional<Clock::Time> time_at(const xml::Node* node, const char* name) {
  const auto text = xml::attribute(node, name);
  if (!text || text->size() > 40) return std::nullopt;
  const auto time = parse_rfc3339(*text);
  return time ? std::optional(*time) : std::nullopt;
}

/// NotBefore and NotOnOrAfter, each may be absent.
Checked check_window(const xml::Node* node, Clock::Time now) {
  for (const char* name : {"NotBefore", "NotOnOrAfter"}) {
    if (xml::attribute(node, name) && !time_at(node, name)) return Refusal("malformed");
  }
  if (const auto from = time_at(node, "NotBefore"); from && now + kSamlLeeway < *from)
    return Refusal("not_yet_valid");
  if (const auto until = time_at(node, "NotOnOrAfter"); until && now - kSamlLeeway >= *until)
    return Refusal("expired");
  return {};
}

Checked check_response(const xml::Node* response, const SamlRules& rules, bool is_signed) {
  if (xml::attribute(response, "Version") != "2.0") return Refusal("version");
  if (xml::attribute(response, "InResponseTo") != rules.request_id)
    return Refusal("in_response_to");
  const auto destination = xml::attribute(response, "Destination");
  // Bindings §3.5.5.2: a signed message must say where it goes.
  if (destination ? *destination != rules.acs_url : is_signed) return Refusal("destination");
  const auto issuers = xml::children(response, kAssertion, "Issuer");
  if (issuers.size() > 1 || (issuers.size() == 1 && text_of(issuers[0]) != rules.idp.entity_id))
    return Refusal("issuer");
  if (!is_success(response)) return Refusal("status");
  return {};
}

/// One bearer confirmation that fits is enough (Profiles §4.1.4.2); if none does, why the last does
/// not.
Checked check_confirmation(const xml::Node* subject, const SamlRules& rules, Clock::Time now) {
  Checked last = Refusal("subject");
  for (const xml::Node* item : xml::children(subject, kAssertion, "SubjectConfirmation")) {
    if (xml::attribute(item, "Method") != kBearer) continue;
    const xml::Node* const data = xml::only_child(item, kAssertion, "SubjectConfirmationData");
    if (data == nullptr || !time_at(data, "NotOnOrAfter")) {
      last = Refusal("subject");
    } else if (xml::attribute(data, "Recipient") != rules.acs_url) {
      last = Refusal("recipient");
    } else if (xml::attribute(data, "InResponseTo") != rules.request_id) {
      last = Refusal("in_response_to");
    } else {
      last = check_window(data, now);
      if (last) return last;
    }
  }
  return last;
}

Checked check_conditions(const xml::Node* assertion, const SamlRules& rules, Clock::Time now) {
  const xml::Node* const conditions = xml::only_child(assertion, kAssertion, "Conditions");
  if (conditions == nullptr) return Refusal("conditions");
  if (auto good = check_window(conditions, now); !good) return good;
  bool restricted = false;
  for (const xml::Node* condition : xml::children(conditions)) {
    if (xml::is(condition, kAssertion, "OneTimeUse") ||
        xml::is(condition, kAssertion, "ProxyRestriction")) {
      continue;  // once is all that an assertion is ever used, and it is not handed on
    }
    // Core §2.5.1: what is not understood cannot be kept.
    if (!xml::is(condition, kAssertion, "AudienceRestriction")) return Refusal("conditions");
    const auto audiences = xml::children(condition, kAssertion, "Audience");
    if (std::ranges::none_of(
            audiences, [&](const xml::Node* one) { return text_of(one) == rules.entity_id; })) {
      return Refusal("audience");
    }
    restricted = true;
  }
  if (!restricted) return Refusal("audience");
  return {};
}

/// How and when the user logged in there is the provider's matter; only the end is heeded.
Checked check_statements(const xml::Node* assertion, Clock::Time now) {
  for (const xml::Node* statement : xml::children(assertion, kAssertion, "AuthnStatement")) {
    if (!xml::attribute(statement, "SessionNotOnOrAfter")) continue;
    const auto until = time_at(statement, "SessionNotOnOrAfter");
    if (!until) return Refusal("malformed");
    if (now - kSamlLeeway >= *until) return Refusal("expired");
  }
  return {};
}

Checked read_attributes(const xml::Node* assertion, json::object& out) {
  std::size_t values = 0;
  for (const xml::Node* statement : xml::children(assertion, kAssertion, "AttributeStatement")) {
    for (const xml::Node* attribute : xml::children(statement, kAssertion, "Attribute")) {
      const std::string name = xml::attribute(attribute, "Name").value_or("");
      if (name.empty() || name.size() > 512 || out.size() >= kMaxAttributes)
        return Refusal("attributes");
      if (!out.contains(name)) out[name] = json::array();
      for (const xml::Node* value : xml::children(attribute, kAssertion, "AttributeValue")) {
        auto text = xml::text(value);
        if (!text) continue;  // a structure, which nothing here asks for
        if (++values > kMaxValues || text->size() > kMaxValueBytes) return Refusal("attributes");
        out[name].as_array().emplace_back(*std::move(text));
      }
    }
  }
  return {};
}

std::expected<SamlAssertion, std::string_view> read_assertion(const xml::Node* assertion,
                                                              const SamlRules& rules,
                                                              Clock::Time now) {
  SamlAssertion out;
  out.id = xml::attribute(assertion, "ID").value_or("");
  if (!is_plain_id(out.id)) return Refusal("structure");
  if (xml::attribute(assertion, "Version") != "2.0") return Refusal("version");
  const xml::Node* const issuer = xml::only_child(assertion, kAssertion, "Issuer");
  if (issuer == nullptr || text_of(issuer) != rules.idp.entity_id) return Refusal("issuer");
  const auto issued = time_at(assertion, "IssueInstant");
  if (!issued) return Refusal("malformed");
  if (now + kSamlLeeway < *issued) return Refusal("not_yet_valid");

  const xml::Node* const subject = xml::only_child(assertion, kAssertion, "Subject");
  const xml::Node* const name_id =
      subject == nullptr ? nullptr : xml::only_child(subject, kAssertion, "NameID");
  out.name_id = text_of(name_id);
  if (out.name_id.empty() || out.name_id.size() > kMaxNameId) return Refusal("subject");
  const std::string format = xml::attribute(name_id, "Format").value_or("");
  // Another name at every login is nobody's.
  if (format == kTransient) return Refusal("subject");
  out.name_id_is_email = format == kEmail;
  if (auto good = check_confirmation(subject, rules, now); !good) return Refusal(good.error());
  if (auto good = check_conditions(assertion, rules, now); !good) return Refusal(good.error());
  if (auto good = check_statements(assertion, now); !good) return Refusal(good.error());
  if (auto good = read_attributes(assertion, out.attributes); !good) return Refusal(good.error());
  return out;
}

}  // namespace

std::expected<SamlAssertion, std::string_view> verify_saml_response(std::string_view encoded,
                                                                    const SamlRules& rules,
                                                                    Clock::Time now) {
  std::string packed(encoded);
  std::erase_if(packed, [](char c) { return c == '\r' || c == '\n' || c == ' '; });
  const auto text = base64_decode(packed);
  if (!text) return Refusal("malformed");
  const auto document = xml::parse(*text, {});
  if (!document) return Refusal("malformed");
  if (auto good = check_structure(*document); !good) return Refusal(good.error());

  xml::Node* const response = xml::root(*document);
  xml::Node* const assertion = xml::only_child(response, kAssertion, "Assertion");
  // Whichever is signed must be signed well; the assertion must be in one of them.
  auto of_response = signed_bytes(*document, response, rules.idp.keys);
  auto of_assertion = signed_bytes(*document, assertion, rules.idp.keys);
  for (const auto* bytes : {&of_response, &of_assertion}) {
    if (!*bytes && bytes->error() != "unsigned") return Refusal(bytes->error());
  }
  if (!of_response && !of_assertion) return Refusal("unsigned");
  if (auto good = check_response(response, rules, of_response.has_value()); !good)
    return Refusal(good.error());

  // From here on only what was signed is read, not what was sent.
  const auto signed_part = xml::parse(of_assertion ? *of_assertion : *of_response, {});
  if (!signed_part) return Refusal("malformed");
  xml::Node* found = xml::root(*signed_part);
  if (!of_assertion) {
    if (!xml::is(found, kProtocol, "Response")) return Refusal("structure");
    if (auto good = check_response(found, rules, true); !good) return Refusal(good.error());
    found = xml::only_child(found, kAssertion, "Assertion");
  }
  if (found == nullptr || !xml::is(found, kAssertion, "Assertion")) return Refusal("structure");
  return read_assertion(found, rules, now);
}

}  // namespace asahi::identity
