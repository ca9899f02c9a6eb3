#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/result.h"
#include "memory/model/reach.h"

namespace asahi::memory {

/// Channels of spec/memory §2.5: "patterns:{category}", "anomalies", "insights", "metrics".
/// Errors: invalid_argument.
Result<void> check_channel(std::string_view channel);

struct HubEvent {
  std::string channel;
  std::string name;                         ///< "pattern.detected", "anomaly.detected", …
  std::shared_ptr<const std::string> data;  ///< a JSON object
  Clock::Time at{};
  /// What it is about; empty: the whole tenant, and only who sees all of that hears of it.
  std::vector<std::string> systems;
};

/// Tells subscribers what happened, tenant by tenant. Publishing never waits: who does not take its
/// events loses the oldest of them, and is told how many. Any thread.
class Hub {
 public:
  struct Options {
    std::size_t queue = 256;             ///< events that may wait for one subscriber
    std::size_t recent = 100;            ///< kept of each channel of a tenant
    std::size_t recent_channels = 1000;  ///< of all tenants together; the oldest give way
  };
  /// `clock` outlives it.
  Hub(const Clock& clock, Options options) : clock_(clock), options_(options) {}
  explicit Hub(const Clock& clock) : Hub(clock, Options()) {}

  /// One listener, whatever it listens to. The hub outlives it.
  class Subscriber {
   public:
    ~Subscriber();
    Subscriber(const Subscriber&) = delete;
    Subscriber& operator=(const Subscriber&) = delete;
    /// False: it was already. Errors: those of check_channel; too_large beyond 100 channels.
    Result<bool> subscribe(std::string channel);
    bool unsubscribe(std::string_view channel);
    /// What waits, oldest first.
    std::vector<HubEvent> take();
    /// Events that were lost since the last call.
    std::uint64_t take_lost();

   private:
    friend class Hub;
    Subscriber(Hub& hub, Reach reach, std::function<void()> wake)
        : hub_(hub), reach_(std::move(reach)), wake_(std::move(wake)) {}
    Hub& hub_;
    const Reach reach_;
    const std::function<void()> wake_;
    std::set<std::string, std::less<>> channels_;  ///< these three under the hub's mutex
    std::deque<HubEvent> waiting_;
    std::uint64_t lost_ = 0;
  };
  /// `wake` runs on the publishing thread, under a lock, when events begin to wait: it must only
  /// signal.
  std::unique_ptr<Subscriber> join(Reach reach, std::function<void()> wake);

  /// `data`: a JSON object. `systems`: all that it tells anything of; who does not see every one of
  /// them does not hear of it. Empty: the whole tenant.
  void publish(std::string_view tenant, std::string_view channel, std::string_view name,
               json::object data, std::vector<std::string> systems = {});
  /// Whether anybody of the tenant listens there: spares frequent publishers the making of events
  /// that nobody is to remember either.
  bool is_heard(std::string_view tenant, std::string_view channel) const;
  /// The last events of a channel, newest first; of all channels that begin so where it ends in
  /// ':'.
  std::vector<HubEvent> recent(const Reach& reach, std::string_view channel,
                               std::size_t most) const;
  /// Those of whom somebody is connected, at most so many.
  std::vector<std::string> tenants(std::size_t most) const;
  std::size_t subscribers() const { return subscribers_.load(std::memory_order_relaxed); }
  std::uint64_t published() const { return published_.load(std::memory_order_relaxed); }

 private:
  using Place = std::pair<std::string, std::string>;  ///< tenant, channel
  void leave(Subscriber& subscriber);

  const Clock& clock_;
  const Options options_;
  std::atomic<std::size_t> subscribers_{0};
  std::atomic<std::uint64_t> published_{0};
  mutable std::mutex mutex_;
  std::multimap<std::string, Subscriber*, std::less<>> by_tenant_;
  std::map<Place, std::deque<HubEvent>> recent_;
  std::deque<Place> recent_order_;
};

}  // namespace asahi::memory
