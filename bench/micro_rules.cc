// What the rules of a governed request cost: who sends it, what it may, what it takes of limits and
// budgets.
#include <benchmark/benchmark.h>
#include <stdlib.h>

#include <filesystem>
#include <stdexcept>

#include "gateway/governance/governor.h"
#include "gateway/migrations/migrations.h"
#include "gateway/routing/model_registry.h"
#include "identity/identity.h"
#include "identity/keys/api_keys.h"
#include "identity/limits/migrations.h"
#include "net/blocking.h"
#include "storage/sql/migrations.h"

namespace asahi::gateway {
namespace {

constexpr std::int64_t kNeverReached = 1'000'000'000;

template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(*result);
}

/// Keys, limiter, ledger and governor as in one process without Redis.
class Installation {
 public:
  Installation() {
    std::vector<sql::Migration> all;
    for (auto part : {migrations(), identity::core_migrations(), identity::limits_migrations()})
      all.insert(all.end(), part.begin(), part.end());
    must(sql::Migrator(*database_, all).upgrade());
    loops_.start();
    keys_ = must(identity::make_api_keys({.pepper = Secret("pepper-of-the-benchmarks-0123456789")},
                                         *database_, invalidation_, system_clock()));
    ledger_ = must(identity::open_budget_ledger({.journal_file = folder_ + "/budgets.journal"},
                                                *database_, nullptr, system_clock()));
    governor_ = std::make_unique<Governor>(
        Governor::Options{}, Governor::Parts{policies_, *injections_, *ledger_, *limiter_});
    key_ = must(net::run_sync<Result<identity::IssuedApiKey>>(loops_.at(0), [this] {
             return keys_->create({.org_id = "acme",
                                   .user_id = "u1",
                                   .scopes = {"infer"},
                                   .requests_per_minute = kNeverReached,
                                   .tokens_per_minute = kNeverReached});
           })).value.reveal();
    caller_ = must(net::run_sync<Result<std::shared_ptr<const identity::Principal>>>(
        loops_.at(0), [this] { return keys_->verify(key_); }));
    OrgPolicy policy;
    policy.allowed_models = {"gpt-*"};
    policy.blocked_models = {"gpt-4-32k"};
    policy.max_cost_per_day = policy.max_cost_per_month = NanoUsd{std::int64_t{1} << 60};
    policy.max_requests_per_day = policy.max_requests_per_month = kNeverReached;
    policy.rate_limit_per_minute = policy.tokens_per_minute = kNeverReached;
    policy.per_user = policy.per_model["gpt-4o-mini"] = {kNeverReached, kNeverReached};
    rules_ = make_rules("acme", policy, std::nullopt);
  }
  ~Installation() {
    ledger_.reset();
    loops_.stop();
    std::filesystem::remove_all(folder_);
  }

  identity::ApiKeys& keys() { return *keys_; }
  const std::string& key() const { return key_; }
  Governor& governor() { return *governor_; }
  identity::RateLimiter& limiter() { return *limiter_; }
  Terms terms() const { return {caller_, rules_}; }

 private:
  static std::string new_folder() {
    std::string path = (std::filesystem::temp_directory_path() / "asahi-micro-XXXXXX").string();
    if (::mkdtemp(path.data()) == nullptr) throw std::runtime_error("no temporary folder");
    return path;
  }

  const std::string folder_ = new_folder();
  net::LoopPool loops_{1};
  std::unique_ptr<sql::Database> database_ = must(sql::open_database({.url = "sqlite://:memory:"}));
  identity::Invalidation invalidation_{loops_, nullptr};
  std::unique_ptr<identity::ApiKeys> keys_;
  std::unique_ptr<identity::RateLimiter> limiter_ = identity::make_memory_limiter(system_clock());
  std::unique_ptr<identity::BudgetLedger> ledger_;
  PolicyStore policies_{{}, *database_, system_clock()};
  std::unique_ptr<InjectionScreen> injections_ = must(InjectionScreen::make({}));
  std::unique_ptr<Governor> governor_;
  std::string key_;
  std::shared_ptr<const identity::Principal> caller_;
  std::shared_ptr<const OrgRules> rules_;
};

/// One for all: opening it takes longer than what is measured.
Installation& installation() {
  static Installation made;
  return made;
}

/// A key that was verified within the last minute.
void check_key(benchmark::State& state) {
  Installation& place = installation();
  for (auto _ : state) benchmark::DoNotOptimize(place.keys().try_verify(place.key()));
}
BENCHMARK(check_key);

/// Policy, requests and tokens per minute of key, user, organisation and model, two budgets: taken,
/// and settled as after the answer.
void admit_reserve_settle(benchmark::State& state) {
  Installation& place = installation();
  const auto registry = default_registry();
  const ModelProfile& model = *registry->get("gpt-4o-mini");
  const Terms terms = place.terms();
  const auto of_gate = [&](identity::LimitScope scope, const std::string& id) {
    return identity::RateLimiter::Ask{
        .limit = {.scope = scope, .id = id, .max = kNeverReached, .org = terms.caller->org_id}};
  };
  const std::vector asks{of_gate(identity::LimitScope::kKey, terms.caller->key_prefix),
                         of_gate(identity::LimitScope::kOrg, terms.caller->org_id)};
  for (auto _ : state) {
    benchmark::DoNotOptimize(place.limiter().try_take(asks));
    if (!place.governor().admit(terms, &model)) state.SkipWithError("not admitted");
    place.governor().expect(terms, NanoUsd{25'000}, NanoUsd{160'000});
    auto taken = place.governor().try_reserve(terms, model, NanoUsd{25'000}, 130);
    if (!taken || !*taken) {
      state.SkipWithError("not reserved");
      break;
    }
    (**taken).settle(NanoUsd{24'900}, 103);
  }
}
BENCHMARK(admit_reserve_settle);

}  // namespace
}  // namespace asahi::gateway
