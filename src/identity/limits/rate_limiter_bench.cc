// What the limits cost a request in process.
#include <benchmark/benchmark.h>

#include <string>

#include "identity/limits/rate_limiter.h"
#include "identity/principal.h"

namespace asahi::identity {
namespace {

constexpr std::int64_t kNeverReached = 1'000'000'000;

Principal caller(std::size_t i) {
  Principal principal;
  principal.key_prefix = "ask_acme_" + std::to_string(100 + i % 900);
  principal.user_id = "user-" + std::to_string(i % 100);
  principal.org_id = "organisation-" + std::to_string(i % 10);
  return principal;
}

/// One request of key, user and organisation.
std::vector<RateLimiter::Ask> asks_of_caller(std::int64_t per_minute, const Principal& caller) {
  const auto ask = [&](LimitScope scope, const std::string& id) {
    return RateLimiter::Ask{
        .limit = {.scope = scope, .id = id, .max = per_minute, .org = caller.org_id}};
  };
  return {ask(LimitScope::kKey, caller.key_prefix), ask(LimitScope::kUser, caller.user_id),
          ask(LimitScope::kOrg, caller.org_id)};
}

/// One request of key, user and organisation, allowed; counters in their steady state.
void take_three_limits(benchmark::State& state) {
  static const auto limiter = make_memory_limiter(system_clock());
  const auto asks =
      asks_of_caller(kNeverReached, caller(static_cast<std::size_t>(state.thread_index())));
  for (auto _ : state) benchmark::DoNotOptimize(limiter->try_take(asks));
}
BENCHMARK(take_three_limits)->Threads(1)->Threads(2);

/// The same over a thousand keys.
void take_three_limits_of_many(benchmark::State& state) {
  const auto limiter = make_memory_limiter(system_clock());
  std::vector<std::vector<RateLimiter::Ask>> asks;
  for (std::size_t i = 0; i < 1'000; ++i) {
    asks.push_back(asks_of_caller(kNeverReached, caller(i)));
  }
  std::size_t at = 0;
  for (auto _ : state) benchmark::DoNotOptimize(limiter->try_take(asks[at++ % asks.size()]));
}
BENCHMARK(take_three_limits_of_many);

void refuse_three_limits(benchmark::State& state) {
  const auto limiter = make_memory_limiter(system_clock());
  const auto asks = asks_of_caller(100, caller(1));
  for (int i = 0; i < 100; ++i) (void)limiter->try_take(asks);
  for (auto _ : state) benchmark::DoNotOptimize(limiter->try_take(asks));
}
BENCHMARK(refuse_three_limits);

}  // namespace
}  // namespace asahi::identity
