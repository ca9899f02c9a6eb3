#include "memory/module.h"

#include <boost/asio/thread_pool.hpp>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "identity/principal.h"
#include "llm/embed/text_embedder.h"
#include "memory/access/hit_keeper.h"
#include "memory/ageing/originals.h"
#include "memory/ageing/reembedding.h"
#include "memory/backup/upward_turn.h"
#include "memory/cold/sql_catalogue.h"
#include "memory/dedup/minhash.h"
#include "memory/embedding/choice.h"
#include "memory/embedding/measured.h"
#include "memory/http/routes.h"
#include "memory/http/stats_json.h"
#include "memory/ingest/bundle.h"
#include "memory/ingest/discovery.h"
#include "memory/ingest/intake.h"
#include "memory/ingest/ledger.h"
#include "memory/ingest/metrics.h"
#include "memory/ingest/push.h"
#include "memory/ingest/scan_requests.h"
#include "memory/ingest/worker.h"
#include "memory/mcp/tool_watch.h"
#include "memory/mcp/tools.h"
#include "memory/measure/measured_cache.h"
#include "memory/ops/cache_warmer.h"
#include "memory/ops/search_metrics.h"
#include "memory/search/search.h"
#include "memory/swap/mover.h"
#include "memory/wiring/buckets.h"
#include "memory/wiring/fitness.h"
#include "memory/wiring/knowledge.h"
#include "memory/wiring/ops.h"
#include "memory/wiring/outside.h"
#include "memory/wiring/store_role.h"
#include "memory/wiring/tiers.h"
#include "net/mcp/server.h"
#include "storage/cache/memory_store.h"
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

/// A bundle of the bucket whose manifest breaks rules; `error` names the first of them.
void note_bad_bundle(identity::SecurityLog& log, const UploadId& id, const Error& error) {
  log.note({.event = identity::SecurityEvent::kSchemaValidationFailure,
            .severity = identity::SecuritySeverity::kLow,
            .org_id = id.tenant,
            .resource = "upload/" + id.system_id + "/" + id.upload_id,
            .result = "denied",
            .details = {{"field", error.field}, {"reason", error.message}}});
}

}  // namespace

/// Members stand in the order they are built; they go in reverse.
struct MemoryModule::Impl {
  explicit Impl(Parts given) : parts(std::move(given)), search_metrics(parts.metrics) {}

  const Parts parts;
  const Role& role = role_of(parts.component);
  Logger logger{"memory"};
  SearchMetrics search_metrics;
  boost::asio::thread_pool work{kWorkThreads};
  std::unique_ptr<boost::asio::thread_pool> bucket_work;  ///< null: no bucket
  std::unique_ptr<llm::TextEmbedder> embedder;
  std::unique_ptr<Tiers> tiers;
  Store* hot = nullptr;                          ///< of the tiers
  swap::SwapStore* own_hot = nullptr;            ///< the hot tier; null: others keep it
  std::unique_ptr<swap::Mover> mover;            ///< of it to another backend; null: the same
  std::vector<remote::RemoteStore*> remote_hot;  ///< its nodes there
  std::vector<Dependency> hot_dependencies;      ///< there; empty: `hot` itself
  std::unique_ptr<KnowledgeWiring> knowledge;
  std::function<bool()> pressed;  ///< the hot tier's
  std::vector<std::pair<std::string, std::function<hot::EngineStats()>>> engines;
  std::unique_ptr<cache::MemoryStore> l1;
  std::unique_ptr<MeasuredCache> l2;  ///< null: there is none
  std::unique_ptr<cache::MemoryStore> replies;
  std::unique_ptr<Epochs> epochs;
  std::unique_ptr<HitKeeper> hit_keeper;  ///< null: access rules are off, or nobody searches here
  std::unique_ptr<Hits> hits;             ///< null: access rules are off
  std::unique_ptr<Search> search;
  std::unique_ptr<CacheWarmer> warmer;
  std::unique_ptr<ageing::Originals> originals;
  std::unique_ptr<ageing::Reembedding> reembedding;
  std::unique_ptr<Ledger> ledger;
  std::unique_ptr<Intake> intake;
  std::unique_ptr<IngestMetrics> ingest_metrics;
  std::unique_ptr<Push> push;
  std::unique_ptr<WatchedStore> bucket;
  std::unique_ptr<Discovery> discovery;
  std::unique_ptr<BundleReader> bundles;
  std::unique_ptr<IngestWorker> worker;
  std::unique_ptr<Outside> outside;
  std::unique_ptr<FitnessWiring> fitness;  ///< null: searches, and this, are answered elsewhere
  std::unique_ptr<ScanRequests> scans;     ///< null: one process has everything
  SharedRouteParts routes;
  std::unique_ptr<Ops> ops;
  std::unique_ptr<mcp::Server> mcp;
  bool stopped = false;

  Result<void> open_tiers();
  void make_mover(StorePair& stores);
  void make_search();
  Result<void> make_ingestion();
  void make_routes();
  Result<void> make_outside();
  Result<void> make_ops();
  void make_tools();
};

void MemoryModule::Impl::make_mover(StorePair& stores) {
  const MemoryConfig& config = parts.config;
  swap::Mover::Options options;
  options.dimensions = config.embedding_dimension;
  options.requests.revert_for = std::chrono::days(config.hot.revert_days);
  options.requests.usual_path = config.hot.path;
  options.marker = swap::marker_in(config.data_path);
  for (const std::string& folder : {config.warm.path, config.cold.path}) {
    if (folder != ":memory:") options.requests.taken.push_back(folder);
  }
  mover = std::make_unique<swap::Mover>(swap::Mover::Parts{.store = *stores.own_hot,
                                                           .database = parts.database,
                                                           .loops = parts.loops,
                                                           .work = work,
                                                           .clock = parts.clock,
                                                           .metrics = parts.metrics,
                                                           .audit = &parts.audit,
                                                           .open = std::move(stores.open_backend)},
                                        std::move(options));
  if (stores.move) mover->resume(std::move(*stores.move));
}

Result<void> MemoryModule::Impl::open_tiers() {
  const bool alone = role.component == Component::kAll;
  ASAHI_TRY(StorePair stores, alone ? open_stores(parts.config, parts.database, parts.clock,
                                                  parts.metrics, parts.loops)
                                    : connect_stores(parts.config, parts.loops, parts.clock));
  own_hot = stores.own_hot;
  if (own_hot != nullptr) make_mover(stores);
  remote_hot = stores.remote_hot;
  knowledge =
      std::make_unique<KnowledgeWiring>(KnowledgeWiring::Parts{.config = parts.config,
                                                               .loops = parts.loops,
                                                               .database = parts.database,
                                                               .metrics = parts.metrics,
                                                               .clock = parts.clock,
                                                               .shared_cache = parts.shared_cache});
  ASAHI_TRY(tiers, Tiers::open({parts.config, parts.loops, parts.database, parts.metrics,
                                parts.clock, work, alone, stores.remote_warm},
                               std::move(stores.hot), std::move(stores.warm)));
  hot = &tiers->hot();
  pressed = std::move(stores.pressed);
  engines = std::move(stores.engines);
  hot_dependencies = std::move(stores.hot_dependencies);
  return {};
}

void MemoryModule::Impl::make_search() {
  const MemoryConfig& config = parts.config;
  l1 = std::make_unique<cache::MemoryStore>(
      cache::MemoryOptions{.max_entries = config.cache.l1_size, .max_bytes = kCachedBytes},
      parts.clock);
  if (config.cache.l2_enabled && parts.shared_cache != nullptr)
    l2 = std::make_unique<MeasuredCache>(*parts.shared_cache, parts.metrics, parts.clock);
  cache::Store* const shared = l2.get();
  replies = std::make_unique<cache::MemoryStore>(
      cache::MemoryOptions{.max_entries = kRepliesKept, .max_bytes = kRepliesBytes}, parts.clock);
  epochs = std::make_unique<Epochs>(shared);
  SearchOptions options;
  options.limits = {.max_results = config.query.max_results,
                    .timeout = std::chrono::seconds(config.query.timeout_seconds),
                    .dimensions = config.embedding_dimension};
  options.tier_timeout = std::chrono::seconds(config.query.shard_timeout_seconds);
  options.hot_fallback = config.hot.fallback == "NONE" ? HotFallback::kNone : HotFallback::kWarm;
  options.semantic_threshold = static_cast<float>(config.query.semantic_threshold);
  // Without a shared number of changes this process would not hear of what others write.
  options.cache = config.cache.enabled && (role.component == Component::kAll || shared != nullptr);
  if (role.queries && config.cache.enabled && !options.cache)
    logger.warning("answers are not cached: without Redis nobody tells this process of changes");
  options.l1_ttl = std::chrono::seconds(config.cache.local_ttl_seconds);
  options.l2_ttl = std::chrono::seconds(config.cache.redis_ttl_seconds);
  if (config.aging.access_rules.enabled) {
    hits = std::make_unique<Hits>(parts.database);
    if (role.queries) {
      hit_keeper = std::make_unique<HitKeeper>(
          HitKeeper::Parts{parts.database, parts.loops.at(0), parts.clock, parts.metrics});
    }
  }
  search = std::make_unique<Search>(
      Search::Parts{.hot = hot,
                    .warm = tiers->warm(),
                    .cold = tiers->cold(),
                    .embedder = *embedder,
                    .l1 = *l1,
                    .l2 = shared,
                    .replies = *replies,
                    .epochs = *epochs,
                    .clock = parts.clock,
                    .observer = &search_metrics,
                    .hits = hit_keeper == nullptr ? nullptr : &hit_keeper->counter()},
      options);
  CacheWarmer::Options warming;
  warming.most = config.cache.warm_searches;
  // Half of the cache stays for what is asked meanwhile.
  warming.in_all = std::max<std::size_t>(config.cache.l1_size / 2, 1);
  warmer = std::make_unique<CacheWarmer>(
      CacheWarmer::Parts{*search, parts.database, parts.clock, parts.metrics}, warming);
}

Result<void> MemoryModule::Impl::make_ingestion() {
  const MemoryConfig& config = parts.config;
  const auto timeout = std::chrono::seconds(config.ingestion.timeout_seconds);
  ledger = std::make_unique<Ledger>(parts.database, parts.clock, Ledger::Options{.lease = timeout});
  Intake::Options intake_options;
  intake_options.guess_language = config.ingestion.guess_language;
  intake_options.upsert = {.deduplicate = config.deduplication.enabled,
                           .skip_near_duplicates = config.deduplication.action == "skip",
                           .near_duplicate_threshold = config.deduplication.fuzzy_threshold};
  intake = std::make_unique<Intake>(
      Intake::Parts{
          .store = tiers->front(),
          .embedder = *embedder,
          .work = work,
          .clock = parts.clock,
          .fingerprint = dedup::fingerprint,
          .pressed = pressed,
          .changed = [this](std::string tenant) { return epochs->bump(std::move(tenant)); }},
      intake_options);
  ingest_metrics = std::make_unique<IngestMetrics>(parts.metrics, parts.clock);
  push = std::make_unique<Push>(*intake, *ledger, Push::Options(), ingest_metrics.get());
  if (role.component != Component::kAll)
    scans = std::make_unique<ScanRequests>(parts.database, parts.loops.at(0), parts.clock);
  if (!role.ingests) return {};
  if (!config.ingestion.bucket.empty()) {
    ASAHI_TRY(auto opened, open_bucket(config, config.ingestion.bucket));
    bucket =
        std::make_unique<WatchedStore>(std::move(opened), "bucket", parts.metrics, parts.clock);
    bucket_work = std::make_unique<boost::asio::thread_pool>(kBucketThreads);
    const object::TaskStore tasks(*bucket, *bucket_work);
    discovery = std::make_unique<Discovery>(
        *ledger, tasks,
        Discovery::Options{.at_once = config.ingestion.concurrent_discovery ? kBucketThreads : 1});
    bundles = std::make_unique<BundleReader>(
        *intake, *ledger, tasks,
        BundleReader::Options{
            .delete_after = config.ingestion.delete_after,
            .refused = [log = parts.security](const UploadId& id, const Error& error) {
              if (log != nullptr) note_bad_bundle(*log, id, error);
            }});
  }
  worker = std::make_unique<IngestWorker>(
      IngestWorker::Parts{*intake, *ledger, bundles.get(), discovery.get(), parts.loops.at(0),
                          parts.clock, *ingest_metrics},
      IngestWorker::Options{
          .uploads_at_once = config.ingestion.max_concurrent_ingests,
          .discovery = std::chrono::seconds(config.ingestion.poll_interval_seconds),
          .deadline = timeout,
          .keep_bundles = std::chrono::hours(24 * config.ingestion.bundle_retention_days),
          .name = config.instance_id});
  return {};
}

void MemoryModule::Impl::make_routes() {
  originals = std::make_unique<ageing::Originals>(parts.database);
  const fitness::Fitness* const traces = fitness ? &fitness->fitness() : nullptr;
  std::vector<Store*> embedded{hot};
  if (Store* const warm = tiers->warm()) embedded.push_back(warm);
  reembedding = std::make_unique<ageing::Reembedding>(
      ageing::Reembedding::Parts{
          .stores = std::move(embedded),
          .embedder = *embedder,
          .database = parts.database,
          .loop = parts.loops.at(0),
          .clock = parts.clock,
          .metrics = parts.metrics,
          .changed = [this](std::string tenant) { return epochs->bump(std::move(tenant)); }},
      ageing::ReembeddingOptions{
          .per_second = static_cast<std::size_t>(parts.config.embedding.reembed_per_second)});
  routes = std::make_shared<RouteParts>(RouteParts{.search = *search,
                                                   .warmer = *warmer,
                                                   .epochs = *epochs,
                                                   .embedder = *embedder,
                                                   .hot = hot,
                                                   .warm = tiers->warm(),
                                                   .cold = tiers->cold(),
                                                   .push = push.get(),
                                                   .ledger = ledger.get(),
                                                   .worker = worker.get(),
                                                   .scans = scans.get(),
                                                   .knowledge = &knowledge->knowledge(),
                                                   .fitness = traces,
                                                   .tiers = tiers.get(),
                                                   .mover = mover.get(),
                                                   .ageing = &tiers->make_ageing(*epochs),
                                                   .orchestrator = outside->orchestrator(),
                                                   .reembedding = reembedding.get(),
                                                   .originals = originals.get(),
                                                   .hits = hits.get(),
                                                   .has_bucket = bucket != nullptr,
                                                   .audit = parts.audit,
                                                   .metrics = parts.metrics,
                                                   .clock = parts.clock,
                                                   .security = parts.security});
}

void MemoryModule::Impl::make_tools() {
  mcp = std::make_unique<mcp::Server>(
      mcp::ServerInfo{.name = "akosha-mcp",
                      .version = parts.version,
                      .instructions = "A memory that many agent systems share. Search it before "
                                      "you ask again; store what others should know."},
      memory::make_tools(routes, parts.config.tool_profile, ops->health_tools()),
      [](const http::Context& context, std::string_view access) {
        const auto permission = identity::parse_permission(access);
        return permission && identity::principal_of(context).may(*permission);
      },
      parts.security == nullptr ? mcp::Server::Watch() : watch_tools(*parts.security));
}

Result<void> MemoryModule::Impl::make_outside() {
  ASAHI_TRY(
      outside,
      Outside::make(
          {.config = parts.config,
           .loops = parts.loops,
           .database = parts.database,
           .metrics = parts.metrics,
           .clock = parts.clock,
           .version = parts.version,
           .ingest = worker == nullptr ? std::function<void()>{} : [this] { worker->trigger(); },
           .notice = discovery == nullptr
                         ? std::function<Task<bool>(std::string)>{}
                         : [this](std::string key) { return discovery->notice(std::move(key)); }}));
  if (!role.queries) return {};
  ASAHI_TRY(fitness, FitnessWiring::make({parts.config, parts.loops, parts.database, parts.metrics,
                                          parts.clock, parts.version}));
  return {};
}

Result<void> MemoryModule::Impl::make_ops() {
  ASAHI_TRY(ops, Ops::make({.config = parts.config,
                            .loops = parts.loops,
                            .database = parts.database,
                            .shared_cache = parts.shared_cache,
                            .l1 = l1.get(),
                            .metrics = parts.metrics,
                            .clock = parts.clock,
                            .gate = parts.gate,
                            .auth_required = parts.auth_required,
                            .settings = parts.settings,
                            .version = parts.version,
                            .ingest_metrics = *ingest_metrics,
                            .search_metrics = search_metrics,
                            .bucket = bucket.get(),
                            .engines = engines,
                            .outside = *outside,
                            .routes = routes,
                            .shut_down = parts.shut_down,
                            .shutdown_token = parts.shutdown_token,
                            .searches = role.queries,
                            .alone = role.component == Component::kAll}));
  return {};
}

MemoryModule::MemoryModule(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
MemoryModule::~MemoryModule() { stop(); }

Result<std::unique_ptr<MemoryModule>> MemoryModule::make(Parts parts) {
  auto impl = std::make_unique<Impl>(std::move(parts));
  impl->embedder = std::make_unique<llm::MemoEmbedder>(
      std::make_unique<MeasuredEmbedder>(choose_embedder(impl->parts.config).embedder,
                                         impl->parts.metrics, impl->parts.clock),
      kQueryVectorsKept);
  if (auto ok = impl->open_tiers(); !ok) return std::unexpected(ok.error());
  impl->make_search();
  if (auto ok = impl->make_ingestion(); !ok) return std::unexpected(ok.error());
  if (auto ok = impl->make_outside(); !ok) return std::unexpected(ok.error());
  impl->make_routes();
  if (auto ok = impl->make_ops(); !ok) return std::unexpected(ok.error());
  impl->make_tools();
  return std::unique_ptr<MemoryModule>(new MemoryModule(std::move(impl)));
}

void MemoryModule::add_routes(http::Router& router, const std::string& mount) {
  const RouteAdder routes(router, impl_->routes, mount);
  add_ingest_routes(routes);
  if (!impl_->role.queries) return;
  add_search_routes(routes);
  add_store_routes(routes);
  add_ageing_routes(routes);
  add_embedding_routes(routes);
  add_backend_routes(routes);
  impl_->ops->add_routes(router, mount);
  add_knowledge_routes(routes);
  add_fitness_routes(routes);
  // Whoever has a credential may ask what tools there are; each tool has its own permission.
  impl_->mcp->add_routes(router, mount + "/mcp", "authenticated");
}

void MemoryModule::add_live_routes(http::Router& router) { impl_->ops->add_live_routes(router); }

std::vector<Dependency> MemoryModule::dependencies() {
  std::vector<Dependency> all = impl_->hot_dependencies;
  if (all.empty()) all.push_back(answers(*impl_->hot));
  if (Store* const warm = impl_->tiers->warm()) all.push_back(answers(*warm));
  all.push_back({"ledger", true, [ledger = impl_->ledger.get()]() -> Task<void> {
                   ASAHI_CO_TRY([[maybe_unused]] const Ledger::Totals totals,
                                co_await ledger->queue());
                   co_return Result<void>{};
                 }});
  return all;
}

void MemoryModule::start() {
  if (impl_->mover != nullptr) impl_->mover->start();
  if (impl_->worker != nullptr) impl_->worker->start();
  if (impl_->worker != nullptr && impl_->scans != nullptr && impl_->bucket != nullptr) {
    impl_->scans->answer(
        [worker = impl_->worker.get()](UploadPriority priority, const std::string& system) {
          worker->trigger(priority, system);
        });
  }
  // In other roles memories age elsewhere; here runs are only asked for.
  if (impl_->role.component == Component::kAll) impl_->tiers->start();
  impl_->tiers->start_replicas();
  // Who takes memories in has the embedder at work; other roles ask for runs only.
  if (impl_->role.ingests) impl_->reembedding->start();
  if (impl_->hit_keeper != nullptr) impl_->hit_keeper->start();
  impl_->outside->start();
  if (impl_->fitness != nullptr) impl_->fitness->start();
  impl_->ops->start();
  // Who takes memories in derives from them; whoever else asks finds rows.
  if (impl_->own_hot != nullptr) {
    impl_->knowledge->follow(*impl_->own_hot, stores_of(*impl_->routes));
  } else if (impl_->role.ingests) {
    for (remote::RemoteStore* const node : impl_->remote_hot)
      impl_->knowledge->follow(*node, stores_of(*impl_->routes));
  }
}

void MemoryModule::begin_drain() { impl_->intake->close(); }

void MemoryModule::stop() {
  if (impl_ == nullptr || std::exchange(impl_->stopped, true)) return;
  impl_->tiers->stop(kGrace);
  if (impl_->scans != nullptr) impl_->scans->stop();
  if (impl_->worker != nullptr) impl_->worker->stop(kGrace);
  impl_->reembedding->stop(kGrace);
  if (impl_->hit_keeper != nullptr) impl_->hit_keeper->stop();
  impl_->outside->stop();
  if (impl_->fitness != nullptr) impl_->fitness->stop();
  impl_->ops->stop();
  impl_->knowledge->stop();
  if (impl_->mover != nullptr) impl_->mover->stop();
}

std::vector<sql::Migration> migrations() {
  std::vector<sql::Migration> all = ledger_migrations();
  for (const auto& part :
       {std::vector{frequent_migration(), upward_turn_migration()}, cold::catalogue_migrations(),
        ageing::run_migrations(), ageing::originals_migrations(), hit_migrations(),
        knowledge::migrations(), ops_migrations(), outside_migrations(), fitness_migrations(),
        swap::migrations()})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace asahi::memory
