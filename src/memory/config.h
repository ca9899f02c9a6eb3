#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/config/loader.h"
#include "memory/outside/service.h"
#include "memory/residency/rules.h"
#include "storage/object/credentials.h"

namespace asahi::memory {

/// Settings of the memory module (`memory.…`, `AKOSHA_…`; spec/memory §7).
struct MemoryConfig {
  bool enabled = true;  ///< in the combined process
  /// Which part of the memory this process is, where it is a process of its own (wiring/roles.h;
  /// AKOSHA_COMPONENT).
  std::string component = "all";
  /// lite: one machine, loopback only; standard: listens on all addresses, asks for credentials
  /// (AKOSHA_MODE).
  std::string mode = "lite";
  std::string
      data_path;  ///< folder of its files (AKOSHA_DATA_PATH); empty: `memory` in the data folder

  std::string environment = "development";  ///< of the process: development, staging, production
  std::string instance_id;  ///< of this process in the ledger (AKOSHA_INSTANCE_ID); empty: random

  /// Listeners of a process that is the memory alone.
  struct Api {
    std::string host;  ///< AKOSHA_HOST; empty: 127.0.0.1 in lite, 0.0.0.0 in standard mode
    int port = -1;     ///< AKOSHA_API_PORT; -1: the role's own, 0: any free one
    /// AKOSHA_PROMETHEUS_PORT: where /metrics is; -1: the role's own, 0: any free one.
    int prometheus_port = -1;
    /// PEM files of its listeners (AKOSHA_TLS_CERT_PATH, AKOSHA_TLS_KEY_PATH); empty: plain HTTP.
    std::string tls_certificate_file, tls_private_key_file;
  } api;

  /// Live events on a listener of their own (spec §2.1, §2.5); beside it they are at `/ws` of the
  /// API. Its address is that of the API.
  struct WebSocket {
    bool enabled = true;  ///< AKOSHA_WS_ENABLED; false: never
    /// AKOSHA_WS_PORT; 0: any free one; -1: 8692, for `asahi memory` where that is free, in the
    /// combined process (`asahi serve`) only with `tls_enabled`.
    int port = -1;
    bool tls_enabled = false;  ///< AKOSHA_WS_TLS_ENABLED
    /// PEM (AKOSHA_WS_CERT_FILE, AKOSHA_WS_KEY_FILE), read again when they change; both empty: a
    /// throw-away certificate, in development only.
    std::string cert_file, key_file;
    /// PEM (AKOSHA_WS_CA_FILE): a client's certificate must be signed by one of these; empty:
    /// clients are not asked for one.
    std::string ca_file;
    bool verify_client = false;  ///< AKOSHA_WS_VERIFY_CLIENT: clients must show one
    static constexpr std::uint16_t kPort = 8692;
    /// Whether somebody asked for it, so that it must not be left out.
    bool is_wanted() const { return enabled && (port >= 0 || tls_enabled); }
  } websocket;

  /// Stores in other processes, reached through the internal store API.
  struct Stores {
    /// AKOSHA_HOT_URL: one, or several with commas: `[name[*weight]=]url`.
    std::string hot_url = "http://127.0.0.1:8002";
    /// AKOSHA_HOT_URL_PREVIOUS: the list from before, while memories move; empty: they lie still.
    std::string hot_url_previous;
    std::string warm_url;  ///< AKOSHA_WARM_URL; empty: no warm tier
    /// AKOSHA_STORE_SECRET: the same in all processes of the memory, at least 32 characters; empty:
    /// on loopback addresses only.
    Secret secret;
    Secret secret_previous;  ///< AKOSHA_STORE_SECRET_PREVIOUS: accepted while it is exchanged
    std::string ca_file;  ///< PEM added to the system's roots, for https:// (AKOSHA_STORE_CA_FILE)
  } stores;

  /// Key of what hot and warm keep on disk (ENCRYPTION_KEY): 64 hex digits, or 32 bytes in base64
  /// as `akosha secrets generate` prints them; empty: in the clear. What is there is written anew
  /// with it in the background.
  Secret encryption_key;
  /// ENCRYPTION_KEY_PREVIOUS: former keys, with commas, that files may still be written with.
  Secret encryption_key_previous;

  struct Hot {
    /// duckdb-memory, duckdb-ssd: this process's own log and indexes in `path` (their names are the
    /// specification's; `path` says what is kept); pgvector: `pg_url`
    /// (AKOSHA__STORAGE__HOT__BACKEND).
    std::string backend = "duckdb-ssd";
    /// A PostgreSQL with the extension `vector` (AKOSHA__STORAGE__HOT__PG_URL); empty: that of
    /// `database.url`.
    Secret pg_url;
    int pg_pool_size = 10;  ///< connections to it, 1 to 100
    /// Folder of the hot tier (AKOSHA_HOT_PATH); empty: `hot` in `data_path`; ":memory:": nothing
    /// is kept over a restart.
    std::string path;
    int group_commit_ms = 2;  ///< longest wait for others before one fsync, 0 to 10
    /// Days in which a change-over to another backend can be taken back, 0 to 365; a request may
    /// say otherwise.
    int revert_days = 28;
    /// WARM: when no tier that a search asks for answers, the next colder one does; NONE: not for
    /// the hot one (AKOSHA_HOT_FALLBACK).
    std::string fallback = "WARM";
  } hot;

  struct Warm {
    /// Folder of the warm tier (AKOSHA_WARM_PATH); empty: `warm` in `data_path`; ":memory:":
    /// nothing is kept over a restart.
    std::string path;
  } warm;

  /// Memories older than the warm tier keeps them, as Parquet files. Restart.
  struct Cold {
    bool enabled = true;
    /// local: `path`; s3, azure, gcs: `bucket` (AKOSHA_COLD_BACKEND).
    std::string backend = "local";
    std::string path;                         ///< AKOSHA_COLD_PATH; empty: `cold` in `data_path`
    std::string bucket = "akosha-cold-data";  ///< AKOSHA_COLD_BUCKET: a name, or s3://name/prefix
    /// AKOSHA_COLD_ENDPOINT, with s3 AWS_ENDPOINT_URL; empty: that of `clouds`, or the provider's.
    std::string endpoint;
    std::string region;  ///< of s3: AKOSHA_COLD_REGION, AWS_REGION; empty: us-east-1
    /// AKOSHA_COLD_ACCESS_KEY_ID, with s3 AWS_ACCESS_KEY_ID. azure: the storage account; gcs: the
    /// id of an HMAC key; empty: that of `clouds`.
    std::string access_key_id;
    /// AKOSHA_COLD_SECRET_ACCESS_KEY, with s3 AWS_SECRET_ACCESS_KEY. azure: the account's key, or a
    /// SAS token.
    Secret secret_access_key;
    std::string compaction_schedule = "23 */6 * * *";  ///< cron, UTC: small files are merged
    /// Age in days from which POST /storage/retention erases memories, 365 to 36500; by itself
    /// nothing is erased.
    int retention_days = 2555;
    int archive_after_days = 365;  ///< age from which files go into `archive_class`, 30 to 36500
    /// The bucket's name of a class of storage; empty: GLACIER_IR at Amazon, Cool at Azure,
    /// COLDLINE at Google, none elsewhere; none: never.
    std::string archive_class;
  } cold;

  /// Further buckets that have what the cold tier's or the backups' has. Restart.
  struct Replicas {
    /// At most two URLs each, as `backup.bucket` (AKOSHA_COLD_REPLICAS, AKOSHA_BACKUP_REPLICAS).
    std::vector<std::string> cold, backup;
    std::string schedule = "41 * * * *";  ///< cron, UTC: listings are compared
    /// Of replicas in S3 (AKOSHA_REPLICA_{ENDPOINT,REGION,ACCESS_KEY_ID,SECRET_ACCESS_KEY}); empty:
    /// those of `ingestion`.
    std::string endpoint, region, access_key_id;
    Secret secret_access_key;
  } replicas;

  /// Memories that stay on this installation's own disks: they do not age from warm to cold where
  /// the cold tier, or a replica of it, is a bucket; backups must be folders then. Restart.
  ResidencyRules residency;  ///< AKOSHA_RESIDENCY_{SYSTEMS,TAGS,TYPES}

  /// For buckets azure://container/prefix and gs://bucket/prefix (AZURE_STORAGE_*, GCS_*).
  object::CloudCredentials clouds;

  struct Aging {
    int hot_days = 7;    ///< age from which memories go to warm (AKOSHA_HOT_TIER_DAYS), 1 to 36500
    int warm_days = 90;  ///< … from warm to cold (AKOSHA_WARM_TIER_DAYS), more than hot_days
    std::string schedule = "0 2 * * *";  ///< cron, UTC (AKOSHA_AGING_SCHEDULE)
    std::size_t batch_size = 1000;       ///< rows of one step, 1 to 10000
    bool batch_migration = true;         ///< USE_BATCH_MIGRATION; false: row by row
    int max_minutes = 120;               ///< longest run, 1 to 1440
    int pressure_gb = 100;  ///< GiB of hot memories from which an extra run begins, 1 to 100000
    /// What is asked for often stays hot or comes back, what nobody asks for goes early
    /// (AKOSHA__AGING__ACCESS_RULES__…).
    struct AccessRules {
      bool enabled = false;
      int promote_hits = 10;  ///< within the window: it stays hot, or comes back, 1 to 1000000
      int demote_hits = 2;    ///< fewer: it goes; less than promote_hits; 0: age alone decides
      int window_days = 7;    ///< hits of so many days count, 1 to 90
      int min_age_days = 3;   ///< what is younger stays, asked for or not, 0 to 36500
    } access_rules;
  } aging;

  struct Query {
    int timeout_seconds = 30;       ///< AKOSHA_QUERY_TIMEOUT, 1 to 300
    std::size_t max_results = 100;  ///< AKOSHA_MAX_RESULTS, 1 to 1000
    int shard_timeout_seconds = 5;  ///< AKOSHA_QUERY_SHARD_TIMEOUT, 1 to 60
    double semantic_threshold =
        0.7;  ///< similarity that semantic searches ask for unless they say, -1 to 1
  } query;

  bool metrics_enabled = true;  ///< serve /metrics (AKOSHA_METRICS_ENABLED)

  struct Cache {
    bool enabled = true;          ///< AKOSHA_CACHE_ENABLED
    std::size_t l1_size = 1000;   ///< answers kept in this process (AKOSHA_L1_CACHE_SIZE)
    int local_ttl_seconds = 300;  ///< AKOSHA_L1_CACHE_TTL
    bool l2_enabled = true;  ///< answers in Redis, where there is one (AKOSHA_L2_CACHE_ENABLED)
    int redis_ttl_seconds = 3600;  ///< AKOSHA_L2_CACHE_TTL
    /// Of each organisation: asked again at start, on demand and while searches are slow; 0: none
    std::size_t warm_searches = 100;
    int warm_above_ms = 1'000;  ///< 99th percentile of a minute that counts as slow; 0: never
  } cache;

  struct Deduplication {
    bool enabled = true;
    double fuzzy_threshold =
        0.85;  ///< estimated Jaccard index from which two texts are near, 0.5 to 1
    std::string action = "link";  ///< link: stored and linked; skip: not stored
  } deduplication;

  /// Uploads that systems leave in a bucket.
  struct Ingestion {
    bool guess_language = true;  ///< of memories that do not say theirs
    /// s3://bucket, azure://container, gs://bucket or file:///absolute/folder; empty: memories come
    /// by HTTP, MCP and import only.
    std::string bucket;  ///< AKOSHA_INGEST_BUCKET; a bare name is s3://name
    /// URL of the SQS queue to which the bucket sends its events (AKOSHA_INGESTION_QUEUE); empty:
    /// only scans find uploads.
    std::string queue_url;
    std::string dead_letter_url;     ///< of the queue for messages that nobody understands
    int poll_interval_seconds = 30;  ///< AKOSHA_DISCOVERY_INTERVAL, 1 to 86400
    int timeout_seconds = 300;       ///< of one upload (AKOSHA_INGESTION_TIMEOUT), 10 to 86400
    std::size_t max_concurrent_ingests = 10;  ///< AKOSHA_MAX_CONCURRENT_INGESTS, 1 to 1000
    bool concurrent_discovery = true;         ///< USE_CONCURRENT_DISCOVERY
    bool delete_after = false;      ///< erase what is taken in (AKOSHA_DELETE_AFTER_INGEST)
    int bundle_retention_days = 7;  ///< else what was taken in is erased then, 0 (never) to 3650
    std::string endpoint;           ///< AWS_ENDPOINT_URL; empty: Amazon's
    std::string region;             ///< AWS_REGION; empty: us-east-1
    std::string access_key_id;      ///< AWS_ACCESS_KEY_ID
    Secret secret_access_key;       ///< AWS_SECRET_ACCESS_KEY
  } ingestion;

  /// What is told to people while it happens (§8.5).
  struct Alerts {
    std::string
        webhook_url;  ///< told of everything about the installation (AKOSHA_ALERT_WEBHOOK_URL)
    int webhook_timeout_seconds = 5;      ///< of one post (ALERT_WEBHOOK_TIMEOUT), 1 to 60
    int repeat_window_seconds = 300;      ///< the same does not alert again (ALERT_DEDUP_WINDOW)
    bool allow_private_webhooks = false;  ///< addresses of this machine and of private networks
  } alerts;

  struct Backup {
    /// As `ingestion.bucket`, with a prefix; empty: `backups` in `data_path`.
    std::string bucket;       ///< AKOSHA_BACKUP_BUCKET; a bare name is s3://name
    int retention_days = 30;  ///< AKOSHA_BACKUP_RETENTION_DAYS, 1 to 3650
    std::size_t keep = 30;    ///< AKOSHA_BACKUP_KEEP: at most so many, 1 to 1000
    /// AKOSHA_BACKUP_SCHEDULE: cron, UTC; "off": when asked only. Empty: "0 0 * * *" where `bucket`
    /// is said, else off: on the tiers' own disk copies are of little use and take its room.
    std::string schedule;
    /// AKOSHA_BACKUP_INCREMENTAL_MINUTES: between two incremental backups, at most 30; 0: none.
    int incremental_minutes = 0;
  } backup;
  /// Numbers over time.
  struct Analytics {
    int retention_days = 90;  ///< of sums by five minutes (ANALYTICS_RETENTION_DAYS), 1 to 365
  } analytics;
  /// Facts that memories state, per tenant.
  struct Graph {
    std::size_t max_entities = 1'000'000;  ///< GRAPH_MAX_ENTITIES
    std::size_t max_edges = 5'000'000;     ///< GRAPH_MAX_EDGES; facts: twice as many
    /// What stands around entities is kept in Redis, so that a process answers for neighbours
    /// without loading the graph (AKOSHA_GRAPH_REDIS_ADJACENCY). Restart.
    bool redis_adjacency = false;
    int adjacency_ttl_seconds = 86'400;  ///< how long at most, 60 to 604800
  } graph;

  /// What agents report of their work.
  struct Traces {
    int retention_hours = 168;   ///< AKOSHA_TRACES_RETENTION_HOURS, 1 to 8760
    std::size_t most = 100'000;  ///< of an organisation; the oldest go, 1000 to 10 million
  } traces;
  /// The routing fitness loop.
  struct Fitness {
    struct Component {
      std::string url;                 ///< MCP endpoint with the tool query_local_traces
      Secret token;                    ///< its bearer token
      std::string org_id = "default";  ///< whose figures it is for
      std::string system_id;           ///< that is asked for; empty: the component's name
      bool operator==(const Component&) const = default;
    };
    /// `name=url` with commas (AKOSHA_FITNESS_COMPONENTS), beside those of `components`.
    std::string component_urls;
    std::map<std::string, Component, std::less<>> components;  ///< at most 32; none: no loop
    int poll_seconds = 60;    ///< AKOSHA_FITNESS_POLL_SECONDS, 10 to 3600
    int window_minutes = 60;  ///< of traces that figures are of, 5 to 1440
    int timeout_seconds = 5;  ///< of one question to a component, 1 to 10
  } fitness;

  /// Who may run the memory's workflows.
  struct OrchestratorSettings {
    std::string url;  ///< MCP endpoint (AKOSHA_MAHAVISHNU_MCP_URL); empty: there is none
    Secret api_key;   ///< its bearer token (AKOSHA_MAHAVISHNU_API_KEY)
    std::string daily_ingest_schedule = "0 0 * * *";  ///< cron, UTC
  } orchestrator;

  /// Services that MCP clients may ask about (AKOSHA_HEALTH__DEPENDENCIES__<NAME>__…).
  std::map<std::string, OutsideService, std::less<>> dependencies = {
      {"mahavishnu", {.port = 8680}}, {"session_buddy", {.port = 8678}}};

  std::string tool_profile = "full";  ///< MCP tools: minimal, standard, full (AKOSHA_TOOL_PROFILE)

  /// Width of vectors (AKOSHA_EMBEDDING_DIMENSION); a model's must be the same.
  std::size_t embedding_dimension = 384;
  struct Embedding {
    std::string model = "all-MiniLM-L6-v2";  ///< AKOSHA_EMBEDDING_MODEL
    /// Folder of models, or a model's file (AKOSHA_EMBEDDING_MODEL_PATH); empty: `models` in
    /// `data_path`.
    std::string model_path;
    std::string runtime;  ///< libonnxruntime.so.1; empty: beside the program
    /// Without the model: hash_ngram (words) or hash_random (AKOSHA_EMBEDDING_FALLBACK).
    std::string fallback = "hash_ngram";
    std::size_t batch_size = 32;   ///< texts in one run (EMBEDDING_BATCH_SIZE), 1 to 1024
    std::size_t threads = 1;       ///< runs at a time, 1 to 64
    int reembed_per_second = 500;  ///< memories that get new vectors, at most, 1 to 100000
  } embedding;
};

/// Reads `memory.…`. `data_dir`: the process's data folder. `config.environment` is set already.
void bind(config::Binder& binder, MemoryConfig& config, const std::string& data_dir);

}  // namespace asahi::memory
