#pragma once

#include <boost/asio/thread_pool.hpp>

#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "base/cipher.h"
#include "base/log.h"
#include "identity/secrets/live.h"
#include "identity/secrets/secret_source.h"
#include "identity/secrets/vault.h"
#include "net/background.h"
#include "net/loop.h"
#include "server/options.h"
#include "telemetry/metrics.h"

namespace asahi::server {

// The secrets that may be exchanged while the process runs, by the name of their variable.
inline constexpr std::string_view kAdminSecret = "ASAHI_ADMIN_SECRET";
inline constexpr std::string_view kJwtSecret = "ASAHI_JWT_SECRET";
inline constexpr std::string_view kJwtSecretPrevious = "ASAHI_JWT_SECRET_PREVIOUS";
inline constexpr std::string_view kEncryptionKey = "ASAHI_ENCRYPTION_KEY";
inline constexpr std::string_view kEncryptionKeyPrevious = "ASAHI_ENCRYPTION_KEY_PREVIOUS";

/// Those, with the variables of the encryption keys and of the vendors' keys as configured. The
/// pepper is none of them: hashes of keys and heads of the audit log are made with it.
std::vector<std::string> live_secrets(const ServerConfig& config);
/// Everything that Vault holds, from an ordinary thread. Errors: as identity::Vault::start.
Result<identity::SecretSource::Values> read_vault(const identity::VaultOptions& options);

/// The process's secrets while it runs: what the settings said at the start, then what Vault and
/// reloads (SIGHUP) say. Vault's word counts more. A value that breaks a rule is not taken up: the
/// one before stays. Everything that follows from a change is done on a thread of its own.
class SecretParts {
 public:
  struct Lent {
    const ServerConfig& config;
    net::LoopPool& loops;
    telemetry::Registry& metrics;
  };
  /// Reads Vault where it is configured; derives the encryption key, which takes a moment. Errors:
  /// those of the first reading, invalid_argument (the encryption keys).
  static Result<std::unique_ptr<SecretParts>> make(Lent lent);
  /// stop().
  ~SecretParts();

  const identity::SecretSource& source() const { return source_; }
  /// Null inside without an encryption key. A new ring is put there when it is ready to be used
  /// without further derivation.
  const identity::Live<KeyRing>& ring() const { return ring_; }

  /// Called with the names of what changed, on the thread of secrets, after the ring was exchanged.
  /// Before `start`.
  void on_change(identity::SecretSource::Listener listener);
  /// Watches Vault, and derives keys so that no request has to.
  void start();
  /// What environment and .env say now. Any thread; returns at once.
  void reload(identity::SecretSource::Values own);
  /// Ordinary thread, loops still running. Idempotent.
  void stop();

 private:
  SecretParts(Lent lent, identity::SecretSource::Values initial);
  Result<void> read_vault_first();
  void from_vault(const identity::SecretSource::Values& news);
  /// Takes up what the layers say now.
  void apply();
  Result<KeyRing> make_ring() const;
  void take(const identity::SecretSource::Names& changed);

  const Lent lent_;
  Logger logger_{"secrets"};
  std::mutex mutex_;  // guards the two layers
  identity::SecretSource::Values own_, vault_;
  identity::SecretSource source_;
  identity::Live<KeyRing> ring_;
  std::vector<identity::SecretSource::Listener> listeners_;
  std::stop_source stopping_;
  boost::asio::thread_pool files_{1};    ///< Vault's JWT file
  boost::asio::thread_pool changes_{1};  ///< everything that follows from a change
  bool stopped_ = false;
  std::unique_ptr<identity::Vault> vault_client_;  ///< of loop 0
  net::Background background_;                     ///< on loop 0
};

}  // namespace asahi::server
