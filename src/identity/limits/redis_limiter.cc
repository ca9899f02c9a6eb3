#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <utility>

#include "base/log.h"
#include "identity/limits/rate_limiter.h"
#include "identity/limits/redis_limiter_keys.h"
#include "identity/limits/redis_limiter_scripts.h"
#include "net/event.h"

namespace asahi::identity {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

/// A member takes some 130 bytes of Redis: fewer entries than in process.
constexpr std::size_t kRequestEntries = 10'000;
constexpr std::size_t kTokenEntries = 2'000;
/// While Redis is away, how often a loop asks whether it is back.
constexpr milliseconds kProbeEvery{250};
/// Spec §6: no operation takes longer. It bounds the one case of two commands in a row, a server
/// that does not know the script yet.
constexpr milliseconds kDecisionLimit{500};

const Logger& logger() {
  static const Logger instance("identity");
  return instance;
}

/// The state that outlives a decision: corrections and probes run on after their caller has gone.
/// They hold it weakly while they wait, as a client must not be kept by what waits for its reply.
struct Shared {
  Shared(std::shared_ptr<cache::RedisClients> redis, std::string key_prefix,
         std::unique_ptr<InProcessLimiter> in_process, const Clock& time)
      : clients(std::move(redis)),
        prefix(std::move(key_prefix)),
        local(std::move(in_process)),
        clock(time),
        take(std::string(kLimiterScriptHead) + kTakeScript),
        adjust(std::string(kLimiterScriptHead) + kAdjustScript),
        loops(clients->size()) {}

  /// Touched by its loop only. Loops find out one by one, as each has a connection of its own.
  struct alignas(64) PerLoop {
    bool away = false;
    bool probing = false;
    Clock::Steady next_probe{};
    std::minstd_rand random{std::random_device{}()};
  };

  PerLoop& here() { return loops[net::Loop::current()->index()]; }
  std::string unique() { return fmt::format("{:x}:", here().random()); }

  void failed(const Error& error) {
    const bool outage = error.code == Errc::kUnavailable || error.code == Errc::kTimeout;
    if (!outage) {
      if (const auto held_back = refused.pass(clock.steady_now())) {
        logger().error("Redis refused to count a limit; it is counted in this process alone",
                       {{"error", error.message}, {"suppressed", *held_back}});
      }
      return;
    }
    PerLoop& loop = here();
    loop.next_probe = clock.steady_now() + kProbeEvery;
    if (std::exchange(loop.away, true)) return;
    if (away_loops.fetch_add(1) == 0 && outages.pass(clock.steady_now())) {
      logged.store(true);
      logger().warning("Redis is away: each process counts its limits alone until it is back",
                       {{"error", error.message}});
    }
  }
  void recovered() {
    PerLoop& loop = here();
    if (!std::exchange(loop.away, false)) return;
    if (away_loops.fetch_sub(1) == 1 && logged.exchange(false)) {
      logger().info("Redis is back: limits are shared by all replicas again");
    }
  }

  const std::shared_ptr<cache::RedisClients> clients;
  const std::string prefix;
  const std::unique_ptr<InProcessLimiter> local;
  const Clock& clock;
  const cache::Script take;
  const cache::Script adjust;
  std::vector<PerLoop> loops;
  std::atomic<int> away_loops{0};
  std::atomic<bool> logged{false};
  RateLimited outages{std::chrono::seconds(10)};
  RateLimited refused{std::chrono::seconds(30)};
};

std::chrono::nanoseconds span_of(const Limit& limit) {
  const bool requests = limit.unit == Limit::Unit::kRequests;
  return merge_span(limit, requests ? kRequestEntries : kTokenEntries);
}

std::string us(std::chrono::nanoseconds time) {
  return std::to_string(std::chrono::ceil<microseconds>(time).count());
}

milliseconds ms_of(std::int64_t us) {
  return std::chrono::ceil<milliseconds>(microseconds(std::max<std::int64_t>(us, 0)));
}

std::unexpected<Error> unexpected_reply() {
  return fail(Errc::kUpstream,
              "the rate-limit script answered with something else than its numbers");
}

/// The verdict of kTakeScript's numbers.
Result<LimitVerdict> read(const cache::Reply& reply, const std::vector<RateLimiter::Ask>& asks) {
  if (reply.items.size() != 2 + 3 * asks.size()) return unexpected_reply();
  for (const cache::Reply& item : reply.items) {
    if (item.type != cache::Reply::Type::kInteger) return unexpected_reply();
  }
  const bool allowed = reply.items[0].integer == 1;
  std::optional<LimitVerdict> worst;
  for (std::size_t i = 0; i < asks.size(); ++i) {
    const Limit& limit = asks[i].limit;
    const std::int64_t used = reply.items[2 + 3 * i].integer;
    const std::int64_t reset_us = reply.items[3 + 3 * i].integer;
    const std::int64_t retry_us = reply.items[4 + 3 * i].integer;
    LimitVerdict verdict;
    verdict.scope = limit.scope;
    verdict.unit = limit.unit;
    verdict.max = bounded_max(limit);
    verdict.allowed = retry_us == 0;
    verdict.retry_after = ms_of(retry_us);
    std::int64_t left = verdict.max - used;
    if (allowed) {
      for (std::size_t j = 0; j <= i; ++j) {
        if (same_counter(asks[j].limit, limit)) left -= asks[j].amount;
      }
    }
    verdict.remaining = std::max<std::int64_t>(0, left);
    verdict.reset = allowed && asks[i].amount > 0 ? bounded_window(limit) : ms_of(reset_us);
    if (!worst || stricter(verdict, *worst)) worst = verdict;
  }
  if (worst->allowed != allowed) return unexpected_reply();
  if (allowed) worst->taken.shared = reply.items[1].integer;
  return *worst;
}

class RedisLimiter final : public RateLimiter {
 public:
  explicit RedisLimiter(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}

  std::string_view backend() const override { return "redis"; }

  std::optional<LimitVerdict> try_take(std::span<const Ask> asks) override {
    if (asks.empty()) return LimitVerdict{};
    if (!shared_->here().away) return std::nullopt;
    probe_when_due();
    return shared_->local->try_take(asks);
  }

  Aw<LimitVerdict> take(std::vector<Ask> asks) override {
    if (asks.empty()) co_return LimitVerdict{};
    for (Ask& ask : asks) ask.amount = std::clamp<std::int64_t>(ask.amount, 0, kMostPerWindow);
    const LimitVerdict local = *shared_->local->try_take(asks);
    if (!local.allowed) co_return local;
    if (shared_->here().away) {
      probe_when_due();
      co_return local;
    }
    std::vector<std::string> keys;
    std::vector<std::string> args{shared_->unique()};
    for (const Ask& ask : asks) {
      keys.push_back(limiter_key(shared_->prefix, ask.limit));
      args.push_back(std::to_string(ask.amount));
      args.push_back(std::to_string(bounded_max(ask.limit)));
      args.push_back(us(bounded_window(ask.limit)));
      args.push_back(us(span_of(ask.limit)));
    }
    auto reply = co_await run_take(std::move(keys), std::move(args));
    Result<LimitVerdict> verdict = unexpected_reply();
    if (reply) {
      verdict = read(*reply, asks);
    } else {
      verdict = std::unexpected(std::move(reply.error()));
    }
    if (!verdict) {
      shared_->failed(verdict.error());
      co_return local;
    }
    if (verdict->allowed) {
      verdict->taken.process = shared_->local->count_from_now(asks, local.taken).process;
    } else {
      for (const Ask& ask : asks) shared_->local->adjust(ask.limit, -ask.amount, local.taken);
    }
    co_return *verdict;
  }

  using RateLimiter::adjust;
  void adjust(const Limit& limit, std::int64_t by, LimitStamp taken) override {
    by = std::clamp(by, -kMostPerWindow, kMostPerWindow);
    if (by == 0) return;
    shared_->local->adjust(limit, by, taken);
    const bool counted_here_alone = taken.process != 0 && taken.shared == 0;
    if (counted_here_alone || shared_->here().away) return;
    std::vector<std::string> args{shared_->unique(), std::to_string(by),
                                  std::to_string(taken.shared), us(bounded_window(limit)),
                                  us(span_of(limit))};
    net::Loop::current()->spawn(
        "limit correction",
        send_adjust(shared_, limiter_key(shared_->prefix, limit), std::move(args)));
  }

 private:
  Task<cache::Reply> run_take(std::vector<std::string> keys, std::vector<std::string> args) {
    const auto started = std::chrono::steady_clock::now();
    cache::RedisClient& client = shared_->clients->local();
    std::vector<std::string> command{"EVALSHA", shared_->take.sha1(), std::to_string(keys.size())};
    command.insert(command.end(), keys.begin(), keys.end());
    command.insert(command.end(), args.begin(), args.end());
    auto reply = co_await client.run(cache::Command(command));
    if (reply || reply.error().reason != "NOSCRIPT") co_return reply;
    // The server is new to the script. It learns it even when this decision does not wait so long.
    auto late = std::make_shared<Late>(*net::Loop::current());
    net::Loop::current()->spawn(
        "limit script", eval(client, shared_->take, std::move(keys), std::move(args), late));
    const auto deadline =
        net::Loop::current()->at(started + kDecisionLimit, [late] { late->done.set(); });
    co_await late->done.wait();
    co_return std::move(late->reply);
  }

  struct Late {
    explicit Late(net::Loop& loop) : done(loop) {}
    net::Event done;
    Result<cache::Reply> reply =
        fail(Errc::kTimeout, "Redis did not learn the rate-limit script in time");
  };
  static Aw<void> eval(cache::RedisClient& client, cache::Script script,
                       std::vector<std::string> keys, std::vector<std::string> args,
                       std::shared_ptr<Late> late) {
    late->reply = co_await client.eval(std::move(script), std::move(keys), std::move(args));
    late->done.set();
  }

  static Aw<void> send_adjust(std::weak_ptr<Shared> weak, std::string key,
                              std::vector<std::string> args) {
    auto shared = weak.lock();
    if (shared == nullptr) co_return;
    cache::RedisClient& client = shared->clients->local();
    cache::Script script = shared->adjust;
    shared.reset();
    std::vector<std::string> keys{std::move(key)};
    const auto reply = co_await client.eval(std::move(script), std::move(keys), std::move(args));
    shared = weak.lock();
    if (shared != nullptr && !reply) shared->failed(reply.error());
  }

  void probe_when_due() {
    Shared::PerLoop& loop = shared_->here();
    if (loop.probing || shared_->clock.steady_now() < loop.next_probe) return;
    loop.probing = true;
    net::Loop::current()->spawn("limit probe", probe(shared_));
  }
  static Aw<void> probe(std::weak_ptr<Shared> weak) {
    auto shared = weak.lock();
    if (shared == nullptr) co_return;
    cache::RedisClient& client = shared->clients->local();
    shared.reset();
    const auto pong = co_await client.run(cache::Command{"PING"});
    shared = weak.lock();
    if (shared == nullptr) co_return;
    shared->here().probing = false;
    if (pong) {
      shared->recovered();
    } else {
      shared->here().next_probe = shared->clock.steady_now() + kProbeEvery;
    }
  }

  std::shared_ptr<Shared> shared_;
};

}  // namespace

std::unique_ptr<RateLimiter> make_redis_limiter(std::shared_ptr<cache::RedisClients> redis,
                                                std::string prefix,
                                                std::unique_ptr<InProcessLimiter> local,
                                                const Clock& clock) {
  return std::make_unique<RedisLimiter>(
      std::make_shared<Shared>(std::move(redis), std::move(prefix), std::move(local), clock));
}

}  // namespace asahi::identity
