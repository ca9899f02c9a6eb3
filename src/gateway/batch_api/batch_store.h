#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "gateway/batch_api/rows.h"
#include "gateway/cache/seal.h"
#include "storage/sql/database.h"

namespace asahi::gateway {

// Files and batches in SQL. Times are milliseconds since 1970.

struct StoredFile {
  std::string id;  ///< "file-…"
  std::string org_id, user_id;
  std::string filename;
  std::string purpose;  ///< "batch", "batch_output"
  std::int64_t bytes = 0, parts = 0;
  bool sealed = false;  ///< encrypted at rest
  std::int64_t created_at = 0, expires_at = 0;
};

/// What a batch is doing; OpenAI's words.
namespace batch_status {
inline constexpr std::string_view kValidating = "validating", kInProgress = "in_progress",
                                  kFinalizing = "finalizing", kCompleted = "completed",
                                  kFailed = "failed", kExpired = "expired",
                                  kCancelling = "cancelling", kCancelled = "cancelled";
}

struct Batch {
  std::string id;  ///< "batch_…"
  std::string org_id, user_id;
  std::string caller;  ///< caller_json()
  std::string endpoint;
  std::string input_file_id, output_file_id, error_file_id;
  std::string status;
  std::string outcome;   ///< what the batch becomes after `finalizing`
  std::string metadata;  ///< JSON object; empty: none
  std::string errors;    ///< JSON array of a file that was refused; empty: none
  bool sealed = false;
  std::int64_t created_at = 0, expires_at = 0;
  std::int64_t in_progress_at = 0, finalizing_at = 0, completed_at = 0, failed_at = 0;
  std::int64_t expired_at = 0, cancelling_at = 0, cancelled_at = 0;  ///< 0: not yet
  std::int64_t total = 0, completed = 0, failed = 0;
  std::int64_t fence = 0;  ///< grows with every lease: who holds an old one changes nothing
};

enum class RowState : std::int64_t {
  kPending = 0,   ///< still to be answered; not before its time
  kAtVendor = 1,  ///< in a vendor's batch
  kAnswered = 2,  ///< `output` is the reply
  kRefused = 3,   ///< `output` is the error reply
  kGivenUp = 4,   ///< `output` is {"code", "message"}: no reply at all
};

struct StoredRow {
  std::int64_t line = 0;
  std::string custom_id;
  RowState state = RowState::kPending;
  std::int64_t attempts = 0;
  std::string body;    ///< of the request
  std::string output;  ///< JSON: {"status_code", "request_id", "body"}
};

/// A vendor's batch of some rows.
struct VendorJob {
  enum class State : std::int64_t { kSubmitting = 0, kRunning = 1, kDone = 2 };
  std::string id;  ///< ours
  std::string batch_id, provider, model;
  State state = State::kSubmitting;
  std::string vendor_id;  ///< the vendor's name for it; empty: not known (yet)
  std::int64_t created_at = 0, attempts = 0, not_before = 0;
};

/// A page of a list, newest first.
struct PageRequest {
  std::size_t limit = 20;
  std::string after;    ///< id of the last one seen; empty: from the beginning
  std::string purpose;  ///< of files; empty: any
  bool ascending = false;
};
template <class Item>
struct Page {
  std::vector<Item> items;
  bool more = false;
};

/// All SQL of the batch API. Thread-safe. Errors: those of the database.
class BatchStore {
 public:
  /// Both outlive the store.
  BatchStore(sql::Database& database, const identity::Live<KeyRing>* ring, const Clock& clock)
      : database_(database), seal_(ring), clock_(clock) {}

  std::int64_t now() const;
  bool can_seal() const { return seal_.ready(); }

  // ---- Files
  /// Stores a whole file. Errors: too_large when the organisation's files exceed `most_org_bytes`.
  Task<StoredFile> add_file(StoredFile file, std::string content, std::int64_t most_org_bytes);
  /// A file that comes in pieces: it is seen by nobody before `finish_file`.
  Task<void> begin_file(StoredFile file);
  Task<void> add_part(StoredFile file, std::int64_t seq, std::string content);
  static sql::Statement finish_file(const StoredFile& file);
  /// Nothing: there is none in this organisation.
  Task<std::optional<StoredFile>> file(std::string org, std::string id);
  Task<Page<StoredFile>> files(std::string org, PageRequest page);
  /// False: there was none.
  Task<bool> remove_file(std::string org, std::string id);
  /// Parts count from 0. Errors: corrupt when it is not there or cannot be decrypted.
  Task<std::string> part(StoredFile file, std::int64_t seq);

  // ---- Batches
  /// Errors: rate_limited when the organisation has `most_open` unfinished ones.
  Task<void> add_batch(Batch batch, std::int64_t most_open);
  Task<std::optional<Batch>> batch(std::string org, std::string id);
  Task<Page<Batch>> batches(std::string org, PageRequest page);
  /// Asks for the end of a batch that is not over. False: it is (about to be).
  Task<bool> cancel(std::string org, std::string id);
  /// Leases up to `limit` batches that are due.
  Task<std::vector<Batch>> claim(std::string worker, std::size_t limit, std::int64_t lease_ms);
  /// Ends this worker's leases of a life before.
  Task<void> forget_leases(std::string worker);
  /// Keeps a lease; the batch's status as it is now. Errors: conflict (the lease was lost).
  Task<std::string> renew(Batch batch, std::int64_t lease_ms);
  /// Gives the lease back until `next_turn_at`.
  Task<void> release(Batch batch, std::int64_t next_turn_at);
  /// Writes status, outcome, file ids, errors, counts and times. Errors: conflict (lease lost).
  Task<void> save(Batch batch);
  /// The same together with other statements, all or nothing.
  Task<void> save_with(Batch batch, std::vector<sql::Statement> others);

  // ---- Rows
  Task<void> add_rows(Batch batch, std::vector<BatchRow> rows);
  Task<void> remove_rows(std::string batch_id);
  /// Rows that nothing has been tried with, behind `after_line`.
  Task<std::vector<StoredRow>> fresh_rows(Batch batch, std::int64_t after_line, std::size_t limit);
  Task<std::vector<StoredRow>> due_rows(Batch batch, std::size_t limit,
                                        std::int64_t least_attempts = 0);
  /// Of all states, in the order of lines, behind `after_line`.
  Task<std::vector<StoredRow>> rows_after(Batch batch, std::int64_t after_line, std::size_t limit);
  Task<std::vector<StoredRow>> rows_of_job(Batch batch, std::string job_id, std::int64_t after_line,
                                           std::size_t limit);
  /// What became of a row that was open; no effect when another has closed it.
  Task<void> close_row(Batch batch, std::int64_t line, RowState state, std::string output);
  Task<void> retry_row(Batch batch, std::int64_t line, std::int64_t attempts,
                       std::int64_t not_before);
  /// Gives up every row that still waits.
  Task<void> give_up_rows(Batch batch, std::string output);
  struct Counts {
    std::int64_t pending = 0, at_vendor = 0, answered = 0, failed = 0;
    std::int64_t next = 0;  ///< when the first pending row is due
    std::int64_t total() const { return pending + at_vendor + answered + failed; }
  };
  Task<Counts> counts(std::string batch_id);

  // ---- Vendors' batches
  /// Notes the job and puts the rows into it, all or nothing.
  Task<void> add_job(VendorJob job, std::vector<std::int64_t> lines);
  Task<std::vector<VendorJob>> jobs(std::string batch_id);
  Task<void> save_job(VendorJob job);
  /// Jobs of a batch that never came to be.
  Task<std::int64_t> failed_jobs(std::string batch_id, std::string provider);
  /// The rows of a job that have no answer wait again. `attempts` 0: for a vendor's batch; 1: for
  /// calls of their own.
  Task<void> reopen_rows(std::string job_id, std::int64_t attempts);

  /// False: the API key with which a batch was created is revoked, without a successor.
  Task<bool> key_stands(std::string key_prefix);
  /// Deletes expired files, and finished batches older than `keep_ms`. In portions.
  Task<void> purge(std::int64_t keep_ms);

 private:
  sql::Value stored(bool sealed, std::string_view context, std::string plain) const;
  Result<std::string> plain(bool sealed, std::string_view context, const sql::Value& value) const;
  Task<std::vector<StoredRow>> read_rows(Batch batch, sql::Statement statement);

  sql::Database& database_;
  Seal seal_;
  const Clock& clock_;
};

/// For erasure: the statements that delete a user's files and batches.
std::vector<sql::Statement> erase_batches_of(const std::string& org_id, const std::string& user_id);

}  // namespace asahi::gateway
