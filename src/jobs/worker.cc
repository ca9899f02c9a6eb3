#include <fmt/format.h>

#include <list>
#include <map>
#include <optional>
#include <stdexcept>

#include "base/cancel.h"
#include "base/ids.h"
#include "base/in_flight.h"
#include "base/log.h"
#include "jobs/queue.h"
#include "net/loop.h"

namespace asahi::jobs {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::sys_time;

/// How far back a worker makes up for cron minutes that nobody enqueued.
constexpr minutes kMakeUpFor{24 * 60};
/// The database answers or times out well within this.
constexpr std::chrono::seconds kLongestStop{30};
constexpr int kReportAttempts = 3;
/// An outage is logged when it begins and then this often.
constexpr std::chrono::seconds kOutageLogPause{60};
constexpr milliseconds kShortestRenewal{1};

struct CronEntry {
  std::string expression;
  std::string kind;
  json::value payload;
  /// Up to here its minutes are enqueued; empty until the queue was asked for the kind's newest.
  std::optional<sys_time<minutes>> seen;
};

/// A job whose handler runs.
struct Running {
  explicit Running(Job taken) : job(std::move(taken)) {}
  Job job;
  /// Fires when the handler has returned or was given up: ends the renewals.
  CancelSource ended;
  bool abandoned = false;  ///< the lease was lost, or given back by stop()
};

const Logger& logger() {
  static const Logger instance("jobs");
  return instance;
}

}  // namespace

struct Worker::Impl : std::enable_shared_from_this<Worker::Impl> {
  Impl(Queue& jobs, net::Loop& home, const Clock& time, Options settings)
      : queue(jobs), loop(home), clock(time), options(std::move(settings)) {
    if (options.name.empty()) options.name = random_id("worker_", 12);
  }

  void wake() {
    if (nap != nullptr) nap->cancel();
  }

  Aw<void> poll_forever() {
    std::vector<std::string> kinds;
    for (const auto& [kind, handler] : handlers) kinds.push_back(kind);
    while (!stopping) {
      bool again = false;
      try {
        again = co_await poll_once(kinds);
      } catch (const std::exception& error) {  // the worker must not end with it
        note_outage("jobs cannot be leased", error.what());
      }
      if (stopping || again) continue;
      CancelSource rest;
      nap = &rest;
      co_await loop.sleep_for(options.poll, &rest);
      nap = nullptr;
    }
  }

  /// Starts what is due; true when there may be more, and room for it.
  Aw<bool> poll_once(std::vector<std::string> kinds) {
    const std::size_t room = options.concurrency - std::min(options.concurrency, running.size());
    if (room == 0 || kinds.empty()) co_return false;
    auto jobs = co_await queue.lease(std::move(kinds), room, options.lease, options.name);
    if (!jobs) {
      note_outage("jobs cannot be leased", jobs.error().message);
      co_return false;
    }
    for (auto& job : *jobs) {
      if (stopping) {
        co_await queue.release(job);  // or else its lease runs out
      } else {
        run(std::move(job));
      }
    }
    co_return !jobs->empty() && running.size() < options.concurrency;
  }

  /// A job's place among the running ones.
  class Slot {
   public:
    Slot(std::shared_ptr<Impl> worker, std::shared_ptr<Running> item)
        : worker_(std::move(worker)),
          at_(worker_->running.insert(worker_->running.end(), std::move(item))),
          mark_(worker_->handlers_running) {}
    ~Slot() {
      (*at_)->ended.cancel();
      worker_->running.erase(at_);
      worker_->wake();
    }
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;

   private:
    std::shared_ptr<Impl> worker_;
    std::list<std::shared_ptr<Running>>::iterator at_;
    InFlight::Mark mark_;
  };

  void run(Job job) {
    const auto self = shared_from_this();
    const auto item = std::make_shared<Running>(std::move(job));
    // Both begin inside spawn(); the handler may even have ended when the renewal begins.
    loop.spawn("job " + item->job.kind,
               [self, item, slot = std::make_shared<Slot>(self, item)]() mutable -> Aw<void> {
                 co_await self->run_handler(item);
                 slot.reset();
               });
    loop.spawn("lease of job", [self, item]() -> Aw<void> { co_await self->renew(item); });
  }

  Aw<void> run_handler(std::shared_ptr<Running> item) {
    const JobHandler& handler = handlers.at(item->job.kind);
    Result<void> outcome;
    try {
      outcome = co_await handler(item->job);
    } catch (const std::exception& error) {
      outcome = fail(Errc::kInternal, fmt::format("the handler threw: {}", error.what()));
    } catch (...) {
      outcome = fail(Errc::kInternal, "the handler threw what is no std::exception");
    }
    item->ended.cancel();
    if (!item->abandoned) co_await report(item->job, std::move(outcome));
  }

  /// Tells the queue how the job ended, a few times if need be: otherwise it runs again.
  Aw<void> report(const Job& job, Result<void> outcome) {
    const InFlight::Mark mark(busy);
    if (!outcome) {
      const bool last = job.attempt >= job.max_attempts;
      logger().write(last ? LogLevel::kError : LogLevel::kWarning,
                     last ? "job failed for the last time" : "job failed",
                     {{"job", job.id},
                      {"kind", job.kind},
                      {"attempt", job.attempt},
                      {"error", outcome.error().message}});
    }
    for (int attempt = 1;; ++attempt) {
      Result<void> told;
      if (outcome) {
        told = co_await queue.complete(job);
      } else {
        told = co_await queue.fail(job, outcome.error().message);
      }
      if (told) co_return;
      const bool lost = told.error().code == Errc::kConflict;
      if (lost || stopping || attempt == kReportAttempts) {
        logger().warning("a job's end could not be noted; it may run again",
                         {{"job", job.id}, {"kind", job.kind}, {"error", told.error().message}});
        co_return;
      }
      co_await loop.sleep_for(options.poll);
    }
  }

  Aw<void> renew(std::shared_ptr<Running> item) {
    const InFlight::Mark mark(busy);
    while (co_await loop.sleep_for(std::max(options.lease / 3, kShortestRenewal), &item->ended)) {
      auto extended = co_await queue.extend(item->job, options.lease);
      if (extended || extended.error().code != Errc::kConflict || item->ended.cancelled()) continue;
      item->abandoned = true;
      logger().warning("a job's lease was lost while its handler ran; its result is ignored",
                       {{"job", item->job.id}, {"kind", item->job.kind}});
      co_return;
    }
  }

  Aw<void> tick_forever() {
    while (!stopping) {
      try {
        co_await tick_once();
      } catch (const std::exception& error) {
        note_outage("cron failed", error.what());
      }
      if (stopping) co_return;
      CancelSource rest;
      cron_nap = &rest;
      co_await loop.sleep_for(std::min<milliseconds>(std::chrono::seconds(1), options.poll), &rest);
      cron_nap = nullptr;
    }
  }

  Aw<void> tick_once() {
    const auto now = std::chrono::floor<minutes>(clock.now());
    for (auto& entry : crons) {
      if (!entry.seen || now > *entry.seen) co_await enqueue_due(entry, now);
      if (stopping) co_return;
    }
    if (now == pruned_in) co_return;
    auto pruned =
        co_await queue.prune(clock.now() - options.keep_done, clock.now() - options.keep_dead);
    if (!pruned) note_outage("finished jobs cannot be deleted", pruned.error().message);
    // While there is a backlog every tick deletes a batch.
    if (pruned && *pruned < Queue::kBatch) pruned_in = now;
  }

  /// Enqueues for the newest minute up to `now` that the entry names and nobody has seen to. When
  /// the database fails the next tick tries the same again.
  Aw<void> enqueue_due(CronEntry& entry, sys_time<minutes> now) {
    if (!entry.seen) {
      auto newest = co_await queue.newest_minute(entry.kind);
      if (!newest) {
        note_outage("a cron entry cannot be enqueued", newest.error().message);
        co_return;
      }
      // A kind that never came has missed nothing before this worker.
      const auto before = started_in - minutes(1);
      entry.seen = std::min(before, std::chrono::floor<minutes>(newest->value_or(before)));
    }
    std::optional<Clock::Time> due;
    auto from = std::max(*entry.seen + minutes(1), now - kMakeUpFor);
    while (true) {
      const auto next = next_cron(entry.expression, from);
      if (!next || *next > now) break;
      due = *next;
      from = std::chrono::floor<minutes>(*next) + minutes(1);
    }
    if (due) {
      auto enqueued = co_await queue.enqueue_at_minute(entry.kind, entry.payload, *due);
      if (!enqueued) {
        note_outage("a cron entry cannot be enqueued", enqueued.error().message);
        co_return;
      }
    }
    entry.seen = now;
  }

  /// Logs an error of the database once in a while.
  void note_outage(std::string_view what, std::string_view error) {
    if (auto held_back = outage.pass(std::chrono::steady_clock::now())) {
      logger().warning(what, {{"error", error}, {"suppressed", *held_back}});
    }
  }

  Aw<void> give_back() {
    // The list may shrink while this waits.
    const std::vector<std::shared_ptr<Running>> all(running.begin(), running.end());
    bool reachable = true;
    for (const auto& item : all) {
      if (item->abandoned || item->ended.cancelled()) continue;
      item->abandoned = true;
      item->ended.cancel();
      // Without a database each would cost a timeout; their leases run out by themselves.
      if (!reachable) continue;
      auto released = co_await queue.release(item->job);
      reachable = released || released.error().code == Errc::kConflict;
      logger().warning(released ? "a job was given back: its handler did not end in time"
                                : "a job could not be given back; it runs again later",
                       {{"job", item->job.id}, {"kind", item->job.kind}});
    }
  }

  Queue& queue;
  net::Loop& loop;
  const Clock& clock;
  Options options;
  std::map<std::string, JobHandler> handlers;
  std::vector<CronEntry> crons;
  bool started = false;
  sys_time<minutes> started_in;

  // Loop thread only.
  bool stopping = false;
  std::list<std::shared_ptr<Running>> running;
  CancelSource* nap = nullptr;
  CancelSource* cron_nap = nullptr;
  std::optional<sys_time<minutes>> pruned_in;
  RateLimited outage{kOutageLogPause};

  InFlight busy;  ///< coroutines that use the queue: stop() returns when none is left
  InFlight handlers_running;
};

Worker::Worker(Queue& queue, net::Loop& loop, const Clock& clock, Options options)
    : impl_(std::make_shared<Impl>(queue, loop, clock, std::move(options))) {}

Worker::~Worker() { stop(milliseconds(0)); }

void Worker::handle(std::string kind, JobHandler handler) {
  impl_->handlers.insert_or_assign(std::move(kind), std::move(handler));
}

void Worker::cron(std::string expression, std::string kind, json::value payload) {
  if (auto valid = next_cron(expression, Clock::Time{}); !valid) {
    throw std::invalid_argument(valid.error().message);
  }
  for (const auto& entry : impl_->crons) {
    // Replicas agree on minutes of a kind: of two payloads in one minute one would be lost.
    if (entry.kind == kind && entry.payload != payload) {
      throw std::invalid_argument(fmt::format(
          "the cron kind '{}' has an entry with another payload; use one kind per payload", kind));
    }
  }
  impl_->crons.push_back({std::move(expression), std::move(kind), std::move(payload), {}});
}

void Worker::start() {
  if (std::exchange(impl_->started, true)) return;
  impl_->started_in = std::chrono::floor<minutes>(impl_->clock.now());
  // Counted before they run, so that a stop() right behind waits for them. Each mark goes before
  // its `self`.
  impl_->loop.spawn(
      "jobs", [self = impl_, mark = std::make_shared<InFlight::Mark>(impl_->busy)]() -> Aw<void> {
        co_await self->poll_forever();
      });
  impl_->loop.spawn(
      "cron", [self = impl_, mark = std::make_shared<InFlight::Mark>(impl_->busy)]() -> Aw<void> {
        co_await self->tick_forever();
      });
}

void Worker::stop(milliseconds grace) {
  if (!std::exchange(impl_->started, false)) return;
  impl_->loop.post([self = impl_] {
    self->stopping = true;
    if (self->nap != nullptr) self->nap->cancel();
    if (self->cron_nap != nullptr) self->cron_nap->cancel();
  });
  const auto until = std::chrono::steady_clock::now() + grace;
  if (impl_->handlers_running.wait_until(until)) impl_->busy.wait_until(until);
  impl_->loop.spawn("jobs given back",
                    [self = impl_, mark = std::make_shared<InFlight::Mark>(
                                       impl_->busy)]() -> Aw<void> { co_await self->give_back(); });
  if (!impl_->busy.wait_until(std::chrono::steady_clock::now() + kLongestStop)) {
    logger().error("the worker did not stop in time: the database or the loop does not answer");
  }
}

}  // namespace asahi::jobs
