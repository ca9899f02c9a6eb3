#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/task.h"
#include "gateway/cache/exact_cache.h"
#include "gateway/cache/semantic_cache.h"
#include "identity/audit/audit.h"
#include "net/http/message.h"
#include "storage/cache/store.h"
#include "storage/sql/database.h"

namespace asahi::gateway {

class TraceStore;

/// What identity keeps of a person, as the rights of data subjects see it.
class Accounts {
 public:
  struct Erased {
    std::int64_t users = 0;  ///< user records removed
    std::int64_t keys = 0;   ///< API keys revoked
  };
  virtual ~Accounts() = default;
  /// The user's record without secrets; null when there is none.
  virtual Task<json::value> describe(std::string org_id, std::string user_id) = 0;
  /// Removes the record, ends the sessions, revokes the keys. Nobody of that name: zeros.
  virtual Task<Erased> erase(std::string org_id, std::string user_id) = 0;
};

/// All outlive their use.
struct GdprParts {
  sql::Database& database;
  ExactCache& cache;
  cache::Store& store;  ///< the cache's primary store
  identity::AuditLog& audit;
  Accounts& accounts;
  const Clock& clock;
  ExactCache* steps = nullptr;        ///< tier 3; null: there is none
  SemanticCache* semantic = nullptr;  ///< tier 2; null: there is none
  TraceStore* traces = nullptr;       ///< the last calls; null: none are remembered
};

/// Writes one JSON object with everything that is kept about a user: account, api_keys (without
/// hashes), consents, events, audit_entries. In pieces, so that years of events need no memory.
Task<void> export_user(GdprParts parts, std::string org_id, std::string user_id,
                       http::BodyWriter& writer);

struct ErasureReport {
  std::int64_t events = 0, rollups = 0, cache_entries = 0, consents = 0;
  Accounts::Erased accounts;
  std::int64_t audit_entries_kept = 0;  ///< the law's record of what was done: they stay
};
/// Erases a user's events, the sums kept under the user's name, the answers cached for them,
/// consents and account. Event files that are still open are cleaned by the next retention run,
/// which finds the erasure in `gdpr_erasures`.
Task<ErasureReport> erase_user(GdprParts parts, std::string org_id, std::string user_id);
json::object report_json(const ErasureReport& report);

struct Consent {
  std::string consent_id;  ///< "con_" + 26
  std::string org_id, user_id;
  std::string purpose;  ///< "analytics", "training", …
  bool granted = true;  ///< false: withdrawn
  std::string source;   ///< where it was given: a form, a contract
  std::string recorded_by;
  Clock::Time recorded_at{};
};
/// Records are never changed: a withdrawal is another record.
Task<Consent> record_consent(GdprParts parts, Consent consent);
json::object consent_json(const Consent& consent);

}  // namespace asahi::gateway
