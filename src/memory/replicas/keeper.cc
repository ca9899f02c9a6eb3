#include "memory/replicas/keeper.h"

#include <boost/asio/post.hpp>

#include <tuple>
#include <utility>

#include "net/blocking.h"

namespace asahi::memory {

/// Of one replica. Counters are told what came since the last time.
struct ReplicaKeeper::Gauges {
  Gauges(telemetry::Registry& metrics, const telemetry::Labels& labels)
      : lag(metrics.gauge("akosha_replica_lag_seconds",
                          "Age of the oldest change that a replica bucket does not have yet.",
                          labels)),
        waiting(metrics.gauge("akosha_replica_waiting_objects",
                              "Objects whose change a replica bucket does not have yet.", labels)),
        unexplained(metrics.gauge("akosha_replica_unexplained_objects",
                                  "Copies whose object is gone though nobody erased it.", labels)),
        compared(metrics.gauge("akosha_replica_last_compared_timestamp_seconds",
                               "When listings were last compared; 0: not by this process.",
                               labels)),
        copied(metrics.counter("akosha_replica_copied_total", "Objects copied.", labels)),
        erased(metrics.counter("akosha_replica_erased_total", "Copies erased.", labels)),
        failed(metrics.counter("akosha_replica_failures_total",
                               "Changes and comparisons that failed.", labels)),
        reads(metrics.counter("akosha_replica_reads_total",
                              "Calls that a replica answered in the first bucket's place.",
                              labels)) {}

  void tell(const object::ReplicaState& now, Clock::Steady at) {
    const auto grown = [](telemetry::Counter& counter, std::uint64_t before, std::uint64_t after) {
      if (after > before) counter.add(static_cast<double>(after - before));
    };
    lag.set(now.since ? std::chrono::duration<double>(at - *now.since).count() : 0);
    waiting.set(static_cast<double>(now.waiting));
    unexplained.set(static_cast<double>(now.unexplained));
    if (now.compared)
      compared.set(std::chrono::duration<double>(now.compared->time_since_epoch()).count());
    grown(copied, told.copied, now.copied);
    grown(erased, told.erased, now.erased);
    grown(failed, told.failed, now.failed);
    grown(reads, told.reads, now.reads);
    told = now;
  }

  telemetry::Gauge &lag, &waiting, &unexplained, &compared;
  telemetry::Counter &copied, &erased, &failed, &reads;
  object::ReplicaState told;
};

ReplicaKeeper::ReplicaKeeper(Parts parts, Options options)
    : parts_(parts),
      options_(std::move(options)),
      kind_("memory.replicas." + options_.place),
      queue_(parts_.database, parts_.clock) {
  for (const object::ReplicaState& state : parts_.store.states()) {
    gauges_.push_back(std::make_unique<Gauges>(
        parts_.metrics, telemetry::Labels{{"place", options_.place}, {"replica", state.where}}));
  }
  measure();
}

ReplicaKeeper::~ReplicaKeeper() { stop(std::chrono::milliseconds(0)); }

void ReplicaKeeper::start() {
  if (clock_worker_ != nullptr || stopping_) return;
  clock_worker_ = std::make_unique<jobs::Worker>(
      queue_, parts_.loop, parts_.clock,
      jobs::Worker::Options{
          .concurrency = 1, .poll = options_.poll, .lease = std::chrono::minutes(1)});
  clock_worker_->handle(kind_, [this](const jobs::Job&) -> Task<void> {
    co_return co_await net::run_blocking(comparer_, [this] { return compare(false); });
  });
  if (!options_.schedule.empty()) clock_worker_->cron(options_.schedule, kind_, {});
  clock_worker_->start();
  {
    const std::scoped_lock lock(mutex_);
    idle_ = false;
  }
  follower_ = std::jthread([this](const std::stop_token& stopping) { run(stopping); });
}

void ReplicaKeeper::stop(std::chrono::milliseconds grace) {
  if (stopping_.exchange(true)) return;
  parts_.store.stop_reconciling();
  if (clock_worker_ != nullptr) clock_worker_->stop(grace);
  follower_.request_stop();
  {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, grace, [this] { return idle_; });
  }
  parts_.store.stop();
  if (follower_.joinable()) follower_.join();
  comparer_.join();
}

void ReplicaKeeper::run(const std::stop_token& stopping) {
  // What the last process left: one comparison, however many processes start.
  const auto asked = net::run_sync<Result<std::string>>(
      parts_.loop, [this] { return queue_.enqueue(kind_, {}, {.unique_key = kind_}); });
  if (!asked) logger_.warning("replicas are compared later", {{"error", asked.error().message}});
  while (!stopping.stop_requested()) {
    std::ignore = follow();
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, stopping, options_.every, [] { return false; });
  }
  std::ignore = follow();
  const std::scoped_lock lock(mutex_);
  idle_ = true;
  wake_.notify_all();
}

Result<void> ReplicaKeeper::follow() {
  auto done = parts_.store.follow();
  bool lost = false;
  for (const object::ReplicaState& state : parts_.store.states())
    lost = lost || (state.waiting == 0 && state.since);
  measure();
  const bool cancelled = !done && done.error().code == Errc::kCancelled;
  if (!done && !cancelled && !std::exchange(failing_, true)) {
    logger_.warning("a replica does not follow",
                    {{"place", options_.place}, {"error", done.error().message}});
  } else if (done && std::exchange(failing_, false)) {
    logger_.info("replicas follow again", {{"place", options_.place}});
  }
  // More came than is kept: only listings tell what.
  if (done && lost && !stopping_) std::ignore = begin_comparison(false);
  return done;
}

Result<void> ReplicaKeeper::begin_comparison(bool erase_unexplained) {
  if (stopping_) return fail(Errc::kUnavailable, "the process is ending");
  if (comparing_) {
    return fail(Errc::kConflict, "the replicas of the place '" + options_.place +
                                     "' are being compared: wait for the end");
  }
  comparing_ = true;
  boost::asio::post(comparer_,
                    [this, erase_unexplained] { std::ignore = compare(erase_unexplained); });
  return {};
}

Result<void> ReplicaKeeper::compare(bool erase_unexplained) {
  comparing_ = true;
  const auto done = parts_.store.reconcile(erase_unexplained);
  json::object last{{"ok", done.has_value()},
                    {"finished_at", format_rfc3339(parts_.clock.now())},
                    {"error", done ? json::value(nullptr) : json::value(done.error().message)}};
  if (done) {
    last["copied"] = done->copied;
    last["erased"] = done->erased;
    last["unexplained"] = done->unexplained;
  }
  const std::string told = json::serialize(last);
  {
    const std::scoped_lock lock(mutex_);
    last_ = std::move(last);
  }
  comparing_ = false;
  measure();
  if (done) {
    logger_.info("replicas were compared", {{"place", options_.place}, {"result", told}});
    return {};
  }
  if (done.error().code != Errc::kCancelled)
    logger_.warning("replicas were not compared", {{"place", options_.place}, {"result", told}});
  return std::unexpected(done.error());
}

void ReplicaKeeper::measure() {
  const std::scoped_lock lock(measuring_);
  const Clock::Steady now = parts_.clock.steady_now();
  const auto states = parts_.store.states();
  for (std::size_t i = 0; i < states.size(); ++i) gauges_[i]->tell(states[i], now);
}

json::object ReplicaKeeper::status() const {
  const Clock::Steady now = parts_.clock.steady_now();
  json::array replicas;
  for (const object::ReplicaState& state : parts_.store.states()) {
    replicas.push_back(json::object{
        {"where", state.where},
        {"waiting", state.waiting},
        {"lag_seconds",
         state.since ? std::chrono::duration<double>(now - *state.since).count() : 0.0},
        {"copied", state.copied},
        {"erased", state.erased},
        {"failed", state.failed},
        {"reads", state.reads},
        {"unexplained", state.unexplained},
        {"compared_at",
         state.compared ? json::value(format_rfc3339(*state.compared)) : json::value(nullptr)}});
  }
  const std::scoped_lock lock(mutex_);
  return {{"place", options_.place},
          {"first", parts_.store.where()},
          {"running", comparing_.load()},
          {"last", last_ ? json::value(*last_) : json::value(nullptr)},
          {"replicas", std::move(replicas)}};
}

}  // namespace asahi::memory
