#pragma once

#include <memory>
#include <string>

#include "base/result.h"

struct ssl_ctx_st;

namespace asahi::net {

/// Who a listener is over TLS, and whose certificates it wants from clients.
struct TlsFiles {
  std::string certificate_file = {};  ///< PEM chain, server first
  std::string private_key_file = {};  ///< PEM
  /// PEM: a client's certificate must be signed by one of these, else the handshake fails; empty:
  /// clients are not asked for one.
  std::string client_ca_file = {};
  bool client_certificate_required = false;  ///< with `client_ca_file`: nor is one without welcome
  /// A certificate that is over, or not yet valid, cannot be used: no client would take it.
  bool must_be_current = false;
  /// No files: a key and a certificate of its own for localhost, 127.0.0.1 and ::1, made when it is
  /// opened and kept nowhere. Only for work on one machine.
  bool throw_away = false;
};

/// Settings and key material that TLS connections share: TLS 1.2 or newer, ALPN http/1.1.
/// Thread-safe.
class TlsContext {
 public:
  /// Errors: invalid_argument naming the file, with its member of `files` as field.
  static Result<std::shared_ptr<const TlsContext>> server(const TlsFiles& files);
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
