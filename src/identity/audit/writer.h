#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/log.h"
#include "identity/audit/chain_store.h"
#include "identity/audit/intake.h"
#include "identity/audit/spool.h"

namespace asahi::identity::audit {

/// Carries entries from the intake into the database on two threads: the first writes them to the
/// spool within milliseconds, whatever the database does; the second takes them from there into
/// SQL, in batches, in order, each once. Entries that somebody waits for go by the spool: who is
/// told that an entry could not be stored must not find it stored later.
class Writer {
 public:
  Writer(const AuditOptions& options, sql::Database& database, const Clock& clock,
         std::unique_ptr<Spool> own, std::vector<std::unique_ptr<Spool>> left_behind);
  /// What is in the intake goes to the spool, waiters are refused.
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  Intake& intake() { return intake_; }
  const Intake& intake() const { return intake_; }
  const ChainStore& store() const { return store_; }
  bool flush(std::chrono::milliseconds limit);

 private:
  /// An entry past the intake that is not in the spool.
  struct Direct {
    ChainRow row;
    std::shared_ptr<Waiter> waiter;
    std::uint64_t position = 0;  ///< behind the own spool's records in front of it
    bool may_exist = false;      ///< an attempt's outcome is unknown
  };
  /// What one transaction stores.
  struct Batch {
    Spool* spool = nullptr;  ///< null: direct entries only
    std::uint64_t spool_end = 0;
    std::size_t spooled = 0;
    std::vector<ChainRow> rows;
    std::vector<Direct> direct;  ///< whose rows are copied into `rows`
    bool may_exist = false;
  };

  void take_in();
  void take_in_items(std::deque<Intake::Item> items);
  void spool(std::vector<std::string> payloads, std::vector<ChainRow> rows);
  void expire_waiters();
  std::optional<Waiter::Steady> next_deadline();

  void write_out();
  Batch next_batch();
  void add_spooled(Batch& batch);
  Result<void> store_rows(std::vector<ChainRow>& rows, bool may_exist);
  Result<void> store_one_by_one(Batch& batch);
  bool is_database_well();
  void reject(const ChainRow& row, const Error& error);
  void finish(Batch& batch);
  void put_back(Batch& batch, const Error& error);

  const AuditOptions options_;
  sql::Database& database_;
  const Clock& clock_;
  const ChainStore store_;
  const Logger log_{"audit"};
  RateLimited outage_{std::chrono::seconds(10)};
  RateLimited forgery_{std::chrono::seconds(60)};
  RateLimited drops_{std::chrono::seconds(1)};
  RateLimited spool_trouble_{std::chrono::seconds(10)};

  Intake intake_;
  const std::unique_ptr<Spool> own_;

  std::mutex mutex_;
  std::condition_variable work_;                    ///< the second thread sleeps here
  std::condition_variable progress_;                ///< flush() and a full `direct_` wait here
  std::deque<std::unique_ptr<Spool>> left_behind_;  ///< of processes that are gone; first in line
  std::deque<Direct> direct_;
  std::vector<std::shared_ptr<Waiter>> waiters_;  ///< of the first thread
  std::optional<Error> last_error_;               ///< of the database, while it is away
  std::uint64_t finished_ = 0;                    ///< entries of the intake that need no more work
  bool hurry_ = false;
  bool own_uncertain_ = false;  ///< an attempt's outcome is unknown: look for entries by their ids
  std::atomic<bool> stopping_{false};

  std::thread reader_;
  std::thread storer_;
};

}  // namespace asahi::identity::audit
