#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/config/loader.h"
#include "base/secret.h"
#include "gateway/alerts/config.h"
#include "gateway/archive/config.h"
#include "gateway/export/config.h"
#include "gateway/traces/config.h"

namespace asahi::llm {
struct ChatRequest;
}

namespace asahi::gateway {

// The gateway's settings: gateway spec §4.1 and §4.2. Each comment says meaning, unit, range,
// default. A key `a.b.c` is also read from ASAHI_A_B_C; further variables are named. All are read
// at start (restart to change) except the models themselves, which have a file of their own.

/// `app`: the process as a whole.
struct AppConfig {
  std::string name = "asahi";               ///< in logs and metrics
  std::string version = ASAHI_VERSION;      ///< reported by /health
  std::string environment = "development";  ///< development, staging or production
  bool debug = false;             ///< logs at DEBUG whatever logging.level says; never secrets
  bool mock = false;              ///< answer from the built-in mock vendor (ASAHI_MOCK)
  std::int64_t mock_seed = 42;    ///< same seed, same answers, 0 and up (ASAHI_MOCK_SEED)
  std::string data_dir = "data";  ///< where files are written (ASAHI_DATA_DIR)
  std::string models_file = "config/models.yaml";  ///< empty or absent: the built-in models

  std::size_t config_warnings = 0;  ///< no setting: how many loading the settings gave
  /// No setting: what the mock vendor says, see llm::MockOptions. `asahi benchmark` sets it.
  std::function<std::string(const llm::ChatRequest&)> mock_answers;
};

/// `api`: the HTTP listener.
struct ApiConfig {
  std::string host = "0.0.0.0";  ///< address to listen on (ASAHI_HOST)
  /// Listener, 0 to 65535, 0: any free port. Order (R1): PORT, ASAHI_PORT, ASAHI_API_PORT, file.
  std::uint16_t port = 8000;
  int workers = 0;  ///< event loops, one thread each, 0 to 1024; 0: one per CPU (ASAHI_WORKERS)
  std::vector<std::string> cors_origins = {
      "*"};                           ///< "*": any, without credentials; empty: no CORS headers
  int request_timeout_seconds = 120;  ///< whole request, 1 to 3600
  std::size_t max_body_bytes = 2'097'152;   ///< larger bodies: 413; 1 KiB to 1 GiB
  bool docs_enabled = true;                 ///< serve /docs, /redoc, /openapi.json
  std::string https_redirect = "auto";      ///< auto (outside development), on, off
  std::int64_t hsts_seconds = 31'536'000;   ///< Strict-Transport-Security max-age, 0: no header
  int shutdown_grace_seconds = 30;          ///< time to finish requests at SIGTERM, 0 to 3600
  std::size_t max_active_requests = 1'000;  ///< more: 503; 1 to 1000000
  std::string tls_certificate_file;  ///< PEM chain; with the key: this listener speaks HTTPS. Read
                                     ///< again on change
  std::string tls_private_key_file;  ///< PEM
};

/// `cache.tier1`: exact matches.
struct Tier1Config {
  bool enabled = true;
  /// Where the task has none of its own, 1 to 31536000; not set: `cache.ttl_seconds`.
  std::int64_t ttl_seconds = 86'400;
  std::size_t max_entries = 100'000;  ///< soft cap on Redis, 1 to 100000000
  std::string backend = "auto";  ///< auto (Redis when redis.url is set, else memory), memory, redis
  std::string normalize = "none";  ///< none: queries match byte for byte (R8)
};

/// `cache.tier2`: earlier questions that mean the same.
struct Tier2Config {
  bool enabled = true;
  std::int64_t ttl_seconds = 86'400;      ///< where the task has none of its own, 1 to 31536000
  std::string cost_sensitivity = "high";  ///< high takes hits early; medium, low (spec §3.3)
  double quality_penalty_weight = 2.0;    ///< of a mismatch against a new answer, 0.1 to 10
  std::size_t top_k = 5;                  ///< candidates that are looked at, 1 to 50
  double promotion_threshold = 0.95;      ///< hits this similar go to tier 1 too, 0.5 to 1; 1: none
  double error_bound = 0.01;  ///< δ: share of questions that may get a wrong answer, 0.0001 to 0.5
  double audit_share = 0.05;  ///< of hits that ask the model all the same, at least; 0 to 1
  int timeout_ms = 500;       ///< of embedding and search for one lookup, 10 to 30000
  std::size_t max_entries = 100'000;  ///< in the index of this process, 100 to 10000000
  /// Questions of a conversation are embedded with what their user said before, and conversations
  /// that say the same in other words share answers (spec §3.7). False: only equal ones do.
  bool contextual = false;
};

/// `vector_db`: where tier 2 looks for what is alike.
struct VectorDbConfig {
  /// local, pinecone, weaviate, qdrant, milvus or postgres (R14: also cache.tier2.vector_db;
  /// inmemory is local).
  std::string provider = "local";
  std::string index_name = "asahi-vectors";
  std::string api_key_env = "PINECONE_API_KEY";  ///< variable with the key
  Secret api_key;                                ///< what it held; never in YAML
  std::string host;  ///< URL (PINECONE_HOST, WEAVIATE_URL); Pinecone: of the index, empty: by name
  bool namespace_per_tenant = true;
  std::string region = "us-east-1";  ///< where Pinecone makes an index
  int timeout_ms = 2'000;            ///< of one operation, 10 to 60000
};

/// `embeddings`: texts to vectors for tier 2.
struct EmbeddingsConfig {
  /// local (no network, no model file), cohere, openai, ollama, onnx or mock. Without its vendor's
  /// key: local, with a warning.
  std::string provider = "local";
  std::string model_name;           ///< empty: the provider's usual one
  std::size_t dimension = 0;        ///< 0: the model's usual one; 64 to 4096
  std::size_t batch_size = 96;      ///< texts in one call, 1 to 2048
  double timeout_seconds = 30;      ///< of all attempts for one batch, 0.1 to 600
  int max_retries = 3;              ///< 0 to 10
  std::size_t cache_size = 10'000;  ///< vectors of questions that are remembered, 0 to 10000000
  /// Who stands in while the provider fails: local or none (questions then miss).
  std::string fallback = "local";
  struct Onnx {
    std::string model;             ///< model.onnx of a sentence embedding model of BERT's kind
    std::string tokenizer;         ///< vocab.txt or tokenizer.json; empty: beside the model
    std::string runtime;           ///< libonnxruntime.so.1; empty: beside the program
    std::string pooling = "auto";  ///< auto (the model's own, else mean), mean or cls
    std::string prefix;            ///< before each text: "query: " for e5
    std::size_t max_tokens = 512;  ///< longer texts are cut, 8 to 8192
    std::size_t threads = 1;       ///< runs at a time, 1 to 64
  } onnx;
};

/// `cache.tier3`: intermediate results, the steps of composed requests.
struct Tier3Config {
  bool enabled = true;
  std::int64_t ttl_seconds = 86'400;  ///< life of a step, 1 to 31536000
  std::size_t max_steps = 10;         ///< requests of more steps are not decomposed, 2 to 10
  /// Also run the steps one by one when none of them is known: fills the tier at the price of more
  /// calls.
  bool execute_steps = false;
};

/// `cache`: what all tiers share.
struct CacheConfig {
  std::int64_t ttl_seconds = 86'400;  ///< default life of an entry, 1 to 31536000
  std::size_t max_entries =
      10'000;  ///< in process, least recently used leave first, 1 to 100000000
  std::int64_t cleanup_interval_seconds = 300;  ///< sweep of expired entries, 1 to 86400
  bool cache_nondeterministic = true;           ///< also cache answers of temperature > 0
  Tier1Config tier1;
  Tier2Config tier2;
  Tier3Config tier3;
};

/// `redis`
struct RedisConfig {
  /// redis:// or rediss:// (TLS). Empty: not configured. REDIS_URL, REDIS_PRIVATE_URL,
  /// REDIS_TLS_URL, REDISCLOUD_URL.
  std::string url;
  std::string cache_prefix = "asahi:cache";    ///< of cache keys
  std::string rate_limit_prefix = "asahi:rl";  ///< of rate limit keys
  int pool_size = 10;                          ///< connections, 1 to 1000
  int timeout_ms = 500;                        ///< per operation, 1 to 60000; a timeout is a miss
  /// auto, on: redirects of a cluster are followed; off: one server, whatever it says.
  std::string cluster = "auto";
};

/// `database`
struct DatabaseConfig {
  /// sqlite:///path, postgres:// or postgresql:// (DATABASE_URL). Below data_dir when that was set.
  std::string url = "sqlite:///asahi.db";
  int pool_size = 10;                ///< connections, 1 to 1000
  bool pool_pre_ping = true;         ///< check a connection that rested before use
  int statement_timeout_ms = 5'000;  ///< per statement, 1 to 600000
  bool auto_migrate = true;          ///< bring the schema up to date at start
};

/// Limits of a task type in guided mode: preferences may not go below (quality) or above (latency)
/// them.
struct TaskFloor {
  double min_quality = 0;  ///< 0 to 5
  int max_latency_ms = 0;  ///< 1 to 600000; 0: none
};

/// One further model to try when another failed.
struct ChainSlot {
  std::string provider;    ///< checked against the registry; empty: whatever the model's vendor is
  std::string model;       ///< empty: slot not used
  int max_latency_ms = 0;  ///< skip the slot when the model is usually slower; 0: no limit
  double max_cost_per_1k_tokens =
      0;  ///< skip it when input and output price average above, USD; 0: no limit
};

/// `routing.fallback_chains.<name>`: up to three models in the order they are tried.
struct FallbackChain {
  std::vector<std::string>
      for_models;  ///< the models whose failure starts the chain; empty: any model
  /// What starts it: rate_limit, server_error, timeout, cost_ceiling, no_key.
  std::vector<std::string> triggers = {"rate_limit", "server_error", "timeout"};
  std::vector<ChainSlot> slots;  ///< slot_1 to slot_3
};

/// `routing.learned`: the router that was trained on the operator's own rows.
struct LearnedConfig {
  /// Written by `asahi train-router`; below data_dir when that was set.
  std::string file = "data/router.json";
  /// Share of the strong model's accuracy to keep, 0.5 to 1; more sends more to the strong model.
  double quality_target = 0.95;
  /// Instead: the share of calls that the strong model may get, 0 to 1; 0: quality_target decides.
  double strong_share = 0;
  bool online = true;  ///< learn from POST /routing/feedback
  double step = 0.05;  ///< how far one feedback may move a weight, 0 to 0.5
};

/// `routing`
struct RoutingConfig {
  std::string default_mode = "autopilot";            ///< autopilot or guided
  double default_quality_threshold = 3.5;            ///< tasks without a row of their own, 0 to 5
  int default_latency_budget_ms = 300;               ///< the same, 50 to 30000 ms
  std::string fallback_model = "claude-3-5-sonnet";  ///< tried last when all else failed
  /// ratio: quality per dollar; multifactor: several factors weighed; learned: the trained router.
  std::string strategy = "ratio";
  LearnedConfig learned;
  bool strict_cost_budget =
      false;                    ///< nothing fits the cost budget: 400 rather than a fallback (R21)
  double min_confidence = 0.3;  ///< below, autopilot treats a prompt as general, 0 to 1
  int max_hops = 3;             ///< changes of model per request after failures, 0 to 10
  struct QualityMap {           ///< guided mode, 0 to 5
    double low = 3.0, medium = 3.5, high = 4.0, max = 4.5;
  } quality_map;
  struct LatencyMap {  ///< guided mode, ms, 1 to 600000
    int slow = 2000, normal = 500, fast = 300, instant = 150;
  } latency_map;
  std::map<std::string, TaskFloor, std::less<>> task_overrides = {
      {"coding", {4.0, 500}}, {"reasoning", {4.0, 500}}, {"legal", {4.2, 2000}}};
  std::map<std::string, FallbackChain, std::less<>> fallback_chains;
};

/// `quality`: what happens to answers that are found wanting (gateway spec §3.14).
struct QualityConfig {
  bool screen = true;     ///< look at answers: a flagged one gets a warning and is not cached
  bool escalate = false;  ///< ask the next better model once when an answer is flagged
  double shadow_rate =
      0;  ///< share of answers compared with the baseline model's, 0 to 1; it is paid
};

/// `tasks.<type>`: one row of gateway spec §3.3.
struct TaskSettings {
  double quality_threshold = 3.5;  ///< autopilot's floor, 0 to 5
  int latency_budget_ms = 300;     ///< autopilot's limit, 1 to 600000
  int cache_ttl_hours = 24;        ///< life of cached answers, 1 to 8760
  bool semantic_cache = true;      ///< tier 2 may answer the task's questions
  /// Similarity that tier 2 wants at least, whatever the cost sensitivity, 0 to 1; 0: spec §3.3.
  double semantic_threshold = 0;

  bool operator==(const TaskSettings&) const = default;
};
using TaskTable = std::map<std::string, TaskSettings, std::less<>>;
/// The table of gateway spec §3.3 (R23); "general" is the row of every task without one.
TaskTable default_tasks();

/// `providers.<vendor>`, and `providers.custom.<name>` for further servers.
struct VendorConfig {
  std::string base_url;     ///< http:// or https://, without the /v1; ASAHI_<VENDOR>_BASE_URL
  std::string api_key_env;  ///< variable with the key; empty: no key needed
  std::string shape;        ///< wire format: openai, anthropic, google, ollama, cohere
  Secret api_key;           ///< what that variable held; never in YAML
};

/// `providers`: how vendors are called.
struct ProvidersConfig {
  double timeout_seconds = 30;      ///< per attempt, 0.1 to 600
  int max_attempts = 3;             ///< in total, 1 to 10 (R24)
  double backoff_base_seconds = 1;  ///< first pause, doubling, 0 to 60
  double backoff_cap_seconds = 8;   ///< longest pause, 0 to 600
  int breaker_failures = 3;  ///< consecutive failures that open a vendor's breaker, 1 to 1000 (R25)
  int breaker_degraded_failures = 2;  ///< the same while the vendor is degraded
  double breaker_open_seconds = 60;   ///< until a probe may go out, 0.1 to 3600
  int half_open_probes = 1;           ///< probes at a time, 1 to 100
  int health_poll_seconds = 30;       ///< between health polls, 0: no polls, to 3600
  int max_tokens_default = 1'024;     ///< where a request says nothing, 1 to 128000
  std::map<std::string, VendorConfig, std::less<>> vendors = default_vendors();

  static std::map<std::string, VendorConfig, std::less<>> default_vendors();
};

/// `tracking`: event files, and the baseline that savings are measured against.
struct TrackingConfig {
  std::string log_dir = "data/logs";  ///< of event files; below data_dir when that was set
  std::string rotate = "daily";
  std::string baseline_model = "gpt-4-turbo";  ///< names the baseline in reports
  double baseline_input_rate = 0.010;          ///< USD per 1,000 tokens, 0 to 10
  double baseline_output_rate = 0.030;
  ArchiveConfig archive;  ///< `tracking.archive_*`
};

/// `optimization` (also `token_optimization`): trimming of prompts before they are sent.
struct OptimizationConfig {
  bool enabled = true;                     ///< a request may say no for itself (`optimize_tokens`)
  double min_relevance_threshold = 0.3;    ///< sentences less relevant to the query may go, 0 to 1
  std::string scoring_method = "keyword";  ///< keyword, tfidf or embedding
  int max_history_turns = 5;  ///< answers further back lose what is irrelevant now, 0 to 1000
  double extractive_top_ratio = 0.5;  ///< share of a text's sentences that stays, 0 to 1
  int max_few_shot_examples = 3;      ///< of the `examples` of POST /infer, 0 to 1000
  double diversity_weight = 0.2;      ///< how much examples should differ from each other, 0 to 1
  /// none (under 15 % saved), low (under 30 %), medium (under 50 %) or high: trimming stops there.
  std::string max_quality_risk = "medium";
  double system_boost = 0.2;  ///< relevance that system prompts get for free, 0 to 1
  /// Texts for OpenAI's models of at most this many bytes are counted with the model's vocabulary
  /// where the estimate is doubtful or a vendor reported nothing; 0: never, to 2097152.
  std::size_t exact_count_bytes = 65'536;
};

/// `observability`
struct ObservabilityConfig {
  std::uint16_t prometheus_port = 9090;  ///< separate listener without authentication, 0: off
};

/// `logging`
struct LoggingConfig {
  std::string level = "INFO";   ///< DEBUG, INFO, WARNING, ERROR, CRITICAL, any case (LOG_LEVEL)
  std::string format = "json";  ///< json or text (LOG_FORMAT)
};

/// `streaming`
struct StreamingConfig {
  /// A vendor breaks off after text went out: true continues on the next model with what was said
  /// so far, false ends the stream with an error. Before the first text, the next model is always
  /// tried.
  bool restart_partial = true;
};

/// `governance`: rules of organisations, encryption at rest, audit. Keys of `governance.auth_*`
/// belong to identity.
struct GovernanceConfig {
  std::string encryption_key_env =
      "ASAHI_ENCRYPTION_KEY";  ///< variable with the key of encryption at rest
  /// That variable's key, 64 hex digits, and `<variable>_PREVIOUS`: keys that may still read, comma
  /// separated.
  Secret encryption_key, encryption_keys_previous;
  int pbkdf2_iterations = 480'000;  ///< 100000 to 10000000
  int salt_length = 16;             ///< bytes, 16 to 32
  std::string audit_storage_dir =
      "data/audit";  ///< spool of the audit log; below data_dir when that was set
  std::size_t audit_max_entries =
      10'000;  ///< waiting to be written; more are dropped and counted, 100 to 1000000
  int compliance_default_retention_days =
      365;  ///< events and audit entries of organisations without a profile, 1 to 3650
};

/// `security`: what requests may say.
struct SecurityConfig {
  std::string injection_action = "block";  ///< block, flag (a warning in the reply) or off
  std::vector<std::string>
      injection_patterns;  ///< further phrases, `*` for up to 64 characters between words
  std::int64_t max_prompt_chars = 100'000;  ///< of POST /infer, 1 to 10000000 (R54)
  bool encryption_at_rest = false;          ///< refuse to start without an encryption key
};

/// `batching`: requests that share a vendor call.
struct BatchingConfig {
  bool enabled = false;
  std::size_t min_batch_size = 2;   ///< fewer go alone, 2 to 20
  std::size_t max_batch_size = 10;  ///< 2 to 20, and not below min_batch_size
  int max_wait_ms = 500;            ///< longest wait for others, 1 to 10000
  int latency_threshold_ms = 200;  ///< requests with a tighter latency budget go alone, 0 to 600000
  std::vector<std::string> eligible_task_types = {"summarization", "faq", "translation"};
  int poll_interval_ms = 50;       ///< between two looks at what waits, 5 to 1000
  std::string backend = "memory";  ///< memory, or redis: several workers share batches
  int grace_ms =
      2'000;  ///< beyond its wait, until a request without answer goes alone, 100 to 60000
  std::string isolation = "user";  ///< user: one key's and user's requests only; organization
  bool only_if_cheaper = true;     ///< share only where the estimate says that it saves money
  std::size_t max_queue = 1'000;   ///< requests that wait at a time, 1 to 100000
};

/// `batch_api`: files and batches of POST /v1/batches.
struct BatchApiConfig {
  bool enabled = true;
  std::size_t max_file_bytes = 104'857'600;  ///< of one upload, 1 KiB to 512 MiB
  std::size_t max_rows = 50'000;             ///< requests in one batch, 1 to 100000
  /// Of all files of an organisation together, 1 KiB to 1 TiB.
  std::int64_t max_org_bytes = 2'147'483'648;
  std::int64_t max_open = 100;  ///< unfinished batches of an organisation, 1 to 10000
  int concurrency = 8;          ///< requests of one batch at a time, 1 to 256
  int max_running = 4;          ///< batches this process works on at a time, 1 to 64
  double poll_seconds = 2;      ///< between two looks for work, 0.05 to 60
  int window_hours = 24;        ///< what is not answered then has expired, 1 to 168
  int keep_days = 30;           ///< files and finished batches are deleted after this, 1 to 365
  /// Vendors whose own batch API answers rows: openai, anthropic. Empty: every row is a call.
  std::vector<std::string> vendors = {"openai", "anthropic"};
  double vendor_price = 0.5;        ///< share of the ordinary price that they take, 0 to 1
  double vendor_poll_seconds = 30;  ///< between two looks at a vendor's batch, 0.05 to 3600
};

/// `feature_store`: what is known about users and organisations, put before their prompts.
struct FeatureStoreConfig {
  bool enabled = false;
  std::string provider = "local";                      ///< local, feast, tecton or custom
  std::string local_data_path = "data/features.json";  ///< read again when it changes
  struct Feast {
    std::string url;                ///< of its online feature server (FEAST_URL)
    std::string project = "asahi";  ///< prefix of the feature services asked for
  } feast;
  struct Tecton {
    std::string url;                             ///< https://<cluster>.tecton.ai
    std::string api_key_env = "TECTON_API_KEY";  ///< variable with the key
    std::string workspace = "production";
    Secret api_key;  ///< what that variable held; never in YAML
  } tecton;
  struct Custom {
    std::string url;          ///< POST {url}/features
    std::string api_key_env;  ///< variable with a bearer token; empty: none
    Secret api_key;           ///< what that variable held; never in YAML
  } custom;
  int timeout_ms = 200;             ///< of one look-up, 10 to 10000
  bool fallback_on_timeout = true;  ///< go on without features; false: 502 feature_store_error
  std::int64_t freshness_threshold_seconds = 3'600;  ///< older ones are left out, 1 to 31536000
  std::int64_t max_feature_tokens = 200;             ///< put before one prompt, 10 to 10000
};

struct GatewayConfig {
  AppConfig app;
  ApiConfig api;
  CacheConfig cache;
  VectorDbConfig vector_db;
  EmbeddingsConfig embeddings;
  RedisConfig redis;
  DatabaseConfig database;
  RoutingConfig routing;
  QualityConfig quality;
  TaskTable tasks = default_tasks();
  ProvidersConfig providers;
  TrackingConfig tracking;
  OptimizationConfig optimization;
  ObservabilityConfig observability;
  TracesConfig traces;  ///< below `observability` too
  LoggingConfig logging;
  StreamingConfig streaming;
  GovernanceConfig governance;
  SecurityConfig security;
  BatchingConfig batching;
  BatchApiConfig batch_api;
  FeatureStoreConfig feature_store;
  ExportConfig exporters;
  EventStreamConfig event_stream;
  AlertsConfig alerts;
};

/// Declares every key above. Faults of several fields together are added to the binder; whether
/// models exist is another check, `check_models` (routing/router.h).
void bind(config::Binder& binder, GatewayConfig& config);

}  // namespace asahi::gateway
