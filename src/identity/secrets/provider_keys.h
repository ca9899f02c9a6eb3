#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/cipher.h"
#include "base/clock.h"
#include "base/secret.h"
#include "base/task.h"
#include "identity/secrets/live.h"
#include "identity/secrets/reencryptor.h"
#include "storage/sql/database.h"

namespace asahi::identity {

/// An organisation's own key at a vendor, as it may be shown.
struct ProviderKey {
  std::string id;  ///< "pvk_" + 26
  std::string org_id;
  std::string vendor;
  std::string hint;  ///< the key's last 4 characters
  std::string created_by;
  Clock::Time created_at{};
};

/// The vendor keys that organisations bring themselves (table `provider_keys`), encrypted under the
/// key ring; one active key per organisation and vendor. Thread-safe.
class ProviderKeys {
 public:
  struct Options {
    /// How long a decrypted key, or the knowledge that there is none, is kept in this process: at
    /// most this long after a change whose notice got lost, the old key is still used.
    std::chrono::seconds cache_for{60};
    std::size_t cache_entries = 10'000;
  };
  /// Called after a change on the caller's loop, to tell the other processes (channel
  /// asahi:invalidate), which then call `forget`.
  using Changed = std::function<void(std::string org_id, std::string vendor)>;

  /// `ring` is null inside where no encryption key is configured: then keys are neither taken nor
  /// read.
  ProviderKeys(sql::Database& db, const Live<KeyRing>& ring, const Clock& clock, Changed changed,
               Options options);
  ~ProviderKeys();

  /// Stores the key and retires the one before. `vendor`: [a-z0-9_-], up to 50. Errors:
  /// invalid_argument (a field; or no encryption key, with reason "configuration_error"), conflict
  /// (set by others at the same time).
  Task<ProviderKey> put(std::string org_id, std::string vendor, Secret key, std::string user_id);
  /// The organisation's key, to call the vendor with; empty when it has none and the platform's
  /// applies. What is remembered goes on while the database is away. Errors: unavailable (there is
  /// one, but no encryption key), corrupt (wrong key, damaged), those of the database.
  Task<std::optional<Secret>> get(std::string org_id, std::string vendor);
  /// Active keys by vendor, without the secrets.
  Task<std::vector<ProviderKey>> list(std::string org_id);
  /// Errors: not_found.
  Task<void> remove(std::string org_id, std::string vendor);

  /// Drops what this process remembers: of one key after a notice, of all after lost notices.
  void forget(const std::string& org_id, const std::string& vendor);
  void forget_all();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// For the Reencryptor.
EncryptedColumn provider_keys_column();

}  // namespace asahi::identity
