// SAML responses and metadata of strangers. One message was signed by the provider (seed "signed",
// with a key that nobody has any more): what is accepted says what that one said.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/hash.h"
#include "identity/saml/response.h"
#include "identity/saml/xml.h"

namespace {

using namespace asahi;
using namespace asahi::identity;

constexpr Clock::Time kNow{std::chrono::seconds{1'700'000'000}};
constexpr std::string_view kCertificate =
    "MIIC/zCCAeegAwIBAgIUPAui+Rzh/"
    "64StgrG97cJJUgY6BIwDQYJKoZIhvcNAQELBQAwDzENMAsGA1UEAwwEZnV6ejAeFw0y"
    "NjExMjEyMTI0NTdaFw0yNjExMjIyMTI0NTdaMA8xDTALBgNVBAMMBGZ1enowggEiMA0GCSqGSIb3DQEBAQUAA4IBDwAwgg"
    "EK"
    "AoIBAQDNba7wHVRJxdT6sbe1bFwF/d1T7lFp+uuCtxiSX7+7md/"
    "WYpaeWUPHsifXO9OezE+idMpGqWXR8vNXT78mToUtsnyH"
    "jllNnpzMx6xXOaXiZA67ehThDSwXEPRXhym+YnDUqpStcnh4m7FSAnE0Kh0YxtQJArw3cot6seJW1c+RC6r24+"
    "RYlTu43LO6"
    "uKR1srieTyyNcePxe4OtxSyUMJwLEj8RgyVK8kpCoNDfbfuPTaLsMWkTPio4LR05CGye3ACJDFKGwXGQjBxwYBcj/"
    "Ilx+qpd"
    "e+YdeZ7g8QW6BeXrBVplJrIPzDJhGr0XSxXsyawCbDSbeMXXECgI2+w+"
    "IzxdAgMBAAGjUzBRMB0GA1UdDgQWBBTK8vp4uYvo"
    "LnCXBue9ja/5W7gelzAfBgNVHSMEGDAWgBTK8vp4uYvoLnCXBue9ja/5W7gelzAPBgNVHRMBAf8EBTADAQH/"
    "MA0GCSqGSIb3"
    "DQEBCwUAA4IBAQBsPiHM/mhLv/wlv65EtfhDKHFUfVEbEcVXqhINOgojDkPcQjuaK2XxCmKJa11BmnZQcHA5ZdvmUzqY/"
    "siu"
    "6ukbdyMuKWz/"
    "GIHy+dXDI5yC5hryOdtNZolsq2p9SLen6LcUD+CKhZA8qfKNClz46ZNOsdAEEYDJzIleXRdQRRpH2V3ocLVf"
    "F7FzwipFDuytwJK0jO5IP3D2VIqmC5znbX9Ayq0XBkWgSMfgwVbLHp9miVCYEBBZbqaw8KmwUYl/"
    "Z29nLP56txp1GkFAbW7d"
    "9o3fn75LbG4pTycpncd2+RbFJFpGVSMlP/yNSt9LOuTP/Dd+ETplsYJo50lQ/4xJvCsc";

void require(bool holds) {
  if (!holds) std::abort();
}

const IdpMetadata& idp() {
  static const IdpMetadata metadata = [] {
    std::string text =
        "<EntityDescriptor xmlns=\"urn:oasis:names:tc:SAML:2.0:metadata\" "
        "entityID=\"https://idp.example/metadata\"><IDPSSODescriptor><KeyDescriptor>"
        "<KeyInfo xmlns=\"http://www.w3.org/2000/09/xmldsig#\"><X509Data><X509Certificate>";
    text += kCertificate;
    text +=
        "</X509Certificate></X509Data></KeyInfo></KeyDescriptor><SingleSignOnService "
        "Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" "
        "Location=\"https://idp.example/sso\"/></IDPSSODescriptor></EntityDescriptor>";
    return parse_idp_metadata(text).value();
  }();
  return metadata;
}

const SamlRules& rules() {
  static const SamlRules all{idp(), "https://gw.example/auth/saml/acme/metadata",
                             "https://gw.example/auth/saml/acme/acs", "_request"};
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  (void)verify_saml_response(bytes, rules(), kNow);
  const auto verified = verify_saml_response(base64_encode(bytes), rules(), kNow);
  if (verified) {
    require(verified->name_id == "jane@acme.example" && verified->id == "_a");
    require(write_json(verified->attributes) == R"({"role":["viewer"]})");
    require(bytes.find("<!DOCTYPE") == bytes.npos && bytes.find("<!--") == bytes.npos);
  }
  (void)parse_idp_metadata(bytes);
  return 0;
}
