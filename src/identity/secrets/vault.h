#pragma once

#include <boost/asio/thread_pool.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/policy/retry.h"
#include "base/secret.h"
#include "base/task.h"
#include "identity/secrets/secret_source.h"
#include "net/loop.h"

namespace asahi::identity {

struct VaultOptions {
  std::string address;     ///< VAULT_ADDR, "https://vault.example.com:8200"
  std::string path;        ///< VAULT_PATH, "secret/asahi": a KV version 2 secret
  Secret token;            ///< VAULT_TOKEN; wins over the role
  std::string role;        ///< VAULT_ROLE: Kubernetes authentication
  std::string name_space;  ///< VAULT_NAMESPACE (Enterprise)
  std::string ca_file;     ///< VAULT_CACERT, PEM added to the system's roots
  std::string kubernetes_mount = "kubernetes";  ///< ASAHI_VAULT_KUBERNETES_MOUNT
  /// ASAHI_VAULT_JWT_FILE; read at every login, because Kubernetes renews it.
  std::string jwt_file = "/var/run/secrets/kubernetes.io/serviceaccount/token";
  std::chrono::seconds read_every{60};       ///< ASAHI_VAULT_REFRESH_SECONDS, 5 to 86,400
  std::chrono::milliseconds timeout{5'000};  ///< of one attempt
  std::chrono::milliseconds total{15'000};   ///< of one call with its retries
  RetryPolicy retry{.max_attempts = 3, .base = std::chrono::milliseconds(300)};

  using Lookup = std::function<std::optional<std::string>(std::string_view)>;
  /// From the environment; empty when VAULT_ADDR is not set. Errors: invalid_argument.
  static Result<std::optional<VaultOptions>> from(const Lookup& variable);
};

/// The secrets of one path in HashiCorp Vault (KV version 2): read at the start, read again so that
/// rotated ones are taken up without a restart, and the token kept alive. The members of the secret
/// are named like the environment variables they stand for (OPENAI_API_KEY, ASAHI_JWT_SECRET …).
/// While Vault is away what was read stays in use. Made, used and destroyed on its loop's thread.
class Vault {
 public:
  /// Gets what changed since the last reading; an empty value: it is no longer there. Made for
  /// SecretSource::update.
  using Changed = std::function<void(const SecretSource::Values&)>;

  /// `files`: reads the JWT file. Errors: invalid_argument.
  static Result<std::unique_ptr<Vault>> make(net::Loop& loop, boost::asio::thread_pool& files,
                                             const Clock& clock, VaultOptions options,
                                             Changed changed);
  ~Vault();

  /// The first reading, for the start: all values; `changed` is not called. Errors: forbidden
  /// (token, role or policy), not_found, invalid_argument, rate_limited, unavailable, timeout,
  /// upstream.
  Task<SecretSource::Values> start();
  /// Makes the calls that are due. Returns when the next one is (by the clock). Failures are
  /// logged.
  Aw<Clock::Steady> step(CancelSource* cancel);
  /// Steps until `cancel` fires.
  Aw<void> run(CancelSource& cancel);

 private:
  struct Impl;
  explicit Vault(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace asahi::identity
