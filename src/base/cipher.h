#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "base/secret.h"

namespace asahi {

/// AES-256-GCM (NIST SP 800-38D): ciphertext and the 16-byte tag behind it. `nonce` is 12 bytes and
/// must never serve twice under one key.
std::string aes256_gcm_seal(const Digest256& key, std::string_view nonce, std::string_view plain,
                            std::string_view aad);
/// The plain text, or nothing when any bit of the arguments differs from those of the sealing.
std::optional<std::string> aes256_gcm_open(const Digest256& key, std::string_view nonce,
                                           std::string_view sealed, std::string_view aad);
/// RFC 8018 §5.2, 32 bytes. With 480,000 iterations it takes a tenth of a second of CPU and more.
Digest256 pbkdf2_hmac_sha256(std::string_view password, std::string_view salt, int iterations);

/// Encryption at rest (gateway spec §9.8): AES-256-GCM under a key derived by PBKDF2-HMAC-SHA256
/// from a master key and a salt. A value is base64(version, key id, salt, nonce, ciphertext + tag).
/// The derived key is kept per key id and salt (R56), the nonce is fresh per value. Any key of the
/// ring decrypts, the newest encrypts (R57). Thread-safe.
///
/// A key's id comes from the key itself, so that a ring of the current and the previous keys needs
/// no numbers. So do its salts: a master key is 256 random bits, and a salt only has to part it
/// into several AES keys, each of which may encrypt 2^32 values under random nonces (SP 800-38D
/// §8.3). A ring encrypts with one of 16 salts of the newest key, drawn at its start. Salts drawn
/// freely would cost every reader a derivation for each start of every writer.
class KeyRing {
 public:
  struct Options {
    int pbkdf2_iterations =
        480'000;  ///< 1,000 to 10,000,000; values written with another number are unreadable
    std::size_t salt_length = 16;  ///< bytes, 8 to 32; a value carries its own
  };
  /// `keys`: 64 hex digits each, newest first; one may stand there twice. Derives the key to
  /// encrypt with, so it takes the time of one derivation. Errors: invalid_argument (never shows
  /// the key).
  static Result<KeyRing> make(const std::vector<Secret>& keys, Options options);
  /// As ASAHI_ENCRYPTION_KEY and ASAHI_ENCRYPTION_KEY_PREVIOUS hold them: the second is empty or a
  /// comma-separated list.
  static Result<KeyRing> parse(const Secret& current, const Secret& previous, Options options);
  ~KeyRing();
  KeyRing(KeyRing&&) noexcept;
  KeyRing& operator=(KeyRing&&) noexcept;

  /// Derives the keys for all salts that any ring of these keys writes with, so that no later call
  /// has to: seconds of CPU, for a thread of its own at the start. Ends early when `stop` asks.
  void derive_ahead(std::stop_token stop = {}) const;

  /// `context` is authenticated and must be given again to decrypt ("provider_keys/acme/openai"): a
  /// value cannot be moved to another row.
  std::string encrypt(std::string_view plain, std::string_view context) const;
  /// Takes the time of a derivation for the first value with a salt. Errors: corrupt for a wrong
  /// key, another context or any changed bit.
  Result<std::string> decrypt(std::string_view value, std::string_view context) const;
  /// True when `value` was not written with the newest key.
  bool is_stale(std::string_view value) const;
  /// The 12 characters that begin every value written with the newest key, and no other: for
  /// finding stale values by SQL.
  const std::string& prefix() const;

 private:
  struct Impl;
  explicit KeyRing(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace asahi
