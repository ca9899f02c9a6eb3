// What access rules do in runs of ageing (access_rules.h).
#include <utility>

#include "base/ids.h"
#include "memory/ageing/ageing.h"
#include "memory/ageing/metrics.h"
#include "memory/ageing/promoter.h"

namespace asahi::memory::ageing {

std::int64_t Ageing::first_day_of_window() const {
  return day_of(parts_.clock.now()) - options_.access.window_days + 1;
}

Task<bool> Ageing::demotes() {
  if (options_.access.demote_hits == 0) co_return false;
  const std::int64_t today = day_of(parts_.clock.now());
  ASAHI_CO_TRY(const std::optional<std::int64_t> since, co_await hits_.counted_since(today));
  // The first day was counted in part.
  co_return since && *since < first_day_of_window();
}

Task<std::set<Key>> Ageing::keep(std::vector<RowVersion> rows) {
  std::vector<Store*> below;
  for (Store* const store : {parts_.warm, parts_.cold}) {
    if (store != nullptr) below.push_back(store);
  }
  ASAHI_CO_TRY(const std::vector<bool> may_stay, co_await end_older_below(std::move(below), rows));
  std::vector<Key> staying;
  std::set<Key> going;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (may_stay[i]) {
      staying.push_back(std::move(rows[i].key));
    } else {
      going.insert(std::move(rows[i].key));
    }
  }
  if (auto ok = co_await hits_.keep(std::move(staying), parts_.clock.now()); !ok)
    co_return std::unexpected(std::move(ok.error()));
  co_return going;
}

Mover::Stays Ageing::stays(Run& run, Clock::Time old) {
  return [this, &run, old](const std::vector<Eligible>& due) -> Task<std::vector<bool>> {
    std::vector<Key> keys;
    keys.reserve(due.size());
    for (const Eligible& one : due) keys.push_back(one.memory.key);
    ASAHI_CO_TRY(const auto hits, co_await hits_.of(keys, first_day_of_window()));
    ASAHI_CO_TRY(const auto kept, co_await hits_.kept(keys));
    std::vector<Fate> fates;
    std::vector<RowVersion> fresh;  ///< that are kept from now on
    for (const Eligible& one : due) {
      const Key& key = one.memory.key;
      const auto found = hits.find(key);
      fates.push_back(fate_of(options_.access,
                              {.timestamp = one.memory.timestamp,
                               .hits = found == hits.end() ? 0 : found->second,
                               .kept = kept.contains(key)},
                              old));
      if (fates.back() == Fate::kKeep && !kept.contains(key))
        fresh.push_back({key, one.memory.timestamp});
    }
    ASAHI_CO_TRY(const std::set<Key> going, co_await keep(std::move(fresh)));
    std::vector<bool> stays;
    std::uint64_t staying = 0, going_early = 0;
    for (std::size_t i = 0; i < due.size(); ++i) {
      const bool keeps = fates[i] == Fate::kKeep && !going.contains(due[i].memory.key);
      stays.push_back(keeps || fates[i] == Fate::kStay);
      staying += keeps ? 1 : 0;
      going_early += fates[i] == Fate::kDemote ? 1 : 0;
    }
    run.kept += staying;
    run.demoted += going_early;
    metrics_->rules.kept->add(static_cast<double>(staying));
    metrics_->rules.demoted->add(static_cast<double>(going_early));
    co_return stays;
  };
}

Task<void> Ageing::let_go(Run& run, Progress& progress) {
  if (progress.kept.empty()) co_return Result<void>{};
  std::vector<Key> kept = std::exchange(progress.kept, {});
  Mover mover(*store(run.step.source), *store(run.step.target), parts_.work);
  if (auto ok = co_await mover.let_go(kept); !ok) co_return ok;
  if (!goes_up_instead(run)) co_return Result<void>{};
  UpwardTurn turn(parts_.database, parts_.clock, run.id);
  Result<bool> going = true;
  for (std::size_t at = 0; going && *going && at < kept.size(); at += options_.batch_size) {
    const auto from = kept.begin() + static_cast<std::ptrdiff_t>(at);
    const auto size = std::min(options_.batch_size, kept.size() - at);
    std::vector<Key> some(from, from + static_cast<std::ptrdiff_t>(size));
    going = co_await promote_batch(run, turn, std::move(some));
  }
  if (auto ok = co_await turn.give_back(); !ok) co_return ok;
  if (!going) co_return std::unexpected(std::move(going.error()));
  co_return Result<void>{};
}

Task<void> Ageing::promote() {
  if (!possible(kToHot)) co_return Result<void>{};
  Run run;
  run.id = "mig_" + make_ulid(parts_.clock.now());
  run.org_id = kSchedule;
  run.step = kToHot;
  run.batch_size = options_.batch_size;
  run.requested_at = parts_.clock.now();
  if (auto ok = co_await runs_.add(run); !ok) co_return ok;
  const Progress progress{.started = std::chrono::steady_clock::now()};
  run.state = RunState::kRunning;
  run.start_time = parts_.clock.now();
  if (auto ok = co_await runs_.update(run); !ok) co_return ok;
  UpwardTurn turn(parts_.database, parts_.clock, run.id);
  const Result<void> result = co_await promote_all(run, turn);
  if (auto ok = co_await turn.give_back(); !ok)
    logger_.warning("backups wait until a lease ends", {{"error", ok.error().message}});
  auto kept = co_await end(run, progress, result);
  co_return result ? std::move(kept) : result;
}

Task<bool> Ageing::may_go_up(UpwardTurn& turn) {
  constexpr std::chrono::minutes kLease{10};  // longer than any batch
  constexpr std::chrono::seconds kPoll{1};
  const auto until = std::chrono::steady_clock::now() + options_.up_patience;
  while (true) {
    ASAHI_CO_TRY(const bool mine, co_await turn.take(kLease));
    if (mine) co_return true;
    // Where it was ours and somebody waits for it.
    if (auto ok = co_await turn.give_back(); !ok) co_return std::unexpected(ok.error());
    if (background_.stopping() || std::chrono::steady_clock::now() >= until) co_return false;
    co_await parts_.loop.sleep_for(kPoll);
  }
}

Task<void> Ageing::promote_all(Run& run, UpwardTurn& turn) {
  const auto until = std::chrono::steady_clock::now() + options_.longest;
  std::optional<Key> after;
  while (std::chrono::steady_clock::now() < until) {
    if (background_.stopping())
      co_return fail(Errc::kCancelled, "the process stops; the next run goes on");
    ASAHI_CO_TRY(std::vector<Key> keys,
                 co_await hits_.frequent(options_.access.promote_hits, first_day_of_window(), after,
                                         options_.batch_size));
    if (keys.empty()) break;
    after = keys.back();
    ASAHI_CO_TRY(const bool going, co_await promote_batch(run, turn, std::move(keys)));
    if (!going) break;
  }
  co_return Result<void>{};
}

Task<bool> Ageing::promote_batch(Run& run, UpwardTurn& turn, std::vector<Key> keys) {
  ASAHI_CO_TRY(const bool mine, co_await may_go_up(turn));
  if (!mine) {
    logger_.warning("memories come back with the next run: the tiers are being copied");
    co_return false;
  }
  Promoter promoter(*parts_.warm, *parts_.hot, parts_.cold, hits_, parts_.clock);
  ASAHI_CO_TRY(const Promoted done, co_await promoter.batch(std::move(keys)));
  if (run.step == kToHot) {
    run.records_migrated += done.promoted + done.superseded;
    run.bytes_freed += done.bytes;
    run.refused += done.refused;
    run.errors += done.errors;
  }
  const auto& counters = metrics_->of(kToHot);
  counters.moved->add(static_cast<double>(done.promoted + done.superseded));
  counters.failed->add(static_cast<double>(done.errors));
  metrics_->rules.promoted->add(static_cast<double>(done.promoted));
  metrics_->rules.refused->add(static_cast<double>(done.refused));
  for (const std::string& tenant : done.tenants) co_await parts_.moved(tenant);
  co_return true;
}

}  // namespace asahi::memory::ageing
