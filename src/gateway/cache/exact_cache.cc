#include "gateway/cache/exact_cache.h"

#include <fmt/format.h>

#include <algorithm>

namespace asahi::gateway {
namespace {

/// Members that leave the answer as it is: how it is delivered, who asked, how long it may take,
/// what it may cost.
constexpr std::array<std::string_view, 27> kNotPartOfTheAnswer = {"allow_batching",
                                                                  "allow_fallback",
                                                                  "asahi",
                                                                  "bypass_cache",
                                                                  "chain_id",
                                                                  "cost_budget",
                                                                  "cost_sensitivity",
                                                                  "enrich_with_features",
                                                                  "fallback_models",
                                                                  "latency_budget_ms",
                                                                  "latency_preference",
                                                                  "metadata",
                                                                  "optimize_tokens",
                                                                  "organization_id",
                                                                  "prompt_cache_key",
                                                                  "prompt_cache_retention",
                                                                  "provider_api_key",
                                                                  "request_id",
                                                                  "safety_identifier",
                                                                  "semantic_cache",
                                                                  "service_tier",
                                                                  "session_id",
                                                                  "store",
                                                                  "stream",
                                                                  "stream_options",
                                                                  "task_id",
                                                                  "user"};
static_assert(std::ranges::is_sorted(kNotPartOfTheAnswer));

}  // namespace

std::string canonical_request(const json::object& body) {
  std::vector<const json::key_value_pair*> members;
  members.reserve(body.size());
  for (const auto& member : body) {
    const std::string_view key = member.key();
    if (std::ranges::binary_search(kNotPartOfTheAnswer, key) || key == "user_id") continue;
    members.push_back(&member);
  }
  std::ranges::sort(members, {},
                    [](const auto* member) { return std::string_view(member->key()); });
  std::string out;
  out.reserve(2'048);
  out += '{';
  for (const auto* member : members) {
    if (out.size() > 1) out += ',';
    append_json_string(out, member->key());
    out += ':';
    append_canonical_json(out, member->value());
  }
  out += '}';
  return out;
}

ExactCache::ExactCache(Options options, cache::Store& primary, cache::Store& local,
                       const Clock& clock)
    : options_(std::move(options)),
      primary_(primary),
      local_(local),
      clock_(clock),
      seal_(options_.ring) {}

std::string ExactCache::key(std::string_view org, std::string_view shape,
                            std::string_view canonical) const {
  const Digest128 digest = keyed_digest(options_.digest_key, {org, shape, canonical});
  std::string out;
  out.reserve(options_.prefix.size() + org.size() + 40);
  out += options_.prefix;
  out += ':';
  out += options_.tier;
  out += ':';
  out += org.empty() ? "-" : org;
  out += ':';
  out += to_hex(digest);
  return out;
}

void ExactCache::note(const Error* error) {
  if (error == nullptr) {
    if (degraded_.load(std::memory_order_relaxed) && degraded_.exchange(false)) {
      logger_.info("the cache store answers again", {{"backend", primary_.backend()}});
    }
  } else if (!degraded_.exchange(true)) {
    logger_.error("the cache store is away; answers are cached in this process",
                  {{"backend", primary_.backend()}, {"error", error->message}});
  }
}

std::optional<Result<Answer>> ExactCache::read(std::string_view key,
                                               const std::string& stored) const {
  if (!Seal::is_sealed(stored)) return parse_answer(stored);
  const auto plain = seal_.open(stored, key);
  if (!plain) return std::nullopt;
  return parse_answer(*plain);
}

std::optional<std::optional<cache::Bytes>> ExactCache::peek(std::string_view key) {
  if (!options_.enabled) return std::optional<cache::Bytes>{};
  return reachable().try_get(key);
}

Aw<std::optional<ExactCache::Hit>> ExactCache::get(std::string key) {
  if (!options_.enabled) co_return std::nullopt;
  std::optional<cache::Bytes> stored;
  if (!degraded()) {
    auto found = co_await primary_.get(key);
    if (found) {
      stored = std::move(*found);
    } else {
      note(&found.error());
    }
  }
  if (!stored && &primary_ != &local_ && degraded()) {
    auto found = co_await local_.get(key);
    if (found) stored = std::move(*found);
  }
  if (!stored) co_return std::nullopt;
  auto read_back = read(key, **stored);
  // Another process may have the key: the entry stays until it is over.
  if (!read_back) co_return std::nullopt;
  Result<Answer>& answer = *read_back;
  if (!answer) {
    logger_.warning("a cache entry cannot be read and is dropped",
                    {{"error", answer.error().message}});
    std::vector<std::string> unreadable;
    unreadable.push_back(std::move(key));
    (void)co_await reachable().erase(std::move(unreadable));
    co_return std::nullopt;
  }
  co_return Hit{std::make_shared<const Answer>(std::move(*answer)), std::move(*stored)};
}

Aw<void> ExactCache::put(std::string key, std::shared_ptr<const Answer> answer,
                         std::chrono::milliseconds ttl, bool sealed) {
  if (!options_.enabled) co_return;
  const Clock::Time now = clock_.now();
  std::string text = serialize_answer(*answer, now, now + ttl);
  if (sealed) {
    auto closed = seal_.close(text, key);
    if (!closed) co_return;
    text = *std::move(closed);
  }
  auto bytes = std::make_shared<const std::string>(std::move(text));
  if (!degraded()) {
    auto stored = co_await primary_.set(key, bytes, ttl);
    if (stored) co_return;
    note(&stored.error());
  }
  if (&primary_ != &local_) (void)co_await local_.set(std::move(key), std::move(bytes), ttl);
}

Aw<void> ExactCache::probe() {
  auto reached = co_await primary_.ping();
  note(reached ? nullptr : &reached.error());
}

std::string ExactCache::prefix_of(std::string_view org) const {
  return fmt::format("{}:{}:{}:", options_.prefix, options_.tier, org.empty() ? "-" : org);
}

Task<std::uint64_t> ExactCache::erase_prefix(std::string prefix) {
  ASAHI_CO_TRY(std::uint64_t removed, co_await primary_.erase_prefix(prefix));
  if (&primary_ != &local_) {
    ASAHI_CO_TRY(const std::uint64_t local, co_await local_.erase_prefix(prefix));
    removed += local;
  }
  co_return removed;
}

Task<std::uint64_t> ExactCache::erase_key(std::string key) {
  std::vector<std::string> keys;
  keys.push_back(std::move(key));
  ASAHI_CO_TRY(std::uint64_t removed, co_await primary_.erase(keys));
  if (&primary_ != &local_) {
    ASAHI_CO_TRY(const std::uint64_t local, co_await local_.erase(keys));
    removed += local;
  }
  co_return removed;
}

Task<ExactCache::Removed> ExactCache::clear(std::string org) {
  ASAHI_CO_TRY(const std::uint64_t removed, co_await erase_prefix(prefix_of(org)));
  co_return Removed{removed};
}

Task<ExactCache::Removed> ExactCache::clear_expired() {
  ASAHI_CO_TRY(std::uint64_t removed, co_await primary_.sweep());
  if (&primary_ != &local_) {
    ASAHI_CO_TRY(const std::uint64_t local, co_await local_.sweep());
    removed += local;
  }
  co_return Removed{removed};
}

Task<void> ExactCache::each(std::string org,
                            std::function<bool(const cache::Entry&, const Answer&)> visit) {
  co_return co_await reachable().scan(prefix_of(org),
                                      [this, visit](std::vector<cache::Entry> batch) {
                                        for (const cache::Entry& entry : batch) {
                                          const auto answer = read(entry.key, *entry.value);
                                          if (answer && *answer && !visit(entry, **answer))
                                            return false;
                                        }
                                        return true;
                                      });
}

Task<cache::Stats> ExactCache::stats() { co_return co_await reachable().stats(); }

}  // namespace asahi::gateway
