#include "net/testing/certificate.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <stdexcept>

namespace asahi::net_testing {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using File = std::unique_ptr<std::FILE, decltype(&std::fclose)>;

void check(bool ok, const char* what) {
  if (!ok) throw std::runtime_error(what);
}

}  // namespace

TemporaryCertificate::TemporaryCertificate(const std::string& host, Validity validity) {
  std::string pattern = (std::filesystem::temp_directory_path() / "asahi_cert_XXXXXX").string();
  check(::mkdtemp(pattern.data()) != nullptr, "mkdtemp");
  folder_ = pattern;
  certificate_file_ = folder_ + "/cert.pem";
  private_key_file_ = folder_ + "/key.pem";

  const Key key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  const Certificate certificate(X509_new(), X509_free);
  check(key && certificate, "key");
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  constexpr long kHour = 3600;
  long begin = -kHour;
  if (validity == Validity::kOver) begin = -30 * kHour;
  if (validity == Validity::kNotYet) begin = kHour;
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), begin);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), begin + 25 * kHour);
  X509_set_pubkey(certificate.get(), key.get());
  X509_NAME* const name = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(host.c_str()), -1, -1, 0);
  X509_set_issuer_name(certificate.get(), name);
  const bool address = host.find_first_not_of("0123456789.") == std::string::npos;
  const std::string alternative = (address ? "IP:" : "DNS:") + host;
  X509_EXTENSION* const extension =
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, alternative.c_str());
  check(extension != nullptr && X509_add_ext(certificate.get(), extension, -1) == 1, "extension");
  X509_EXTENSION_free(extension);
  check(X509_sign(certificate.get(), key.get(), EVP_sha256()) > 0, "sign");

  const File certificate_out(std::fopen(certificate_file_.c_str(), "w"), std::fclose);
  const File key_out(std::fopen(private_key_file_.c_str(), "w"), std::fclose);
  check(certificate_out && key_out, "open");
  check(PEM_write_X509(certificate_out.get(), certificate.get()) == 1, "write certificate");
  check(PEM_write_PrivateKey(key_out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1,
        "write key");
}

TemporaryCertificate::~TemporaryCertificate() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

}  // namespace asahi::net_testing
