#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "storage/sql/database.h"
#include "storage/sql/migrations.h"

namespace asahi::memory {

/// discovered → leased → processing → done | partial | rejected | failed. A lease that ran out is
/// due again; `failed` is the dead letter.
enum class UploadState : std::uint8_t {
  kDiscovered,
  kLeased,
  kProcessing,
  kDone,
  kPartial,   ///< some items were left out
  kRejected,  ///< its manifest, checksum or payload breaks the rules: no try will help
  kFailed     ///< all tries used up
};
std::string_view state_name(UploadState state);
std::optional<UploadState> parse_state(std::string_view name);

enum class UploadOrigin : std::uint8_t { kBucket, kPush, kImport };
std::string_view origin_name(UploadOrigin origin);

enum class UploadPriority : std::uint8_t { kNormal, kHigh };
std::string_view priority_name(UploadPriority priority);

/// What became of an upload's items.
struct UploadCounts {
  std::uint64_t items = 0;  ///< all below together
  std::uint64_t stored = 0;
  std::uint64_t replaced = 0;
  std::uint64_t unchanged = 0;
  std::uint64_t older = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t near_duplicates = 0;
  std::uint64_t skipped = 0;  ///< without content
  std::uint64_t errors = 0;
  std::uint64_t bytes = 0;  ///< of payload read
  UploadCounts& operator+=(const UploadCounts& other);
  bool operator==(const UploadCounts&) const = default;
};

struct UploadId {
  std::string tenant, system_id, upload_id;
  auto operator<=>(const UploadId&) const = default;
  bool operator==(const UploadId&) const = default;
};

/// One row.
struct Upload {
  UploadId id;
  UploadOrigin origin = UploadOrigin::kBucket;
  UploadState state = UploadState::kDiscovered;
  UploadPriority priority = UploadPriority::kNormal;
  int attempts = 0;
  std::string lease_owner;  ///< empty: none
  std::optional<Clock::Time> lease_until;
  /// Of `discovered`: not before.
  std::optional<Clock::Time> not_before;
  std::uint64_t position = 0;  ///< items from the start that need not be read again
  UploadCounts counts;
  std::string error;             ///< the last one; empty: none
  std::string bad_items = "[]";  ///< JSON: the first ones left out, with index and reason
  Clock::Time discovered_at, updated_at;
  std::optional<Clock::Time> started_at, finished_at;
};

/// An upload in somebody's hands. `fence` grows with every lease of the row: who lost the lease can
/// change nothing any more.
struct UploadLease {
  std::string row;
  std::int64_t fence = 0;
  Upload upload;
};

struct UploadQuery {
  std::string tenant;
  std::optional<std::vector<std::string>> systems_allowed;  ///< nothing: all of the tenant
  std::string system_id;                                    ///< empty: any
  std::vector<UploadState> states;                          ///< empty: any
  std::optional<UploadOrigin> origin;
  std::optional<Clock::Time> since;  ///< discovered at or after
  std::size_t limit = 50;            ///< 1 to 1000
  std::string cursor;                ///< UploadPage::next; empty: from the newest
};
struct UploadPage {
  std::vector<Upload> uploads;  ///< newest first
  std::string next;             ///< empty: that was all
};

/// Pause before the try after the `attempt`th (from 1): 1 s doubling to 60 s, within 10 % of it by
/// `jitter` in [0, 1). Spec §3.4.
std::chrono::milliseconds retry_pause(int attempt, double jitter);

/// Every upload, what became of it and who works on it: rows in SQLite or PostgreSQL. The lease
/// stands in the row it protects, so that progress, counts and lease change in one fenced
/// statement; `jobs` runs what happens at set times.
/// Errors of all: those of sql::Database; conflict where a lease was lost. Any loop.
class Ledger {
 public:
  struct Options {
    std::chrono::milliseconds lease{300'000};
    int max_attempts = 5;
  };
  /// `db` and `clock` outlive it.
  Ledger(sql::Database& db, const Clock& clock, Options options);
  Ledger(sql::Database& db, const Clock& clock) : Ledger(db, clock, Options()) {}

  /// Those of `uploads` (one tenant and system) that have no row.
  Task<std::vector<std::string>> unknown(std::string tenant, std::string system_id,
                                         std::vector<std::string> upload_ids);
  /// Makes rows; known ones stay as they are. How many are new.
  Task<std::uint64_t> discover(std::vector<UploadId> uploads,
                               UploadPriority priority = UploadPriority::kNormal);

  /// Takes up to `limit` due uploads of the bucket: high priority first, then the oldest. Rows
  /// whose lease ran out in their last try become `failed`.
  Task<std::vector<UploadLease>> lease(std::string owner, std::size_t limit);
  /// Makes or takes the row of a push or an import, which its caller works on now. An import goes
  /// on at its position, a push begins anew. Errors: conflict when it is in work, or came another
  /// way.
  Task<UploadLease> open(UploadId id, UploadOrigin origin, std::string owner);

  Task<void> begin(const UploadLease& lease);
  Task<void> renew(const UploadLease& lease);
  /// Position, counts and bad items as they stand now; renews.
  Task<void> progress(const UploadLease& lease, std::uint64_t position, UploadCounts counts,
                      std::string bad_items);
  /// `state`: done, partial or rejected. Counts as the last `progress`.
  Task<void> finish(const UploadLease& lease, UploadState state, std::string error = {});
  /// Another try after a pause, or `failed` when that was the last; the state it has now. `jitter`
  /// in [0, 1). For errors that time may mend.
  Task<UploadState> fail(const UploadLease& lease, std::string error, double jitter);
  /// Gives it back untried.
  Task<void> release(const UploadLease& lease);

  /// Adds to the rows of pushed memories that name no upload ("push-2026-11-22T10"): one per system
  /// and hour, always `done`. What comes while one statement is on its way shares the next, so that
  /// many small pushes cost few; it returns when its own counts are there.
  Task<void> add_pushed(std::map<UploadId, UploadCounts> pushed);

  Task<UploadPage> list(UploadQuery query);
  Task<std::optional<Upload>> find(UploadId id);
  /// A finished upload of the bucket is due again at once, from its start, with all its tries.
  /// Errors: not_found, conflict (in work, or came another way).
  Task<Upload> retry(UploadId id, UploadPriority priority);

  struct Totals {
    std::map<UploadState, std::uint64_t> states;
    std::uint64_t workers = 0;  ///< that hold leases on uploads of the bucket; `queue` only
    std::uint64_t queued() const;
    std::uint64_t in_work() const;
  };
  /// Empty tenant: all. `systems`: of these only; nothing: all of the tenant's.
  Task<Totals> totals(std::string tenant = {},
                      std::optional<std::vector<std::string>> systems = std::nullopt);
  /// Of all tenants what waits and is in work, and who works: cheap, whatever the ledger holds.
  Task<Totals> queue();
  struct LastUpload {
    std::uint64_t uploads = 0;
    Clock::Time at{};
  };
  /// By system. `only`: this one; empty: all of the tenant. Without what erased_system left behind.
  Task<std::map<std::string, LastUpload>> last_uploads(std::string tenant, std::string only);
  /// A system's memories were erased: its finished rows stay, for whoever asks what came once, but
  /// say nothing of the system until something comes of them again (a push, another try). How many
  /// said something until now.
  Task<std::uint64_t> erased_system(std::string tenant, std::string system_id);
  /// Pushes and imports whose process died become `failed`; finished rows from before `before` go
  /// (5,000 at a time). How many went.
  Task<std::uint64_t> sweep(Clock::Time before);
  /// Bundles that were taken in before `before` and not erased from their bucket yet, oldest first,
  /// at most `limit`.
  Task<std::vector<UploadId>> bundles_to_erase(Clock::Time before, std::size_t limit);
  Task<void> bundle_erased(UploadId id);

 private:
  struct Tally;
  Task<void> update(const UploadLease& lease, std::string set, std::vector<sql::Value> values);
  Task<void> write_pushed(std::map<UploadId, UploadCounts> pushed);
  Aw<void> wait_for_tally(std::shared_ptr<Tally> tally);

  sql::Database& db_;
  const Clock& clock_;
  const Options options_;
  std::mutex pushed_mutex_;
  std::shared_ptr<Tally> gathering_;  ///< for the next statement; null: nothing came
  bool writing_pushed_ = false;
};

/// The ledger's tables: versions 300–309, 336 and 347.
std::vector<sql::Migration> ledger_migrations();

}  // namespace asahi::memory
