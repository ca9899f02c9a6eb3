#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/secret.h"

namespace asahi::identity {

/// The signature algorithms of RFC 7518 §3 that are spoken here. `none` is not one.
enum class JwtAlg { kHs256, kRs256, kEs256 };
/// "HS256", "RS256", "ES256".
std::string_view to_string(JwtAlg alg);
/// Exact spelling only: RFC 7515 names are case-sensitive.
std::optional<JwtAlg> parse_jwt_alg(std::string_view name);

/// A key for one algorithm and no other, so that a public RSA key can never serve as an HMAC
/// secret. Immutable, cheap to copy, thread-safe.
class JwtKey {
 public:
  static constexpr std::size_t kMinSecretBytes = 32;  ///< RFC 7518 §3.2
  static constexpr int kMinRsaBits = 2048;            ///< RFC 7518 §3.3

  /// Errors: invalid_argument (secret too short; never shows it).
  static Result<JwtKey> hs256(std::string kid, const Secret& secret);
  /// RS256 with at least 2048 bits, or ES256 on P-256, told by the key. Errors: invalid_argument
  /// (anything else, or no PEM).
  static Result<JwtKey> from_private_pem(std::string kid, const Secret& pem);
  /// A fresh RSA-2048 or P-256 key. Takes up to a second for RSA.
  static Result<JwtKey> generate(std::string kid, JwtAlg alg);
  /// Members of a JWK as bytes, big-endian. Errors: invalid_argument (weak, too big or malformed).
  static Result<JwtKey> rsa_public(std::string kid, std::string_view modulus,
                                   std::string_view exponent);
  static Result<JwtKey> ec_public(std::string kid, std::string_view x, std::string_view y);

  const std::string& kid() const;
  JwtAlg alg() const;
  bool can_sign() const;

  /// The raw signature: 32 bytes of HMAC, the RSA block, or r and s of 32 bytes each. Only for keys
  /// that can sign.
  std::string sign(std::string_view text) const;
  bool verify(std::string_view text, std::string_view signature) const;

  /// RFC 7517 form of the public half; nothing for secrets.
  std::optional<json::object> public_jwk() const;
  /// PKCS #8, unencrypted. Only for keys that can sign and are no secrets.
  Secret private_pem() const;

 private:
  struct Impl;
  explicit JwtKey(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  static Result<JwtKey> from_public(std::string kid, JwtAlg alg, void* owned);
  std::shared_ptr<const Impl> impl_;
};

/// Keys to verify with.
class JwtKeySet {
 public:
  JwtKeySet() = default;
  explicit JwtKeySet(std::vector<JwtKey> keys) : keys_(std::move(keys)) {}

  /// The key of that id and algorithm. A token without an id (RFC 7515 §4.1.4 leaves it out) fits
  /// when exactly one key has its algorithm. Null: none.
  const JwtKey* find(const std::optional<std::string>& kid, JwtAlg alg) const;
  bool has_kid(std::string_view kid) const;
  const std::vector<JwtKey>& keys() const { return keys_; }

 private:
  std::vector<JwtKey> keys_;
};

}  // namespace asahi::identity
