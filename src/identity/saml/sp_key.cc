#include "identity/saml/sp_key.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/hash.h"
#include "base/ids.h"
#include "identity/private_file.h"

namespace asahi::identity {
namespace {

constexpr int kBits = 2048;
constexpr long kYears = 20;

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* value) const {
    Free(value);
  }
};
using Bio = std::unique_ptr<BIO, Freed<&BIO_free>>;
using Certificate = std::unique_ptr<X509, Freed<&X509_free>>;

std::unexpected<Error> broken() { return fail(Errc::kInternal, "OpenSSL cannot make a key"); }

/// PEM of a new key and its certificate.
Result<Secret> make_pem(Clock::Time now) {
  const std::shared_ptr<EVP_PKEY> key(EVP_RSA_gen(kBits), &EVP_PKEY_free);
  const Certificate certificate(X509_new());
  if (key == nullptr || certificate == nullptr) return broken();
  std::uint64_t serial = random_u64() >> 1;
  auto seconds = static_cast<std::time_t>(
      std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count());
  X509* const x = certificate.get();
  X509_NAME* const name = X509_get_subject_name(x);
  const bool made = X509_set_version(x, X509_VERSION_3) == 1 &&
                    ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), serial) == 1 &&
                    X509_time_adj_ex(X509_getm_notBefore(x), -1, 0, &seconds) != nullptr &&
                    X509_time_adj_ex(X509_getm_notAfter(x), kYears * 365, 0, &seconds) != nullptr &&
                    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                               reinterpret_cast<const unsigned char*>("asahi SAML"),
                                               -1, -1, 0) == 1 &&
                    X509_set_issuer_name(x, name) == 1 && X509_set_pubkey(x, key.get()) == 1 &&
                    X509_sign(x, key.get(), EVP_sha256()) > 0;
  const Bio out(BIO_new(BIO_s_secmem()));
  if (!made || out == nullptr ||
      PEM_write_bio_PKCS8PrivateKey(out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) !=
          1 ||
      PEM_write_bio_X509(out.get(), x) != 1) {
    return broken();
  }
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return Secret(std::string(data, static_cast<std::size_t>(size)));
}

int no_password(char*, int, int, void*) { return -1; }

}  // namespace

Result<SpKey> SpKey::open(const std::string& file, const std::string& folder, const Clock& clock) {
  if (!file.empty()) return read(file);
  const std::string path = folder + "/sp.pem";
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    ::mkdir(folder.c_str(), 0700);
    ASAHI_TRY(const Secret made, make_pem(clock.now()));
    if (auto added = add_private_file(path, made); !added) return std::unexpected(added.error());
  }
  return read(path);
}

Result<SpKey> SpKey::read(const std::string& path) {
  ASAHI_TRY(const Secret text, read_private_file(path));
  const auto wrong = [&] {
    return fail(Errc::kInvalidArgument,
                fmt::format("{} must hold an RSA private key of at least 2,048 bits, without a "
                            "password, and its certificate, both in PEM",
                            path));
  };
  const std::string& pem = text.reveal();
  const Bio key_in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const Bio certificate_in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (key_in == nullptr || certificate_in == nullptr) return broken();
  std::shared_ptr<EVP_PKEY> key(
      PEM_read_bio_PrivateKey(key_in.get(), nullptr, no_password, nullptr), &EVP_PKEY_free);
  const Certificate certificate(
      PEM_read_bio_X509(certificate_in.get(), nullptr, no_password, nullptr));
  if (key == nullptr || certificate == nullptr || EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_RSA ||
      EVP_PKEY_get_bits(key.get()) < kBits ||
      X509_check_private_key(certificate.get(), key.get()) != 1) {
    return wrong();
  }
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate.get(), &der);
  if (size <= 0) return wrong();
  std::string encoded =
      base64_encode({reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)});
  OPENSSL_free(der);
  return SpKey(std::move(key), std::move(encoded));
}

Result<std::string> SpKey::sign(std::string_view text) const {
  const std::unique_ptr<EVP_MD_CTX, Freed<&EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
  std::string signature(static_cast<std::size_t>(EVP_PKEY_get_size(key_.get())), '\0');
  std::size_t size = signature.size();
  if (context == nullptr ||
      EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get()) != 1 ||
      EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                     reinterpret_cast<const unsigned char*>(text.data()), text.size()) != 1) {
    return fail(Errc::kInternal, "OpenSSL cannot sign");
  }
  signature.resize(size);
  return signature;
}

}  // namespace asahi::identity
