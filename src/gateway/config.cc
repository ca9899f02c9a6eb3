#include "gateway/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <set>

#include "net/http/message.h"

namespace asahi::gateway {
namespace {

using config::Binder;
using Section = config::Binder::Section;

constexpr double kDay = 86'400;
constexpr double kYear = 365 * kDay;

void fault(Binder& binder, std::string path, std::string value, std::string rule) {
  binder.fault(
      {.path = std::move(path), .value = std::move(value), .rule = std::move(rule), .origin = ""});
}

bool starts_with_any(std::string_view text, std::initializer_list<std::string_view> prefixes) {
  return std::ranges::any_of(prefixes, [&](auto prefix) { return text.starts_with(prefix); });
}

/// Rows with names of free choice: those with defaults can also be set from the environment alone.
template <class Row, class BindRow>
void bind_rows(Section section, std::map<std::string, Row, std::less<>>& rows, BindRow bind_row) {
  std::set<std::string, std::less<>> bound;
  for (auto& [name, row] : rows) {
    bind_row(section.section(name), row);
    bound.insert(name);
  }
  section.each([&](const std::string& name, Section found) {
    if (!bound.contains(name)) bind_row(found, rows[name]);
  });
}

void bind(Binder& binder, AppConfig& c) {
  auto app = binder.section("app");
  app.value("name", c.name, {.help = "name of this installation in logs and metrics"});
  app.value("version", c.version, {.help = "version that /health reports"});
  app.value("environment", c.environment,
            {.one_of = {"development", "staging", "production"},
             .env = {"AKOSHA_ENVIRONMENT"},
             .help = "how strict start-up is"});
  app.value("debug", c.debug, {.help = "more detail in logs, never secrets"});
  app.value("mock", c.mock,
            {.env = {"ASAHI_MOCK"}, .help = "answer from the built-in mock vendor"});
  app.value("mock_seed", c.mock_seed,
            {.min = 0, .env = {"ASAHI_MOCK_SEED"}, .help = "same seed, same mock answers"});
  app.value("data_dir", c.data_dir,
            {.env = {"ASAHI_DATA_DIR"}, .help = "folder for everything that is written"});
  app.value("models_file", c.models_file, {.help = "the model registry; empty: the built-in one"});
  if (c.data_dir.empty()) fault(binder, "app.data_dir", "", "must not be empty");
}

void bind(Binder& binder, ApiConfig& c) {
  auto api = binder.section("api");
  api.value("host", c.host, {.env = {"ASAHI_HOST"}, .help = "address to listen on"});
  api.value(
      "port", c.port,
      {.min = 0, .max = 65535, .env = {"PORT", "ASAHI_PORT"}, .help = "listener; 0: any free"});
  api.value("workers", c.workers,
            {.min = 0,
             .max = 1024,
             .env = {"ASAHI_WORKERS"},
             .help = "event loops, one thread each; 0: one per CPU"});
  api.value("cors_origins", c.cors_origins, {.help = "origins browsers may call from; *: any"});
  api.value("request_timeout_seconds", c.request_timeout_seconds,
            {.min = 1, .max = 3600, .help = "limit of a whole request"});
  api.value("max_body_bytes", c.max_body_bytes,
            {.min = 1024, .max = 1 << 30, .help = "larger request bodies get 413"});
  api.value("docs_enabled", c.docs_enabled, {.help = "serve /docs, /redoc and /openapi.json"});
  api.value(
      "https_redirect", c.https_redirect,
      {.one_of = {"auto", "on", "off"}, .help = "redirect plain HTTP; auto: outside development"});
  api.value("hsts_seconds", c.hsts_seconds,
            {.min = 0, .max = 2 * kYear, .help = "Strict-Transport-Security; 0: no header"});
  api.value("shutdown_grace_seconds", c.shutdown_grace_seconds,
            {.min = 0, .max = 3600, .help = "time for open requests at shutdown"});
  api.value("max_active_requests", c.max_active_requests,
            {.min = 1, .max = 1e6, .help = "more requests at once get 503"});
  api.value("tls_certificate_file", c.tls_certificate_file,
            {.help = "PEM chain; with the private key the listener speaks HTTPS"});
  api.value("tls_private_key_file", c.tls_private_key_file,
            {.help = "PEM private key of the chain"});
  if (c.tls_certificate_file.empty() != c.tls_private_key_file.empty()) {
    fault(binder, "api.tls_private_key_file", c.tls_private_key_file,
          "certificate and private key go together: set both or none");
  }
  if (c.host.empty())
    fault(binder, "api.host", "", "must not be empty; 0.0.0.0 listens everywhere");
}

void bind(Binder& binder, CacheConfig& c) {
  auto cache = binder.section("cache");
  cache.value("ttl_seconds", c.ttl_seconds,
              {.min = 1, .max = kYear, .help = "default life of cached answers"});
  cache.value("max_entries", c.max_entries, {.min = 1, .max = 1e8, .help = "entries in process"});
  cache.value("cleanup_interval_seconds", c.cleanup_interval_seconds,
              {.min = 1, .max = kDay, .help = "time between sweeps of expired entries"});
  cache.value("cache_nondeterministic", c.cache_nondeterministic,
              {.help = "also cache answers of temperature above 0"});
  auto tier1 = cache.section("tier1");
  // A tier without a time of its own takes that of the whole cache.
  c.tier1.ttl_seconds = c.ttl_seconds;
  tier1.value("enabled", c.tier1.enabled, {.help = "reuse answers of equal requests"});
  tier1.value("ttl_seconds", c.tier1.ttl_seconds,
              {.min = 1, .max = kYear, .help = "life of an entry whose task sets none"});
  tier1.value("max_entries", c.tier1.max_entries,
              {.min = 1, .max = 1e8, .help = "soft cap of entries on Redis"});
  tier1.value("backend", c.tier1.backend,
              {.one_of = {"auto", "memory", "redis"}, .help = "auto: redis when redis.url is set"});
  tier1.value("normalize", c.tier1.normalize,
              {.one_of = {"none"}, .help = "none: queries match byte for byte"});
  auto tier2 = cache.section("tier2");
  c.tier2.ttl_seconds = c.ttl_seconds;
  tier2.value("enabled", c.tier2.enabled,
              {.help = "reuse answers of questions that mean the same"});
  tier2.value("ttl_seconds", c.tier2.ttl_seconds,
              {.min = 1, .max = kYear, .help = "life of an entry whose task sets none"});
  tier2.value("cost_sensitivity", c.tier2.cost_sensitivity,
              {.one_of = {"high", "medium", "low"}, .help = "high takes hits early"});
  tier2.value("quality_penalty_weight", c.tier2.quality_penalty_weight,
              {.min = 0.1, .max = 10, .help = "of a mismatch against a new answer"});
  tier2.value("top_k", c.tier2.top_k, {.min = 1, .max = 50, .help = "candidates to look at"});
  tier2.value("promotion_threshold", c.tier2.promotion_threshold,
              {.min = 0.5, .max = 1, .help = "hits this similar go to tier 1 too; 1: none"});
  tier2.value(
      "error_bound", c.tier2.error_bound,
      {.min = 0.0001, .max = 0.5, .help = "share of questions that may be answered wrongly"});
  tier2.value("audit_share", c.tier2.audit_share,
              {.min = 0, .max = 1, .help = "of hits that ask the model all the same; 0: none"});
  tier2.value("timeout_ms", c.tier2.timeout_ms,
              {.min = 10, .max = 30'000, .help = "limit of one lookup"});
  tier2.value("max_entries", c.tier2.max_entries,
              {.min = 100, .max = 10'000'000, .help = "entries in the index of this process"});
  tier2.value("contextual", c.tier2.contextual,
              {.help = "embed questions with the conversation before them"});
  auto tier3 = cache.section("tier3");
  tier3.value("enabled", c.tier3.enabled, {.help = "reuse the steps of composed requests"});
  tier3.value("ttl_seconds", c.tier3.ttl_seconds,
              {.min = 1, .max = kYear, .help = "life of a step"});
  tier3.value("max_steps", c.tier3.max_steps,
              {.min = 2, .max = 10, .help = "requests of more steps are not decomposed"});
  tier3.value("execute_steps", c.tier3.execute_steps,
              {.help = "run the steps one by one even when none is known yet"});
}

void bind(Binder& binder, BatchingConfig& c) {
  auto batching = binder.section("batching");
  batching.value("enabled", c.enabled, {.help = "let requests share vendor calls"});
  batching.value("min_batch_size", c.min_batch_size,
                 {.min = 2, .max = 20, .help = "requests below which nothing is shared"});
  batching.value("max_batch_size", c.max_batch_size,
                 {.min = 2, .max = 20, .help = "requests in one call at most"});
  batching.value("max_wait_ms", c.max_wait_ms,
                 {.min = 1, .max = 10'000, .help = "longest wait for others"});
  batching.value("latency_threshold_ms", c.latency_threshold_ms,
                 {.min = 0, .max = 600'000, .help = "least latency budget of who waits"});
  batching.value("eligible_task_types", c.eligible_task_types,
                 {.max = 50, .help = "tasks that may be batched"});
  batching.value("poll_interval_ms", c.poll_interval_ms,
                 {.min = 5, .max = 1'000, .help = "between two looks at what waits"});
  batching.value("backend", c.backend,
                 {.one_of = {"memory", "redis"}, .help = "redis: workers share batches"});
  batching.value(
      "grace_ms", c.grace_ms,
      {.min = 100, .max = 60'000, .help = "beyond its wait, until a request goes alone"});
  batching.value("isolation", c.isolation,
                 {.one_of = {"user", "organization"}, .help = "whose requests may share a call"});
  batching.value("only_if_cheaper", c.only_if_cheaper,
                 {.help = "share only where it is estimated to save money"});
  batching.value("max_queue", c.max_queue,
                 {.min = 1, .max = 1e5, .help = "requests that wait at a time"});
  if (c.max_batch_size < c.min_batch_size) {
    fault(binder, "batching.max_batch_size", fmt::to_string(c.max_batch_size),
          fmt::format("must be at least min_batch_size ({})", c.min_batch_size));
  }
}

void bind(Binder& binder, BatchApiConfig& c) {
  auto batch = binder.section("batch_api");
  batch.value("enabled", c.enabled, {.help = "serve /v1/files and /v1/batches"});
  batch.value("max_file_bytes", c.max_file_bytes,
              {.min = 1'024, .max = 536'870'912, .help = "bytes of one uploaded file"});
  batch.value("max_rows", c.max_rows, {.min = 1, .max = 1e5, .help = "requests in one batch"});
  batch.value("max_org_bytes", c.max_org_bytes,
              {.min = 1'024, .max = 1e12, .help = "bytes of all files of an organisation"});
  batch.value("max_open", c.max_open,
              {.min = 1, .max = 1e4, .help = "unfinished batches of an organisation"});
  batch.value("concurrency", c.concurrency,
              {.min = 1, .max = 256, .help = "requests of one batch at a time"});
  batch.value("max_running", c.max_running,
              {.min = 1, .max = 64, .help = "batches that one process works on at a time"});
  batch.value("poll_seconds", c.poll_seconds,
              {.min = 0.05, .max = 60, .help = "time between two looks for work"});
  batch.value("window_hours", c.window_hours,
              {.min = 1, .max = 168, .help = "time until what is not answered has expired"});
  batch.value("keep_days", c.keep_days,
              {.min = 1, .max = 365, .help = "life of files and finished batches"});
  batch.value("vendors", c.vendors,
              {.max = 10, .help = "vendors whose own batch API is used: openai, anthropic"});
  batch.value("vendor_price", c.vendor_price,
              {.min = 0, .max = 1, .help = "share of the ordinary price that they take"});
  batch.value("vendor_poll_seconds", c.vendor_poll_seconds,
              {.min = 0.05, .max = 3'600, .help = "time between two looks at a vendor's batch"});
  for (const std::string& vendor : c.vendors) {
    if (vendor != "openai" && vendor != "anthropic")
      fault(binder, "batch_api.vendors", vendor, "must be openai or anthropic");
  }
}

void check_url(Binder& binder, std::string path, const std::string& url, bool needed) {
  if (url.empty() && !needed) return;
  if (!starts_with_any(url, {"http://", "https://"}))
    fault(binder, std::move(path), url, "must begin with http:// or https://");
}

void bind(Binder& binder, VectorDbConfig& c) {
  const std::vector<std::string> providers{"local",  "inmemory", "pinecone", "weaviate",
                                           "qdrant", "milvus",   "postgres"};
  auto tier2 = binder.section("cache").section("tier2");
  tier2.value("vector_db", c.provider, {.one_of = providers, .help = "same as vector_db.provider"});
  auto store = binder.section("vector_db");
  store.value("provider", c.provider,
              {.one_of = providers, .help = "where tier 2 looks for what is alike"});
  store.value("index_name", c.index_name,
              {.min = 1, .max = 45, .env = {"PINECONE_INDEX"}, .help = "index or collection"});
  store.value("api_key_env", c.api_key_env, {.help = "variable with the key"});
  store.value("host", c.host,
              {.env = {"PINECONE_HOST", "WEAVIATE_URL"}, .help = "URL of the vector database"});
  store.value("namespace_per_tenant", c.namespace_per_tenant,
              {.help = "organisations lie in namespaces of their own"});
  store.value("region", c.region,
              {.env = {"PINECONE_ENVIRONMENT"}, .help = "where Pinecone makes an index"});
  store.value("timeout_ms", c.timeout_ms,
              {.min = 10, .max = 60'000, .help = "limit of one operation"});
  if (c.provider == "weaviate" && c.api_key_env == VectorDbConfig{}.api_key_env)
    c.api_key_env = "WEAVIATE_API_KEY";
  if (!c.api_key_env.empty()) {
    if (auto key = binder.environment(c.api_key_env)) c.api_key = Secret(*std::move(key));
  }
  const bool remote = c.provider == "weaviate" || c.provider == "qdrant" || c.provider == "milvus";
  check_url(binder, "vector_db.host", c.host, remote);
  if (c.provider == "pinecone" && c.api_key.empty())
    fault(binder, "vector_db.api_key_env", c.api_key_env, "names a variable that is not set");
}

void bind(Binder& binder, EmbeddingsConfig& c) {
  auto section = binder.section("embeddings");
  section.value("provider", c.provider,
                {.one_of = {"local", "cohere", "openai", "ollama", "onnx", "mock"},
                 .help = "who makes vectors of texts"});
  section.value("model_name", c.model_name, {.help = "empty: the provider's usual one"});
  section.value("dimension", c.dimension, {.max = 4096, .help = "0: the model's usual one"});
  section.value("batch_size", c.batch_size, {.min = 1, .max = 2048, .help = "texts in one call"});
  section.value("timeout_seconds", c.timeout_seconds,
                {.min = 0.1, .max = 600, .help = "limit of all attempts for one batch"});
  section.value("max_retries", c.max_retries,
                {.min = 0, .max = 10, .help = "attempts after the first"});
  section.value("cache_size", c.cache_size,
                {.min = 0, .max = 1e7, .help = "vectors of questions that are remembered"});
  section.value("fallback", c.fallback,
                {.one_of = {"local", "none"}, .help = "who stands in while the provider fails"});
  auto onnx = section.section("onnx");
  onnx.value("model", c.onnx.model, {.help = "file of provider onnx"});
  onnx.value("tokenizer", c.onnx.tokenizer,
             {.help = "vocab.txt or tokenizer.json; empty: beside the model"});
  onnx.value("runtime", c.onnx.runtime, {.help = "libonnxruntime.so.1; empty: beside the program"});
  onnx.value("pooling", c.onnx.pooling,
             {.one_of = {"auto", "mean", "cls"}, .help = "how tokens become one vector"});
  onnx.value("prefix", c.onnx.prefix, {.help = "before each text, as the model was trained"});
  onnx.value("max_tokens", c.onnx.max_tokens,
             {.min = 8, .max = 8'192, .help = "longer texts are cut"});
  onnx.value("threads", c.onnx.threads, {.min = 1, .max = 64, .help = "runs at a time"});
  if (c.provider == "onnx" && c.onnx.model.empty())
    fault(binder, "embeddings.onnx.model", "", "provider onnx needs a model file");
  if (c.dimension > 0 && c.dimension < 64)
    fault(binder, "embeddings.dimension", std::to_string(c.dimension), "must be 0 or 64 to 4096");
  if (c.provider == "ollama" && (c.model_name.empty() || c.dimension == 0))
    fault(binder, "embeddings.model_name", c.model_name,
          "ollama needs the name of a pulled model and its dimension");
}

void bind(Binder& binder, FeatureStoreConfig& c) {
  auto store = binder.section("feature_store");
  store.value("enabled", c.enabled, {.help = "put what is known about users before prompts"});
  store.value("provider", c.provider,
              {.one_of = {"local", "feast", "tecton", "custom"}, .help = "where features are"});
  store.value("local_data_path", c.local_data_path, {.min = 1, .help = "file of provider local"});
  auto feast = store.section("feast");
  feast.value("url", c.feast.url, {.env = {"FEAST_URL"}, .help = "online feature server"});
  feast.value("project", c.feast.project, {.help = "prefix of feature services"});
  auto tecton = store.section("tecton");
  tecton.value("url", c.tecton.url, {.help = "cluster, https://…"});
  tecton.value("api_key_env", c.tecton.api_key_env, {.help = "variable with the key"});
  tecton.value("workspace", c.tecton.workspace, {.help = "workspace of the feature services"});
  auto custom = store.section("custom");
  custom.value("url", c.custom.url, {.help = "server that answers POST /features"});
  custom.value("api_key_env", c.custom.api_key_env, {.help = "variable with a bearer token"});
  for (auto [name, key] : {std::pair{&c.tecton.api_key_env, &c.tecton.api_key},
                           std::pair{&c.custom.api_key_env, &c.custom.api_key}}) {
    if (name->empty()) continue;
    if (auto value = binder.environment(*name)) *key = Secret(*std::move(value));
  }
  store.value("timeout_ms", c.timeout_ms,
              {.min = 10, .max = 10'000, .help = "limit of one look-up"});
  store.value("fallback_on_timeout", c.fallback_on_timeout,
              {.help = "go on without features when the store is late"});
  store.value("freshness_threshold_seconds", c.freshness_threshold_seconds,
              {.min = 1, .max = kYear, .help = "older features are left out"});
  store.value("max_feature_tokens", c.max_feature_tokens,
              {.min = 10, .max = 10'000, .help = "tokens put before one prompt"});
  const auto needed = [&](std::string_view provider) {
    return c.enabled && c.provider == provider;
  };
  check_url(binder, "feature_store.feast.url", c.feast.url, needed("feast"));
  check_url(binder, "feature_store.tecton.url", c.tecton.url, needed("tecton"));
  check_url(binder, "feature_store.custom.url", c.custom.url, needed("custom"));
  if (needed("tecton") && c.tecton.api_key.empty())
    fault(binder, "feature_store.tecton.api_key_env", c.tecton.api_key_env,
          "names a variable that is not set");
}

bool is_whole(const std::string& text, int most) {
  int value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value >= 0 && value <= most;
}

/// redis.url from its parts, as a deployment of the memory has them in its secrets (memory spec
/// §7), where nobody set the whole.
void take_redis_parts(Binder& binder, RedisConfig& c) {
  const auto said = [&](const char* name) { return binder.environment(name).value_or(""); };
  const std::string host = said("AKOSHA_REDIS_HOST"), password = said("AKOSHA_REDIS_PASSWORD"),
                    database = said("AKOSHA_REDIS_DB"), tls = said("AKOSHA_REDIS_TLS");
  std::string port = said("AKOSHA_REDIS_PORT");
  // Kubernetes sets it to tcp://… in every pod where a service is called akosha-redis.
  if (port.starts_with("tcp://")) port.clear();
  if (!c.url.empty() || host.empty()) return;
  constexpr int kMostDatabases = 65'535;
  for (const auto& [name, text] :
       {std::pair("AKOSHA_REDIS_PORT", port), std::pair("AKOSHA_REDIS_DB", database)}) {
    if (!text.empty() && !is_whole(text, kMostDatabases))
      fault(binder, name, text, "must be an integer from 0 to 65535");
  }
  bool secure = false;
  if (tls == "true" || tls == "1" || tls == "yes" || tls == "on") {
    secure = true;
  } else if (!tls.empty() && tls != "false" && tls != "0" && tls != "no" && tls != "off") {
    fault(binder, "AKOSHA_REDIS_TLS", tls, "must be true or false");
  }
  c.url = fmt::format("{}://{}{}:{}{}", secure ? "rediss" : "redis",
                      password.empty() ? "" : ":" + http::percent_encode(password) + "@", host,
                      port.empty() ? "6379" : port, database.empty() ? "" : "/" + database);
}

void bind(Binder& binder, RedisConfig& c) {
  auto redis = binder.section("redis");
  redis.value("url", c.url,
              {.env = {"REDIS_URL", "REDIS_PRIVATE_URL", "REDIS_TLS_URL", "REDISCLOUD_URL"},
               .help = "redis:// or rediss:// (TLS); empty: no Redis",
               .secret = true});
  take_redis_parts(binder, c);
  redis.value("cache_prefix", c.cache_prefix, {.help = "first part of cache keys"});
  redis.value("rate_limit_prefix", c.rate_limit_prefix, {.help = "first part of rate limit keys"});
  redis.value("pool_size", c.pool_size, {.min = 1, .max = 1000, .help = "connections"});
  redis.value("timeout_ms", c.timeout_ms,
              {.min = 1, .max = 60'000, .help = "limit of one operation"});
  redis.value("cluster", c.cluster,
              {.one_of = {"auto", "on", "off"}, .help = "auto: ask the server"});
  if (!c.url.empty() && !starts_with_any(c.url, {"redis://", "rediss://"})) {
    fault(binder, "redis.url", "***", "must begin with redis:// or rediss://");
  }
}

void bind(Binder& binder, DatabaseConfig& c) {
  auto database = binder.section("database");
  database.value("url", c.url,
                 {.env = {"DATABASE_URL"},
                  .help = "sqlite:///path, postgres:// or postgresql://",
                  .secret = true});
  database.value("pool_size", c.pool_size, {.min = 1, .max = 1000, .help = "connections"});
  database.value("pool_pre_ping", c.pool_pre_ping, {.help = "check rested connections before use"});
  database.value("statement_timeout_ms", c.statement_timeout_ms,
                 {.min = 1, .max = 600'000, .help = "limit of one statement"});
  database.value("auto_migrate", c.auto_migrate, {.help = "bring the schema up to date at start"});
  if (!starts_with_any(c.url, {"sqlite://", "postgres://", "postgresql://"})) {
    fault(binder, "database.url", "***",
          "must begin with sqlite:///, postgres:// or postgresql://");
  }
}

void bind_chain(Binder& binder, const std::string& path, Section section, FallbackChain& chain) {
  section.value("for_models", chain.for_models, {.help = "models it helps; empty: any"});
  section.value("triggers", chain.triggers, {.help = "failures that start it"});
  chain.slots.resize(3);
  std::set<std::string> seen;
  for (std::size_t i = 0; i < chain.slots.size(); ++i) {
    const std::string name = fmt::format("slot_{}", i + 1);
    auto slot = section.section(name);
    ChainSlot& s = chain.slots[i];
    slot.value("provider", s.provider, {.help = "the model's vendor, as a check"});
    slot.value("model", s.model, {.help = "the model to try"});
    slot.value("max_latency_ms", s.max_latency_ms,
               {.min = 0, .max = 600'000, .help = "skip slower models; 0: no limit"});
    slot.value("max_cost_per_1k_tokens", s.max_cost_per_1k_tokens,
               {.min = 0, .max = 10, .help = "skip dearer models, USD; 0: no limit"});
    if (!s.model.empty() && !seen.insert(s.model).second) {
      fault(binder, fmt::format("{}.{}.model", path, name), s.model,
            "must not repeat a model of the same chain");
    }
  }
  if (seen.empty()) {
    fault(binder, path, "", "must name a model in slot_1.model (up to slot_3.model)");
  }
  static const std::set<std::string, std::less<>> kTriggers{"rate_limit", "server_error", "timeout",
                                                            "cost_ceiling", "no_key"};
  if (chain.triggers.empty() || !std::ranges::all_of(chain.triggers, [&](const auto& word) {
        return kTriggers.contains(word);
      })) {
    fault(binder, path + ".triggers", fmt::format("{}", fmt::join(chain.triggers, ",")),
          fmt::format("must hold some of {}", fmt::join(kTriggers, ", ")));
  }
}

void bind(Binder& binder, RoutingConfig& c) {
  auto routing = binder.section("routing");
  routing.value("default_mode", c.default_mode,
                {.one_of = {"autopilot", "guided"}, .help = "for requests that name no mode"});
  routing.value("default_quality_threshold", c.default_quality_threshold,
                {.min = 0, .max = 5, .help = "floor for tasks without a row of their own"});
  routing.value("default_latency_budget_ms", c.default_latency_budget_ms,
                {.min = 50, .max = 30'000, .help = "limit for tasks without a row of their own"});
  routing.value("fallback_model", c.fallback_model, {.help = "tried last when all else failed"});
  routing.value("strategy", c.strategy,
                {.one_of = {"ratio", "multifactor", "learned"},
                 .help = "quality per dollar, several factors, or the trained router"});
  auto learned = routing.section("learned");
  learned.value("file", c.learned.file, {.min = 1, .help = "written by asahi train-router"});
  learned.value("quality_target", c.learned.quality_target,
                {.min = 0.5, .max = 1, .help = "share of the strong model's accuracy to keep"});
  learned.value("strong_share", c.learned.strong_share,
                {.min = 0, .max = 1, .help = "calls for the strong model; 0: by quality_target"});
  learned.value("online", c.learned.online, {.help = "learn from POST /routing/feedback"});
  learned.value("step", c.learned.step,
                {.min = 0, .max = 0.5, .help = "how far one feedback may move a weight"});
  routing.value("strict_cost_budget", c.strict_cost_budget,
                {.help = "answer 400 rather than exceed a cost budget"});
  routing.value("min_confidence", c.min_confidence,
                {.min = 0, .max = 1, .help = "below it a prompt is treated as general"});
  routing.value("max_hops", c.max_hops,
                {.min = 0, .max = 10, .help = "changes of model per request after failures"});
  auto quality = routing.section("quality_map");
  const config::Rules quality_rules{.min = 0, .max = 5, .help = "quality a preference stands for"};
  quality.value("low", c.quality_map.low, quality_rules);
  quality.value("medium", c.quality_map.medium, quality_rules);
  quality.value("high", c.quality_map.high, quality_rules);
  quality.value("max", c.quality_map.max, quality_rules);
  auto latency = routing.section("latency_map");
  const config::Rules latency_rules{
      .min = 1, .max = 600'000, .help = "latency a preference stands for, ms"};
  latency.value("slow", c.latency_map.slow, latency_rules);
  latency.value("normal", c.latency_map.normal, latency_rules);
  latency.value("fast", c.latency_map.fast, latency_rules);
  latency.value("instant", c.latency_map.instant, latency_rules);
  const auto& q = c.quality_map;
  if (!(q.low <= q.medium && q.medium <= q.high && q.high <= q.max)) {
    fault(binder, "routing.quality_map",
          fmt::format("{}, {}, {}, {}", q.low, q.medium, q.high, q.max),
          "must rise from low over medium and high to max");
  }
  const auto& l = c.latency_map;
  if (!(l.slow >= l.normal && l.normal >= l.fast && l.fast >= l.instant)) {
    fault(binder, "routing.latency_map",
          fmt::format("{}, {}, {}, {}", l.slow, l.normal, l.fast, l.instant),
          "must fall from slow over normal and fast to instant");
  }
  auto overrides = routing.section("task_overrides");
  const auto bind_floor = [](Section section, TaskFloor& floor) {
    section.value("min_quality", floor.min_quality,
                  {.min = 0, .max = 5, .help = "guided mode: floor of the task"});
    section.value("max_latency_ms", floor.max_latency_ms,
                  {.min = 0, .max = 600'000, .help = "guided mode: limit of the task; 0: none"});
  };
  bind_rows(overrides, c.task_overrides, bind_floor);
  auto chains = routing.section("fallback_chains");
  chains.each([&](const std::string& name, Section section) {
    bind_chain(binder, "routing.fallback_chains." + name, section, c.fallback_chains[name]);
  });
}

void bind(Binder& binder, QualityConfig& c) {
  auto quality = binder.section("quality");
  quality.value("screen", c.screen, {.help = "warn of answers found wanting, do not cache them"});
  quality.value("escalate", c.escalate, {.help = "then ask the next better model once"});
  quality.value("shadow_rate", c.shadow_rate,
                {.min = 0, .max = 1, .help = "share of answers compared with the baseline model"});
  if (c.escalate && !c.screen) {
    fault(binder, "quality.escalate", "true", "needs quality.screen: true");
  }
}

void bind(Binder& binder, TaskTable& tasks) {
  auto section = binder.section("tasks");
  bind_rows(section, tasks, [](Section row, TaskSettings& task) {
    row.value("quality_threshold", task.quality_threshold,
              {.min = 0, .max = 5, .help = "autopilot: floor of the task"});
    row.value("latency_budget_ms", task.latency_budget_ms,
              {.min = 1, .max = 600'000, .help = "autopilot: limit of the task"});
    row.value("cache_ttl_hours", task.cache_ttl_hours,
              {.min = 1, .max = 8760, .help = "life of the task's cached answers"});
    row.value("semantic_cache", task.semantic_cache,
              {.help = "tier 2 may answer the task's questions"});
    row.value("semantic_threshold", task.semantic_threshold,
              {.min = 0, .max = 1, .help = "similarity that tier 2 wants; 0: the built-in table"});
  });
}

void bind_vendor(Binder& binder, const std::string& path, Section section, VendorConfig& vendor,
                 std::vector<std::string> url_variables) {
  section.value("base_url", vendor.base_url,
                {.env = std::move(url_variables), .help = "origin of the vendor, without /v1"});
  section.value("api_key_env", vendor.api_key_env,
                {.help = "variable with the key; empty: no key needed"});
  section.value(
      "shape", vendor.shape,
      {.one_of = {"openai", "anthropic", "google", "ollama", "cohere"}, .help = "wire format"});
  if (!starts_with_any(vendor.base_url, {"http://", "https://"})) {
    fault(binder, path + ".base_url", vendor.base_url, "must begin with http:// or https://");
  }
  while (vendor.base_url.ends_with('/')) vendor.base_url.pop_back();
  if (vendor.api_key_env.empty()) return;
  const bool is_variable = std::ranges::all_of(vendor.api_key_env, [](unsigned char c) {
    return std::isupper(c) != 0 || std::isdigit(c) != 0 || c == '_';
  });
  if (!is_variable) {
    // Most likely the key itself stands there: it must not be printed.
    fault(binder, path + ".api_key_env", "***",
          "must be the name of an environment variable (A-Z, 0-9, _), not the key itself");
    return;
  }
  if (auto key = binder.environment(vendor.api_key_env)) vendor.api_key = Secret(std::move(*key));
}

void bind(Binder& binder, ProvidersConfig& c) {
  auto providers = binder.section("providers");
  providers.value("timeout_seconds", c.timeout_seconds,
                  {.min = 0.1, .max = 600, .help = "limit of one attempt"});
  providers.value("max_attempts", c.max_attempts,
                  {.min = 1, .max = 10, .help = "attempts per model, the first included"});
  providers.value("backoff_base_seconds", c.backoff_base_seconds,
                  {.min = 0, .max = 60, .help = "first pause between attempts; it doubles"});
  providers.value("backoff_cap_seconds", c.backoff_cap_seconds,
                  {.min = 0, .max = 600, .help = "longest pause between attempts"});
  providers.value("breaker_failures", c.breaker_failures,
                  {.min = 1, .max = 1000, .help = "consecutive failures that open a breaker"});
  providers.value("breaker_degraded_failures", c.breaker_degraded_failures,
                  {.min = 1, .max = 1000, .help = "the same for a degraded vendor"});
  providers.value("breaker_open_seconds", c.breaker_open_seconds,
                  {.min = 0.1, .max = 3600, .help = "rest before a probe goes out"});
  providers.value("half_open_probes", c.half_open_probes,
                  {.min = 1, .max = 100, .help = "probes at a time"});
  providers.value("health_poll_seconds", c.health_poll_seconds,
                  {.min = 0, .max = 3600, .help = "time between health polls; 0: none"});
  providers.value(
      "max_tokens_default", c.max_tokens_default,
      {.min = 1, .max = 128'000, .help = "longest answer where a request says nothing"});
  if (c.backoff_cap_seconds < c.backoff_base_seconds) {
    fault(binder, "providers.backoff_cap_seconds", fmt::format("{}", c.backoff_cap_seconds),
          fmt::format("must be at least backoff_base_seconds ({})", c.backoff_base_seconds));
  }
  if (c.breaker_degraded_failures > c.breaker_failures) {
    fault(binder, "providers.breaker_degraded_failures",
          fmt::format("{}", c.breaker_degraded_failures),
          fmt::format("must be at most breaker_failures ({})", c.breaker_failures));
  }
  const auto known = ProvidersConfig::default_vendors();
  for (auto& [name, vendor] : c.vendors) {
    if (!known.contains(name)) continue;
    std::string upper = name;
    std::ranges::transform(upper, upper.begin(),
                           [](unsigned char ch) { return static_cast<char>(std::toupper(ch)); });
    std::vector<std::string> variables{fmt::format("ASAHI_{}_BASE_URL", upper)};
    if (name == "gateway") variables.push_back("VERCEL_GATEWAY_URL");
    bind_vendor(binder, "providers." + name, providers.section(name), vendor, std::move(variables));
  }
  providers.section("custom").each([&](const std::string& name, Section section) {
    const std::string path = "providers.custom." + name;
    if (known.contains(name)) {
      fault(binder, path, name, "is built in: set providers." + name + " instead");
      return;
    }
    VendorConfig& vendor = c.vendors[name];
    if (vendor.shape.empty()) vendor.shape = "openai";
    bind_vendor(binder, path, section, vendor, {});
  });
}

void bind(Binder& binder, TrackingConfig& c) {
  auto tracking = binder.section("tracking");
  tracking.value("log_dir", c.log_dir, {.help = "folder of event files"});
  tracking.value("rotate", c.rotate, {.one_of = {"daily"}, .help = "a new event file every day"});
  tracking.value("baseline_model", c.baseline_model, {.help = "name of the baseline in reports"});
  tracking.value("baseline_input_rate", c.baseline_input_rate,
                 {.min = 0, .max = 10, .help = "baseline price of input, USD per 1,000 tokens"});
  tracking.value("baseline_output_rate", c.baseline_output_rate,
                 {.min = 0, .max = 10, .help = "baseline price of output, USD per 1,000 tokens"});
  bind(binder, c.archive);
}

void bind(Binder& binder, OptimizationConfig& c) {
  auto section = binder.section("optimization");
  section.alias("token_optimization");
  section.value("enabled", c.enabled, {.help = "trim prompts before they are sent"});
  section.value("min_relevance_threshold", c.min_relevance_threshold,
                {.min = 0, .max = 1, .help = "sentences less relevant to the query may go"});
  section.value("scoring_method", c.scoring_method,
                {.one_of = {"keyword", "tfidf", "embedding"}, .help = "how relevance is measured"});
  section.value("max_history_turns", c.max_history_turns,
                {.min = 0, .max = 1000, .help = "answers further back lose what is irrelevant"});
  section.value("extractive_top_ratio", c.extractive_top_ratio,
                {.min = 0, .max = 1, .help = "share of a text's sentences that stays"});
  section.value("max_few_shot_examples", c.max_few_shot_examples,
                {.min = 0, .max = 1000, .help = "of the examples of a request"});
  section.value("diversity_weight", c.diversity_weight,
                {.min = 0, .max = 1, .help = "how much chosen examples should differ"});
  section.value("max_quality_risk", c.max_quality_risk,
                {.one_of = {"none", "low", "medium", "high"}, .help = "how much may be trimmed"});
  section.value("system_boost", c.system_boost,
                {.min = 0, .max = 1, .help = "relevance that system prompts get for free"});
  section.value("exact_count_bytes", c.exact_count_bytes,
                {.min = 0, .max = 2'097'152, .help = "longest text that is counted exactly"});
}

void bind(Binder& binder, GovernanceConfig& c) {
  auto governance = binder.section("governance");
  governance.value("encryption_key_env", c.encryption_key_env,
                   {.min = 1, .max = 128, .help = "variable with the key of encryption at rest"});
  for (auto [name, key] :
       {std::pair{c.encryption_key_env, &c.encryption_key},
        std::pair{c.encryption_key_env + "_PREVIOUS", &c.encryption_keys_previous}}) {
    if (auto value = binder.environment(name)) *key = Secret(*std::move(value));
  }
  governance.value("pbkdf2_iterations", c.pbkdf2_iterations,
                   {.min = 100'000, .max = 1e7, .help = "rounds of key derivation"});
  governance.value("salt_length", c.salt_length,
                   {.min = 16, .max = 32, .help = "bytes of salt of key derivation"});
  governance.value("audit_storage_dir", c.audit_storage_dir,
                   {.min = 1, .help = "spool of the audit log"});
  governance.value("audit_max_entries", c.audit_max_entries,
                   {.min = 100, .max = 1e6, .help = "audit entries waiting to be written"});
  governance.value(
      "compliance_default_retention_days", c.compliance_default_retention_days,
      {.min = 1, .max = 3650, .help = "days that events are kept where no profile says otherwise"});
}

void bind(Binder& binder, SecurityConfig& c) {
  auto security = binder.section("security");
  security.value("injection_action", c.injection_action,
                 {.one_of = {"block", "flag", "off"},
                  .help = "what happens to prompts that try to take over the model"});
  security.value("injection_patterns", c.injection_patterns,
                 {.max = 200, .help = "further phrases of such prompts"});
  security.value("max_prompt_chars", c.max_prompt_chars,
                 {.min = 1, .max = 1e7, .help = "longest prompt of POST /infer"});
  security.value("encryption_at_rest", c.encryption_at_rest,
                 {.help = "refuse to start without an encryption key"});
}

void bind(Binder& binder, LoggingConfig& c) {
  auto logging = binder.section("logging");
  logging.value("level", c.level,
                {.env = {"LOG_LEVEL", "AKOSHA_LOG_LEVEL"},
                 .help = "DEBUG, INFO, WARNING, ERROR or CRITICAL"});
  logging.value("format", c.format,
                {.one_of = {"json", "text"},
                 .env = {"LOG_FORMAT", "AKOSHA_LOG_FORMAT"},
                 .help = "of log lines"});
  std::ranges::transform(c.level, c.level.begin(),
                         [](unsigned char ch) { return static_cast<char>(std::toupper(ch)); });
  static const std::set<std::string, std::less<>> kLevels{"DEBUG", "INFO", "WARNING", "ERROR",
                                                          "CRITICAL"};
  if (!kLevels.contains(c.level)) {
    fault(binder, "logging.level", c.level, "must be DEBUG, INFO, WARNING, ERROR or CRITICAL");
  }
}

}  // namespace

TaskTable default_tasks() {
  return {{"faq", {3.5, 300, 168}},        {"summarization", {3.5, 500, 24}},
          {"reasoning", {4.0, 500, 12}},   {"coding", {4.0, 500, 4}},
          {"translation", {3.5, 300, 24}}, {"classification", {3.0, 200, 24}},
          {"creative", {3.5, 500, 24}},    {"legal", {4.2, 2000, 720}},
          {"general", {3.5, 300, 24}}};
}

std::map<std::string, VendorConfig, std::less<>> ProvidersConfig::default_vendors() {
  return {{"openai", {"https://api.openai.com", "OPENAI_API_KEY", "openai", {}}},
          {"anthropic", {"https://api.anthropic.com", "ANTHROPIC_API_KEY", "anthropic", {}}},
          {"google", {"https://generativelanguage.googleapis.com", "GOOGLE_API_KEY", "google", {}}},
          {"deepseek", {"https://api.deepseek.com", "DEEPSEEK_API_KEY", "openai", {}}},
          {"mistral", {"https://api.mistral.ai", "MISTRAL_API_KEY", "openai", {}}},
          {"cohere", {"https://api.cohere.com", "COHERE_API_KEY", "cohere", {}}},
          {"ollama", {"http://localhost:11434", "", "ollama", {}}},
          {"gateway", {"https://ai-gateway.vercel.sh", "AI_GATEWAY_API_KEY", "openai", {}}}};
}

void bind(Binder& binder, GatewayConfig& c) {
  bind(binder, c.app);
  if (c.app.data_dir != AppConfig{}.data_dir) {
    c.tracking.log_dir = c.app.data_dir + "/logs";
    c.governance.audit_storage_dir = c.app.data_dir + "/audit";
    c.routing.learned.file = c.app.data_dir + "/router.json";
  }
  bind(binder, c.api);
  bind(binder, c.cache);
  bind(binder, c.redis);
  bind(binder, c.database);
  bind(binder, c.routing);
  bind(binder, c.quality);
  // The row of tasks without one starts from the routing defaults; tasks.general still wins.
  c.tasks["general"].quality_threshold = c.routing.default_quality_threshold;
  c.tasks["general"].latency_budget_ms = c.routing.default_latency_budget_ms;
  bind(binder, c.tasks);
  bind(binder, c.providers);
  bind(binder, c.tracking);
  bind(binder, c.optimization);
  binder.section("observability")
      .value("prometheus_port", c.observability.prometheus_port,
             {.min = 0, .max = 65535, .help = "separate listener for metrics; 0: off"});
  bind(binder, c.traces);
  bind(binder, c.logging);
  if (c.app.debug) c.logging.level = "DEBUG";
  binder.section("streaming")
      .value("restart_partial", c.streaming.restart_partial,
             {.help = "continue a broken stream on the next model"});
  bind(binder, c.governance);
  bind(binder, c.security);
  bind(binder, c.batching);
  bind(binder, c.vector_db);
  bind(binder, c.embeddings);
  bind(binder, c.batch_api);
  bind(binder, c.feature_store);
  bind(binder, c.exporters);
  bind(binder, c.event_stream);
  bind(binder, c.alerts);
  if (c.batching.backend == "redis" && c.batching.enabled && c.redis.url.empty()) {
    fault(binder, "batching.backend", "redis", "needs redis.url (or REDIS_URL)");
  }
  if (c.security.encryption_at_rest && c.governance.encryption_key.empty()) {
    fault(binder, "security.encryption_at_rest", "true",
          "needs a key: set " + c.governance.encryption_key_env + " (`asahi genkey` makes one)");
  }
  if (c.cache.tier1.backend == "redis" && c.redis.url.empty()) {
    fault(binder, "cache.tier1.backend", "redis", "needs redis.url (or REDIS_URL)");
  }
}

}  // namespace asahi::gateway
