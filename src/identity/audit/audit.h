#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/task.h"
#include "storage/sql/database.h"
#include "storage/sql/migrations.h"

namespace asahi::identity {

/// One thing that somebody did (spec §9.6). Details are masked of personal data before they come
/// here and hold no secrets.
struct AuditEntry {
  std::string org_id;
  std::string user_id;   ///< or "key:<prefix>", "operator", "anonymous", "system"
  std::string action;    ///< "auth_failure", "api_key.create", "policy.update", "inference", …
  std::string resource;  ///< "api_key/ask_acme_ab12", "policy/acme"
  json::object details;
  std::string ip_address;
  std::string user_agent;
  std::string result = "success";                ///< success, failure or denied
  std::string data_classification = "internal";  ///< public, internal, confidential or restricted
};

/// One stored entry with its place in the organisation's chain.
struct StoredAuditEntry : AuditEntry {
  std::int64_t id = 0;   ///< of the table
  std::int64_t seq = 0;  ///< place in the organisation's chain, from 1 without gaps
  std::string entry_id;  ///< "aud_" + 26
  Clock::Time timestamp;
  std::string
      prev_hash;  ///< SHA-256, hex, of the preceding entry's canonical JSON; empty for the first
};

struct AuditFilter {
  std::string org_id;                     ///< always given
  std::string action, user_id;            ///< empty: any
  std::optional<Clock::Time> start, end;  ///< both inclusive
  std::int64_t limit = 100, offset = 0;   ///< limit: 1 to kMaxLimit
  /// Only entries before this place in the chain; 0: all. Pages of a log that grows meanwhile.
  std::int64_t before_seq = 0;

  static constexpr std::int64_t kMaxLimit = 500;
};

struct AuditVerification {
  bool valid = true;
  std::int64_t checked = 0;
  /// entry_id of the first row that does not fit; the last good one when those behind it are gone.
  /// Empty when valid, and when no row is left to point to.
  std::string first_bad_entry;
  /// changed, missing before, missing after, order, inserted, anchor changed, head forged, head
  /// missing or head unsigned; empty when valid.
  std::string problem;
};

/// Hash-chained log per organisation over all modules, several writers at a time (processes too):
/// prev_hash of an entry is the SHA-256 of the canonical JSON of the one before, with its own
/// prev_hash (R42). Rows cannot be updated or deleted but by `trim`, which leaves an anchor. A
/// signed head per organisation (HMAC with the installation's key) tells a chain cut at its end.
class AuditLog {
 public:
  virtual ~AuditLog() = default;
  /// Queues and returns at once; the writer batches. A crash may lose what has not reached the
  /// spool, which is written before the next batch. Bounded: when full, false, counted, and the
  /// caller goes on, or fails where policy demands.
  virtual bool record(AuditEntry entry) = 0;
  /// Durable when it returns the entry_id. For mutations and wherever `require_audit_log` is set.
  /// An entry that was refused is not stored later. Errors: unavailable (the database is away, the
  /// queue is full), timeout (after `append_timeout`; with the reason "outcome_unknown" it may be
  /// stored yet), invalid_argument (organisation).
  virtual Task<std::string> append(AuditEntry entry) = 0;
  /// Newest first.
  virtual Task<std::vector<StoredAuditEntry>> query(AuditFilter filter) = 0;
  virtual Task<AuditVerification> verify(std::string org_id) = 0;
  /// Deletes entries older than `before`, leaving an anchor so that the rest still verifies;
  /// returns how many. Only the part of the chain in front of the first younger entry goes. Errors:
  /// corrupt when that part does not verify: it is evidence.
  virtual Task<std::int64_t> trim(std::string org_id, Clock::Time before) = 0;
  /// Writes out what is queued; ordinary thread. True when all is stored within `limit`.
  virtual bool flush(std::chrono::milliseconds limit) = 0;
  virtual std::uint64_t dropped() const = 0;
};

struct AuditOptions {
  std::string spool_dir;  ///< "<data>/audit": queued entries survive a crash and an absent database
  std::string head_key;   ///< secret for the heads' HMAC; empty: heads are not signed
  std::size_t max_queued = 10'000;
  std::uint64_t max_spool_bytes = 1ULL << 30;  ///< per process; about 2.5 million entries
  std::chrono::milliseconds append_timeout{5'000};
  std::size_t batch = 500;  ///< entries per transaction
};
/// The database may be away. Takes over what a process that is gone left in `spool_dir`. The log
/// ends before `database` and before the loops whose coroutines wait for it; what is queued then
/// stays in the spool. Errors: unavailable (spool_dir cannot be written), invalid_argument.
Result<std::unique_ptr<AuditLog>> open_audit_log(AuditOptions options, sql::Database& database,
                                                 const Clock& clock);

/// What AuditLog::verify does, without a log; ordinary threads only. `stop` ends it early
/// (cancelled); may be null.
Result<AuditVerification> verify_audit_chain(sql::Database& database, std::string_view head_key,
                                             const std::string& org_id,
                                             const std::atomic<bool>* stop = nullptr);

/// Export formats of GET /governance/audit/export: an array with one entry a line; RFC 4180 with a
/// header line, where a cell that a spreadsheet would run as a formula begins with an apostrophe.
std::string audit_json(const std::vector<StoredAuditEntry>& entries);
std::string audit_csv(const std::vector<StoredAuditEntry>& entries);
/// The same in pieces, for streams.
json::object audit_entry_json(const StoredAuditEntry& entry);
std::string_view audit_csv_header();
void append_audit_csv(std::string& out, const StoredAuditEntry& entry);

/// Classification of spec §9.6: inference with prompt restricted under HIPAA, else confidential;
/// inference without, and model changes, internal; user, key, role and policy management
/// confidential; views of metrics public; the rest internal.
std::string_view classification_of(std::string_view action, bool has_prompt, bool hipaa);

/// The chain's tables beside `audit_entries`: versions 230–239.
std::vector<sql::Migration> audit_migrations();

}  // namespace asahi::identity
