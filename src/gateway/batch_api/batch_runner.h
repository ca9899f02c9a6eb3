#pragma once

#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/batch_api/batch_store.h"
#include "gateway/config.h"
#include "gateway/pipeline_deferred.h"
#include "identity/principal.h"
#include "llm/vendor_batches.h"
#include "net/background.h"
#include "net/http/context.h"
#include "net/loop.h"

namespace asahi::gateway {

/// One of the endpoints that a batch may name, as its rows are read and answered.
struct RowEndpoint {
  std::string url;  ///< "/v1/chat/completions"
  /// What is wrong with a request of this endpoint.
  std::function<Result<void>(std::shared_ptr<const JsonDocument>)> check;
  /// Answers one as an ordinary call.
  std::function<Aw<http::Response>(http::Context&)> answer;
  /// Writes one for a vendor's batch; empty: it is an ordinary call. Null: there are no such
  /// batches for this endpoint.
  std::function<Aw<std::optional<DeferredCall>>(http::Context&)> defer = nullptr;
  /// The reply to one that a vendor's batch has answered.
  std::function<Aw<http::Response>(http::Context&, std::string model, Reservation,
                                   llm::ChatResponse)>
      complete = nullptr;
};

/// Works on batches: validates their files, answers their rows, writes their output. A batch is
/// worked on in turns, under a lease of one process; everything that is done is in SQL before the
/// next step, so that any process goes on where another ended. A row that was being answered when
/// its process died is asked again, and answered once.
class BatchRunner {
 public:
  /// All outlive the runner.
  struct Parts {
    const BatchApiConfig& config;
    BatchStore& store;
    std::vector<RowEndpoint> endpoints;
    net::LoopPool& loops;
    const Clock& clock;
    /// A vendor's own batch API; null inside: it has none.
    std::function<llm::VendorBatches*(const std::string& provider)> vendor;
    std::string worker;  ///< this process among those that share the database
  };
  explicit BatchRunner(Parts parts);

  const RowEndpoint* endpoint(std::string_view url) const;
  /// Looks for batches that are due and starts their turns. Loop 0.
  Aw<void> look();
  /// No further rows are begun.
  void drain() { draining_ = true; }
  /// Ends what is under way; its rows wait for the next process. Ordinary thread, while the loops
  /// run; no later than that it goes.
  void stop(std::chrono::milliseconds limit = std::chrono::milliseconds(5'000));
  /// Batches being worked on.
  int running() const { return *running_; }

 private:
  struct Turn;
  struct RowQueue;
  struct RowCall;
  struct Group;
  /// Starts a turn; false: it is time to stop.
  bool begin_turn(net::Background& turns, Batch batch);
  Aw<void> work(Batch batch);
  Aw<void> keep_lease(std::shared_ptr<Turn> turn);
  Task<void> advance(Turn& turn);
  Task<void> validate(Turn& turn);
  Task<void> run_rows(Turn& turn);
  Task<void> end_rows(Turn& turn, std::string_view outcome);
  Task<void> finalize(Turn& turn);
  Aw<void> answer_some(Turn& turn, RowQueue& queue);
  Task<void> answer_row(Turn& turn, StoredRow row);
  Task<void> close(Turn& turn, const StoredRow& row, const http::Response& response,
                   const std::string& request_id);
  bool idle(const Turn& turn) const;

  // Vendors' batches (vendor_jobs.cc).
  /// Puts the rows whose models' vendors have a batch API into batches there.
  Task<void> send_to_vendors(Turn& turn);
  Task<void> submit(Turn& turn, std::string provider, std::string model, Group group);
  Task<void> submission_failed(Turn& turn, VendorJob job, Error error);
  /// Asks vendors how far they are, and takes their answers. When one is to be asked again; 0:
  /// there is none left.
  Task<std::int64_t> look_after_jobs(Turn& turn, bool ending);
  Task<std::int64_t> look_after(Turn& turn, VendorJob job, bool ending);
  Task<void> end_job(VendorJob job, std::int64_t attempts);
  Task<void> take(Turn& turn, VendorJob job, llm::VendorRowAnswer answer);
  static Task<std::int64_t> ended(Task<void> ending);
  static Task<std::int64_t> due(Task<void> saving, std::int64_t when);
  llm::CallContext vendor_context(const Turn& turn) const;
  std::int64_t vendor_poll_ms() const {
    return static_cast<std::int64_t>(parts_.config.vendor_poll_seconds * 1'000);
  }

  Parts parts_;
  Logger logger_{"batches"};
  RateLimited outage_{std::chrono::seconds(30)};
  std::atomic<bool> draining_{false};
  /// Shared with turns: they may outlast a stop().
  const std::shared_ptr<std::atomic<int>> running_ = std::make_shared<std::atomic<int>>(0);
  std::unique_ptr<boost::asio::thread_pool> reading_ =
      std::make_unique<boost::asio::thread_pool>(1);  ///< of input files
  /// Of rows at vendors, by job and line; what a process that ended held counts as spent.
  std::map<std::string, std::map<std::int64_t, Reservation>> held_;
  std::mutex held_mutex_;          // guards `held_`
  bool leases_forgotten_ = false;  ///< loop 0
  std::int64_t next_purge_ = 0;    ///< loop 0
  std::size_t next_loop_ = 0;
  net::PerLoop<net::Background> turns_;
};

}  // namespace asahi::gateway
