#include "memory/config.h"

#include <filesystem>

namespace asahi::memory {

void bind(config::Binder& binder, MemoryConfig& c, const std::string& data_dir) {
  auto memory = binder.section("memory");
  memory.value("enabled", c.enabled, {.help = "serve /memory in the combined process"});
  memory.value("data_path", c.data_path,
               {.env = {"AKOSHA_DATA_PATH"}, .help = "folder of its files"});
  memory.value("embedding_dimension", c.embedding_dimension,
               {.min = 64,
                .max = 4096,
                .env = {"AKOSHA_EMBEDDING_DIMENSION"},
                .help = "width of the local embedder's vectors"});

  auto hot = memory.section("hot");
  hot.value("path", c.hot.path, {.env = {"AKOSHA_HOT_PATH"}, .help = "folder, or :memory:"});
  hot.value("group_commit_ms", c.hot.group_commit_ms,
            {.min = 0, .max = 10, .help = "longest wait for other writes before one fsync"});

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

  auto dedup = memory.section("deduplication");
  dedup.value("enabled", c.deduplication.enabled, {.help = "look for what is there already"});
  dedup.value("fuzzy_threshold", c.deduplication.fuzzy_threshold,
              {.min = 0.5, .max = 1, .help = "Jaccard index from which two texts are near"});
  dedup.value("action", c.deduplication.action,
              {.one_of = {"link", "skip"}, .help = "what becomes of near duplicates"});

  auto ingestion = memory.section("ingestion");
  ingestion.value("bucket", c.ingestion.bucket,
                  {.env = {"AKOSHA_INGEST_BUCKET"}, .help = "where systems leave their uploads"});
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
  ingestion.value("delete_after", c.ingestion.delete_after,
                  {.env = {"AKOSHA_DELETE_AFTER_INGEST"}, .help = "erase uploads that are done"});
  ingestion.value(
      "endpoint", c.ingestion.endpoint,
      {.env = {"AKOSHA_COLD_ENDPOINT", "AWS_ENDPOINT_URL"}, .help = "of the S3 service"});
  ingestion.value(
      "region", c.ingestion.region,
      {.env = {"AKOSHA_COLD_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"}, .help = "of the bucket"});
  ingestion.value("access_key_id", c.ingestion.access_key_id,
                  {.env = {"AKOSHA_COLD_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID"}, .help = "S3 key"});
  ingestion.value(
      "secret_access_key", c.ingestion.secret_access_key,
      {.env = {"AKOSHA_COLD_SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY"}, .help = "its secret"});

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

  memory.value("tool_profile", c.tool_profile,
               {.one_of = {"minimal", "standard", "full"},
                .env = {"AKOSHA_TOOL_PROFILE"},
                .help = "MCP tools that are offered"});

  if (!c.ingestion.bucket.empty() && c.ingestion.bucket.find("://") == std::string::npos)
    c.ingestion.bucket = "s3://" + c.ingestion.bucket;
  if (!c.backup.bucket.empty() && c.backup.bucket.find("://") == std::string::npos)
    c.backup.bucket = "s3://" + c.backup.bucket;
  if (c.data_path.empty()) c.data_path = data_dir + "/memory";
  if (c.hot.path.empty()) c.hot.path = c.data_path + "/hot";
  if (c.backup.bucket.empty())
    c.backup.bucket = "file://" + std::filesystem::absolute(c.data_path).string() + "/backups";
}

}  // namespace asahi::memory
