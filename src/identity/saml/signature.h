#pragma once
// XML signatures (XMLDSig 1.1) as SAML 2.0 Core §5.4 narrows them, checked with libxmlsec1.

#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "identity/saml/xml.h"

namespace asahi::identity {

/// The keys that an identity provider signs with, from its metadata; nothing else is ever believed,
/// least of all what a message says about its own key. Immutable, usable from any thread.
class PinnedKeys {
 public:
  static constexpr std::size_t kMost = 8;
  /// `certificates`: DER. Certificates only carry the keys: their dates and issuers say nothing, as
  /// the metadata file is what is trusted. Errors: invalid_argument (none, too many, unreadable,
  /// RSA under 2,048 bits, neither RSA nor EC).
  static Result<PinnedKeys> make(const std::vector<std::string>& certificates);

  struct Set;
  const Set& set() const { return *set_; }

 private:
  explicit PinnedKeys(std::shared_ptr<const Set> set) : set_(std::move(set)) {}
  std::shared_ptr<const Set> set_;
};

/// The canonical bytes of `element` that its own signature (a child of it) vouches for: what is
/// read from them, and only that, was signed. Nothing else of the document is looked at. Refused:
/// anything but one Reference to this element's ID, with the enveloped-signature and exclusive
/// canonicalisation transforms; hashes under SHA-256; HMAC; further parts in the signature. On
/// failure a word for the log: "unsigned", "signature_form", "algorithm", "signature".
std::expected<std::string, std::string_view> signed_bytes(const xml::Document& document,
                                                          xml::Node* element,
                                                          const PinnedKeys& keys);

/// True for IDs that mean the same to every reader: [A-Za-z_][A-Za-z0-9_.-]*, at most 256.
bool is_plain_id(std::string_view id);

/// Loads libxmlsec1 and brings it up, once for the process: before anything of this folder is asked
/// for. Errors: unavailable (not installed), internal.
Result<void> start_xmlsec();

}  // namespace asahi::identity
