#include "memory/config.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <set>
#include <utility>

#include "jobs/queue.h"
#include "memory/config_fitness.h"
#include "memory/config_websocket.h"
#include "storage/object/open_store.h"

namespace asahi::memory {
namespace {

void check_schedule(config::Binder& binder, std::string path, const std::string& expression) {
  const auto next = jobs::next_cron(expression, Clock::Time{});
  if (next) return;
  binder.fault({.path = std::move(path),
                .value = expression,
                .rule = "is no cron expression: " + next.error().message,
                .origin = ""});
}

/// Classes of storage that a provider has and whose files are read at once; empty: it is not known,
/// as of what only speaks a provider's protocol.
std::vector<std::string_view> archive_classes(const MemoryConfig::Cold& c) {
  if (!c.endpoint.empty()) return {};
  if (c.backend == "s3")
    return {"STANDARD",   "STANDARD_IA",       "ONEZONE_IA", "INTELLIGENT_TIERING",
            "GLACIER_IR", "REDUCED_REDUNDANCY"};
  if (c.backend == "azure") return {"Hot", "Cool", "Cold"};
  if (c.backend == "gcs") return {"STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"};
  return {};
}

/// A class that the bucket refuses would make every merge of old files fail.
void check_archive_class(config::Binder& binder, const MemoryConfig::Cold& c) {
  if (!c.enabled || c.archive_class.empty() || c.archive_class == "none") return;
  const auto known = archive_classes(c);
  if (known.empty() || std::ranges::find(known, c.archive_class) != known.end()) return;
  std::string names;
  for (const std::string_view name : known) names += std::string(name) + ", ";
  binder.fault({.path = "memory.cold.archive_class",
                .value = c.archive_class,
                .rule = "must be one of " + names + "none: the classes of backend " + c.backend +
                        " that are read at once",
                .origin = ""});
}

/// Azure and Google, for buckets of theirs.
void bind_clouds(config::Binder::Section& memory, object::CloudCredentials& c) {
  auto azure = memory.section("azure");
  azure.value("account", c.azure.account,
              {.env = {"AZURE_STORAGE_ACCOUNT"}, .help = "storage account for azure://container"});
  azure.value("key", c.azure.key, {.env = {"AZURE_STORAGE_KEY"}, .help = "its key"});
  azure.value("sas_token", c.azure.sas,
              {.env = {"AZURE_STORAGE_SAS_TOKEN"}, .help = "a shared access signature instead"});
  azure.value("endpoint", c.azure_endpoint,
              {.env = {"AZURE_STORAGE_BLOB_ENDPOINT"}, .help = "of the Blob service"});
  auto google = memory.section("gcs");
  google.value("access_key_id", c.google.access_key_id,
               {.env = {"GCS_ACCESS_KEY_ID"}, .help = "HMAC key for gs://bucket"});
  google.value("secret_access_key", c.google.secret_access_key,
               {.env = {"GCS_SECRET_ACCESS_KEY"}, .help = "its secret"});
  google.value("endpoint", c.google_endpoint,
               {.env = {"GCS_ENDPOINT"}, .help = "of Google's storage"});
}

void bind_access_rules(config::Binder& binder, config::Binder::Section rules,
                       MemoryConfig::Aging::AccessRules& c) {
  const auto env = [](const char* name) {
    return std::vector<std::string>{std::string("AKOSHA__AGING__ACCESS_RULES__") + name};
  };
  rules.value(
      "enabled", c.enabled,
      {.env = env("ENABLED"), .help = "what searches find decides, too, in which tier it is"});
  rules.value("promote_hits", c.promote_hits,
              {.min = 1,
               .max = 1'000'000,
               .env = env("PROMOTE_HITS"),
               .help = "hits from which a memory stays in the hot tier, or comes back"});
  rules.value("demote_hits", c.demote_hits,
              {.min = 0,
               .max = 1'000'000,
               .env = env("DEMOTE_HITS"),
               .help = "with fewer a memory goes to the warm tier; 0: age alone decides"});
  rules.value("window_days", c.window_days,
              {.min = 1, .max = 90, .env = env("WINDOW_DAYS"), .help = "days whose hits count"});
  rules.value("min_age_days", c.min_age_days,
              {.min = 0,
               .max = 36'500,
               .env = env("MIN_AGE_DAYS"),
               .help = "age in days below which a memory stays hot"});
  if (c.demote_hits >= c.promote_hits) {
    binder.fault({.path = "memory.aging.access_rules.demote_hits",
                  .value = std::to_string(c.demote_hits),
                  .rule = "must be less than memory.aging.access_rules.promote_hits",
                  .origin = ""});
  }
}

void bind_tiers(config::Binder& binder, config::Binder::Section& memory, MemoryConfig& c) {
  auto warm = memory.section("warm");
  warm.value("path", c.warm.path, {.env = {"AKOSHA_WARM_PATH"}, .help = "folder, or :memory:"});

  memory.value("encryption_key", c.encryption_key,
               {.env = {"AKOSHA_ENCRYPTION_KEY", "ENCRYPTION_KEY"},
                .help = "key of the files of hot and warm; empty: in the clear"});
  memory.value("encryption_key_previous", c.encryption_key_previous,
               {.env = {"AKOSHA_ENCRYPTION_KEY_PREVIOUS", "ENCRYPTION_KEY_PREVIOUS"},
                .help = "former keys, with commas: read, and written anew with the one of now"});

  auto cold = memory.section("cold");
  cold.value("enabled", c.cold.enabled, {.help = "memories go to cold files when they are old"});
  cold.value("backend", c.cold.backend,
             {.one_of = {"local", "s3", "azure", "gcs"},
              .env = {"AKOSHA_COLD_BACKEND"},
              .help = "where cold files lie: a folder, or a bucket"});
  cold.value("path", c.cold.path, {.env = {"AKOSHA_COLD_PATH"}, .help = "the folder"});
  cold.value("bucket", c.cold.bucket,
             {.env = {"AKOSHA_COLD_BUCKET"}, .help = "the bucket, or s3://bucket/prefix"});
  // What Amazon's own variables say is nothing for another provider.
  const bool other = c.cold.backend == "azure" || c.cold.backend == "gcs";
  const auto names = [other](std::string own, std::vector<std::string> amazon) {
    if (other) amazon.clear();
    amazon.insert(amazon.begin(), std::move(own));
    return amazon;
  };
  cold.value(
      "endpoint", c.cold.endpoint,
      {.env = names("AKOSHA_COLD_ENDPOINT", {"AWS_ENDPOINT_URL"}), .help = "of the service"});
  cold.value("region", c.cold.region,
             {.env = names("AKOSHA_COLD_REGION", {"AWS_REGION", "AWS_DEFAULT_REGION"}),
              .help = "of the bucket"});
  cold.value("access_key_id", c.cold.access_key_id,
             {.env = names("AKOSHA_COLD_ACCESS_KEY_ID", {"AWS_ACCESS_KEY_ID"}),
              .help = "key id; azure: the storage account"});
  cold.value("secret_access_key", c.cold.secret_access_key,
             {.env = names("AKOSHA_COLD_SECRET_ACCESS_KEY", {"AWS_SECRET_ACCESS_KEY"}),
              .help = "its secret; azure: the account's key or a SAS token"});
  cold.value("compaction_schedule", c.cold.compaction_schedule,
             {.help = "when small cold files are merged: cron, UTC"});
  cold.value("retention_days", c.cold.retention_days,
             {.min = 365, .max = 36'500, .help = "age from which they may be erased, on request"});
  cold.value("archive_after_days", c.cold.archive_after_days,
             {.min = 30, .max = 36'500, .help = "age from which files go into archive_class"});
  cold.value("archive_class", c.cold.archive_class,
             {.help = "class of storage; empty: GLACIER_IR, Cool, COLDLINE; none: never"});

  check_archive_class(binder, c.cold);

  bind_clouds(memory, c.clouds);

  auto aging = memory.section("aging");
  aging.value("hot_days", c.aging.hot_days,
              {.min = 1,
               .max = 36'500,
               .env = {"AKOSHA_HOT_TIER_DAYS"},
               .help = "age from which memories go from hot to warm"});
  aging.value("warm_days", c.aging.warm_days,
              {.min = 1,
               .max = 36'500,
               .env = {"AKOSHA_WARM_TIER_DAYS"},
               .help = "age from which they go from warm to cold"});
  aging.value("schedule", c.aging.schedule,
              {.env = {"AKOSHA_AGING_SCHEDULE"}, .help = "when they go: cron, UTC"});
  aging.value("batch_size", c.aging.batch_size,
              {.min = 1, .max = 10'000, .help = "memories that move at a time"});
  aging.value("batch_migration", c.aging.batch_migration,
              {.env = {"USE_BATCH_MIGRATION"}, .help = "false: one at a time"});
  aging.value("max_minutes", c.aging.max_minutes,
              {.min = 1, .max = 1440, .help = "longest run; the next one goes on"});
  aging.value(
      "pressure_gb", c.aging.pressure_gb,
      {.min = 1, .max = 100'000, .help = "GiB of hot memories from which an extra run begins"});
  bind_access_rules(binder, aging.section("access_rules"), c.aging.access_rules);
  check_schedule(binder, "memory.cold.compaction_schedule", c.cold.compaction_schedule);
  check_schedule(binder, "memory.aging.schedule", c.aging.schedule);
  if (c.aging.warm_days <= c.aging.hot_days) {
    binder.fault({.path = "memory.aging.warm_days",
                  .value = std::to_string(c.aging.warm_days),
                  .rule = "must be more than memory.aging.hot_days",
                  .origin = ""});
  }
}

void bind_replicas(config::Binder& binder, config::Binder::Section& memory, MemoryConfig& c) {
  constexpr double kMost = 2;
  auto replicas = memory.section("replicas");
  replicas.value("cold", c.replicas.cold,
                 {.max = kMost,
                  .env = {"AKOSHA_COLD_REPLICAS"},
                  .help = "URLs of buckets that follow the cold tier's"});
  replicas.value("backup", c.replicas.backup,
                 {.max = kMost,
                  .env = {"AKOSHA_BACKUP_REPLICAS"},
                  .help = "URLs of buckets that follow the backups'"});
  replicas.value("schedule", c.replicas.schedule,
                 {.help = "when their listings are compared: cron, UTC"});
  check_schedule(binder, "memory.replicas.schedule", c.replicas.schedule);
  replicas.value("endpoint", c.replicas.endpoint,
                 {.env = {"AKOSHA_REPLICA_ENDPOINT"}, .help = "of replicas in S3"});
  replicas.value("region", c.replicas.region,
                 {.env = {"AKOSHA_REPLICA_REGION"}, .help = "of replicas in S3"});
  replicas.value("access_key_id", c.replicas.access_key_id,
                 {.env = {"AKOSHA_REPLICA_ACCESS_KEY_ID"}, .help = "their S3 key"});
  replicas.value("secret_access_key", c.replicas.secret_access_key,
                 {.env = {"AKOSHA_REPLICA_SECRET_ACCESS_KEY"}, .help = "its secret"});
  for (const auto& [name, urls] :
       {std::pair("cold", &c.replicas.cold), std::pair("backup", &c.replicas.backup)}) {
    for (const std::string& url : *urls) {
      if (const auto good = object::check_url(url); !good) {
        binder.fault({.path = std::string("memory.replicas.") + name,
                      .value = url,
                      .rule = good.error().message,
                      .origin = ""});
      }
    }
  }
}

void bind_residency(config::Binder::Section& memory, MemoryConfig& c) {
  constexpr double kMostRules = 1000;
  auto residency = memory.section("residency");
  residency.value("systems", c.residency.systems,
                  {.max = kMostRules,
                   .env = {"AKOSHA_RESIDENCY_SYSTEMS"},
                   .help = "systems whose memories stay on disks here; * stands for anything"});
  residency.value("tags", c.residency.tags,
                  {.max = kMostRules,
                   .env = {"AKOSHA_RESIDENCY_TAGS"},
                   .help = "tags of memories that stay on disks here"});
  residency.value("types", c.residency.types,
                  {.max = kMostRules,
                   .env = {"AKOSHA_RESIDENCY_TYPES"},
                   .help = "types of memories that stay on disks here"});
}

/// A backup holds all tiers, also what stays here. Empty: a folder that `bind` names.
void check_residency(config::Binder& binder, const MemoryConfig& c) {
  if (c.residency.empty()) return;
  const auto check = [&](std::string path, const std::string& url) {
    if (url.empty() || url.starts_with("file://")) return;
    binder.fault({.path = std::move(path),
                  .value = url,
                  .rule = "must be a folder (file:///…): memory.residency keeps memories on disks "
                          "here, and backups hold them, too",
                  .origin = ""});
  };
  check("memory.backup.bucket", c.backup.bucket);
  for (const std::string& url : c.replicas.backup) check("memory.replicas.backup", url);
}

void bind_dependency(config::Binder::Section section, const std::string& name,
                     OutsideService& service) {
  std::string upper = name;
  std::ranges::transform(upper, upper.begin(), [](unsigned char ch) {
    return std::isalnum(ch) != 0 ? static_cast<char>(std::toupper(ch)) : '_';
  });
  const std::string prefix = "AKOSHA_HEALTH__DEPENDENCIES__" + upper + "__";
  section.value("host", service.host,
                {.min = 1, .max = 253, .env = {prefix + "HOST"}, .help = "name or address"});
  section.value("port", service.port, {.min = 1, .env = {prefix + "PORT"}, .help = "of its HTTP"});
  section.value("use_tls", service.use_tls, {.env = {prefix + "USE_TLS"}, .help = "https"});
  section.value("required", service.required,
                {.env = {prefix + "REQUIRED"}, .help = "health_check_all is bad without it"});
  int seconds = static_cast<int>(service.timeout.count());
  section.value(
      "timeout_seconds", seconds,
      {.min = 1, .max = 300, .env = {prefix + "TIMEOUT"}, .help = "longest wait for an answer"});
  service.timeout = std::chrono::seconds(seconds);
}

/// Those that are known can be set from the environment alone.
void bind_dependencies(config::Binder::Section section, MemoryConfig& c) {
  std::set<std::string, std::less<>> bound;
  for (auto& [name, service] : c.dependencies) {
    bind_dependency(section.section(name), name, service);
    bound.insert(name);
  }
  section.each([&](const std::string& name, config::Binder::Section found) {
    if (!bound.contains(name)) bind_dependency(found, name, c.dependencies[name]);
  });
}

}  // namespace

void bind(config::Binder& binder, MemoryConfig& c, const std::string& data_dir) {
  auto memory = binder.section("memory");
  memory.value("enabled", c.enabled, {.help = "serve /memory in the combined process"});
  memory.value("component", c.component,
               {.one_of = {"all", "ingestion_worker", "query_server", "hot_store", "warm_store",
                           "aging_service", "metrics_exporter"},
                .env = {"AKOSHA_COMPONENT"},
                .help = "what 'asahi memory' is of the memory"});
  memory.value("mode", c.mode,
               {.one_of = {"lite", "standard"},
                .env = {"AKOSHA_MODE"},
                .help = "lite: on loopback; standard: on all addresses, with credentials"});

  memory.value("instance_id", c.instance_id,
               {.max = 100,
                .env = {"AKOSHA_INSTANCE_ID"},
                .help = "name of this process in the ledger; empty: a random one"});

  auto api = memory.section("api");
  api.value("host", c.api.host,
            {.env = {"AKOSHA_HOST"}, .help = "address of 'asahi memory'; empty: by mode"});
  api.value("port", c.api.port,
            {.min = -1,
             .max = 65'535,
             .env = {"AKOSHA_API_PORT"},
             .help = "of 'asahi memory'; -1: the role's own, 0: any free one"});
  api.value("prometheus_port", c.api.prometheus_port,
            {.min = -1,
             .max = 65'535,
             .env = {"AKOSHA_PROMETHEUS_PORT"},
             .help = "of its /metrics; -1: the role's own, 0: any free one"});
  api.value("tls_certificate_file", c.api.tls_certificate_file,
            {.env = {"AKOSHA_TLS_CERT_PATH"}, .help = "PEM chain; empty: plain HTTP"});
  api.value("tls_private_key_file", c.api.tls_private_key_file,
            {.env = {"AKOSHA_TLS_KEY_PATH"}, .help = "its PEM key"});
  if (c.api.host.empty()) c.api.host = c.mode == "lite" ? "127.0.0.1" : "0.0.0.0";
  bind_websocket(binder, memory, c.websocket, c.environment);

  auto stores = memory.section("stores");
  stores.value("hot_url", c.stores.hot_url,
               {.env = {"AKOSHA_HOT_URL"},
                .help = "internal API of the hot_store process, or of several: name=url,…"});
  stores.value("hot_url_previous", c.stores.hot_url_previous,
               {.env = {"AKOSHA_HOT_URL_PREVIOUS"},
                .help = "the list from before, until 'asahi memory rebalance' has ended"});
  stores.value(
      "warm_url", c.stores.warm_url,
      {.env = {"AKOSHA_WARM_URL"}, .help = "internal API of the warm_store process; empty: none"});
  stores.value("secret", c.stores.secret,
               {.env = {"AKOSHA_STORE_SECRET"}, .help = "shared by all processes of the memory"});
  stores.value("secret_previous", c.stores.secret_previous,
               {.env = {"AKOSHA_STORE_SECRET_PREVIOUS"}, .help = "accepted while it is exchanged"});
  stores.value("ca_file", c.stores.ca_file,
               {.env = {"AKOSHA_STORE_CA_FILE"}, .help = "PEM roots for stores over https"});

  memory.value("data_path", c.data_path,
               {.env = {"AKOSHA_DATA_PATH"}, .help = "folder of its files"});
  memory.value(
      "embedding_dimension", c.embedding_dimension,
      {.min = 64, .max = 4096, .env = {"AKOSHA_EMBEDDING_DIMENSION"}, .help = "width of vectors"});
  auto embedding = memory.section("embedding");
  embedding.value("model", c.embedding.model,
                  {.min = 1,
                   .max = 200,
                   .env = {"AKOSHA_EMBEDDING_MODEL"},
                   .help = "name of the model's folder"});
  embedding.value(
      "model_path", c.embedding.model_path,
      {.env = {"AKOSHA_EMBEDDING_MODEL_PATH"}, .help = "folder of models, or a model.onnx"});
  embedding.value("runtime", c.embedding.runtime,
                  {.help = "libonnxruntime.so.1; empty: beside the program"});
  embedding.value("fallback", c.embedding.fallback,
                  {.one_of = {"hash_ngram", "hash_random"},
                   .env = {"AKOSHA_EMBEDDING_FALLBACK"},
                   .help = "vectors where there is no model"});
  embedding.value("batch_size", c.embedding.batch_size,
                  {.min = 1,
                   .max = 1'024,
                   .env = {"EMBEDDING_BATCH_SIZE"},
                   .help = "texts in one run of the model"});
  embedding.value("threads", c.embedding.threads,
                  {.min = 1, .max = 64, .help = "runs of the model at a time"});
  embedding.value("reembed_per_second", c.embedding.reembed_per_second,
                  {.min = 1,
                   .max = 100'000,
                   .help = "memories in a second that get a vector of another model, at most"});

  auto hot = memory.section("hot");
  hot.value("backend", c.hot.backend,
            {.one_of = {"duckdb-memory", "duckdb-ssd", "pgvector"},
             .env = {"AKOSHA__STORAGE__HOT__BACKEND"},
             .help = "what keeps the hot tier: this process (in memory, in files) or PostgreSQL"});
  hot.value("pg_url", c.hot.pg_url,
            {.env = {"AKOSHA__STORAGE__HOT__PG_URL"},
             .help = "PostgreSQL with the extension vector; empty: that of database.url"});
  hot.value("pg_pool_size", c.hot.pg_pool_size,
            {.min = 1, .max = 100, .help = "connections to it"});
  hot.value("path", c.hot.path,
            {.env = {"AKOSHA_HOT_PATH", "AKOSHA_WAL_PATH"}, .help = "folder, or :memory:"});
  hot.value("group_commit_ms", c.hot.group_commit_ms,
            {.min = 0, .max = 10, .help = "longest wait for other writes before one fsync"});
  hot.value("revert_days", c.hot.revert_days,
            {.min = 0,
             .max = 365,
             .env = {"AKOSHA__STORAGE__HOT__REVERT_DAYS"},
             .help = "how long a change-over to another backend can be taken back"});
  hot.value("fallback", c.hot.fallback,
            {.one_of = {"WARM", "NONE"},
             .env = {"AKOSHA_HOT_FALLBACK"},
             .help = "what searches ask when no tier they asked for answers, the hot one neither"});

  bind_tiers(binder, memory, c);
  bind_replicas(binder, memory, c);
  bind_residency(memory, c);

  auto query = memory.section("query");
  query.value("timeout_seconds", c.query.timeout_seconds,
              {.min = 1, .max = 300, .env = {"AKOSHA_QUERY_TIMEOUT"}, .help = "longest search"});
  query.value("max_results", c.query.max_results,
              {.min = 1, .max = 1000, .env = {"AKOSHA_MAX_RESULTS"}, .help = "largest page"});
  query.value("shard_timeout_seconds", c.query.shard_timeout_seconds,
              {.min = 1,
               .max = 60,
               .env = {"AKOSHA_QUERY_SHARD_TIMEOUT"},
               .help = "a tier that takes longer is left out of the answer"});
  query.value("semantic_threshold", c.query.semantic_threshold,
              {.min = -1, .max = 1, .help = "similarity of semantic searches that name none"});

  auto cache = memory.section("cache");
  cache.value("enabled", c.cache.enabled,
              {.env = {"AKOSHA_CACHE_ENABLED"}, .help = "keep answers"});
  cache.value("l1_size", c.cache.l1_size,
              {.min = 1,
               .max = 1'000'000,
               .env = {"AKOSHA_L1_CACHE_SIZE"},
               .help = "answers kept in this process"});
  cache.value("local_ttl_seconds", c.cache.local_ttl_seconds,
              {.min = 1, .max = 86'400, .env = {"AKOSHA_L1_CACHE_TTL"}, .help = "life of those"});
  cache.value("l2_enabled", c.cache.l2_enabled,
              {.env = {"AKOSHA_L2_CACHE_ENABLED"}, .help = "keep answers in Redis as well"});
  cache.value("redis_ttl_seconds", c.cache.redis_ttl_seconds,
              {.min = 1, .max = 604'800, .env = {"AKOSHA_L2_CACHE_TTL"}, .help = "life of those"});
  cache.value("warm_searches", c.cache.warm_searches,
              {.min = 0, .max = 200, .help = "frequent searches that warm the caches; 0: none"});
  cache.value("warm_above_ms", c.cache.warm_above_ms,
              {.min = 0,
               .max = 300'000,
               .help = "99th percentile of searches from which caches are warmed; 0: never"});

  auto dedup = memory.section("deduplication");
  dedup.value("enabled", c.deduplication.enabled, {.help = "look for what is there already"});
  dedup.value("fuzzy_threshold", c.deduplication.fuzzy_threshold,
              {.min = 0.5, .max = 1, .help = "Jaccard index from which two texts are near"});
  dedup.value("action", c.deduplication.action,
              {.one_of = {"link", "skip"}, .help = "what becomes of near duplicates"});

  auto ingestion = memory.section("ingestion");
  ingestion.value("bucket", c.ingestion.bucket,
                  {.env = {"AKOSHA_INGEST_BUCKET"}, .help = "where systems leave their uploads"});
  ingestion.value("queue_url", c.ingestion.queue_url,
                  {.env = {"AKOSHA_INGESTION_QUEUE"},
                   .help = "SQS queue of the bucket's events; empty: only scans"});
  ingestion.value("dead_letter_url", c.ingestion.dead_letter_url,
                  {.env = {"AKOSHA_INGESTION_DEAD_LETTER_QUEUE"},
                   .help = "SQS queue for messages that nobody understands"});
  ingestion.value("poll_interval_seconds", c.ingestion.poll_interval_seconds,
                  {.min = 1,
                   .max = 86'400,
                   .env = {"AKOSHA_DISCOVERY_INTERVAL"},
                   .help = "between two looks into the bucket"});
  ingestion.value("timeout_seconds", c.ingestion.timeout_seconds,
                  {.min = 10,
                   .max = 86'400,
                   .env = {"AKOSHA_INGESTION_TIMEOUT"},
                   .help = "longest work on one upload, and life of its lease"});
  ingestion.value("max_concurrent_ingests", c.ingestion.max_concurrent_ingests,
                  {.min = 1,
                   .max = 1000,
                   .env = {"AKOSHA_MAX_CONCURRENT_INGESTS"},
                   .help = "uploads in work at a time"});
  ingestion.value(
      "concurrent_discovery", c.ingestion.concurrent_discovery,
      {.env = {"USE_CONCURRENT_DISCOVERY"}, .help = "look into several systems at once"});
  ingestion.value("guess_language", c.ingestion.guess_language,
                  {.help = "memories that name no language get the one their text is in"});
  ingestion.value("delete_after", c.ingestion.delete_after,
                  {.env = {"AKOSHA_DELETE_AFTER_INGEST"}, .help = "erase uploads that are done"});
  // The cold bucket's variables count here, too, where it is one of S3.
  const auto names = [&c](const char* cold, std::vector<std::string> amazon) {
    if (c.cold.backend != "azure" && c.cold.backend != "gcs") amazon.insert(amazon.begin(), cold);
    return amazon;
  };
  ingestion.value(
      "bundle_retention_days", c.ingestion.bundle_retention_days,
      {.min = 0, .max = 3650, .help = "days that uploads that are done stay; 0: for good"});
  ingestion.value(
      "endpoint", c.ingestion.endpoint,
      {.env = names("AKOSHA_COLD_ENDPOINT", {"AWS_ENDPOINT_URL"}), .help = "of the S3 service"});
  ingestion.value("region", c.ingestion.region,
                  {.env = names("AKOSHA_COLD_REGION", {"AWS_REGION", "AWS_DEFAULT_REGION"}),
                   .help = "of the bucket"});
  ingestion.value(
      "access_key_id", c.ingestion.access_key_id,
      {.env = names("AKOSHA_COLD_ACCESS_KEY_ID", {"AWS_ACCESS_KEY_ID"}), .help = "S3 key"});
  ingestion.value("secret_access_key", c.ingestion.secret_access_key,
                  {.env = names("AKOSHA_COLD_SECRET_ACCESS_KEY", {"AWS_SECRET_ACCESS_KEY"}),
                   .help = "its secret"});

  auto alerts = memory.section("alerts");
  alerts.value(
      "webhook_url", c.alerts.webhook_url,
      {.env = {"AKOSHA_ALERT_WEBHOOK_URL"}, .help = "told of alerts about the installation"});
  alerts.value("webhook_timeout_seconds", c.alerts.webhook_timeout_seconds,
               {.min = 1,
                .max = 60,
                .env = {"AKOSHA_ALERT_WEBHOOK_TIMEOUT", "ALERT_WEBHOOK_TIMEOUT"},
                .help = "longest post to a webhook"});
  alerts.value("repeat_window_seconds", c.alerts.repeat_window_seconds,
               {.min = 1,
                .max = 86'400,
                .env = {"AKOSHA_ALERT_DEDUP_WINDOW", "ALERT_DEDUP_WINDOW"},
                .help = "the same does not alert again within it"});
  alerts.value("allow_private_webhooks", c.alerts.allow_private_webhooks,
               {.env = {"AKOSHA_ALERT_ALLOW_PRIVATE"},
                .help = "webhooks may be on this machine and in private networks"});

  auto backup = memory.section("backup");
  backup.value("bucket", c.backup.bucket,
               {.env = {"AKOSHA_BACKUP_BUCKET"}, .help = "where backups go"});
  backup.value("retention_days", c.backup.retention_days,
               {.min = 1,
                .max = 3650,
                .env = {"AKOSHA_BACKUP_RETENTION_DAYS"},
                .help = "older backups are deleted after a new one"});
  backup.value("keep", c.backup.keep,
               {.min = 1,
                .max = 1000,
                .env = {"AKOSHA_BACKUP_KEEP"},
                .help = "at most so many backups are kept"});
  backup.value("schedule", c.backup.schedule,
               {.env = {"AKOSHA_BACKUP_SCHEDULE"},
                .help = "cron, UTC, or off; empty: each midnight where a bucket is said"});
  backup.value("incremental_minutes", c.backup.incremental_minutes,
               {.min = 0,
                .max = 30,
                .env = {"AKOSHA_BACKUP_INCREMENTAL_MINUTES"},
                .help = "between two incremental backups; 0: none"});
  if (c.backup.schedule.empty() && !c.backup.bucket.empty()) c.backup.schedule = "0 0 * * *";
  if (c.backup.schedule == "off") c.backup.schedule.clear();
  if (!c.backup.schedule.empty())
    check_schedule(binder, "memory.backup.schedule", c.backup.schedule);
  auto analytics = memory.section("analytics");
  analytics.value("retention_days", c.analytics.retention_days,
                  {.min = 1,
                   .max = 365,
                   .env = {"ANALYTICS_RETENTION_DAYS"},
                   .help = "days that sums of metrics by five minutes are kept"});
  auto graph = memory.section("graph");
  graph.value("max_entities", c.graph.max_entities,
              {.min = 1'000,
               .max = 10'000'000,
               .env = {"GRAPH_MAX_ENTITIES"},
               .help = "entities of one organisation's graph; memories beyond state nothing"});
  graph.value("max_edges", c.graph.max_edges,
              {.min = 1'000,
               .max = 50'000'000,
               .env = {"GRAPH_MAX_EDGES"},
               .help = "edges of one organisation's graph; it holds twice as many facts"});
  graph.value("redis_adjacency", c.graph.redis_adjacency,
              {.env = {"AKOSHA_GRAPH_REDIS_ADJACENCY"},
               .help = "keep what stands around entities in Redis, for all processes"});
  graph.value("adjacency_ttl_seconds", c.graph.adjacency_ttl_seconds,
              {.min = 60,
               .max = 604'800,
               .env = {"AKOSHA_GRAPH_ADJACENCY_TTL"},
               .help = "how long it is kept there at most"});

  bind_fitness(binder, memory, c);
  auto orchestrator = memory.section("orchestrator");
  orchestrator.value("url", c.orchestrator.url,
                     {.env = {"AKOSHA_MAHAVISHNU_MCP_URL"},
                      .help = "MCP endpoint of the orchestrator; empty: there is none"});
  orchestrator.value("api_key", c.orchestrator.api_key,
                     {.env = {"AKOSHA_MAHAVISHNU_API_KEY"}, .help = "its bearer token"});
  orchestrator.value("daily_ingest_schedule", c.orchestrator.daily_ingest_schedule,
                     {.help = "when it, or we, look into the bucket: cron, UTC"});
  check_schedule(binder, "memory.orchestrator.daily_ingest_schedule",
                 c.orchestrator.daily_ingest_schedule);
  bind_dependencies(memory.section("health").section("dependencies"), c);
  memory.value("metrics_enabled", c.metrics_enabled,
               {.env = {"AKOSHA_METRICS_ENABLED"}, .help = "'asahi memory' serves /metrics"});
  memory.value("tool_profile", c.tool_profile,
               {.one_of = {"minimal", "standard", "full"},
                .env = {"AKOSHA_TOOL_PROFILE"},
                .help = "MCP tools that are offered"});

  if (!c.ingestion.bucket.empty() && c.ingestion.bucket.find("://") == std::string::npos)
    c.ingestion.bucket = "s3://" + c.ingestion.bucket;
  if (!c.ingestion.queue_url.empty() && c.ingestion.bucket.empty()) {
    binder.fault({.path = "memory.ingestion.queue_url",
                  .value = c.ingestion.queue_url,
                  .rule = "needs memory.ingestion.bucket, whose events it has",
                  .origin = ""});
  }
  if (!c.backup.bucket.empty() && c.backup.bucket.find("://") == std::string::npos)
    c.backup.bucket = "s3://" + c.backup.bucket;
  check_residency(binder, c);
  if (c.data_path.empty()) c.data_path = data_dir + "/memory";
  if (c.embedding.model_path.empty()) c.embedding.model_path = c.data_path + "/models";
  if (c.hot.path.empty())
    c.hot.path = c.hot.backend == "duckdb-memory" ? ":memory:" : c.data_path + "/hot";
  const std::string& pg_url = c.hot.pg_url.reveal();
  if (!pg_url.empty() && !pg_url.starts_with("postgres://") &&
      !pg_url.starts_with("postgresql://")) {
    binder.fault({.path = "memory.hot.pg_url",
                  .value = "***",
                  .rule = "must begin with postgres:// or postgresql://",
                  .origin = ""});
  }
  if (c.backup.bucket.empty())
    c.backup.bucket = "file://" + std::filesystem::absolute(c.data_path).string() + "/backups";
  if (c.warm.path.empty()) c.warm.path = c.data_path + "/warm";
  if (c.cold.path.empty()) c.cold.path = c.data_path + "/cold";
}

}  // namespace asahi::memory
