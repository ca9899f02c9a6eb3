// The runs of ageing: in turns, a batch at a time, until nothing is left or their time is over.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/ids.h"
#include "memory/ageing/ageing.h"
#include "memory/ageing/metrics.h"
#include "memory/ageing/promoter.h"
#include "memory/measure/errors.h"

namespace asahi::memory::ageing {
namespace {

using std::chrono::milliseconds;

/// Memories that stay hot, of a run: beyond that nothing goes early, and marks end by themselves.
constexpr std::size_t kMostKept = 100'000;
constexpr int kMostIdle = 100;  ///< batches of which nothing could be moved
constexpr std::uint64_t kTellEvery = 5'000;
constexpr std::chrono::hours kKeepRuns{24 * 90};
/// Cold files change for nobody else while some are merged: erasures get in between slices.
constexpr std::chrono::milliseconds kCompactSlice{500};

}  // namespace

Task<void> Ageing::run_asked(std::string id) {
  const net::Background::Mark mark(background_);
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
  const net::Background::Mark mark(background_);
  struct Going {
    Run run;
    Progress progress;
    bool ended = false;
  };
  std::vector<Going> all;
  Result<void> result;
  if (options_.access.enabled) result = co_await promote();
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
  if (options_.access.enabled) {
    auto ok = co_await hits_.prune(first_day_of_window(),
                                   std::max<std::uint64_t>(options_.access.demote_hits, 1));
    if (!ok && result) result = std::move(ok);
  }
  co_return result;
}

Task<void> Ageing::compact() {
  const net::Background::Mark mark(background_);
  const auto until = std::chrono::steady_clock::now() + options_.longest;
  cold::Compacted all;
  while (!background_.stopping() && std::chrono::steady_clock::now() < until) {
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
    auto stats = co_await store(tier)->stats(tenant_of(run));
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
  if (auto ok = co_await let_go(run, progress); !ok)
    logger_.warning("rows stay marked, or where they are, until a later run",
                    {{"error", ok.error().message}});
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
  metrics_->of(run.step).seconds->observe(
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
  const auto& counters = metrics_->of(run.step);
  Mover mover(*store(run.step.source), *store(run.step.target), parts_.work, &originals_);
  const Clock::Time old = cutoff(run);
  Clock::Time before = old;
  Mover::Stays stays;
  if (goes_by_access(run)) {
    stays = this->stays(run, old);
    const auto young = parts_.clock.now() - std::chrono::days(options_.access.min_age_days);
    ASAHI_CO_TRY(const bool early, co_await demotes());
    if (early && progress.kept.size() < kMostKept) before = std::max(before, young);
  } else if (goes_up_instead(run)) {
    stays = [this](const std::vector<Eligible>& due) {
      return left_behind(hits_, *parts_.hot, due);
    };
  }
  const std::size_t size = options_.in_batches ? run.batch_size : 1;
  const auto until = progress.started + options_.longest;
  const auto turn_ends = std::chrono::steady_clock::now() + options_.turn;
  for (std::size_t batch = 0;; ++batch) {
    if (background_.stopping())
      co_return fail(Errc::kCancelled, "the process stops; the run goes on later");
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
    ScanQuery wanted{.before = before, .limit = limit, .tenant = tenant_of(run)};
    ASAHI_CO_TRY(const Moved moved, co_await mover.batch(std::move(wanted), stays));
    if (moved.scanned == 0) co_return true;
    for (const Key& key : moved.kept) {
      if (progress.kept.size() < kMostKept) progress.kept.push_back(key);
    }
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

}  // namespace asahi::memory::ageing
