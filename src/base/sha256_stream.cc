#include "base/sha256_stream.h"

#include <openssl/evp.h>

#include <stdexcept>

namespace asahi {

struct Sha256Stream::Impl {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~Impl() { EVP_MD_CTX_free(context); }
};

Sha256Stream::Sha256Stream() : impl_(std::make_unique<Impl>()) {
  if (EVP_DigestInit_ex(impl_->context, EVP_sha256(), nullptr) != 1)
    throw std::runtime_error("OpenSSL digest failed");
}
Sha256Stream::~Sha256Stream() = default;
Sha256Stream::Sha256Stream(Sha256Stream&&) noexcept = default;
Sha256Stream& Sha256Stream::operator=(Sha256Stream&&) noexcept = default;

void Sha256Stream::add(std::string_view bytes) {
  if (EVP_DigestUpdate(impl_->context, bytes.data(), bytes.size()) != 1)
    throw std::runtime_error("OpenSSL digest failed");
}

Digest256 Sha256Stream::finish() {
  Digest256 out;
  unsigned size = 0;
  if (EVP_DigestFinal_ex(impl_->context, out.data(), &size) != 1 || size != out.size())
    throw std::runtime_error("OpenSSL digest failed");
  return out;
}

}  // namespace asahi
