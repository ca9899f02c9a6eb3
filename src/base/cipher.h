#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/secret.h"

namespace asahi {

/// Encryption at rest (gateway spec §9.8): AES-256-GCM under a key derived by PBKDF2-HMAC-SHA256 from a master key and a
/// salt. A value is base64(version, key id, salt, nonce, ciphertext + tag). The derived key is kept per key id and salt
/// (R56), the nonce is fresh per value. Any key of the ring decrypts, the newest encrypts (R57). Thread-safe.
class KeyRing {
 public:
  struct Options {
    int pbkdf2_iterations = 480'000;
    std::size_t salt_length = 16;
  };
  /// `keys`: 64 hex digits each, newest first. Errors: invalid_argument (never shows the key).
  static Result<KeyRing> make(const std::vector<Secret>& keys, Options options);
  ~KeyRing();
  KeyRing(KeyRing&&) noexcept;
  KeyRing& operator=(KeyRing&&) noexcept;

  /// `context` is authenticated and must be given again to decrypt ("provider_keys/acme/openai"): a value cannot be moved
  /// to another row.
  std::string encrypt(std::string_view plain, std::string_view context) const;
  /// Errors: corrupt for a wrong key, another context or any changed bit.
  Result<std::string> decrypt(std::string_view value, std::string_view context) const;
  /// True when `value` was not written with the newest key.
  bool is_stale(std::string_view value) const;

 private:
  struct Impl;
  explicit KeyRing(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace asahi
