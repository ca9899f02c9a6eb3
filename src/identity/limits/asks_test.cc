#include "identity/limits/asks.h"

#include <gtest/gtest.h>

namespace asahi::identity {
namespace {

Principal caller() {
  Principal principal;
  principal.kind = Principal::Kind::kApiKey;
  principal.org_id = "acme";
  principal.user_id = "u1";
  principal.key_prefix = "ask_acme_ab1";
  return principal;
}

std::string describe(const std::vector<RateLimiter::Ask>& asks) {
  std::string out;
  for (const auto& [limit, amount] : asks) {
    if (!out.empty()) out += ", ";
    out += std::string(to_string(limit.scope)) + " " + limit.org + "/" + limit.id + " " +
           std::to_string(amount) + " of " + std::to_string(limit.max) +
           (limit.unit == Limit::Unit::kTokens ? " tokens" : "");
  }
  return out;
}

TEST(LimitAsks, AnAddressIsAskedAlone) {
  LimitRules rules;
  EXPECT_TRUE(asks_of_address(rules, "192.0.2.7").empty());
  rules.address_requests = 100;
  EXPECT_EQ(describe(asks_of_address(rules, "192.0.2.7")), "ip /192.0.2.7 1 of 100");
}

TEST(LimitAsks, AnIpv6CallerCannotMoveWithinItsNetwork) {
  LimitRules rules;
  rules.address_requests = 100;
  const auto id = [&](std::string_view address) {
    return asks_of_address(rules, address).at(0).limit.id;
  };
  EXPECT_EQ(id("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  EXPECT_EQ(id("2001:db8:1:2:ffff::1"), "2001:db8:1:2::/64");
  EXPECT_NE(id("2001:db8:1:3::1"), id("2001:db8:1:2::1"));
  EXPECT_EQ(id("::ffff:192.0.2.7"), "192.0.2.7");
  EXPECT_EQ(id("not an address"), "not an address");
}

TEST(LimitAsks, ACallerIsAskedForWhateverBindsIt) {
  LimitRules rules;
  EXPECT_TRUE(asks_of_caller(rules, caller()).empty());
  rules.key.requests = 100;
  rules.org.requests = 1'000;
  rules.org.tokens = 5;
  EXPECT_EQ(describe(asks_of_caller(rules, caller())),
            "key acme/ask_acme_ab1 1 of 100, org acme/acme 1 of 1000");
  rules.user.requests = 50;
  EXPECT_EQ(describe(asks_of_caller(rules, caller())),
            "key acme/ask_acme_ab1 1 of 100, user acme/u1 1 of 50, org acme/acme 1 of 1000");
}

TEST(LimitAsks, AKeysOwnRateReplacesTheGeneralOne) {
  LimitRules rules;
  rules.key.requests = 100;
  Principal principal = caller();
  principal.requests_per_minute = 7;
  principal.tokens_per_minute = 9;
  EXPECT_EQ(describe(asks_of_caller(rules, principal)), "key acme/ask_acme_ab1 1 of 7");
  EXPECT_EQ(describe(asks_of_model(rules, principal, "m", 3)),
            "key acme/ask_acme_ab1 3 of 9 tokens");
}

TEST(LimitAsks, ATokenOfAUserHasNoKeyToCount) {
  LimitRules rules;
  rules.key.requests = 100;
  rules.user.requests = 50;
  Principal principal = caller();
  principal.key_prefix.clear();
  EXPECT_EQ(describe(asks_of_caller(rules, principal)), "user acme/u1 1 of 50");
}

TEST(LimitAsks, AModelIsAskedForItsRequestAndForTokensOfEveryone) {
  LimitRules rules;
  rules.key.requests = 1;
  rules.key.tokens = 10;
  rules.user.tokens = 20;
  rules.org.tokens = 30;
  rules.model = {40, 50};
  EXPECT_EQ(describe(asks_of_model(rules, caller(), "gpt-4o", 8)),
            "model acme/gpt-4o 1 of 40, key acme/ask_acme_ab1 8 of 10 tokens, "
            "user acme/u1 8 of 20 tokens, org acme/acme 8 of 30 tokens, "
            "model acme/gpt-4o 8 of 50 tokens");
  EXPECT_EQ(asks_of_model(rules, caller(), "gpt-4o", 0).at(1).amount, 1);
}

TEST(LimitAsks, SettlingReplacesTheEstimateAndLeavesTheRequest) {
  ManualClock clock;
  const auto limiter = make_memory_limiter(clock);
  LimitRules rules;
  rules.org.tokens = 1'000;
  rules.model = {10, 500};
  const auto asks = asks_of_model(rules, caller(), "m", 400);
  const auto remaining = [&](std::size_t i) {
    return limiter->try_take(std::vector{RateLimiter::Ask{asks[i].limit, 0}})->remaining;
  };
  const auto first = limiter->try_take(asks);
  ASSERT_TRUE(first->allowed);
  settle_tokens(*limiter, asks, first->taken, 150);
  EXPECT_EQ(remaining(0), 9);
  EXPECT_EQ(remaining(1), 850);
  EXPECT_EQ(remaining(2), 350);
  clock.advance(std::chrono::seconds(1));
  const auto second = limiter->try_take(asks_of_model(rules, caller(), "m", 350));
  ASSERT_TRUE(second->allowed);
  EXPECT_EQ(second->remaining, 0);
  settle_tokens(*limiter, asks_of_model(rules, caller(), "m", 350), second->taken, 600);
  EXPECT_EQ(remaining(1), 250);
  EXPECT_EQ(remaining(2), 0);
}

}  // namespace
}  // namespace asahi::identity
