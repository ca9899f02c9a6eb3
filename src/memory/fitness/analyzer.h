#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/task.h"
#include "memory/fitness/fitness_store.h"
#include "memory/fitness/trace.h"
#include "memory/ops/circuit.h"
#include "telemetry/metrics.h"

namespace asahi::memory::fitness {

/// A server that answers `query_local_traces`; whose it is, and which of its systems is asked for.
struct Component {
  std::string name, tenant, system_id;
};

/// The routing fitness loop (spec/memory §6.4): each minute components are asked for their traces
/// of the last hour, by class of work; what selectors come to is written under
/// `routing_fitness/<class>/<selector>`. Of many processes one does each round; one round at a time
/// in a process. What cannot be written waits for the next round, at most three times. Any loop.
///
/// Series: akosha_fitness_polls_total{component, outcome}: success, failure, rejected (its breaker
/// is open); akosha_fitness_samples_total{outcome}: used, malformed;
/// akosha_fitness_writes_total{outcome}: written, failed, dropped; akosha_fitness_buffered: figures
/// that wait to be written.
class Analyzer {
 public:
  struct Options {
    std::chrono::seconds poll_every{60};
    std::chrono::minutes window{60};
    std::size_t most_samples = 1'000;        ///< of a component and class; the latest
    std::size_t most_buffered = 1'000;       ///< the oldest beyond are dropped
    int most_writes = 3;                     ///< tries
    std::chrono::hours forgotten_after{24};  ///< figures that nobody tells anything new of
  };
  struct Parts {
    std::vector<Component> components;
    /// Calls `query_local_traces` of one of them. Errors: as of mcp::Client.
    std::function<Task<json::object>(std::size_t component, json::object arguments)> ask;
    std::function<Task<void>(std::vector<Written> figures)> write;
    /// Whether this process makes the round that is due (FitnessStore::claim).
    std::function<Task<bool>(Clock::Time now, std::chrono::milliseconds period)> claim;
    /// Forgets what is old, traces too; now and then.
    std::function<Task<std::uint64_t>(Clock::Time now)> sweep;
    telemetry::Registry& metrics;
    const Clock& clock;
  };
  Analyzer(Parts parts, Options options);

  struct Round {
    bool ran = false;                    ///< else another one is under way
    std::size_t polled = 0, failed = 0;  ///< components
    std::size_t samples = 0, malformed = 0;
    std::size_t written = 0, buffered = 0;
    std::vector<Figure> figures;
  };
  /// Asks the components of one organisation, or all.
  Aw<Round> run_round(std::optional<std::string> tenant);
  /// The round that is due, if it is this process's; keeps the house now and then.
  Aw<void> tick();
  /// tick() each `poll_every` until cancelled. `sleep`: false when cancelled.
  Aw<void> run(std::function<Aw<bool>(std::chrono::nanoseconds)> sleep);

  /// The round that runs asks nobody any more; so do all later ones. Any thread.
  void end() { ending_ = true; }
  /// How it stands, as one organisation sees it. Any thread, as `circuits`.
  json::object status(const std::string& tenant) const;
  std::vector<std::pair<std::string, CircuitStats>> circuits() const;
  const Options& options() const { return options_; }

 private:
  struct Asked;
  struct State {
    explicit State(const Clock& clock) : circuit(clock) {}
    Circuit circuit;
    std::optional<Clock::Time> last_success, last_failure;  // under the mutex, as below
    std::optional<Errc> error;
  };
  struct Waiting {
    Written figure;
    int tries = 0;
  };
  Aw<void> poll(std::size_t component, Clock::Time from, std::shared_ptr<Asked> into);
  Aw<void> ask_all(std::shared_ptr<Asked> asked, Clock::Time from,
                   const std::vector<std::size_t>& whom);
  void note(std::size_t component, const Result<Samples>& outcome);
  void buffer(Written figure);
  Aw<std::size_t> flush();
  void count(const char* family, const char* help, telemetry::Labels labels, std::size_t by);

  const Parts parts_;
  const Options options_;
  Logger logger_{"memory.fitness"};
  std::deque<State> states_;
  std::atomic<bool> running_{false}, ending_{false};
  std::deque<Waiting> waiting_;  ///< of the round that runs
  mutable std::mutex mutex_;
  std::optional<Clock::Time> last_run_;
  std::size_t last_samples_ = 0;
  std::uint64_t rounds_ = 0, dropped_ = 0;
  std::size_t buffered_ = 0;
};

}  // namespace asahi::memory::fitness
