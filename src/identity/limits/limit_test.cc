#include "identity/limits/limit.h"

#include <gtest/gtest.h>

#include <set>

#include "identity/limits/redis_limiter_keys.h"
#include "storage/cache/redis/slots.h"

namespace asahi::identity {
namespace {

using namespace std::chrono_literals;

Limit limit(LimitScope scope, std::string org, std::string id) {
  Limit out;
  out.scope = scope;
  out.org = std::move(org);
  out.id = std::move(id);
  out.max = 100;
  return out;
}

TEST(Limit, TellsTheClientWhatBindsItMost) {
  LimitVerdict roomy{.allowed = true, .max = 100, .remaining = 50};
  LimitVerdict tight{.allowed = true, .max = 1'000, .remaining = 100};
  LimitVerdict unlimited{};
  LimitVerdict shut{.allowed = false, .max = 10, .retry_after = 5s};
  LimitVerdict longer{.allowed = false, .max = 10, .retry_after = 9s};
  EXPECT_TRUE(stricter(tight, roomy));
  EXPECT_FALSE(stricter(roomy, tight));
  EXPECT_TRUE(stricter(shut, tight));
  EXPECT_TRUE(stricter(longer, shut));
  EXPECT_FALSE(stricter(shut, longer));
  EXPECT_TRUE(stricter(roomy, unlimited));
  EXPECT_FALSE(stricter(unlimited, roomy));
}

TEST(Limit, KeepsSingleEntriesAsLongAsTheyFit) {
  Limit requests = limit(LimitScope::kOrg, "acme", "acme");
  requests.max = 1'000;
  EXPECT_EQ(merge_span(requests, 1'000), 0ns);
  requests.max = 1'001;
  EXPECT_EQ(merge_span(requests, 1'000), 60ms);
}

TEST(Limit, BoundsNonsense) {
  Limit odd = limit(LimitScope::kOrg, "acme", "acme");
  odd.max = INT64_MAX;
  odd.window = std::chrono::milliseconds::max();
  EXPECT_EQ(bounded_max(odd), kMostPerWindow);
  EXPECT_EQ(bounded_window(odd), kLongestWindow);
  odd.max = -1;
  odd.window = 0ms;
  EXPECT_EQ(bounded_max(odd), 0);
  EXPECT_EQ(bounded_window(odd), 1ms);
}

TEST(LimiterKey, NamesScopeOrganisationAndId) {
  EXPECT_EQ(limiter_key("asahi:rl", limit(LimitScope::kIp, "", "2001:db8::/64")),
            "asahi:rl:ip:2001:db8::/64");
  EXPECT_EQ(limiter_key("asahi:rl", limit(LimitScope::kKey, "acme", "ask_acme_ab12")),
            "asahi:rl:key:{acme}:ask_acme_ab12");
  EXPECT_EQ(limiter_key("asahi:rl", limit(LimitScope::kOrg, "acme", "acme")),
            "asahi:rl:org:{acme}");
  Limit tokens = limit(LimitScope::kModel, "acme", "gpt-4o");
  tokens.unit = Limit::Unit::kTokens;
  tokens.window = 1h;
  EXPECT_EQ(limiter_key("asahi:rl", tokens), "asahi:rl:model-tokens-w3600000:{acme}:gpt-4o");
}

TEST(LimiterKey, OneOrganisationSharesASlotWhateverItsName) {
  for (const std::string org : {"acme", "a}c{me", "{", "}", "%7b", "ünï"}) {
    std::set<std::uint16_t> slots;
    slots.insert(cache::key_slot(limiter_key("rl", limit(LimitScope::kKey, org, "k{1}"))));
    slots.insert(cache::key_slot(limiter_key("rl", limit(LimitScope::kUser, org, "}u"))));
    slots.insert(cache::key_slot(limiter_key("rl", limit(LimitScope::kOrg, org, org))));
    slots.insert(cache::key_slot(limiter_key("rl", limit(LimitScope::kModel, org, ""))));
    EXPECT_EQ(slots.size(), 1u) << org;
  }
}

TEST(LimiterKey, TwoLimitsShareAKeyOnlyWhenTheyAreOneCounter) {
  std::vector<Limit> limits;
  for (const std::string org : {"", "a", "a}:b", "a:b", "{a}", "%7ba%7d"}) {
    for (const std::string id : {"", "a", "b", "b}:c", "{a}", "{a}:b", "tokens", ":"}) {
      for (const auto scope : {LimitScope::kIp, LimitScope::kOrg, LimitScope::kUser}) {
        for (const auto unit : {Limit::Unit::kRequests, Limit::Unit::kTokens}) {
          for (const auto window : {60'000ms, 1'000ms}) {
            Limit one = limit(scope, org, id);
            one.unit = unit;
            one.window = window;
            limits.push_back(one);
          }
        }
      }
    }
  }
  std::set<std::string> keys;
  for (const Limit& one : limits) keys.insert(limiter_key("rl", one));
  EXPECT_EQ(keys.size(), limits.size());
}

}  // namespace
}  // namespace asahi::identity
