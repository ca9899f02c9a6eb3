#include "memory/module.h"

#include <boost/asio/thread_pool.hpp>

#include <array>
#include <map>
#include <utility>

#include "base/log.h"
#include "identity/principal.h"
#include "llm/embed/text_embedder.h"
#include "memory/cold/sql_catalogue.h"
#include "memory/dedup/minhash.h"
#include "memory/hot/hot_store.h"
#include "memory/http/routes.h"
#include "memory/ingest/bundle.h"
#include "memory/ingest/discovery.h"
#include "memory/ingest/intake.h"
#include "memory/ingest/ledger.h"
#include "memory/ingest/metrics.h"
#include "memory/ingest/push.h"
#include "memory/ingest/worker.h"
#include "memory/mcp/tools.h"
#include "memory/rank/hot_keyword.h"
#include "memory/search/search.h"
#include "memory/wiring/tiers.h"
#include "net/mcp/server.h"
#include "storage/cache/memory_store.h"
#include "storage/object/open_store.h"
#include "storage/object/task_store.h"

namespace asahi::memory {
namespace {

constexpr std::size_t kQueryVectorsKept = 1000;
constexpr std::size_t kWorkThreads = 2;
constexpr std::size_t kBucketThreads = 16;
constexpr std::chrono::seconds kGrace{30};
constexpr std::size_t kCachedBytes = 64 << 20;
constexpr std::size_t kRepliesKept = 1000;
constexpr std::size_t kRepliesBytes = 16 << 20;

/// Seconds; spec §8.1.
const std::vector<double> kQuerySeconds = {.01, .05, .1, .5, 1, 2, 5, 10};

/// The series of searches, made once.
class SearchMetrics final : public SearchObserver {
 public:
  explicit SearchMetrics(telemetry::Registry& registry) {
    for (const SearchMode mode :
         {SearchMode::kSemantic, SearchMode::kKeyword, SearchMode::kHybrid}) {
      const std::string name(mode_name(mode));
      One& one = modes_[static_cast<std::size_t>(mode)];
      one.ok = &registry.counter("akosha_query_requests_total", "Searches",
                                 {{"query_type", name}, {"status", "success"}});
      one.failed = &registry.counter("akosha_query_requests_total", "Searches",
                                     {{"query_type", name}, {"status", "error"}});
      one.seconds = &registry.histogram("akosha_query_duration_seconds", "Time of searches",
                                        kQuerySeconds, {{"query_type", name}});
    }
    for (const char* level : {"l1", "l2", "miss"}) {
      levels_.emplace(level, &registry.counter("akosha_query_cache_hits_total",
                                               "Searches by where their answer came from",
                                               {{"cache_level", level}}));
    }
  }
  void searched(SearchMode mode, std::string_view cache, bool ok,
                std::chrono::nanoseconds took) override {
    One& one = modes_[static_cast<std::size_t>(mode)];
    (ok ? one.ok : one.failed)->add();
    one.seconds->observe(std::chrono::duration<double>(took).count());
    if (const auto found = levels_.find(cache); found != levels_.end()) found->second->add();
  }

 private:
  struct One {
    telemetry::Counter* ok = nullptr;
    telemetry::Counter* failed = nullptr;
    telemetry::Histogram* seconds = nullptr;
  };
  std::array<One, 3> modes_;
  std::map<std::string, telemetry::Counter*, std::less<>> levels_;
};

}  // namespace

/// Members stand in the order they are built; they go in reverse.
struct MemoryModule::Impl {
  explicit Impl(Parts given) : parts(std::move(given)), search_metrics(parts.metrics) {}

  const Parts parts;
  Logger logger{"memory"};
  SearchMetrics search_metrics;
  boost::asio::thread_pool work{kWorkThreads};
  std::unique_ptr<boost::asio::thread_pool> bucket_work;  ///< null: no bucket
  std::unique_ptr<llm::TextEmbedder> embedder;
  std::unique_ptr<Tiers> tiers;
  Store* hot = nullptr;           ///< of the tiers
  std::function<bool()> pressed;  ///< of the hot tier in this process
  std::unique_ptr<cache::MemoryStore> l1;
  std::unique_ptr<cache::MemoryStore> replies;
  std::unique_ptr<Epochs> epochs;
  std::unique_ptr<Search> search;
  std::unique_ptr<Ledger> ledger;
  std::unique_ptr<Intake> intake;
  std::unique_ptr<IngestMetrics> ingest_metrics;
  std::unique_ptr<Push> push;
  std::unique_ptr<object::ObjectStore> bucket;
  std::unique_ptr<Discovery> discovery;
  std::unique_ptr<BundleReader> bundles;
  std::unique_ptr<IngestWorker> worker;
  SharedRouteParts routes;
  std::unique_ptr<mcp::Server> mcp;
  bool stopped = false;

  Result<void> open_hot();
  void make_search();
  Result<void> make_ingestion();
  void make_tools();
};

Result<void> MemoryModule::Impl::open_hot() {
  const MemoryConfig& config = parts.config;
  HotOptions options;
  options.engine.folder = config.hot.path;
  options.engine.group_commit = std::chrono::milliseconds(config.hot.group_commit_ms);
  options.engine.clock = &parts.clock;
  options.engine.make_keyword = [&clock = parts.clock] { return rank::make_keyword_index(clock); };
  ASAHI_TRY(auto opened, HotStore::open(std::move(options)));
  const hot::EngineStats stats = opened->engine_stats();
  const hot::OpenReport report = stats.opened;
  logger.info("hot tier opened", {{"records", report.records},
                                  {"words_from_checkpoint", stats.restored_rows},
                                  {"links_from_checkpoint", stats.restored_links}});
  if (report.torn_bytes != 0 || report.damaged_records != 0) {
    logger.warning("the hot tier was not closed in order",
                   {{"cut_bytes", report.torn_bytes}, {"damaged", report.damaged_records}});
  }
  pressed = [store = opened.get()] { return store->pressed(); };
  ASAHI_TRY(tiers,
            Tiers::open({config, parts.loops, parts.database, parts.metrics, parts.clock, work},
                        std::move(opened)));
  hot = &tiers->hot();
  return {};
}

void MemoryModule::Impl::make_search() {
  const MemoryConfig& config = parts.config;
  l1 = std::make_unique<cache::MemoryStore>(
      cache::MemoryOptions{.max_entries = config.cache.l1_size, .max_bytes = kCachedBytes},
      parts.clock);
  cache::Store* const shared = config.cache.l2_enabled ? parts.shared_cache : nullptr;
  replies = std::make_unique<cache::MemoryStore>(
      cache::MemoryOptions{.max_entries = kRepliesKept, .max_bytes = kRepliesBytes}, parts.clock);
  epochs = std::make_unique<Epochs>(shared);
  SearchOptions options;
  options.limits = {.max_results = config.query.max_results,
                    .timeout = std::chrono::seconds(config.query.timeout_seconds),
                    .dimensions = config.embedding_dimension};
  options.tier_timeout = std::chrono::seconds(config.query.shard_timeout_seconds);
  options.semantic_threshold = static_cast<float>(config.query.semantic_threshold);
  options.cache = config.cache.enabled;
  options.l1_ttl = std::chrono::seconds(config.cache.local_ttl_seconds);
  options.l2_ttl = std::chrono::seconds(config.cache.redis_ttl_seconds);
  search = std::make_unique<Search>(Search::Parts{.hot = hot,
                                                  .warm = tiers->warm(),
                                                  .cold = tiers->cold(),
                                                  .embedder = *embedder,
                                                  .l1 = *l1,
                                                  .l2 = shared,
                                                  .replies = *replies,
                                                  .epochs = *epochs,
                                                  .clock = parts.clock,
                                                  .observer = &search_metrics},
                                    options);
}

Result<void> MemoryModule::Impl::make_ingestion() {
  const MemoryConfig& config = parts.config;
  const auto timeout = std::chrono::seconds(config.ingestion.timeout_seconds);
  ledger = std::make_unique<Ledger>(parts.database, parts.clock, Ledger::Options{.lease = timeout});
  Intake::Options intake_options;
  intake_options.upsert = {.deduplicate = config.deduplication.enabled,
                           .skip_near_duplicates = config.deduplication.action == "skip",
                           .near_duplicate_threshold = config.deduplication.fuzzy_threshold};
  intake = std::make_unique<Intake>(Intake::Parts{.store = tiers->front(),
                                                  .embedder = *embedder,
                                                  .work = work,
                                                  .clock = parts.clock,
                                                  .fingerprint = dedup::fingerprint,
                                                  .pressed = pressed},
                                    intake_options);
  ingest_metrics = std::make_unique<IngestMetrics>(parts.metrics);
  push = std::make_unique<Push>(*intake, *ledger, Push::Options(), ingest_metrics.get());
  if (!config.ingestion.bucket.empty()) {
    ASAHI_TRY(bucket, object::open_store({.url = config.ingestion.bucket,
                                          .region = config.ingestion.region,
                                          .endpoint = config.ingestion.endpoint,
                                          .credentials = {config.ingestion.access_key_id,
                                                          config.ingestion.secret_access_key,
                                                          {}}}));
    bucket_work = std::make_unique<boost::asio::thread_pool>(kBucketThreads);
    const object::TaskStore tasks(*bucket, *bucket_work);
    discovery = std::make_unique<Discovery>(
        *ledger, tasks,
        Discovery::Options{.at_once = config.ingestion.concurrent_discovery ? kBucketThreads : 1});
    bundles = std::make_unique<BundleReader>(
        *intake, *ledger, tasks,
        BundleReader::Options{.delete_after = config.ingestion.delete_after});
  }
  worker = std::make_unique<IngestWorker>(
      IngestWorker::Parts{*intake, *ledger, bundles.get(), discovery.get(), parts.loops.at(0),
                          parts.clock, *ingest_metrics},
      IngestWorker::Options{
          .uploads_at_once = config.ingestion.max_concurrent_ingests,
          .discovery = std::chrono::seconds(config.ingestion.poll_interval_seconds),
          .deadline = timeout});
  return {};
}

void MemoryModule::Impl::make_tools() {
  routes = std::make_shared<RouteParts>(RouteParts{.search = *search,
                                                   .epochs = *epochs,
                                                   .embedder = *embedder,
                                                   .hot = hot,
                                                   .warm = tiers->warm(),
                                                   .cold = tiers->cold(),
                                                   .push = push.get(),
                                                   .ledger = ledger.get(),
                                                   .worker = worker.get(),
                                                   .tiers = tiers.get(),
                                                   .ageing = &tiers->make_ageing(*epochs),
                                                   .has_bucket = bucket != nullptr,
                                                   .audit = parts.audit,
                                                   .clock = parts.clock});
  mcp = std::make_unique<mcp::Server>(
      mcp::ServerInfo{.name = "akosha-mcp",
                      .version = parts.version,
                      .instructions = "A memory that many agent systems share. Search it before "
                                      "you ask again; store what others should know."},
      memory::make_tools(routes, parts.config.tool_profile),
      [](const http::Context& context, std::string_view access) {
        const auto permission = identity::parse_permission(access);
        return permission && identity::principal_of(context).may(*permission);
      });
}

MemoryModule::MemoryModule(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
MemoryModule::~MemoryModule() { stop(); }

Result<std::unique_ptr<MemoryModule>> MemoryModule::make(Parts parts) {
  auto impl = std::make_unique<Impl>(std::move(parts));
  impl->embedder = std::make_unique<llm::MemoEmbedder>(
      llm::make_local_embedder(impl->parts.config.embedding_dimension), kQueryVectorsKept);
  if (auto ok = impl->open_hot(); !ok) return std::unexpected(ok.error());
  impl->make_search();
  if (auto ok = impl->make_ingestion(); !ok) return std::unexpected(ok.error());
  impl->make_tools();
  return std::unique_ptr<MemoryModule>(new MemoryModule(std::move(impl)));
}

void MemoryModule::add_routes(http::Router& router, const std::string& mount) {
  const RouteAdder routes(router, impl_->routes, mount);
  add_search_routes(routes);
  add_store_routes(routes);
  add_ingest_routes(routes);
  add_ageing_routes(routes);
  // Whoever has a credential may ask what tools there are; each tool has its own permission.
  impl_->mcp->add_routes(router, mount + "/mcp", "authenticated");
}

void MemoryModule::start() {
  impl_->worker->start();
  impl_->tiers->start();
}

void MemoryModule::begin_drain() { impl_->intake->close(); }

void MemoryModule::stop() {
  if (impl_ == nullptr || std::exchange(impl_->stopped, true)) return;
  impl_->tiers->stop(kGrace);
  impl_->worker->stop(kGrace);
}

std::vector<sql::Migration> migrations() {
  std::vector<sql::Migration> all = ledger_migrations();
  for (auto part : {cold::catalogue_migrations(), ageing::run_migrations()})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace asahi::memory
