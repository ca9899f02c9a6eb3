#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "identity/saml/signature.h"

namespace asahi::identity {

/// What an identity provider's metadata says (SAML 2.0 Metadata §2.4.3), as far as it is used.
struct IdpMetadata {
  std::string entity_id;
  std::string login_url;  ///< SingleSignOnService with the HTTP-Redirect binding; https, or http on
                          ///< this machine
  PinnedKeys keys;
};

/// Reads an EntityDescriptor. Its signature, if it has one, is not looked at: whoever may write the
/// file decides who logs in. Errors: invalid_argument saying what is missing; those of
/// start_xmlsec.
Result<IdpMetadata> parse_idp_metadata(std::string_view text);
/// The same from a file of at most 1 MiB. Errors: also unavailable. Blocking.
Result<IdpMetadata> read_idp_metadata(const std::string& path);

}  // namespace asahi::identity
