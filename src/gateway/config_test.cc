#include "gateway/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "gateway/embedded_files.h"
#include "identity/config.h"

namespace asahi::gateway {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Variables = std::map<std::string, std::string, std::less<>>;

struct Loaded {
  GatewayConfig config;
  std::vector<config::Fault> faults;
  std::vector<std::string> warnings;
  std::vector<config::Binder::Effective> effective;
};

Loaded load(std::string yaml, Variables environment = {}, Variables dotenv = {}) {
  config::Binder binder({.environment = std::move(environment),
                         .dotenv = std::move(dotenv),
                         .yaml_path = "config.yaml",
                         .yaml_text = std::move(yaml)});
  Loaded loaded;
  bind(binder, loaded.config);
  // One file holds the settings of every module.
  identity::Config identity;
  identity::bind(binder, identity, loaded.config.app.environment);
  loaded.faults = binder.finish();
  loaded.warnings = binder.warnings();
  loaded.effective = binder.effective();
  return loaded;
}

GatewayConfig good(std::string yaml, Variables environment = {}) {
  const Loaded loaded = load(std::move(yaml), std::move(environment));
  for (const auto& fault : loaded.faults) ADD_FAILURE() << fault.path << " " << fault.rule;
  for (const auto& warning : loaded.warnings) ADD_FAILURE() << warning;
  return loaded.config;
}

std::vector<std::string> fault_paths(const Loaded& loaded) {
  std::vector<std::string> paths;
  for (const auto& fault : loaded.faults) paths.push_back(fault.path);
  return paths;
}

// ---- Settings that follow others ----

TEST(GatewayConfig, GivesTier1TheTimeOfTheCacheUnlessItHasItsOwn) {
  EXPECT_EQ(good("").cache.tier1.ttl_seconds, 86'400);
  EXPECT_EQ(good("cache: {ttl_seconds: 600}").cache.tier1.ttl_seconds, 600);
  EXPECT_EQ(good("cache: {ttl_seconds: 600, tier1: {ttl_seconds: 60}}").cache.tier1.ttl_seconds,
            60);
  EXPECT_EQ(good("", {{"ASAHI_CACHE_TTL_SECONDS", "600"}}).cache.tier1.ttl_seconds, 600);
}

TEST(GatewayConfig, LogsInDetailWhenDebugging) {
  EXPECT_EQ(good("logging: {level: WARNING}").logging.level, "WARNING");
  EXPECT_EQ(good("{app: {debug: true}, logging: {level: WARNING}}").logging.level, "DEBUG");
}

// ---- Defaults and the sample file ----

TEST(GatewayConfig, NeedsNoFileAndNoVariable) {
  const GatewayConfig c = good("");
  EXPECT_EQ(c.api.port, 8000);
  EXPECT_EQ(c.api.workers, 0);
  EXPECT_EQ(c.cache.tier1.backend, "auto");
  EXPECT_EQ(c.database.url, "sqlite:///asahi.db");
  EXPECT_EQ(c.tracking.log_dir, "data/logs");
  EXPECT_TRUE(c.providers.vendors.at("openai").api_key.empty());
}

TEST(SampleConfig, HoldsEveryKeyWithItsDefault) {
  const Loaded defaults = load("");
  const Loaded sample = load(std::string(embedded_file("config/config.yaml")->bytes));
  EXPECT_THAT(fault_paths(sample), IsEmpty());
  ASSERT_EQ(sample.effective.size(), defaults.effective.size());
  // These follow from other keys while they are not set, so the sample shows them as comments.
  const std::vector<std::string> derived{
      "database.url", "tracking.log_dir", "governance.audit_storage_dir", "routing.learned.file",
      "api.rate_limit_per_minute", "security.rate_limit_per_minute", "security.api_key_required",
      "cache.tier2.vector_db", "tasks.general.quality_threshold", "tasks.general.latency_budget_ms",
      // Secrets: they have no place there.
      "alerts.opsgenie_key", "alerts.pagerduty_key", "alerts.slack_ops_url", "alerts.slack_url",
      "alerts.smtp_password", "alerts.webhook_secret", "observability.influx_token",
      "observability.otlp_headers", "observability.remote_write_token", "observability.sentry_dsn",
      "tracking.kafka_sasl_password"};
  for (std::size_t i = 0; i < sample.effective.size(); ++i) {
    const auto& [path, value, origin, help] = sample.effective[i];
    EXPECT_EQ(value, defaults.effective[i].value) << path;
    EXPECT_FALSE(help.empty()) << path;
    if (std::ranges::find(derived, path) == derived.end()) {
      EXPECT_THAT(origin, HasSubstr("config.yaml:")) << path << " is missing in the sample";
    }
  }
}

TEST(SampleConfig, ItsCommentedPartsAreValidToo) {
  std::string text(embedded_file("config/config.yaml")->bytes);
  for (const std::string_view start : {"  # fallback_chains:", "  # custom:"}) {
    std::size_t at = text.find(start);
    ASSERT_NE(at, std::string::npos);
    while (text.compare(at, 4, "  # ") == 0) {
      text.erase(at + 2, 2);
      at = text.find('\n', at) + 1;
    }
  }
  const Loaded loaded = load(text);
  EXPECT_THAT(fault_paths(loaded), IsEmpty());
  EXPECT_EQ(loaded.config.routing.fallback_chains.at("premium").slots.at(1).model,
            "gemini-2.5-pro");
  EXPECT_EQ(loaded.config.providers.vendors.at("vllm").base_url, "http://gpu-box:8080");
}

// ---- Layers ----

TEST(GatewayConfig, EnvironmentOverDotenvOverFile) {
  const std::string yaml = "api: {port: 1}\nlogging: {format: text}\napp: {name: file}\n";
  const Loaded loaded =
      load(yaml, {{"ASAHI_API_PORT", "3"}}, {{"ASAHI_PORT", "2"}, {"LOG_FORMAT", "json"}});
  EXPECT_EQ(loaded.config.api.port, 3);
  EXPECT_EQ(loaded.config.logging.format, "json");
  EXPECT_EQ(loaded.config.app.name, "file");
}

TEST(GatewayConfig, R1_ThePortOrderIsPortThenAsahiPortThenApiPortThenFile) {
  const std::string yaml = "api: {port: 4}";
  EXPECT_EQ(good(yaml, {{"PORT", "1"}, {"ASAHI_PORT", "2"}, {"ASAHI_API_PORT", "3"}}).api.port, 1);
  EXPECT_EQ(good(yaml, {{"ASAHI_PORT", "2"}, {"ASAHI_API_PORT", "3"}}).api.port, 2);
  EXPECT_EQ(good(yaml, {{"ASAHI_API_PORT", "3"}}).api.port, 3);
  EXPECT_EQ(good(yaml).api.port, 4);
  EXPECT_EQ(good("").api.port, 8000);
}

TEST(GatewayConfig, EveryKeyHasAVariable) {
  const GatewayConfig c =
      good("", {{"ASAHI_CACHE_TIER1_TTL_SECONDS", "60"},
                {"ASAHI_API_CORS_ORIGINS", "https://a.example, https://b.example"},
                {"ASAHI_ROUTING_STRICT_COST_BUDGET", "yes"},
                {"ASAHI_ROUTING_QUALITY_MAP_MAX", "4.9"},
                {"ASAHI_TASKS_CODING_CACHE_TTL_HOURS", "2"},
                {"ASAHI_PROVIDERS_TIMEOUT_SECONDS", "2.5"},
                {"ASAHI_OBSERVABILITY_PROMETHEUS_PORT", "0"}});
  EXPECT_EQ(c.cache.tier1.ttl_seconds, 60);
  EXPECT_THAT(c.api.cors_origins, ElementsAre("https://a.example", "https://b.example"));
  EXPECT_TRUE(c.routing.strict_cost_budget);
  EXPECT_DOUBLE_EQ(c.routing.quality_map.max, 4.9);
  EXPECT_EQ(c.tasks.at("coding").cache_ttl_hours, 2);
  EXPECT_DOUBLE_EQ(c.providers.timeout_seconds, 2.5);
  EXPECT_EQ(c.observability.prometheus_port, 0);
}

TEST(GatewayConfig, ShortVariables) {
  const GatewayConfig c = good("", {{"ASAHI_HOST", "127.0.0.1"},
                                    {"ASAHI_WORKERS", "2"},
                                    {"ASAHI_MOCK", "true"},
                                    {"ASAHI_MOCK_SEED", "7"},
                                    {"LOG_LEVEL", "debug"},
                                    {"LOG_FORMAT", "text"},
                                    {"DATABASE_URL", "postgres://u:p@db/asahi"}});
  EXPECT_EQ(c.api.host, "127.0.0.1");
  EXPECT_EQ(c.api.workers, 2);
  EXPECT_TRUE(c.app.mock);
  EXPECT_EQ(c.app.mock_seed, 7);
  EXPECT_EQ(c.logging.level, "DEBUG");
  EXPECT_EQ(c.logging.format, "text");
  EXPECT_EQ(good("", {{"AKOSHA_LOG_LEVEL", "error"}}).logging.level, "ERROR");
  EXPECT_EQ(c.database.url, "postgres://u:p@db/asahi");
}

TEST(GatewayConfig, RedisHasFourNamesInOrder) {
  Variables all{{"REDIS_URL", "redis://one"},
                {"REDIS_PRIVATE_URL", "redis://two"},
                {"REDIS_TLS_URL", "rediss://three"},
                {"REDISCLOUD_URL", "redis://four"}};
  for (const char* name : {"REDIS_URL", "REDIS_PRIVATE_URL", "REDIS_TLS_URL", "REDISCLOUD_URL"}) {
    EXPECT_EQ(good("", all).redis.url, all.at(name));
    all.erase(name);
  }
  EXPECT_EQ(good("", all).redis.url, "");
}

TEST(GatewayConfig, RedisCanBeSaidInParts) {
  const Variables parts{{"AKOSHA_REDIS_HOST", "cache.local"}};
  EXPECT_EQ(good("", parts).redis.url, "redis://cache.local:6379");
  Variables all = parts;
  all.insert({{"AKOSHA_REDIS_PORT", "6380"},
              {"AKOSHA_REDIS_PASSWORD", "p@ss/1"},
              {"AKOSHA_REDIS_DB", "2"},
              {"AKOSHA_REDIS_TLS", "true"}});
  EXPECT_EQ(good("", all).redis.url, "rediss://:p%40ss%2F1@cache.local:6380/2");
  all["REDIS_URL"] = "redis://whole";
  EXPECT_EQ(good("", all).redis.url, "redis://whole");
}

TEST(GatewayConfig, ARedisPortThatKubernetesSetIsNoPort) {
  EXPECT_EQ(good("", {{"AKOSHA_REDIS_HOST", "akosha-redis"},
                      {"AKOSHA_REDIS_PORT", "tcp://10.0.0.7:6379"}})
                .redis.url,
            "redis://akosha-redis:6379");
  EXPECT_THAT(fault_paths(load("", {{"AKOSHA_REDIS_HOST", "r"},
                                    {"AKOSHA_REDIS_PORT", "sixty"},
                                    {"AKOSHA_REDIS_TLS", "maybe"}})),
              testing::ElementsAre("AKOSHA_REDIS_PORT", "AKOSHA_REDIS_TLS"));
}

TEST(GatewayConfig, TheDataFolderMovesWhatIsWritten) {
  const GatewayConfig moved = good("", {{"ASAHI_DATA_DIR", "/var/lib/asahi"}});
  EXPECT_EQ(moved.database.url, "sqlite:///asahi.db");  // relative to the data folder
  EXPECT_EQ(moved.tracking.log_dir, "/var/lib/asahi/logs");
  EXPECT_EQ(good("tracking: {log_dir: /logs}", {{"ASAHI_DATA_DIR", "/var"}}).tracking.log_dir,
            "/logs");
}

// ---- Vendors ----

TEST(Vendors, KeysComeFromTheVariablesTheyName) {
  const GatewayConfig c =
      good("providers: {mistral: {api_key_env: MY_KEY}}",
           {{"OPENAI_API_KEY", "sk-1"}, {"MY_KEY", "sk-2"}, {"MISTRAL_API_KEY", "x"}});
  EXPECT_EQ(c.providers.vendors.at("openai").api_key.reveal(), "sk-1");
  EXPECT_EQ(c.providers.vendors.at("mistral").api_key.reveal(), "sk-2");
  EXPECT_TRUE(c.providers.vendors.at("anthropic").api_key.empty());
}

TEST(Vendors, EveryAddressCanBeReplaced) {
  for (const auto& [name, vendor] : ProvidersConfig::default_vendors()) {
    std::string upper = name;
    std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return std::toupper(c); });
    const GatewayConfig c = good("", {{"ASAHI_" + upper + "_BASE_URL", "http://127.0.0.1:1/"}});
    EXPECT_EQ(c.providers.vendors.at(name).base_url, "http://127.0.0.1:1") << name;
  }
  EXPECT_EQ(good("", {{"VERCEL_GATEWAY_URL", "https://g.example"}})
                .providers.vendors.at("gateway")
                .base_url,
            "https://g.example");
}

TEST(Vendors, OwnServersSpeakOpenAiUnlessTheySayOtherwise) {
  const GatewayConfig c = good(
      "providers: {custom: {vllm: {base_url: 'http://gpu:1'}, claude-proxy: {base_url: "
      "'https://p', "
      "shape: anthropic, api_key_env: PROXY_KEY}}}",
      {{"PROXY_KEY", "k"}});
  EXPECT_EQ(c.providers.vendors.at("vllm").shape, "openai");
  EXPECT_EQ(c.providers.vendors.at("vllm").api_key_env, "");
  EXPECT_EQ(c.providers.vendors.at("claude-proxy").shape, "anthropic");
  EXPECT_EQ(c.providers.vendors.at("claude-proxy").api_key.reveal(), "k");
}

TEST(Vendors, ABuiltInVendorIsNoCustomOne) {
  EXPECT_THAT(fault_paths(load("providers: {custom: {openai: {base_url: 'http://a'}}}")),
              testing::Contains("providers.custom.openai"));
}

TEST(Vendors, AKeyInPlaceOfAVariableIsNotPrinted) {
  const Loaded loaded = load("providers: {openai: {api_key_env: sk-secret}}");
  ASSERT_EQ(loaded.faults.size(), 1U);
  EXPECT_EQ(loaded.faults[0].path, "providers.openai.api_key_env");
  EXPECT_EQ(loaded.faults[0].value, "***");
}

TEST(Vendors, AddressesAreUrls) {
  EXPECT_THAT(fault_paths(load("", {{"ASAHI_OPENAI_BASE_URL", "localhost:1"}})),
              ElementsAre("providers.openai.base_url"));
}

// ---- Tasks and routing ----

TEST(Tasks, R23_TheFileOverridesTheTableRowByRow) {
  const GatewayConfig c =
      good("tasks: {coding: {quality_threshold: 4.2}, support: {latency_budget_ms: 900}}");
  EXPECT_EQ(c.tasks.at("coding"), (TaskSettings{4.2, 500, 4}));
  EXPECT_EQ(c.tasks.at("legal"), (TaskSettings{4.2, 2000, 720}));
  EXPECT_EQ(c.tasks.at("support"), (TaskSettings{3.5, 900, 24}));
}

TEST(Tasks, LivesOfCachedAnswersPerTask) {
  const struct {
    const char* task;
    int hours;
  } rows[] = {{"faq", 168},     {"summarization", 24}, {"reasoning", 12},
              {"coding", 4},    {"translation", 24},   {"classification", 24},
              {"creative", 24}, {"legal", 720},        {"general", 24}};
  for (const auto& row : rows) {
    EXPECT_EQ(default_tasks().at(row.task).cache_ttl_hours, row.hours) << row.task;
  }
}

TEST(Tasks, GeneralFollowsTheRoutingDefaultsUntilItIsSet) {
  const std::string yaml =
      "routing: {default_quality_threshold: 3.9, default_latency_budget_ms: 700}\n";
  EXPECT_EQ(good(yaml).tasks.at("general"), (TaskSettings{3.9, 700, 24}));
  EXPECT_EQ(good(yaml + "tasks: {general: {quality_threshold: 3.1}}").tasks.at("general"),
            (TaskSettings{3.1, 700, 24}));
}

TEST(Routing, GuidedFloorsCanBeSetPerTask) {
  const GatewayConfig c =
      good("routing: {task_overrides: {coding: {min_quality: 4.4}, support: {min_quality: 3.2}}}");
  EXPECT_DOUBLE_EQ(c.routing.task_overrides.at("coding").min_quality, 4.4);
  EXPECT_EQ(c.routing.task_overrides.at("coding").max_latency_ms, 500);
  EXPECT_EQ(c.routing.task_overrides.at("support").max_latency_ms, 0);
}

TEST(Routing, FallbackChainsHaveUpToThreeSlots) {
  const GatewayConfig c = good(R"(routing:
  fallback_chains:
    premium:
      for_models: [gpt-4o]
      triggers: [timeout, no_key]
      slot_1: {provider: anthropic, model: claude-sonnet-4-6, max_latency_ms: 400}
      slot_3: {model: gemini-2.5-pro, max_cost_per_1k_tokens: 0.01}
)");
  const FallbackChain& chain = c.routing.fallback_chains.at("premium");
  EXPECT_THAT(chain.for_models, ElementsAre("gpt-4o"));
  EXPECT_THAT(chain.triggers, ElementsAre("timeout", "no_key"));
  ASSERT_EQ(chain.slots.size(), 3U);
  EXPECT_EQ(chain.slots[0].provider, "anthropic");
  EXPECT_EQ(chain.slots[0].max_latency_ms, 400);
  EXPECT_EQ(chain.slots[1].model, "");
  EXPECT_DOUBLE_EQ(chain.slots[2].max_cost_per_1k_tokens, 0.01);
}

TEST(Routing, FaultyFallbackChainsAreNamed) {
  EXPECT_THAT(fault_paths(load("routing: {fallback_chains: {c: {triggers: [timeout]}}}")),
              ElementsAre("routing.fallback_chains.c"));
  EXPECT_THAT(fault_paths(load(
                  "routing: {fallback_chains: {c: {slot_1: {model: a}, slot_2: {model: a}}}}")),
              ElementsAre("routing.fallback_chains.c.slot_2.model"));
  EXPECT_THAT(
      fault_paths(load("routing: {fallback_chains: {c: {slot_1: {model: a}, triggers: [rain]}}}")),
      ElementsAre("routing.fallback_chains.c.triggers"));
  EXPECT_THAT(fault_paths(load(
                  "routing: {fallback_chains: {c: {slot_1: {model: a}, slot_4: {model: b}}}}")),
              ElementsAre("routing.fallback_chains.c.slot_4"));
}

// ---- Faults ----

TEST(GatewayConfig, FaultsOfSeveralFieldsTogether) {
  const struct {
    const char* yaml;
    const char* path;
  } rows[] = {
      {"routing: {quality_map: {low: 4.2}}", "routing.quality_map"},
      {"routing: {latency_map: {fast: 600}}", "routing.latency_map"},
      {"providers: {backoff_base_seconds: 9}", "providers.backoff_cap_seconds"},
      {"providers: {breaker_failures: 1}", "providers.breaker_degraded_failures"},
      {"cache: {tier1: {backend: redis}}", "cache.tier1.backend"},
      {"redis: {url: 'http://x'}", "redis.url"},
      {"database: {url: 'mysql://x'}", "database.url"},
      {"logging: {level: LOUD}", "logging.level"},
      {"api: {host: ''}", "api.host"},
      {"app: {data_dir: ''}", "app.data_dir"},
  };
  for (const auto& row : rows) {
    EXPECT_THAT(fault_paths(load(row.yaml)), ElementsAre(row.path)) << row.yaml;
  }
}

TEST(GatewayConfig, FaultsOfSingleFields) {
  const struct {
    const char* yaml;
    const char* path;
  } rows[] = {
      {"api: {port: 65536}", "api.port"},
      {"api: {workers: -1}", "api.workers"},
      {"api: {https_redirect: maybe}", "api.https_redirect"},
      {"app: {environment: prod}", "app.environment"},
      {"cache: {tier1: {ttl_seconds: 0}}", "cache.tier1.ttl_seconds"},
      {"cache: {tier1: {normalize: lower}}", "cache.tier1.normalize"},
      {"routing: {strategy: cheapest}", "routing.strategy"},
      {"routing: {default_mode: explicit}", "routing.default_mode"},
      {"routing: {learned: {quality_target: 0.4}}", "routing.learned.quality_target"},
      {"quality: {shadow_rate: 2}", "quality.shadow_rate"},
      {"quality: {screen: false, escalate: true}", "quality.escalate"},
      {"tasks: {coding: {quality_threshold: 6}}", "tasks.coding.quality_threshold"},
      {"providers: {timeout_seconds: 0}", "providers.timeout_seconds"},
      {"providers: {openai: {shape: smoke}}", "providers.openai.shape"},
      {"tracking: {baseline_input_rate: -1}", "tracking.baseline_input_rate"},
  };
  for (const auto& row : rows) {
    EXPECT_THAT(fault_paths(load(row.yaml)), ElementsAre(row.path)) << row.yaml;
  }
}

TEST(GatewayConfig, AllFaultsAreReportedAtOnce) {
  const Loaded loaded =
      load("api: {port: x}\nrouting: {max_hops: 99}\nlogging: {level: LOUD}\nfoo: 1\n");
  EXPECT_EQ(loaded.faults.size(), 4U);
}

TEST(GatewayConfig, UnknownKeysAreErrorsInTheFileAndWarningsInTheEnvironment) {
  EXPECT_THAT(fault_paths(load("cache: {tier9: {enabled: true}}")), ElementsAre("cache.tier9"));
  const Loaded loaded = load("", {{"ASAHI_CACHE_TIER9_ENABLED", "1"}});
  EXPECT_THAT(loaded.faults, IsEmpty());
  EXPECT_EQ(loaded.warnings.size(), 1U);
}

TEST(GatewayConfig, AddressesWithPasswordsAreNotShown) {
  const Loaded loaded =
      load("", {{"REDIS_URL", "redis://:hunter2@r"}, {"DATABASE_URL", "mysql://u:hunter2@d"}});
  for (const auto& entry : loaded.effective)
    EXPECT_THAT(entry.value, testing::Not(HasSubstr("hunter2")));
  ASSERT_EQ(loaded.faults.size(), 1U);
  EXPECT_THAT(loaded.faults[0].value, testing::Not(HasSubstr("hunter2")));
}

}  // namespace
}  // namespace asahi::gateway
