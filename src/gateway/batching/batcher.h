#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/log.h"
#include "gateway/batching/buffer.h"
#include "gateway/batching/eligibility.h"
#include "gateway/config.h"
#include "gateway/routing/model_registry.h"
#include "net/background.h"
#include "net/loop.h"
#include "telemetry/metrics.h"

namespace asahi::gateway {

struct BatchStats {
  bool running = false;
  std::uint64_t batches_executed = 0;      ///< shared calls whose answer could be split
  std::uint64_t requests_processed = 0;    ///< requests answered from them
  std::uint64_t batch_errors = 0;          ///< shared calls that failed or broke the format
  std::uint64_t individual_fallbacks = 0;  ///< requests that waited and then went alone
  std::size_t queue_size = 0;              ///< callers waiting now, their call under way included
};

/// Lets requests share a vendor call (gateway spec §3.12): callers put an item in and wait, a
/// scheduler takes the groups that are due, makes one call for each and hands the answers out.
/// Whatever goes wrong, the caller gets "alone" in bounded time and makes a call of his own.
/// Callable from any loop.
class Batcher {
 public:
  /// One attempt at the shared call. Errors: the vendor's.
  struct SharedCall {
    llm::ChatRequest request;
    std::shared_ptr<const Registry> registry;
    const ModelProfile* model = nullptr;
    std::string org;
    std::string request_id, traceparent;
    Clock::Steady deadline{};
  };
  using Caller = std::function<Task<llm::ChatResponse>(SharedCall)>;
  /// All but the caller outlive the batcher; `metrics` too.
  struct Parts {
    BatchBuffer& buffer;
    RegistryHolder& registry;
    Caller call;
    net::LoopPool& loops;
    const Clock& clock;
    telemetry::Registry& metrics;
  };
  /// `worker`: this process among those that share the buffer.
  Batcher(const BatchingConfig& config, std::string worker, Parts parts);

  /// The item under which this request may wait; empty: it goes alone, without any delay.
  std::optional<BatchItem> admit(const BatchCandidate& candidate) const;

  /// Waits for the shared answer, at most the item's wait and `batching.grace_ms`. Not `answered`:
  /// go alone; the reply says why, and what the item has to pay nevertheless. A caller that leaves
  /// (`cancel`) takes his item back; when its call is under way already he waits for its end, so
  /// that his part is booked. Error: cancelled.
  Task<BatchReply> join(BatchItem item, CancelSource& cancel);

  /// Starts the scheduler, on loop 0.
  void start();
  /// Nothing new waits from now on, and what waits goes at once.
  void drain() { draining_ = true; }
  /// Ends the scheduler once what was taken is finished, or after `limit`. Ordinary thread, while
  /// the loops run; no later than that it goes.
  void stop(std::chrono::milliseconds limit = std::chrono::milliseconds(5'000));
  BatchStats stats() const;

  /// One turn of the scheduler; for tests that own the clock.
  Aw<void> tick();
  /// Shared calls under way.
  int under_way() const { return under_way_; }

 private:
  struct Waiter;
  Aw<void> run(net::Background::Sleep sleep);
  Aw<void> execute(std::vector<BatchItem> items);
  /// Sorts out what may not share this call; the rest stays in `items`.
  void sort_out(std::vector<BatchItem>& items, const ModelProfile* model,
                std::vector<BatchBuffer::Finished>& alone) const;
  /// The replies to `items`, which share one call.
  Task<std::vector<BatchReply>> ask(std::vector<BatchItem> items,
                                    std::shared_ptr<const Registry> registry,
                                    const ModelProfile* model);
  void deliver(std::vector<BatchReply> replies);
  static Aw<BatchReply> wait(std::shared_ptr<Waiter> waiter);
  std::chrono::milliseconds left(const BatchItem& item) const {
    return item.wait + std::chrono::milliseconds(config_.grace_ms) - item.age;
  }

  const BatchingConfig config_;
  const std::string worker_;
  const FlushLimits limits_;
  Parts parts_;
  Logger logger_{"batching"};
  RateLimited outage_{std::chrono::seconds(30)};
  telemetry::Histogram& sizes_;
  telemetry::Counter &shared_, &alone_, &errors_;

  std::atomic<bool> running_{false}, draining_{false};
  std::atomic<int> under_way_{0};
  std::atomic<std::uint64_t> batches_{0}, answered_{0}, failed_{0}, fallbacks_{0};
  Clock::Steady maintained_{};
  mutable std::mutex mutex_;  // guards the map
  std::unordered_map<std::string, std::shared_ptr<Waiter>> waiters_;
  net::Background background_;  ///< on loop 0
};

}  // namespace asahi::gateway
