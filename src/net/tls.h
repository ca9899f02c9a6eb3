#pragma once

#include <memory>
#include <string>

#include "base/result.h"

struct ssl_ctx_st;

namespace asahi::net {

/// Settings and key material that TLS connections share: TLS 1.2 or newer, ALPN http/1.1.
/// Thread-safe.
class TlsContext {
 public:
  /// Certificate chain and key in PEM files. Errors: invalid_argument naming the file.
  static Result<std::shared_ptr<const TlsContext>> server(std::string certificate_file,
                                                          std::string private_key_file);
  /// The system's roots plus `ca_file` (PEM, may be empty). Without `verify` any certificate
  /// passes: only for deployments that say so. Errors: invalid_argument naming the file.
  static Result<std::shared_ptr<const TlsContext>> client(bool verify, std::string ca_file);

  explicit TlsContext(ssl_ctx_st* owned) : context_(owned) {}
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  ssl_ctx_st* native() const { return context_; }

 private:
  ssl_ctx_st* context_;
};

}  // namespace asahi::net
