#include "identity/users/lockout.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace asahi::identity {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::string count_key(const std::string& subject) { return "asahi:auth:failures:" + subject; }
std::string lock_key(const std::string& subject) { return "asahi:auth:locked:" + subject; }

}  // namespace

Lockout::Lockout(Options options, cache::Store& store, const Clock& clock)
    : options_(options), store_(store), clock_(clock), local_({.max_entries = 50'000}, clock) {}

template <class Value, class Body>
Aw<Value> Lockout::stored(Body body, Value otherwise) {
  Result<Value> shared = co_await body(store_);
  if (shared) co_return *std::move(shared);
  Result<Value> local = co_await body(local_);
  co_return local ? *std::move(local) : std::move(otherwise);
}

seconds Lockout::lock_time(std::int64_t failures) const {
  const std::int64_t beyond = std::clamp<std::int64_t>(failures - options_.max_failures, 0, 30);
  return std::min(seconds(std::int64_t{1} << beyond), options_.longest);
}

Aw<std::optional<milliseconds>> Lockout::locked(std::string subject) {
  const std::string key = lock_key(subject);
  const auto until = co_await stored<std::optional<cache::Bytes>>(
      [&key](cache::Store& store) { return store.get(key); }, std::nullopt);
  if (!until) co_return std::nullopt;
  std::int64_t end_ms = 0;
  std::from_chars((*until)->data(), (*until)->data() + (*until)->size(), end_ms);
  const auto left =
      milliseconds(end_ms) - std::chrono::floor<milliseconds>(clock_.now().time_since_epoch());
  if (left <= milliseconds::zero()) co_return std::nullopt;
  co_return left;
}

Aw<void> Lockout::lock(std::string subject, seconds time) {
  const std::string key = lock_key(subject);
  const auto end = std::chrono::floor<milliseconds>(clock_.now().time_since_epoch()) + time;
  const auto value = std::make_shared<const std::string>(std::to_string(end.count()));
  co_await stored<bool>(
      [&](cache::Store& store) -> Task<bool> {
        auto set = co_await store.set(key, value, time);
        if (!set) co_return std::unexpected(std::move(set.error()));
        co_return true;
      },
      false);
}

Task<Lockout::Attempt> Lockout::begin(std::vector<std::string> subjects) {
  const auto refuse = [](milliseconds wait) {
    auto refusal = fail(Errc::kRateLimited, "too many failed logins; wait before the next attempt");
    refusal.error().reason = "auth_locked_out";
    refusal.error().retry_after = wait;
    return refusal;
  };
  for (const std::string& subject : subjects) {
    if (const auto left = co_await locked(subject)) co_return refuse(*left);
  }
  Attempt attempt{std::move(subjects), {}};
  for (const std::string& subject : attempt.subjects) {
    const std::string key = count_key(subject);
    attempt.counts.push_back(co_await stored<std::int64_t>(
        [&](cache::Store& store) { return store.add(key, 1, options_.memory); }, 1));
  }
  // Whoever is beyond the bound may try once per lock: the first to set it.
  for (std::size_t i = 0; i < attempt.subjects.size(); ++i) {
    if (attempt.counts[i] <= options_.max_failures) continue;
    const std::string key = lock_key(attempt.subjects[i]);
    const seconds time = lock_time(attempt.counts[i] - 1);
    const auto end = std::chrono::floor<milliseconds>(clock_.now().time_since_epoch()) + time;
    const auto value = std::make_shared<const std::string>(std::to_string(end.count()));
    const bool mine = co_await stored<bool>(
        [&](cache::Store& store) { return store.set_if_absent(key, value, time); }, true);
    if (mine) continue;
    for (const std::string& subject : attempt.subjects) {
      const std::string counted = count_key(subject);
      co_await stored<std::int64_t>(
          [&](cache::Store& store) { return store.add(counted, -1, options_.memory); }, 0);
    }
    co_return refuse(time);
  }
  co_return attempt;
}

Aw<void> Lockout::succeeded(Attempt attempt, std::string forgive) {
  for (std::size_t i = 0; i < attempt.subjects.size(); ++i) {
    const std::string count = count_key(attempt.subjects[i]);
    const std::string lock = lock_key(attempt.subjects[i]);
    const bool clear = attempt.subjects[i] == forgive;
    if (clear || attempt.counts[i] > options_.max_failures) {
      std::vector<std::string> gone{lock};
      if (clear) gone.push_back(count);
      co_await stored<std::uint64_t>([&](cache::Store& store) { return store.erase(gone); }, 0);
    }
    if (!clear) {
      co_await stored<std::int64_t>(
          [&](cache::Store& store) { return store.add(count, -1, options_.memory); }, 0);
    }
  }
}

Aw<void> Lockout::failed(Attempt attempt) {
  for (std::size_t i = 0; i < attempt.subjects.size(); ++i) {
    if (attempt.counts[i] >= options_.max_failures) {
      co_await lock(attempt.subjects[i], lock_time(attempt.counts[i]));
    }
  }
}

}  // namespace asahi::identity
