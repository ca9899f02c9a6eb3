#include "identity/saml/signature.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>

#include "identity/saml/xml_library.h"

namespace asahi::identity {
namespace {

constexpr std::string_view kEnveloped = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
constexpr std::string_view kExclusive = "http://www.w3.org/2001/10/xml-exc-c14n#";
constexpr std::array<std::string_view, 3> kDigests{"http://www.w3.org/2001/04/xmlenc#sha256",
                                                   "http://www.w3.org/2001/04/xmldsig-more#sha384",
                                                   "http://www.w3.org/2001/04/xmlenc#sha512"};
constexpr std::array<std::string_view, 6> kSignatures{
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512"};
constexpr int kLeastRsaBits = 2048, kLeastEcBits = 256;

struct Destroy {
  void operator()(xmlSecKey* key) const { xmlSecKeyDestroy(key); }
  void operator()(xmlSecDSigCtx* context) const { xmlSecDSigCtxDestroy(context); }
  void operator()(X509* certificate) const { X509_free(certificate); }
};
using Key = std::unique_ptr<xmlSecKey, Destroy>;
using Context = std::unique_ptr<xmlSecDSigCtx, Destroy>;

template <std::size_t N>
bool one_of(const std::array<std::string_view, N>& list, const std::optional<std::string>& value) {
  return value && std::ranges::find(list, *value) != list.end();
}

/// The form that is accepted, read before the library sees it: the library knows a lot more than a
/// SAML signature needs.
std::expected<void, std::string_view> check_form(const xml::Node* signature, std::string_view id) {
  using xml::kSignature;
  const auto wrong = [] { return std::unexpected<std::string_view>("signature_form"); };
  const xml::Node* const info = xml::only_child(signature, kSignature, "SignedInfo");
  const std::size_t key_infos = xml::children(signature, kSignature, "KeyInfo").size();
  if (info == nullptr || xml::only_child(signature, kSignature, "SignatureValue") == nullptr ||
      key_infos > 1 || xml::children(signature).size() != 2 + key_infos) {
    return wrong();
  }
  const xml::Node* const canonical = xml::only_child(info, kSignature, "CanonicalizationMethod");
  const xml::Node* const method = xml::only_child(info, kSignature, "SignatureMethod");
  const xml::Node* const reference = xml::only_child(info, kSignature, "Reference");
  if (canonical == nullptr || method == nullptr || reference == nullptr ||
      xml::children(info).size() != 3 || !xml::children(method).empty()) {
    return wrong();
  }
  const xml::Node* const transforms = xml::only_child(reference, kSignature, "Transforms");
  const xml::Node* const digest = xml::only_child(reference, kSignature, "DigestMethod");
  if (transforms == nullptr || digest == nullptr ||
      xml::only_child(reference, kSignature, "DigestValue") == nullptr ||
      xml::children(reference).size() != 3 || !xml::children(digest).empty()) {
    return wrong();
  }
  if (xml::attribute(reference, "URI") != "#" + std::string(id)) return wrong();
  const auto steps = xml::children(transforms);
  if (steps.size() != 2) return wrong();
  for (const xml::Node* step : steps) {
    if (!xml::is(step, kSignature, "Transform")) return wrong();
  }
  if (!xml::children(steps[0]).empty()) return wrong();
  for (const xml::Node* exclusive : {static_cast<const xml::Node*>(steps[1]), canonical}) {
    for (const xml::Node* child : xml::children(exclusive)) {
      if (!xml::is(child, kExclusive, "InclusiveNamespaces")) return wrong();
    }
  }
  if (xml::attribute(steps[0], "Algorithm") != kEnveloped ||
      xml::attribute(steps[1], "Algorithm") != kExclusive ||
      xml::attribute(canonical, "Algorithm") != kExclusive ||
      !one_of(kDigests, xml::attribute(digest, "Algorithm")) ||
      !one_of(kSignatures, xml::attribute(method, "Algorithm"))) {
    return std::unexpected("algorithm");
  }
  return {};
}

/// The same list once more, for the library.
bool allow(xmlSecDSigCtx* context) {
  for (const xmlSecTransformId id :
       {xmlSecTransformExclC14NId, xmlSecOpenSSLTransformRsaSha256Id,
        xmlSecOpenSSLTransformRsaSha384Id, xmlSecOpenSSLTransformRsaSha512Id,
        xmlSecOpenSSLTransformEcdsaSha256Id, xmlSecOpenSSLTransformEcdsaSha384Id,
        xmlSecOpenSSLTransformEcdsaSha512Id}) {
    if (xmlSecDSigCtxEnableSignatureTransform(context, id) < 0) return false;
  }
  for (const xmlSecTransformId id :
       {xmlSecTransformEnvelopedId, xmlSecTransformExclC14NId, xmlSecOpenSSLTransformSha256Id,
        xmlSecOpenSSLTransformSha384Id, xmlSecOpenSSLTransformSha512Id}) {
    if (xmlSecDSigCtxEnableReferenceTransform(context, id) < 0) return false;
  }
  context->enabledReferenceUris = xmlSecTransformUriTypeSameDocument;
  context->flags |= XMLSEC_DSIG_FLAGS_STORE_SIGNEDINFO_REFERENCES;
  return true;
}

/// The digested bytes when the signature is this key's.
std::optional<std::string> verify(xml::Node* signature, const xmlSecKey* key) {
  const Context context(xmlSecDSigCtxCreate(nullptr));
  if (context == nullptr || !allow(context.get())) return std::nullopt;
  // With a key given, the library does not look into KeyInfo. The context frees it.
  context->signKey = xmlSecKeyDuplicate(const_cast<xmlSecKey*>(key));
  if (context->signKey == nullptr || xmlSecDSigCtxVerify(context.get(), signature) < 0 ||
      context->status != xmlSecDSigStatusSucceeded ||
      xmlSecPtrListGetSize(&context->signedInfoReferences) != 1) {
    return std::nullopt;
  }
  auto* const reference =
      static_cast<xmlSecDSigReferenceCtx*>(xmlSecPtrListGetItem(&context->signedInfoReferences, 0));
  if (reference == nullptr || reference->status != xmlSecDSigStatusSucceeded) return std::nullopt;
  xmlSecBuffer* const bytes = xmlSecDSigReferenceCtxGetPreDigestBuffer(reference);
  if (bytes == nullptr || xmlSecBufferGetSize(bytes) == 0) return std::nullopt;
  return std::string(reinterpret_cast<const char*>(xmlSecBufferGetData(bytes)),
                     xmlSecBufferGetSize(bytes));
}

}  // namespace

struct PinnedKeys::Set {
  std::vector<Key> keys;
};

Result<void> start_xmlsec() {
  if (auto loaded = libxmlsec.load(); !loaded) return loaded;
  static const bool good = [] {
    xmlInitParser();
    const bool started = xmlSecInit() == 0 && xmlSecCheckVersion() == 1 &&
                         xmlSecOpenSSLAppInit(nullptr) == 0 && xmlSecOpenSSLInit() == 0;
    // What it has to say is about messages of strangers and has no place on stderr.
    xmlSecErrorsSetCallback(nullptr);
    return started;
  }();
  if (!good) return fail(Errc::kInternal, "libxmlsec1 does not start");
  return {};
}

Result<PinnedKeys> PinnedKeys::make(const std::vector<std::string>& certificates) {
  if (auto started = start_xmlsec(); !started) return std::unexpected(started.error());
  const auto wrong = [](std::string_view what) {
    return fail(Errc::kInvalidArgument, "the identity provider's metadata " + std::string(what));
  };
  if (certificates.empty()) return wrong("has no certificate for signing");
  if (certificates.size() > kMost) return wrong("has more than 8 certificates for signing");
  auto set = std::make_shared<Set>();
  for (const std::string& der : certificates) {
    const auto* at = reinterpret_cast<const unsigned char*>(der.data());
    const std::unique_ptr<X509, Destroy> certificate(
        d2i_X509(nullptr, &at, static_cast<long>(der.size())));
    if (certificate == nullptr) return wrong("has a certificate that cannot be read");
    EVP_PKEY* const key = X509_get0_pubkey(certificate.get());
    const int kind = key == nullptr ? 0 : EVP_PKEY_get_base_id(key);
    if (kind == EVP_PKEY_RSA && EVP_PKEY_get_bits(key) < kLeastRsaBits)
      return wrong("has an RSA key of less than 2,048 bits");
    if (kind != EVP_PKEY_RSA && (kind != EVP_PKEY_EC || EVP_PKEY_get_bits(key) < kLeastEcBits))
      return wrong("has a key that is neither RSA nor an elliptic curve of 256 bits or more");
    EVP_PKEY_up_ref(key);
    xmlSecKeyData* const value = xmlSecOpenSSLEvpKeyAdopt(key);
    if (value == nullptr) {
      EVP_PKEY_free(key);
      return wrong("has a key that cannot be used");
    }
    Key made(xmlSecKeyCreate());
    if (made == nullptr || xmlSecKeySetValue(made.get(), value) < 0) {
      xmlSecKeyDataDestroy(value);
      return wrong("has a key that cannot be used");
    }
    set->keys.push_back(std::move(made));
  }
  return PinnedKeys(std::move(set));
}

bool is_plain_id(std::string_view id) {
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !id.empty() && id.size() <= 256 && letter(id.front()) &&
         std::ranges::all_of(id, [&](char c) {
           return letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '-';
         });
}

std::expected<std::string, std::string_view> signed_bytes(const xml::Document& document,
                                                          xml::Node* element,
                                                          const PinnedKeys& keys) {
  const auto signatures = xml::children(element, xml::kSignature, "Signature");
  if (signatures.empty()) return std::unexpected("unsigned");
  const auto id = xml::attribute(element, "ID");
  if (signatures.size() != 1 || !id || !is_plain_id(*id)) return std::unexpected("signature_form");
  if (auto good = check_form(signatures.front(), *id); !good) return std::unexpected(good.error());
  // Known to the library under this ID: this element and no other.
  const auto* const name = reinterpret_cast<const xmlChar*>(id->c_str());
  xmlAttr* const attribute = xmlHasProp(element, reinterpret_cast<const xmlChar*>("ID"));
  if (const xmlAttr* known = xmlGetID(document.get(), name); known == nullptr) {
    if (xmlAddID(nullptr, document.get(), name, attribute) == nullptr)
      return std::unexpected("signature_form");
  }
  if (xmlGetID(document.get(), name) != attribute) return std::unexpected("signature_form");
  for (const Key& key : keys.set().keys) {
    if (auto bytes = verify(signatures.front(), key.get())) return *std::move(bytes);
  }
  return std::unexpected("signature");
}

}  // namespace asahi::identity
