#include "gateway/metrics.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asahi::gateway {
namespace {

using testing::HasSubstr;
using testing::Not;

InferenceEvent answered(std::string org = "acme") {
  InferenceEvent event;
  event.org_id = std::move(org);
  event.model_selected = "gpt-4o";
  event.provider = "openai";
  event.task_type = "faq";
  event.route = "/infer";
  event.cost = NanoUsd{500'000'000};
  event.baseline_cost = NanoUsd{1'000'000'000};
  event.latency_ms = 120;
  event.vendor_ms = 100;
  event.tier_ms = {-1, 0.5, 2, -1};
  event.input_tokens = 30;
  event.output_tokens = 300;
  event.quality_score = 4.5;
  return event;
}

TEST(EventMetrics, CountsEveryTierThatWasAsked) {
  telemetry::Registry registry;
  EventMetrics metrics(registry);
  metrics.observe(answered());  // missed in tiers 1 and 2
  InferenceEvent similar = answered();
  similar.cache_hit = true;
  similar.cache_tier = 2;
  metrics.observe(similar);
  InferenceEvent same = answered();
  same.cache_hit = true;
  same.cache_tier = 1;
  same.tier_ms = {-1, 0.2, -1, -1};
  metrics.observe(same);
  const std::string page = registry.expose();
  for (const char* line :
       {"asahi_cache_hits_total{tier=\"1\"} 1\n", "asahi_cache_hits_total{tier=\"2\"} 1\n",
        "asahi_cache_hits_total{tier=\"3\"} 0\n", "asahi_cache_misses_total{tier=\"1\"} 2\n",
        "asahi_cache_misses_total{tier=\"2\"} 1\n", "asahi_cache_misses_total{tier=\"3\"} 0\n",
        "asahi_cache_hit_rate{tier=\"2\"} 0.5\n",
        "asahi_cache_lookup_latency_seconds_count{tier=\"1\"} 3\n",
        "asahi_cache_lookup_latency_seconds_count{tier=\"2\"} 2\n",
        "asahi_cache_lookup_latency_seconds_count{tier=\"3\"} 0\n"}) {
    EXPECT_THAT(page, HasSubstr(line));
  }
}

TEST(EventMetrics, NamesTwoHundredOrganisationsAndCallsTheRestOther) {
  telemetry::Registry registry;
  EventMetrics metrics(registry);
  for (int i = 0; i < 250; ++i) metrics.observe(answered(fmt::format("org-{}", i)));
  metrics.observe(answered("org-7"));
  const std::string page = registry.expose();
  EXPECT_THAT(page, HasSubstr("asahi_tenant_requests_total{org_id=\"org-7\"} 2\n"));
  EXPECT_THAT(page, HasSubstr("asahi_tenant_requests_total{org_id=\"org-199\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("asahi_tenant_requests_total{org_id=\"other\"} 50\n"));
  EXPECT_THAT(page, HasSubstr("asahi_tenant_cost_dollars_total{org_id=\"other\"} 25\n"));
  EXPECT_THAT(page, Not(HasSubstr("org-200")));
}

TEST(EventMetrics, CountsWhatRulesTurnedDown) {
  telemetry::Registry registry;
  EventMetrics metrics(registry);
  InferenceEvent refused = answered();
  refused.event_type = "error";
  refused.error_code = "model_blocked";
  metrics.observe(refused);
  refused.error_code = "timeout";
  metrics.observe(refused);
  const std::string page = registry.expose();
  EXPECT_THAT(page, HasSubstr("asahi_policy_denials_total{reason=\"model_blocked\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("asahi_policy_denials_total{reason=\"budget_exceeded\"} 0\n"));
  EXPECT_THAT(page, Not(HasSubstr("reason=\"timeout\"")));
}

TEST(EventMetrics, SavingsAreThereForEveryPhaseFromTheStart) {
  telemetry::Registry registry;
  const EventMetrics metrics(registry);
  for (const char* phase : {"routing", "cache_t1", "cache_t2", "cache_t3", "tokens", "batching"}) {
    EXPECT_THAT(registry.expose(),
                HasSubstr(fmt::format("asahi_savings_dollars_total{{phase=\"{}\"}} 0\n", phase)));
  }
}

}  // namespace
}  // namespace asahi::gateway
