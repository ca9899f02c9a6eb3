#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

struct evp_pkey_st;

namespace asahi::identity {

/// The key that this gateway signs its requests with, and the self-signed certificate by which
/// identity providers know it. RSA, as not all of them read others. Immutable, usable from any
/// thread.
class SpKey {
 public:
  /// Reads key and certificate from one PEM file. `file` empty: kept in `folder`
  /// ("<data>/saml_keys", mode 0700) and made there the first time; replicas on several machines
  /// need a shared folder or a `file`, or their metadata differs. Errors: invalid_argument (not
  /// such a file, RSA under 2,048 bits, open to others), unavailable. Blocking; ordinary threads
  /// only.
  static Result<SpKey> open(const std::string& file, const std::string& folder, const Clock& clock);

  /// RSA-SHA256 (RFC 8017 §8.2). A millisecond. Errors: internal.
  Result<std::string> sign(std::string_view text) const;
  /// DER in base64, as metadata has it.
  const std::string& certificate() const { return certificate_; }

 private:
  SpKey(std::shared_ptr<evp_pkey_st> key, std::string certificate)
      : key_(std::move(key)), certificate_(std::move(certificate)) {}
  static Result<SpKey> read(const std::string& path);

  std::shared_ptr<evp_pkey_st> key_;
  std::string certificate_;
};

}  // namespace asahi::identity
