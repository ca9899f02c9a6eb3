#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret.h"
#include "base/task.h"
#include "identity/principal.h"
#include "identity/secrets/provider_keys.h"
#include "storage/sql/database.h"

namespace asahi::identity {

/// The vendor keys of an organisation's own, as model calls ask for them: at every call, and mostly
/// in vain. So the process keeps a directory of who has any (names alone), and a call of everybody
/// else costs one look into it. The directory is read at the start, at intervals, and when a
/// process says that it changed. Thread-safe.
class OwnKeys {
 public:
  using Keys = std::map<std::string, Secret, std::less<>>;  ///< by vendor
  /// The kind that Invalidation tells of, with the organisation as id.
  static constexpr std::string_view kKind = "provider_keys";

  /// Both outlive it.
  OwnKeys(sql::Database& db, ProviderKeys& keys) : db_(db), keys_(keys) {}

  /// Without waiting: null inside: the organisation has none. Empty: ask `get`. As long as the
  /// directory was never read, callers without a credential have none: they do not wait for a
  /// database that hangs.
  std::optional<std::shared_ptr<const Keys>> try_get(const Principal& caller) const;
  /// Null: none. Errors: unavailable, timeout (the database is away and nothing is remembered), and
  /// those of ProviderKeys::get: a key that cannot be read is not replaced by the platform's, whose
  /// owner would be billed.
  Task<std::shared_ptr<const Keys>> get(std::string org_id);
  /// Reads the directory again. Errors: those of the database; the directory of before stays.
  Task<void> refresh();
  /// Forgets an organisation's keys (empty: everybody's), so that the next call reads them;
  /// `refresh` is due as well.
  void forget(std::string_view org_id);

 private:
  using Directory = std::map<std::string, std::vector<std::string>, std::less<>>;
  std::shared_ptr<const Directory> directory() const;

  sql::Database& db_;
  ProviderKeys& keys_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Directory> directory_;  // null: never read
  // Readings by number: one that began earlier does not undo a later one.
  std::uint64_t begun_ = 0, taken_ = 0;
};

}  // namespace asahi::identity
