#include "identity/saml/idp_metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "base/hash.h"
#include "identity/http/browser_login.h"
#include "identity/saml/xml.h"
#include "net/http/client.h"

namespace asahi::identity {
namespace {

constexpr std::size_t kMaxBytes = 1024 * 1024;
constexpr std::size_t kMaxEntityId = 1024;
constexpr std::string_view kRedirect = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";

std::unexpected<Error> wrong(std::string_view what) {
  return fail(Errc::kInvalidArgument, fmt::format("the identity provider's metadata {}", what));
}

/// DER of the certificates in KeyDescriptors that are not for encryption alone.
Result<std::vector<std::string>> certificates_of(const xml::Node* idp) {
  std::vector<std::string> found;
  for (const xml::Node* descriptor : xml::children(idp, xml::kMetadata, "KeyDescriptor")) {
    if (xml::attribute(descriptor, "use").value_or("signing") != "signing") continue;
    for (const xml::Node* info : xml::children(descriptor, xml::kSignature, "KeyInfo")) {
      for (const xml::Node* data : xml::children(info, xml::kSignature, "X509Data")) {
        for (const xml::Node* item : xml::children(data, xml::kSignature, "X509Certificate")) {
          std::string text = xml::text(item).value_or("");
          std::erase_if(text, [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); });
          auto der = base64_decode(text);
          if (!der) return wrong("has a certificate that is no base64");
          if (std::ranges::find(found, *der) == found.end()) found.push_back(std::move(*der));
        }
      }
    }
  }
  return found;
}

}  // namespace

Result<IdpMetadata> parse_idp_metadata(std::string_view text) {
  // Every use of the XML libraries begins with a provider's metadata.
  if (auto started = start_xmlsec(); !started) return std::unexpected(std::move(started.error()));
  auto document =
      xml::parse(text, {.bytes = kMaxBytes, .nodes = 32'768, .depth = 32, .plain = false});
  if (!document) return wrong(fmt::format("cannot be read: {}", document.error()));
  const xml::Node* const entity = xml::root(*document);
  if (!xml::is(entity, xml::kMetadata, "EntityDescriptor"))
    return wrong("must be one EntityDescriptor; of a federation's file, take out the one in use");
  const std::string entity_id = xml::attribute(entity, "entityID").value_or("");
  if (entity_id.empty() || entity_id.size() > kMaxEntityId) return wrong("has no entityID");
  const xml::Node* const idp = xml::only_child(entity, xml::kMetadata, "IDPSSODescriptor");
  if (idp == nullptr) return wrong("must have one IDPSSODescriptor");
  std::string login_url;
  for (const xml::Node* service : xml::children(idp, xml::kMetadata, "SingleSignOnService")) {
    if (xml::attribute(service, "Binding") == kRedirect && login_url.empty())
      login_url = xml::attribute(service, "Location").value_or("");
  }
  if (login_url.empty()) return wrong("has no SingleSignOnService with the HTTP-Redirect binding");
  const auto plain = [](char c) { return c > ' ' && c < 0x7f && c != '#'; };
  if (login_url.size() > 2048 || !std::ranges::all_of(login_url, plain) ||
      !(login_url.starts_with("https://") || is_local_http(login_url))) {
    return wrong(
        "has a SingleSignOnService that is no https:// URL (http:// only on this machine)");
  }
  ASAHI_TRY(const auto certificates, certificates_of(idp));
  ASAHI_TRY(auto keys, PinnedKeys::make(certificates));
  return IdpMetadata{entity_id, std::move(login_url), std::move(keys)};
}

Result<IdpMetadata> read_idp_metadata(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxBytes + 1, '\0');
  if (!file || !file.read(text.data(), static_cast<std::streamsize>(text.size())).eof()) {
    if (file.is_open() && static_cast<std::size_t>(file.gcount()) > kMaxBytes)
      return fail(Errc::kInvalidArgument, fmt::format("{}: more than 1 MiB", path));
    return fail(Errc::kUnavailable, fmt::format("{}: cannot be read", path));
  }
  text.resize(static_cast<std::size_t>(file.gcount()));
  auto metadata = parse_idp_metadata(text);
  if (!metadata) metadata.error().message = fmt::format("{}: {}", path, metadata.error().message);
  return metadata;
}

}  // namespace asahi::identity
