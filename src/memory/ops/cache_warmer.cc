#include "memory/ops/cache_warmer.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "net/loop.h"

namespace asahi::memory {
namespace {

constexpr int kRestTimes = 4;
constexpr std::chrono::milliseconds kLongestRest{250};

constexpr std::array<const char*, 3> kTriggers = {"start", "demand", "latency"};

}  // namespace

CacheWarmer::CacheWarmer(Parts parts, Options options)
    : parts_(std::move(parts)), options_(options), rows_(parts_.database) {
  for (std::size_t i = 0; i < kTriggers.size(); ++i) {
    const auto counter = [&](const char* outcome) {
      return &parts_.metrics.counter("akosha_cache_warming_searches_total",
                                     "Frequent searches that were asked again for the caches",
                                     {{"trigger", kTriggers[i]}, {"outcome", outcome}});
    };
    counters_[i] = {counter("refilled"), counter("cached"), counter("failed")};
  }
}

Aw<void> CacheWarmer::rest(std::chrono::nanoseconds took) const {
  const auto time = std::min<std::chrono::nanoseconds>(kRestTimes * took, kLongestRest);
  if (parts_.rest) {
    co_await parts_.rest(time);
  } else {
    co_await net::Loop::current()->sleep_for(time);
  }
}

Task<CacheWarmer::Warmed> CacheWarmer::warm(std::optional<std::string> tenant, Trigger trigger) {
  if (!parts_.search.options().cache)
    co_return fail(Errc::kInvalidArgument, "answers are not cached here: memory.cache.enabled");
  if (running_.exchange(true)) {
    auto busy = fail(Errc::kUnavailable, "the caches are being filled; ask again in a few seconds");
    busy.error().retry_after = std::chrono::seconds(5);
    co_return busy;
  }
  const struct Running {
    std::atomic<bool>& flag;
    ~Running() { flag = false; }
  } running{running_};
  const Counters& counters = counters_[static_cast<std::size_t>(trigger)];
  const Clock::Steady begun = parts_.clock.steady_now();
  auto chosen = parts_.search.frequent().top(tenant, options_.most, parts_.clock.now());
  if (chosen.size() > options_.in_all) chosen.resize(options_.in_all);
  Warmed warmed;
  for (FrequentSearch& one : chosen) {
    const Clock::Steady asked = parts_.clock.steady_now();
    if (stopped_ || asked - begun > options_.longest) break;
    const auto done = co_await parts_.search.refill(std::move(one.tenant), std::move(one.request));
    ++(!done ? warmed.failed : *done ? warmed.refilled : warmed.cached);
    (!done ? counters.failed : *done ? counters.refilled : counters.cached)->add();
    // Users' searches need what room there is.
    if (!done && done.error().code != Errc::kInvalidArgument) break;
    if (!done || *done) co_await rest(parts_.clock.steady_now() - asked);
  }
  co_return warmed;
}

Task<void> CacheWarmer::load() {
  const Clock::Time now = parts_.clock.now();
  ASAHI_CO_TRY(auto kept, co_await rows_.load(options_.most, now));
  parts_.search.frequent().restore(std::move(kept), now);
  co_return Result<void>{};
}

Task<void> CacheWarmer::save() {
  const Clock::Time now = parts_.clock.now();
  auto asked = parts_.search.frequent().take_unsaved(options_.most, now);
  if (auto ok = co_await rows_.add(std::move(asked), now); !ok) co_return ok;
  const std::int64_t period = FrequentSearches::period_of(now);
  if (swept_.exchange(period) == period) co_return Result<void>{};
  co_return co_await rows_.sweep(now);
}

}  // namespace asahi::memory
