#include "memory/wiring/store_role.h"

#include <fmt/format.h>

#include <cstring>
#include <filesystem>

#include "base/hash.h"
#include "base/log.h"
#include "memory/ageing/move_gate.h"
#include "memory/hot/hot_store.h"
#include "memory/ops/tier_gauges.h"
#include "memory/pgvector/store.h"
#include "memory/rank/hot_keyword.h"
#include "memory/swap/whereabouts.h"
#include "memory/warm/warm_store.h"
#include "memory/wiring/feeds.h"

namespace asahi::memory {
namespace {

/// 32 bytes as 64 hex digits or base64. Errors: invalid_argument; the key is not shown.
Result<Digest256> read_key(const std::string& field, std::string_view text) {
  Digest256 key{};
  std::optional<std::string> bytes;
  if (text.size() == 2 * key.size()) {
    bytes = from_hex(text);
  } else {
    while (text.ends_with('=')) text.remove_suffix(1);
    bytes = base64url_decode(text);
  }
  if (!bytes || bytes->size() != key.size()) {
    return fail_field(field, fmt::format("{} must be 32 random bytes: 64 hex digits, or base64 as "
                                         "'akosha secrets generate' prints them",
                                         field));
  }
  std::memcpy(key.data(), bytes->data(), key.size());
  return key;
}

/// Sets the keys of a tier's files. One in memory has none.
Result<void> set_keys(const MemoryConfig& config, const std::string& folder,
                      hot::LogOptions& options) {
  if (folder == ":memory:") return {};
  if (!config.encryption_key.empty()) {
    ASAHI_TRY(options.key, read_key("memory.encryption_key", config.encryption_key.reveal()));
  }
  std::string_view rest = config.encryption_key_previous.reveal();
  while (!rest.empty()) {
    std::string_view one = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), one.size() + 1));
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    if (one.empty()) continue;
    ASAHI_TRY(const Digest256 key, read_key("memory.encryption_key_previous", one));
    options.previous_keys.push_back(key);
  }
  return {};
}

Result<HotOptions> options_of(const std::string& folder, const MemoryConfig& config,
                              const Clock& clock, telemetry::Registry& metrics) {
  HotOptions options;
  options.engine.folder = folder;
  options.engine.group_commit = std::chrono::milliseconds(config.hot.group_commit_ms);
  options.engine.clock = &clock;
  options.engine.looked_for_duplicates = duplicate_times(metrics);
  options.engine.make_keyword = [&clock] { return rank::make_keyword_index(clock); };
  if (auto ok = set_keys(config, folder, options.engine.log); !ok)
    return std::unexpected(ok.error());
  return options;
}

/// Says what a tier found when it was opened, or names it in the error.
template <class T>
Result<std::unique_ptr<T>> told(Result<std::unique_ptr<T>> store, Tier tier) {
  if (!store) {
    store.error().message = fmt::format("the {} tier: {}", tier_name(tier), store.error().message);
    return store;
  }
  const Logger logger("memory");
  const hot::EngineStats stats = (*store)->engine_stats();
  logger.info("tier opened", {{"tier", tier_name(tier)},
                              {"records", stats.opened.records},
                              {"words_from_checkpoint", stats.restored_rows},
                              {"links_from_checkpoint", stats.restored_links}});
  if (stats.stale_segments != 0) {
    logger.info("files of the log are in the clear or under a former key, and are written anew",
                {{"tier", tier_name(tier)}, {"files", stats.stale_segments}});
  }
  if (stats.opened.torn_bytes != 0 || stats.opened.damaged_records != 0) {
    logger.warning("a tier was not closed in order", {{"tier", tier_name(tier)},
                                                      {"cut_bytes", stats.opened.torn_bytes},
                                                      {"damaged", stats.opened.damaged_records}});
  }
  return store;
}

Result<std::unique_ptr<HotStore>> open_hot(const MemoryConfig& config, const Clock& clock,
                                           telemetry::Registry& metrics) {
  ASAHI_TRY(HotOptions options, options_of(config.hot.path, config, clock, metrics));
  return told(HotStore::open(std::move(options)), Tier::kHot);
}

/// The hot tier in PostgreSQL: at the place's address, in `memory.hot.pg_url`, or in `database`.
Result<std::unique_ptr<PgVectorStore>> open_postgres(const swap::Place& place,
                                                     const MemoryConfig& config,
                                                     sql::Database& database, const Clock& clock) {
  ASAHI_TRY(Secret url, swap::read_url(place));
  if (url.empty()) url = config.hot.pg_url;
  std::shared_ptr<sql::Database> used(&database, [](sql::Database*) {});
  if (!url.empty()) {
    ASAHI_TRY(used,
              sql::open_database({.url = url.reveal(),
                                  .data_dir = config.data_path,
                                  .pool_size = static_cast<std::size_t>(config.hot.pg_pool_size)}));
  }
  auto store = PgVectorStore::open(std::move(used),
                                   {.dimensions = config.embedding_dimension, .clock = &clock});
  if (!store) store.error().message = "the hot tier: " + store.error().message;
  return store;
}

swap::Place configured_place(const MemoryConfig& config) {
  swap::Place place{.backend = config.hot.backend, .path = {}, .url_file = {}, .url_env = {}};
  if (place.backend != "pgvector") place.path = config.hot.path;
  return place;
}

/// What opens a hot tier, now and for moves later.
swap::Mover::Open opener(const MemoryConfig& config, sql::Database& database, const Clock& clock,
                         telemetry::Registry& metrics, net::LoopPool& loops) {
  return [&](const swap::Place& place) -> Result<swap::SharedBackend> {
    auto backend = std::make_shared<swap::Backend>();
    backend->place = place;
    if (place.backend == "pgvector") {
      ASAHI_TRY(auto store, open_postgres(place, config, database, clock));
      backend->feed = feed_of(*store, {}, loops);
      backend->store = std::move(store);
      return backend;
    }
    ASAHI_TRY(HotOptions options, options_of(place.path, config, clock, metrics));
    ASAHI_TRY(auto store, told(HotStore::open(std::move(options)), Tier::kHot));
    backend->feed = feed_of(store->engine(), {}, loops);
    backend->pressed = [raw = store.get()] { return raw->pressed(); };
    backend->engine = [raw = store.get()] { return raw->engine_stats(); };
    backend->store = std::move(store);
    return backend;
  };
}

Result<std::unique_ptr<WarmStore>> open_warm(const MemoryConfig& config, const Clock& clock,
                                             telemetry::Registry& metrics) {
  ASAHI_TRY(HotOptions options, options_of(config.warm.path, config, clock, metrics));
  return told(WarmStore::open(std::move(options)), Tier::kWarm);
}

}  // namespace

Result<StorePair> open_stores(const MemoryConfig& config, sql::Database& database,
                              const Clock& clock, telemetry::Registry& metrics,
                              net::LoopPool& loops) {
  StorePair stores;
  stores.open_backend = opener(config, database, clock, metrics, loops);
  swap::Records records(database, swap::marker_in(config.data_path));
  ASAHI_TRY(swap::Whereabouts found,
            swap::find_hot(records, configured_place(config), stores.open_backend, clock));
  const bool engine = static_cast<bool>(found.backend->engine);
  auto hot = std::make_unique<swap::SwapStore>(std::move(found.backend), clock, metrics,
                                               swap::SwapStore::Options{});
  stores.own_hot = hot.get();
  stores.move = std::move(found.move);
  stores.pressed = [store = hot.get()] { return store->pressed(); };
  ASAHI_TRY(auto warm, open_warm(config, clock, metrics));
  if (engine)
    stores.engines.emplace_back("hot", [store = hot.get()] { return store->engine_stats(); });
  stores.engines.emplace_back("warm", [store = warm.get()] { return store->engine_stats(); });
  stores.hot = std::move(hot);
  stores.warm = std::move(warm);
  return stores;
}

StoreRole::StoreRole(Parts parts, remote::StoreApi::Options api, std::unique_ptr<Store> store,
                     std::unique_ptr<PlacementRecord> placement)
    : metrics_(parts.metrics),
      placement_(std::move(placement)),
      store_(std::move(store)),
      api_(*store_, parts.clock, parts.metrics, std::move(api)) {}

Result<std::unique_ptr<StoreRole>> StoreRole::open(Tier tier, Parts parts) {
  const auto& stores = parts.config.stores;
  remote::StoreSecrets secrets{.current = stores.secret, .previous = stores.secret_previous};
  if (auto ok = remote::check_secrets(secrets); !ok) return std::unexpected(ok.error());
  if (secrets.current.empty() && !remote::is_loopback(parts.config.api.host)) {
    return fail_field("memory.stores.secret",
                      fmt::format("a store that listens on {} needs AKOSHA_STORE_SECRET; 'akosha "
                                  "secrets generate' prints one",
                                  parts.config.api.host));
  }
  if (tier == Tier::kHot && parts.config.hot.backend == "pgvector") {
    return fail_field("memory.hot.backend",
                      "'pgvector' keeps the hot tier of the whole memory in one process "
                      "(AKOSHA_COMPONENT=all); a hot_store keeps its own files: duckdb-ssd");
  }
  const std::string& folder = tier == Tier::kHot ? parts.config.hot.path : parts.config.warm.path;
  remote::StoreApi::Options api{.secrets = std::move(secrets),
                                .snapshot_folder = parts.config.data_path + "/snapshots",
                                .store_folder = folder};
  std::unique_ptr<Store> store;
  std::function<hot::EngineStats()> engine;
  if (tier == Tier::kHot) {
    ASAHI_TRY(auto hot, open_hot(parts.config, parts.clock, parts.metrics));
    engine = [raw = hot.get()] { return raw->engine_stats(); };
    api.followed = &hot->engine();
    api.pressed = [raw = hot.get()] { return raw->pressed(); };
    store = std::move(hot);
  } else {
    ASAHI_TRY(auto warm, open_warm(parts.config, parts.clock, parts.metrics));
    engine = [raw = warm.get()] { return raw->engine_stats(); };
    store = std::move(warm);
  }
  // Copies whose caller died before it had them.
  std::error_code ignored;
  std::filesystem::remove_all(api.snapshot_folder, ignored);
  // Here, where all erasures and moves of the tier come by.
  auto gated = std::make_unique<ageing::MoveGate>(std::move(store), parts.clock);
  if (tier != Tier::kHot) {
    auto role = std::make_unique<StoreRole>(parts, std::move(api), std::move(gated));
    role->engine_ = std::move(engine);
    role->environment_ = parts.config.environment;
    role->folder_ = folder;
    return role;
  }
  ASAHI_TRY(auto placement, PlacementRecord::open(parts.config.hot.path));
  api.placement = placement.get();
  auto placed = std::make_unique<PlacedStore>(std::move(gated), *placement);
  auto role =
      std::make_unique<StoreRole>(parts, std::move(api), std::move(placed), std::move(placement));
  role->engine_ = std::move(engine);
  return role;
}

std::vector<Dependency> StoreRole::dependencies() { return {answers(*store_)}; }

Aw<void> StoreRole::measure() {
  const auto stats = co_await store_->stats("");
  if (!stats) co_return;
  const std::string tier(tier_name(store_->tier()));
  metrics_
      .gauge(fmt::format("akosha_{}_store_size_bytes", tier), "Bytes that the tier takes on disk")
      .set(static_cast<double>(stats->bytes));
  metrics_.gauge(fmt::format("akosha_{}_store_record_count", tier), "Memories of the tier")
      .set(static_cast<double>(stats->records));
  if (engine_) tell_engine(metrics_, tier, engine_());
  if (folder_.empty()) co_return;
  WarmStorage warm{.environment = environment_,
                   .folder = folder_,
                   .bytes = stats->bytes,
                   .records = stats->records};
  std::error_code failed;
  // One call of the kernel about a file system that this process writes to all the time.
  const auto space = std::filesystem::space(folder_, failed);
  if (!failed) {
    warm.capacity = space.capacity;
    warm.available = space.available;
  }
  tell_warm_storage(metrics_, warm);
}

}  // namespace asahi::memory
