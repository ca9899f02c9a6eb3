#include "memory/ageing/ageing.h"
#include "memory/measure/errors.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "base/ids.h"

namespace asahi::memory::ageing {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kAge = "memory.age";
constexpr std::string_view kMigrate = "memory.migrate";
constexpr std::string_view kCompact = "memory.cold.compact";
constexpr int kAttempts = 4;  ///< three retries
constexpr int kMaxDays = 36'500;
constexpr std::int64_t kMaxBatch = 10'000;
constexpr int kMostIdle = 100;  ///< batches of which nothing could be moved
constexpr std::uint64_t kTellEvery = 5'000;
constexpr std::chrono::hours kKeepRuns{24 * 90};
constexpr std::chrono::seconds kMeasureEvery{15};
/// Cold files change for nobody else while some are merged: erasures get in between slices.
constexpr std::chrono::milliseconds kCompactSlice{500};

/// Seconds; spec §8.1.
const std::vector<double> kRunSeconds = {60, 300, 900, 3600, 7200};

Result<std::int64_t> whole(const json::object& body, std::string_view field, std::int64_t least,
                           std::int64_t most, std::int64_t otherwise) {
  const json::value* value = body.if_contains(field);
  if (value == nullptr || value->is_null()) return otherwise;
  boost::system::error_code wrong;
  const auto number = value->is_number() ? value->to_number<std::int64_t>(wrong) : least - 1;
  if (wrong || number < least || number > most || (value->is_double() && !value->is_int64()))
    return fail_field(std::string(field),
                      fmt::format("{} is not a whole number from {} to {}",
                                  json::serialize(*value).substr(0, 40), least, most));
  return number;
}

Result<std::string> tier_text(const json::object& body, std::string_view field) {
  const json::value* value = body.if_contains(field);
  if (value == nullptr || !value->is_string())
    return fail_field(std::string(field), "it is required: the name of a tier");
  return std::string(value->get_string());
}

}  // namespace

struct Ageing::Metrics {
  explicit Metrics(telemetry::Registry& registry) {
    for (const Tier tier : {Tier::kHot, Tier::kWarm, Tier::kCold}) {
      const std::string name(tier_name(tier));
      auto& one = tiers[static_cast<std::size_t>(tier)];
      one.bytes = &registry.gauge(fmt::format("akosha_{}_store_size_bytes", name),
                                  "Bytes of the tier's memories");
      one.records = &registry.gauge(fmt::format("akosha_{}_store_record_count", name),
                                    "Memories of the tier");
    }
    for (const Step step : {kToWarm, kToCold}) {
      auto& one = steps[step == kToWarm ? 0 : 1];
      const std::string from(tier_name(step.source)), to(tier_name(step.target));
      one.moved = &registry.counter(
          "akosha_migration_records_total", "Memories that were to move to another tier",
          {{"source_tier", from}, {"target_tier", to}, {"status", "success"}});
      one.failed = &registry.counter(
          "akosha_migration_records_total", "Memories that were to move to another tier",
          {{"source_tier", from}, {"target_tier", to}, {"status", "error"}});
      one.seconds = &registry.histogram("akosha_migration_duration_seconds", "Time of ageing runs",
                                        kRunSeconds, {{"source_tier", from}, {"target_tier", to}});
    }
    last_success = &registry.gauge("akosha_migration_last_success_timestamp_seconds",
                                   "End of the last good ageing run; 0: none since the start");
  }
  struct OfTier {
    telemetry::Gauge* bytes = nullptr;
    telemetry::Gauge* records = nullptr;
  };
  struct OfStep {
    telemetry::Counter* moved = nullptr;
    telemetry::Counter* failed = nullptr;
    telemetry::Histogram* seconds = nullptr;
  };
  std::array<OfTier, 3> tiers;
  std::array<OfStep, 2> steps;
  telemetry::Gauge* last_success = nullptr;
};

Ageing::Ageing(Parts parts, AgeingOptions options)
    : parts_(std::move(parts)),
      options_(std::move(options)),
      runs_(parts_.database),
      originals_(parts_.database),
      queue_(parts_.database, parts_.clock),
      worker_(queue_, parts_.loop, parts_.clock,
              {.concurrency = 1, .poll = options_.poll, .lease = std::chrono::minutes(1)}),
      metrics_(std::make_unique<Metrics>(parts_.metrics)) {
  add_jobs();
}

Ageing::~Ageing() { stop(milliseconds(0)); }

void Ageing::add_jobs() {
  worker_.handle(std::string(kAge), [this](const jobs::Job&) { return age(); });
  worker_.cron(options_.schedule, std::string(kAge), {});
  worker_.handle(std::string(kMigrate), [this](const jobs::Job& job) -> Task<void> {
    const json::value* id =
        job.payload.is_object() ? job.payload.get_object().if_contains("id") : nullptr;
    if (id == nullptr || !id->is_string()) co_return fail(Errc::kCorrupt, "the job names no run");
    co_return co_await run_asked(std::string(id->get_string()));
  });
  if (!parts_.compact) return;
  worker_.handle(std::string(kCompact), [this](const jobs::Job&) { return compact(); });
  worker_.cron(options_.compaction, std::string(kCompact), {});
}

void Ageing::start() {
  started_ = true;
  worker_.start();
  parts_.loop.spawn("sizes of the memory's tiers", [this]() -> Aw<void> { return watch(); });
}

void Ageing::stop(milliseconds grace) {
  if (stop_.exchange(true) || !started_) return;
  worker_.stop(grace);
  parts_.loop.post([this] {
    if (nap_ != nullptr) nap_->cancel();
  });
  watched_.get_future().wait();
  // What the worker gave up goes on until it sees the stop: after the batch or the statement it is
  // at.
  runs_under_way_.wait();
}

Store* Ageing::store(Tier tier) const {
  switch (tier) {
    case Tier::kHot:
      return parts_.hot;
    case Tier::kWarm:
      return parts_.warm;
    case Tier::kCold:
      return parts_.cold;
  }
  return nullptr;
}

// ---- what is asked for

Result<Ageing::Request> Ageing::parse(const json::object& body) {
  for (const auto& member : body) {
    constexpr std::array<std::string_view, 5> kKnown = {"source_tier", "target_tier", "cutoff_days",
                                                        "batch_size", "dry_run"};
    if (std::ranges::find(kKnown, std::string_view(member.key())) == kKnown.end())
      return fail_field(std::string(member.key()), "no such field");
  }
  Request out;
  ASAHI_TRY(const std::string source, tier_text(body, "source_tier"));
  ASAHI_TRY(const std::string target, tier_text(body, "target_tier"));
  ASAHI_TRY(out.step, parse_step(source, target));
  ASAHI_TRY(const std::int64_t days, whole(body, "cutoff_days", 0, kMaxDays, -1));
  if (days >= 0) out.cutoff_days = static_cast<int>(days);
  ASAHI_TRY(const std::int64_t size, whole(body, "batch_size", 1, kMaxBatch, 1000));
  out.batch_size = static_cast<std::size_t>(size);
  if (const json::value* dry = body.if_contains("dry_run")) {
    if (!dry->is_bool()) return fail_field("dry_run", "it is not true or false");
    out.dry_run = dry->get_bool();
  }
  return out;
}

Clock::Time Ageing::cutoff(const Run& run) const {
  const int usual = run.step == kToWarm ? options_.hot_days : options_.warm_days;
  return parts_.clock.now() - std::chrono::days(run.cutoff_days.value_or(usual));
}

Task<Run> Ageing::request(std::string org_id, Request request) {
  if (!possible(request.step)) {
    co_return fail(Errc::kUnavailable,
                   fmt::format("the {} and {} tiers are not both served here",
                               tier_name(request.step.source), tier_name(request.step.target)));
  }
  Run run;
  run.id = "mig_" + make_ulid(parts_.clock.now());
  run.org_id = std::move(org_id);
  run.step = request.step;
  run.cutoff_days = request.cutoff_days;
  run.batch_size = request.batch_size;
  run.dry_run = request.dry_run;
  run.requested_at = parts_.clock.now();
  if (auto ok = co_await runs_.add(run); !ok) co_return std::unexpected(std::move(ok.error()));
  if (run.dry_run) {
    run.start_time = run.requested_at;
    StoreQuery count;
    count.tenant = run.org_id;
    count.limit = 1;
    count.include_content = false;
    count.filter.end = cutoff(run);
    ASAHI_CO_TRY(const StorePage page, co_await store(run.step.source)->search(std::move(count)));
    run.records_migrated = page.total;
    run.state = RunState::kDone;
    run.end_time = parts_.clock.now();
    if (auto ok = co_await runs_.update(run); !ok) co_return std::unexpected(std::move(ok.error()));
    co_return run;
  }
  json::object payload{{"id", run.id}};
  ASAHI_CO_TRY([[maybe_unused]] const std::string job,
               co_await queue_.enqueue(std::string(kMigrate), std::move(payload),
                                       {.org_id = run.org_id, .max_attempts = kAttempts}));
  co_return run;
}

Task<Run> Ageing::find(std::string org_id, std::string id) {
  ASAHI_CO_TRY(std::optional<Run> run, co_await runs_.find(id));
  if (!run || run->org_id != org_id)
    co_return fail(Errc::kNotFound, fmt::format("no migration '{}'", id.substr(0, 40)));
  co_return *std::move(run);
}

Task<RunPage> Ageing::list(RunQuery query) { return runs_.list(std::move(query)); }

Ageing::Plan Ageing::plan() const {
  Plan out{.schedule = options_.schedule,
           .next_run = std::nullopt,
           .hot_days = options_.hot_days,
           .warm_days = options_.warm_days};
  if (auto next = jobs::next_cron(options_.schedule, parts_.clock.now())) out.next_run = *next;
  return out;
}

// ---- runs

Task<void> Ageing::run_asked(std::string id) {
  const InFlight::Mark mark(runs_under_way_);
  ASAHI_CO_TRY(std::optional<Run> found, co_await runs_.find(id));
  if (!found) co_return Result<void>{};  // pruned: nobody asks any more
  if (!asked_.contains(id)) {
    ASAHI_CO_TRY(const Progress begun, co_await begin(*found));
    asked_[id] = begun;
  }
  Progress progress = asked_[id];
  auto ended = co_await turn(*found, progress);
  if (!ended || *ended) {
    asked_.erase(id);
    co_return ended ? Result<void>{} : std::unexpected(std::move(ended.error()));
  }
  asked_[id] = progress;
  // Behind those who wait.
  json::object payload{{"id", id}};
  ASAHI_CO_TRY([[maybe_unused]] const std::string job,
               co_await queue_.enqueue(std::string(kMigrate), std::move(payload),
                                       {.org_id = found->org_id, .max_attempts = kAttempts}));
  co_return Result<void>{};
}

Task<void> Ageing::age() {
  const InFlight::Mark mark(runs_under_way_);
  struct Going {
    Run run;
    Progress progress;
    bool ended = false;
  };
  std::vector<Going> all;
  Result<void> result;
  for (const Step step : {kToWarm, kToCold}) {
    if (!possible(step)) continue;
    Going& one = all.emplace_back();
    one.run.id = "mig_" + make_ulid(parts_.clock.now());
    one.run.org_id = kSchedule;
    one.run.step = step;
    one.run.batch_size = options_.batch_size;
    one.run.requested_at = parts_.clock.now();
    if (auto ok = co_await runs_.add(one.run); !ok) co_return ok;
  }
  // In turns: what leaves the hot tier for hours keeps nothing from going on to the cold one.
  for (std::size_t going = all.size(), i = 0; going > 0; i = (i + 1) % all.size()) {
    Going& one = all[i];
    if (one.ended) continue;
    Result<void> outcome;
    if (!one.run.start_time) {
      // Not before its first turn: then what the step above has just moved counts.
      if (auto begun = co_await begin(one.run); begun) {
        one.progress = *begun;
      } else {
        outcome = std::unexpected(std::move(begun.error()));
      }
    }
    if (outcome) {
      auto ended = co_await turn(one.run, one.progress);
      if (ended && !*ended) continue;
      if (!ended) outcome = std::unexpected(std::move(ended.error()));
    }
    one.ended = true;
    --going;
    if (!outcome && result) result = std::move(outcome);
  }
  if (auto ok = co_await runs_.prune(parts_.clock.now() - kKeepRuns); !ok && result) result = ok;
  co_return result;
}

Task<void> Ageing::compact() {
  const InFlight::Mark mark(runs_under_way_);
  const auto until = std::chrono::steady_clock::now() + options_.longest;
  cold::Compacted all;
  while (!stop_ && std::chrono::steady_clock::now() < until) {
    ASAHI_CO_TRY(const cold::Compacted done, co_await parts_.compact(kCompactSlice));
    all.files_before += done.files_before;
    all.files_after += done.files_after;
    all.rows_dropped += done.rows_dropped;
    all.objects_erased += done.objects_erased;
    if (done.files_before == 0) break;
  }
  logger_.info("cold files were merged", {{"files_before", all.files_before},
                                          {"files_after", all.files_after},
                                          {"rows_dropped", all.rows_dropped},
                                          {"objects_erased", all.objects_erased}});
  co_return Result<void>{};
}

Task<Ageing::Progress> Ageing::begin(Run& run) {
  Progress progress{.started = std::chrono::steady_clock::now()};
  run.state = RunState::kRunning;
  if (!run.start_time) run.start_time = parts_.clock.now();
  run.end_time.reset();
  run.error.clear();
  if (auto ok = co_await runs_.update(run); !ok) co_return std::unexpected(std::move(ok.error()));
  Result<void> outcome;
  if (!possible(run.step)) {
    outcome = fail(Errc::kUnavailable, "one of the tiers is not served here");
  }
  // With what is above: that may come down while this runs.
  for (const Tier tier : {Tier::kHot, Tier::kWarm}) {
    if (!outcome || tier > run.step.source || store(tier) == nullptr) continue;
    auto stats = co_await store(tier)->stats("");
    if (stats) {
      progress.left += stats->records;
    } else if (tier == run.step.source) {
      outcome = std::unexpected(std::move(stats.error()));
    }
  }
  if (outcome) co_return progress;
  (void)co_await end(run, progress, outcome);
  co_return std::unexpected(std::move(outcome.error()));
}

Task<bool> Ageing::turn(Run& run, Progress& progress) {
  auto ended = co_await batches(run, progress);
  if (ended && !*ended) {
    if (auto ok = co_await runs_.update(run); !ok) co_return std::unexpected(std::move(ok.error()));
    co_return false;
  }
  const Result<void> result = ended ? Result<void>{} : std::unexpected(ended.error());
  auto kept = co_await end(run, progress, result);
  if (!result) co_return std::unexpected(result.error());
  if (!kept) co_return std::unexpected(std::move(kept.error()));
  co_return true;
}

Task<void> Ageing::end(Run& run, const Progress& progress, const Result<void>& result) {
  run.state = result ? RunState::kDone : RunState::kFailed;
  if (!result) {
    run.error = result.error().message;
    count_error(parts_.metrics, parts_.clock, Part::kAgingService, result.error());
  }
  run.end_time = parts_.clock.now();
  metrics_->steps[run.step == kToWarm ? 0 : 1].seconds->observe(
      std::chrono::duration<double>(std::chrono::steady_clock::now() - progress.started).count());
  if (result) {
    metrics_->last_success->set(
        std::chrono::duration<double>(run.end_time->time_since_epoch()).count());
  }
  logger_.info("an ageing run has ended", {{"id", run.id},
                                           {"source_tier", tier_name(run.step.source)},
                                           {"target_tier", tier_name(run.step.target)},
                                           {"state", run_state_name(run.state)},
                                           {"records_migrated", run.records_migrated},
                                           {"errors", run.errors},
                                           {"error", run.error}});
  co_return co_await runs_.update(run);
}

Task<bool> Ageing::batches(Run& run, Progress& progress) {
  const auto& counters = metrics_->steps[run.step == kToWarm ? 0 : 1];
  Mover mover(*store(run.step.source), *store(run.step.target), parts_.work, &originals_);
  const Clock::Time before = cutoff(run);
  const std::size_t size = options_.in_batches ? run.batch_size : 1;
  const auto until = progress.started + options_.longest;
  const auto turn_ends = std::chrono::steady_clock::now() + options_.turn;
  for (std::size_t batch = 0;; ++batch) {
    if (stop_) co_return fail(Errc::kCancelled, "the process stops; the run goes on later");
    const auto now = std::chrono::steady_clock::now();
    if (now >= until) {
      logger_.warning("an ageing run stops at its time limit; the next one goes on",
                      {{"id", run.id}, {"records_migrated", run.records_migrated}});
      co_return true;
    }
    // What has come since is the next run's.
    if (progress.left == 0) co_return true;
    if (batch == options_.turn_batches || now >= turn_ends) co_return false;
    const std::size_t limit = std::min<std::uint64_t>(size, progress.left);
    ASAHI_CO_TRY(const Moved moved, co_await mover.batch(before, limit));
    if (moved.scanned == 0) co_return true;
    progress.left -= std::min(progress.left, moved.scanned);
    progress.idle = moved.changed == moved.scanned ? progress.idle + 1 : 0;
    if (progress.idle == kMostIdle) {
      co_return fail(Errc::kUnavailable,
                     fmt::format("of {} batches in a row every memory was changed or its copy went",
                                 kMostIdle));
    }
    const std::uint64_t gone = moved.moved + moved.superseded;
    run.records_migrated += gone;
    run.bytes_freed += moved.bytes;
    run.errors += moved.errors;
    counters.moved->add(gone);
    counters.failed->add(moved.errors);
    for (const std::string& tenant : moved.tenants) co_await parts_.moved(tenant);
    if (run.step == kToCold) co_await tidy(std::chrono::steady_clock::now() - now);
    if (run.records_migrated - progress.told < kTellEvery) continue;
    progress.told = run.records_migrated;
    logger_.info("ageing goes on", {{"id", run.id}, {"records_migrated", progress.told}});
    if (auto ok = co_await runs_.update(run); !ok) co_return std::unexpected(std::move(ok.error()));
  }
}

Aw<void> Ageing::tidy(std::chrono::steady_clock::duration took) {
  if (!parts_.tidy) co_return;
  const auto budget = std::chrono::duration_cast<milliseconds>(took);
  // What it could not do waits for the clock; the move itself is none the worse.
  if (auto done = co_await parts_.tidy(std::max(budget, milliseconds(10))); !done)
    logger_.warning("small cold files were not merged", {{"error", done.error().message}});
}

// ---- sizes

Aw<void> Ageing::watch() {
  while (!stop_) {
    co_await measure();
    CancelSource nap;
    nap_ = &nap;
    if (!stop_) co_await parts_.loop.sleep_for(kMeasureEvery, &nap);
    nap_ = nullptr;
  }
  watched_.set_value();
}

Aw<void> Ageing::measure() {
  for (const Tier tier : {Tier::kHot, Tier::kWarm, Tier::kCold}) {
    if (store(tier) == nullptr) continue;
    const auto stats = co_await store(tier)->stats("");
    if (!stats) continue;  // what was known stays; the status route tells of the fault
    const auto& gauges = metrics_->tiers[static_cast<std::size_t>(tier)];
    gauges.bytes->set(static_cast<double>(stats->bytes));
    gauges.records->set(static_cast<double>(stats->records));
    if (tier == Tier::kHot) co_await press(stats->bytes);
  }
}

Aw<void> Ageing::press(std::uint64_t hot_bytes) {
  if (hot_bytes <= options_.pressure_bytes || !possible(kToWarm)) {
    pressed_ = false;
    co_return;
  }
  if (std::exchange(pressed_, true)) co_return;
  auto queued = co_await queue_.enqueue(std::string(kAge), {},
                                        {.max_attempts = kAttempts, .unique_key = "pressure"});
  logger_.warning("the hot tier is larger than it should be: an extra ageing run",
                  {{"bytes", hot_bytes},
                   {"limit", options_.pressure_bytes},
                   {"queued", queued ? *queued : queued.error().message}});
  if (!queued) pressed_ = false;
}

}  // namespace asahi::memory::ageing
