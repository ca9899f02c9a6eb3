#include "memory/ingest/worker.h"

#include <list>
#include <mutex>
#include <thread>
#include <tuple>
#include <utility>

#include "base/cancel.h"
#include "base/ids.h"
#include "base/in_flight.h"
#include "base/log.h"

namespace asahi::memory {

namespace {

using std::chrono::milliseconds;

constexpr std::chrono::seconds kLongestStop{30};
constexpr std::chrono::seconds kOutageLogPause{60};

const Logger& logger() {
  static const Logger instance("memory.ingest");
  return instance;
}

/// Uniform in [0, 1).
double random_share() {
  constexpr int kUnused = 11;
  return static_cast<double>(random_u64() >> kUnused) * 0x1.0p-53;
}

struct Running {
  explicit Running(UploadLease taken) : lease(std::move(taken)) {}
  UploadLease lease;
  Interruption stop;
  CancelSource ended;  ///< ends the renewals
};

}  // namespace

struct IngestWorker::Impl : std::enable_shared_from_this<Impl> {
  Impl(Parts given, Options settings)
      : parts(given), options(std::move(settings)), breaker(options.breaker) {
    if (options.name.empty()) options.name = random_id("ingest_", 12);
  }

  /// Sleeps until `time` has passed, or somebody wakes it.
  Aw<void> rest(milliseconds time, CancelSource*& place) {
    CancelSource nap;
    place = &nap;
    co_await parts.loop.sleep_for(time, &nap);
    place = nullptr;
  }
  static void wake(CancelSource* nap) {
    if (nap != nullptr) nap->cancel();
  }

  void note_outage(std::string_view what, std::string_view error) {
    if (auto held_back = outage.pass(parts.clock.steady_now()))
      logger().warning(what, {{"error", error}, {"suppressed", *held_back}});
  }
  void pause(std::string why) {
    const std::scoped_lock lock(mutex);
    status.paused = std::move(why);
  }

  Aw<void> lease_forever() {
    while (!stopping) {
      const bool again = co_await lease_once();
      if (!stopping && !again) co_await rest(options.poll, lease_nap);
    }
  }

  /// Starts what is due; true when there may be more, and room for it.
  Aw<bool> lease_once() {
    const std::size_t room =
        options.uploads_at_once - std::min(options.uploads_at_once, running.size());
    if (room == 0) co_return false;
    if (parts.intake.pressed()) {
      pause("store");
      co_return false;
    }
    // While the bucket is away leasing would only use tries up; one upload is the probe.
    const Clock::Steady now = parts.clock.steady_now();
    const bool probe = breaker.state(now) != Breaker::State::kClosed;
    if (!breaker.allow(now)) {
      pause("bucket");
      co_return false;
    }
    pause("");
    const std::size_t most = probe ? 1 : room;
    auto leases = co_await parts.ledger.lease(options.name, most);
    if (!leases || leases->empty()) breaker.released();
    if (!leases) {
      note_outage("uploads cannot be leased", leases.error().message);
      co_return false;
    }
    for (UploadLease& lease : *leases) {
      if (stopping) {
        std::ignore = co_await parts.ledger.release(lease);  // or else its lease runs out
      } else {
        run(std::move(lease));
      }
    }
    co_return leases->size() == most&& running.size() < options.uploads_at_once;
  }

  /// An upload's place among the running ones.
  class Slot {
   public:
    Slot(std::shared_ptr<Impl> worker, std::shared_ptr<Running> item)
        : worker_(std::move(worker)),
          at_(worker_->running.insert(worker_->running.end(), std::move(item))),
          mark_(worker_->uploads) {}
    ~Slot() {
      (*at_)->ended.cancel();
      worker_->running.erase(at_);
      wake(worker_->lease_nap);
    }
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;

   private:
    std::shared_ptr<Impl> worker_;
    std::list<std::shared_ptr<Running>>::iterator at_;
    InFlight::Mark mark_;
  };

  void run(UploadLease lease) {
    const auto self = shared_from_this();
    const auto item = std::make_shared<Running>(std::move(lease));
    item->stop.deadline = parts.clock.steady_now() + options.deadline;
    parts.loop.spawn("upload",
                     [self, item, slot = std::make_shared<Slot>(self, item)]() mutable -> Aw<void> {
                       co_await self->work_on(item);
                       slot.reset();
                     });
    parts.loop.spawn("lease of upload", [self, item]() -> Aw<void> { co_await self->renew(item); });
  }

  Aw<void> work_on(std::shared_ptr<Running> item) {
    const UploadId& id = item->lease.upload.id;
    const Clock::Steady begun = parts.clock.steady_now();
    // A chunk, what it unpacks to, a batch.
    constexpr std::size_t kInHand = 10 << 20;
    std::optional<Intake::Room> room;
    if (auto reserved = parts.intake.reserve(kInHand)) room.emplace(std::move(*reserved));
    std::optional<Error> trouble;
    Result<UploadState> state = UploadState::kFailed;
    try {
      state = co_await parts.bundles->process(item->lease, item->stop, random_share(), trouble);
    } catch (const std::exception& error) {
      trouble = fail(Errc::kInternal, error.what()).error();
      state = threw(error.what());
    }
    item->ended.cancel();
    const Clock::Steady now = parts.clock.steady_now();
    // A bucket that answers is there, whatever it said of one upload.
    if (trouble && is_away(*trouble)) {
      breaker.failed(now);
    } else if (state) {
      breaker.succeeded();
    }
    if (!state) {
      parts.metrics.error(id.system_id, error_type(state.error()));
      note_outage("an upload's end could not be noted; it is taken again", state.error().message);
      co_return;
    }
    if (*state == UploadState::kLeased) co_return;
    if (trouble) parts.metrics.error(id.system_id, error_type(*trouble));
    UploadCounts gained;
    const auto row = co_await parts.ledger.find(id);
    if (row && *row) gained = difference((*row)->counts, item->lease.upload.counts);
    const std::string_view name = trouble && *state == UploadState::kDiscovered
                                      ? std::string_view("retry")
                                      : state_name(*state);
    parts.metrics.ended({id.tenant, id.system_id, name, "upload", gained}, now - begun);
    const bool good = *state == UploadState::kDone;
    logger().write(good ? LogLevel::kInfo : LogLevel::kWarning, "upload was taken in",
                   {{"system_id", id.system_id},
                    {"upload_id", id.upload_id},
                    {"state", name},
                    {"items", gained.items},
                    {"stored", gained.stored},
                    {"errors", gained.errors},
                    {"attempt", item->lease.upload.attempts},
                    {"error", row && *row ? (*row)->error : std::string()}});
  }

  static Result<UploadState> threw(std::string why) {
    return fail(Errc::kInternal, "the upload's work threw: " + why);
  }
  static bool is_away(const Error& error) {
    return error.code == Errc::kUnavailable || error.code == Errc::kTimeout ||
           error.code == Errc::kRateLimited || error.code == Errc::kUpstream;
  }
  static UploadCounts difference(const UploadCounts& now, const UploadCounts& before) {
    const auto less = [](std::uint64_t a, std::uint64_t b) { return a > b ? a - b : 0; };
    return {.items = less(now.items, before.items),
            .stored = less(now.stored, before.stored),
            .replaced = less(now.replaced, before.replaced),
            .unchanged = less(now.unchanged, before.unchanged),
            .older = less(now.older, before.older),
            .duplicates = less(now.duplicates, before.duplicates),
            .near_duplicates = less(now.near_duplicates, before.near_duplicates),
            .skipped = less(now.skipped, before.skipped),
            .errors = less(now.errors, before.errors),
            .bytes = less(now.bytes, before.bytes)};
  }

  /// Until the upload ends or its time is up: then the lease runs out, and another may have it.
  Aw<void> renew(std::shared_ptr<Running> item) {
    const InFlight::Mark mark(busy);
    while (co_await parts.loop.sleep_for(options.renew, &item->ended)) {
      if (parts.clock.steady_now() >= item->stop.deadline) co_return;
      const auto renewed = co_await parts.ledger.renew(item->lease);
      if (renewed || renewed.error().code != Errc::kConflict || item->ended.cancelled()) continue;
      item->stop.lost = true;
      logger().warning("an upload's lease was lost while it was worked on",
                       {{"system_id", item->lease.upload.id.system_id},
                        {"upload_id", item->lease.upload.id.upload_id}});
      co_return;
    }
  }

  Aw<void> scan_forever() {
    while (!stopping) {
      milliseconds pause_for = options.discovery;
      const Clock::Steady begun = parts.clock.steady_now();
      if (breaker.allow(begun)) {
        ScanJobs::Scan wanted = jobs.begin();
        // Who asks for one system all the time does not keep the others waiting.
        if (begun - scanned_all >= options.discovery) wanted.systems.clear();
        if (wanted.systems.empty()) scanned_all = begun;
        const Discovery::Found found =
            co_await parts.discovery->scan(wanted.priority, wanted.systems);
        const Clock::Steady now = parts.clock.steady_now();
        jobs.end(wanted, found, parts.clock.now());
        parts.metrics.scanned(now - begun);
        if (found.errors > 0) {
          note_outage("the bucket could not be read wholly", found.error);
          if (found.systems == 0) {
            breaker.failed(now);
          } else {
            breaker.released();
          }
          pause_for = options.pause_after_error;
        } else {
          breaker.succeeded();
        }
        {
          const std::scoped_lock lock(mutex);
          status.found = found;
          status.last_scan = parts.clock.now();
        }
        if (found.discovered > 0) wake(lease_nap);
      }
      if (!stopping && !std::exchange(scan_again, false)) co_await rest(pause_for, scan_nap);
      scan_again = false;
    }
  }

  Aw<void> erase_bundles() {
    constexpr std::size_t kAtOnce = 50;
    if (parts.bundles == nullptr || options.keep_bundles.count() == 0) co_return;
    auto erased =
        co_await parts.bundles->erase_older(parts.clock.now() - options.keep_bundles, kAtOnce);
    if (!erased) note_outage("bundles past their time cannot be erased", erased.error().message);
  }

  Aw<void> upkeep_forever() {
    while (!stopping) {
      const auto swept = co_await parts.ledger.sweep(parts.clock.now() - options.keep_rows);
      if (!swept) note_outage("finished uploads cannot be swept", swept.error().message);
      co_await erase_bundles();
      const auto totals = co_await parts.ledger.queue();
      if (totals) {
        // Waiting rows belong to nobody: they count for the workers that have leases, evenly.
        const auto waiting = static_cast<double>(totals->queued());
        const auto workers = static_cast<double>(std::max<std::uint64_t>(totals->workers, 1));
        parts.metrics.queue(static_cast<double>(running.size()) + waiting / workers,
                            waiting + static_cast<double>(totals->in_work()));
      }
      if (!stopping) co_await rest(options.upkeep, upkeep_nap);
    }
  }

  Aw<void> give_back() {
    const std::vector<std::shared_ptr<Running>> all(running.begin(), running.end());
    for (const auto& item : all) {
      if (item->stop.lost || item->ended.cancelled()) continue;
      item->stop.lost = true;
      item->ended.cancel();
      const auto released = co_await parts.ledger.release(item->lease);
      logger().warning(released ? "an upload was given back: its batch did not end in time"
                                : "an upload could not be given back; its lease runs out",
                       {{"system_id", item->lease.upload.id.system_id},
                        {"upload_id", item->lease.upload.id.upload_id}});
    }
  }

  Parts parts;
  Options options;
  Breaker breaker;
  bool started = false;

  // Loop thread only.
  bool stopping = false;
  bool scan_again = false;
  Clock::Steady scanned_all{};
  std::list<std::shared_ptr<Running>> running;
  CancelSource* lease_nap = nullptr;
  CancelSource* scan_nap = nullptr;
  CancelSource* upkeep_nap = nullptr;
  RateLimited outage{kOutageLogPause};

  ScanJobs jobs;

  mutable std::mutex mutex;
  Status status;  ///< under mutex; what can be asked for is filled in by status()
  InFlight busy;  ///< coroutines: stop() returns when none is left
  InFlight uploads;
};

IngestWorker::IngestWorker(Parts parts, Options options)
    : impl_(std::make_shared<Impl>(parts, std::move(options))) {}

IngestWorker::~IngestWorker() { stop(milliseconds(0)); }

void IngestWorker::start() {
  if (std::exchange(impl_->started, true)) return;
  const auto spawn = [this](const char* what, Aw<void> (Impl::*body)()) {
    impl_->parts.loop.spawn(what,
                            [self = impl_, mark = std::make_shared<InFlight::Mark>(impl_->busy),
                             body]() -> Aw<void> { co_await ((*self).*body)(); });
  };
  if (impl_->parts.bundles != nullptr) spawn("uploads", &Impl::lease_forever);
  if (impl_->parts.discovery != nullptr) spawn("discovery", &Impl::scan_forever);
  spawn("ledger upkeep", &Impl::upkeep_forever);
}

std::string IngestWorker::trigger(UploadPriority priority, std::string system_id) {
  std::string id = impl_->jobs.add(std::move(system_id), priority, impl_->parts.clock.now());
  impl_->parts.loop.post([self = impl_] {
    self->scan_again = self->scan_nap == nullptr;
    Impl::wake(self->scan_nap);
    Impl::wake(self->lease_nap);
  });
  return id;
}

const ScanJobs& IngestWorker::jobs() const { return impl_->jobs; }

void IngestWorker::stop(milliseconds grace) {
  if (!std::exchange(impl_->started, false)) return;
  impl_->parts.intake.close();
  impl_->parts.loop.post([self = impl_] {
    self->stopping = true;
    for (const auto& item : self->running) item->stop.stopping = true;
    for (CancelSource* nap : {self->lease_nap, self->scan_nap, self->upkeep_nap}) Impl::wake(nap);
  });
  const auto until = std::chrono::steady_clock::now() + grace;
  if (impl_->uploads.wait_until(until)) impl_->busy.wait_until(until);
  // Pushes have no signal; they are short.
  while (impl_->parts.intake.in_flight() > 0 && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(milliseconds(10));
  impl_->parts.loop.spawn(
      "uploads given back",
      [self = impl_, mark = std::make_shared<InFlight::Mark>(impl_->busy)]() -> Aw<void> {
        co_await self->give_back();
      });
  if (!impl_->busy.wait_until(std::chrono::steady_clock::now() + kLongestStop))
    logger().error("ingestion did not stop in time: the database or the loop does not answer");
}

IngestWorker::Status IngestWorker::status() const {
  const std::scoped_lock lock(impl_->mutex);
  Status status = impl_->status;
  status.running = impl_->started;
  status.uploads_in_work = impl_->uploads.count();
  status.pushes_in_flight = impl_->parts.intake.in_flight();
  status.bucket = impl_->breaker.state(impl_->parts.clock.steady_now());
  return status;
}

}  // namespace asahi::memory
