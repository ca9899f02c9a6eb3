#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"
#include "identity/tokens/jwt_key.h"

namespace asahi::identity {

struct SigningKeysOptions {
  JwtAlg alg = JwtAlg::kHs256;
  /// HS256: the secret, at least 32 bytes. Empty: one is made and kept in `folder`.
  Secret secret;
  /// HS256: secrets of before; their tokens stay good until they expire.
  std::vector<Secret> previous_secrets;
  /// RS256, ES256: the private key in PEM, shared by all replicas. Empty: keys are made and kept in
  /// `folder`.
  std::string key_file;
  /// "<data>/jwt_keys": made with mode 0700, its files with 0600. Replicas on several machines need
  /// a shared folder, a `key_file` or a `secret`.
  std::string folder;
  /// How long a token signed by a replaced key may still live: access tokens' life and the leeway.
  std::chrono::seconds overlap{3'660};
};

/// The installation's own keys: the newest signs, all verify. A replaced key verifies for `overlap`
/// longer and is then deleted. Keys are named by their thumbprint (RFC 7638), so that replicas
/// agree without talking. Thread-safe.
class SigningKeys {
 public:
  /// Errors: invalid_argument (secret or key too weak, of the wrong kind, file open to others),
  /// unavailable (folder cannot be written). Blocking; ordinary threads only.
  static Result<std::unique_ptr<SigningKeys>> open(SigningKeysOptions options, const Clock& clock);

  JwtKey signer() const;
  std::shared_ptr<const JwtKeySet> verifiers() const;

  /// Makes a new key in `folder` and signs with it from now on. Errors: invalid_argument (the key
  /// comes from the settings: rotate it there), unavailable. Blocking, as `open`.
  Result<void> rotate();
  /// Signs with `secret` from now on (HS256; empty: with the folder's key) and still verifies what
  /// `previous` signed. Errors: as `open`; the keys of before stay. Blocking, as `open`.
  Result<void> use_secrets(Secret secret, std::vector<Secret> previous);
  /// Takes up keys that another process made and drops those whose time is over; once a minute is
  /// often enough. Blocking.
  Result<void> reload();

 private:
  struct Ring;
  SigningKeys(SigningKeysOptions options, const Clock& clock);
  static Result<std::shared_ptr<const Ring>> load(const SigningKeysOptions& options,
                                                  const Clock& clock, bool make_new);
  Result<void> take(bool make_new);
  std::shared_ptr<const Ring> ring() const;

  std::mutex loading_;  // one at a time; guards options_
  SigningKeysOptions options_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Ring> ring_;
};

}  // namespace asahi::identity
