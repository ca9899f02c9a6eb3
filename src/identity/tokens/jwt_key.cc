#include "identity/tokens/jwt_key.h"

#include <fmt/format.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include <stdexcept>

#include "base/hash.h"

namespace asahi::identity {
namespace {

template <auto F>
struct Free {
  template <class T>
  void operator()(T* object) const {
    F(object);
  }
};
template <class T, auto F>
using Owned = std::unique_ptr<T, Free<F>>;
using Pkey = Owned<EVP_PKEY, EVP_PKEY_free>;
using PkeyContext = Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using DigestContext = Owned<EVP_MD_CTX, EVP_MD_CTX_free>;
using Number = Owned<BIGNUM, BN_clear_free>;
using Builder = Owned<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>;
using Params = Owned<OSSL_PARAM, OSSL_PARAM_free>;
using Signature = Owned<ECDSA_SIG, ECDSA_SIG_free>;
using Bio = Owned<BIO, BIO_free>;

constexpr std::size_t kCoordinate = 32;  // bytes of P-256
constexpr int kMaxRsaBits = 8192;        // beyond, one verification takes milliseconds

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

Number number(std::string_view big_endian) {
  return Number(BN_bin2bn(bytes(big_endian), static_cast<int>(big_endian.size()), nullptr));
}

// Fetched once: resolving the provider on every signature costs more than HMAC does.
const EVP_MD* sha256_type() {
  static const EVP_MD* const type = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  if (type == nullptr) throw std::runtime_error("OpenSSL lacks SHA256");
  return type;
}

Pkey from_params(const char* type, OSSL_PARAM_BLD* builder) {
  const Params params(OSSL_PARAM_BLD_to_param(builder));
  const PkeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
    ERR_clear_error();
    return {};
  }
  return Pkey(key);
}

/// What algorithm a key is good for. Errors: invalid_argument.
Result<JwtAlg> alg_of(const EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "RSA") == 1) {
    const int bits = EVP_PKEY_get_bits(key);
    if (bits < JwtKey::kMinRsaBits || bits > kMaxRsaBits) {
      return fail(Errc::kInvalidArgument,
                  fmt::format("an RSA key of {} bits cannot be used for RS256; use {} to {} bits",
                              bits, JwtKey::kMinRsaBits, kMaxRsaBits));
    }
    return JwtAlg::kRs256;
  }
  char group[32] = {};
  if (EVP_PKEY_is_a(key, "EC") == 1 &&
      EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group,
                                     nullptr) == 1 &&
      std::string_view(group) == "prime256v1") {
    return JwtAlg::kEs256;
  }
  return fail(Errc::kInvalidArgument,
              "the key is neither RSA nor on the curve P-256; use one of these");
}

std::string to_bytes(const BIGNUM* value, std::size_t size) {
  std::string out(size, '\0');
  if (BN_bn2binpad(value, reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(size)) < 0)
    out.clear();
  return out;
}

std::string to_bytes(const BIGNUM* value) {
  return to_bytes(value, static_cast<std::size_t>(BN_num_bytes(value)));
}

Number param(const EVP_PKEY* key, const char* name) {
  BIGNUM* value = nullptr;
  EVP_PKEY_get_bn_param(key, name, &value);
  return Number(value);
}

/// ASN.1 form of r and s; empty when they are not 32 bytes each.
std::string to_der(std::string_view raw) {
  if (raw.size() != 2 * kCoordinate) return {};
  const Signature signature(ECDSA_SIG_new());
  Number r = number(raw.substr(0, kCoordinate));
  Number s = number(raw.substr(kCoordinate));
  if (!signature || !r || !s || ECDSA_SIG_set0(signature.get(), r.get(), s.get()) != 1) return {};
  std::ignore = r.release();  // the signature has them now
  std::ignore = s.release();
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(signature.get(), &der);
  if (size <= 0) return {};
  std::string out(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return out;
}

std::string from_der(std::string_view der) {
  const unsigned char* at = bytes(der);
  const Signature signature(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  if (!signature) return {};
  return to_bytes(ECDSA_SIG_get0_r(signature.get()), kCoordinate) +
         to_bytes(ECDSA_SIG_get0_s(signature.get()), kCoordinate);
}

EVP_MD_CTX* digest_context() {
  thread_local const DigestContext context(EVP_MD_CTX_new());
  EVP_MD_CTX_reset(context.get());
  return context.get();
}

}  // namespace

std::string_view to_string(JwtAlg alg) {
  switch (alg) {
    case JwtAlg::kHs256:
      return "HS256";
    case JwtAlg::kRs256:
      return "RS256";
    case JwtAlg::kEs256:
      break;
  }
  return "ES256";
}

std::optional<JwtAlg> parse_jwt_alg(std::string_view name) {
  if (name == "HS256") return JwtAlg::kHs256;
  if (name == "RS256") return JwtAlg::kRs256;
  if (name == "ES256") return JwtAlg::kEs256;
  return std::nullopt;
}

struct JwtKey::Impl {
  std::string kid;
  JwtAlg alg;
  Secret secret;  ///< HS256
  Pkey key;       ///< the others
  bool has_private = false;
};

Result<JwtKey> JwtKey::hs256(std::string kid, const Secret& secret) {
  if (secret.reveal().size() < kMinSecretBytes) {
    return fail(Errc::kInvalidArgument,
                fmt::format("the secret for HS256 has {} bytes; it needs at least {}",
                            secret.reveal().size(), kMinSecretBytes));
  }
  auto impl = std::make_shared<Impl>();
  impl->kid = std::move(kid);
  impl->alg = JwtAlg::kHs256;
  impl->secret = secret;
  impl->has_private = true;
  return JwtKey(std::move(impl));
}

Result<JwtKey> JwtKey::from_private_pem(std::string kid, const Secret& pem) {
  const Bio bio(BIO_new_mem_buf(pem.reveal().data(), static_cast<int>(pem.reveal().size())));
  // Without a callback OpenSSL would ask for a passphrase on the terminal.
  const auto no_passphrase = [](char*, int, int, void*) { return -1; };
  auto impl = std::make_shared<Impl>();
  impl->key.reset(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr)
                      : nullptr);
  ERR_clear_error();
  if (!impl->key) {
    return fail(Errc::kInvalidArgument,
                "the signing key cannot be read; it must be an unencrypted private key in PEM");
  }
  ASAHI_TRY(impl->alg, alg_of(impl->key.get()));
  impl->kid = std::move(kid);
  impl->has_private = true;
  return JwtKey(std::move(impl));
}

Result<JwtKey> JwtKey::generate(std::string kid, JwtAlg alg) {
  auto impl = std::make_shared<Impl>();
  if (alg == JwtAlg::kRs256) impl->key.reset(EVP_RSA_gen(static_cast<unsigned>(kMinRsaBits)));
  if (alg == JwtAlg::kEs256) impl->key.reset(EVP_EC_gen("P-256"));
  ERR_clear_error();
  if (!impl->key) return fail(Errc::kInvalidArgument, "only keys for RS256 and ES256 can be made");
  impl->alg = alg;
  impl->kid = std::move(kid);
  impl->has_private = true;
  return JwtKey(std::move(impl));
}

Result<JwtKey> JwtKey::from_public(std::string kid, JwtAlg alg, void* owned) {
  auto impl = std::make_shared<Impl>();
  impl->key.reset(static_cast<EVP_PKEY*>(owned));
  if (!impl->key) return fail(Errc::kInvalidArgument, "the public key is malformed");
  ASAHI_TRY(impl->alg, alg_of(impl->key.get()));
  if (impl->alg != alg)
    return fail(Errc::kInvalidArgument, "the public key is of another kind than it says");
  const PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, impl->key.get(), nullptr));
  const bool sound = context && EVP_PKEY_public_check_quick(context.get()) == 1;
  ERR_clear_error();
  if (!sound) return fail(Errc::kInvalidArgument, "the public key is not sound");
  impl->kid = std::move(kid);
  return JwtKey(std::move(impl));
}

Result<JwtKey> JwtKey::rsa_public(std::string kid, std::string_view modulus,
                                  std::string_view exponent) {
  // An exponent of more than 32 bits only makes verification slow; 1 and even ones are no keys at
  // all.
  if (modulus.size() > kMaxRsaBits / 8 + 1 || exponent.empty() || exponent.size() > 4 ||
      (exponent.back() & 1) == 0 || exponent == "\x01") {
    return fail(Errc::kInvalidArgument,
                "the RSA key has a modulus or exponent that is out of bounds");
  }
  const Builder builder(OSSL_PARAM_BLD_new());
  const Number n = number(modulus);
  const Number e = number(exponent);
  if (!builder || !n || !e ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1) {
    return fail(Errc::kInvalidArgument, "the RSA key is malformed");
  }
  return from_public(std::move(kid), JwtAlg::kRs256, from_params("RSA", builder.get()).release());
}

Result<JwtKey> JwtKey::ec_public(std::string kid, std::string_view x, std::string_view y) {
  if (x.size() != kCoordinate || y.size() != kCoordinate) {
    return fail(Errc::kInvalidArgument, "the P-256 key has coordinates that are not 32 bytes long");
  }
  const std::string point = fmt::format("\x04{}{}", x, y);
  const Builder builder(OSSL_PARAM_BLD_new());
  if (!builder ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) !=
          1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                       point.size()) != 1) {
    return fail(Errc::kInvalidArgument, "the P-256 key is malformed");
  }
  return from_public(std::move(kid), JwtAlg::kEs256, from_params("EC", builder.get()).release());
}

const std::string& JwtKey::kid() const { return impl_->kid; }
JwtAlg JwtKey::alg() const { return impl_->alg; }
bool JwtKey::can_sign() const { return impl_->has_private; }

std::string JwtKey::sign(std::string_view text) const {
  if (impl_->alg == JwtAlg::kHs256) {
    const Digest256 mac = hmac_sha256(impl_->secret.reveal(), text);
    return std::string(reinterpret_cast<const char*>(mac.data()), mac.size());
  }
  EVP_MD_CTX* const context = digest_context();
  std::string out(static_cast<std::size_t>(EVP_PKEY_get_size(impl_->key.get())), '\0');
  std::size_t size = out.size();
  if (!impl_->has_private ||
      EVP_DigestSignInit(context, nullptr, sha256_type(), nullptr, impl_->key.get()) != 1 ||
      EVP_DigestSign(context, reinterpret_cast<unsigned char*>(out.data()), &size, bytes(text),
                     text.size()) != 1) {
    ERR_clear_error();
    throw std::runtime_error("OpenSSL could not sign a token");
  }
  out.resize(size);
  return impl_->alg == JwtAlg::kEs256 ? from_der(out) : out;
}

bool JwtKey::verify(std::string_view text, std::string_view signature) const {
  if (impl_->alg == JwtAlg::kHs256) return equal_constant_time(sign(text), signature);
  std::string der;
  if (impl_->alg == JwtAlg::kEs256) {
    der = to_der(signature);
    signature = der;
  }
  if (signature.empty()) return false;
  EVP_MD_CTX* const context = digest_context();
  const bool good =
      EVP_DigestVerifyInit(context, nullptr, sha256_type(), nullptr, impl_->key.get()) == 1 &&
      EVP_DigestVerify(context, bytes(signature), signature.size(), bytes(text), text.size()) == 1;
  ERR_clear_error();
  return good;
}

std::optional<json::object> JwtKey::public_jwk() const {
  json::object out{{"kid", impl_->kid}, {"use", "sig"}, {"alg", to_string(impl_->alg)}};
  switch (impl_->alg) {
    case JwtAlg::kHs256:
      return std::nullopt;
    case JwtAlg::kRs256:
      out["kty"] = "RSA";
      out["n"] = base64url_encode(to_bytes(param(impl_->key.get(), OSSL_PKEY_PARAM_RSA_N).get()));
      out["e"] = base64url_encode(to_bytes(param(impl_->key.get(), OSSL_PKEY_PARAM_RSA_E).get()));
      break;
    case JwtAlg::kEs256:
      out["kty"] = "EC";
      out["crv"] = "P-256";
      out["x"] = base64url_encode(
          to_bytes(param(impl_->key.get(), OSSL_PKEY_PARAM_EC_PUB_X).get(), kCoordinate));
      out["y"] = base64url_encode(
          to_bytes(param(impl_->key.get(), OSSL_PKEY_PARAM_EC_PUB_Y).get(), kCoordinate));
      break;
  }
  return out;
}

Secret JwtKey::private_pem() const {
  const Bio bio(BIO_new(BIO_s_secmem()));
  if (!bio || !impl_->key ||
      PEM_write_bio_PKCS8PrivateKey(bio.get(), impl_->key.get(), nullptr, nullptr, 0, nullptr,
                                    nullptr) != 1) {
    ERR_clear_error();
    throw std::runtime_error("OpenSSL could not write a signing key");
  }
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return Secret(std::string(data, static_cast<std::size_t>(size)));
}

const JwtKey* JwtKeySet::find(const std::optional<std::string>& kid, JwtAlg alg) const {
  const JwtKey* found = nullptr;
  for (const JwtKey& key : keys_) {
    if (key.alg() != alg || (kid && key.kid() != *kid)) continue;
    if (found != nullptr) return nullptr;  // two that fit: which one is meant cannot be told
    found = &key;
  }
  return found;
}

bool JwtKeySet::has_kid(std::string_view kid) const {
  for (const JwtKey& key : keys_) {
    if (key.kid() == kid) return true;
  }
  return false;
}

}  // namespace asahi::identity
