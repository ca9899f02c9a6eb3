#include "memory/wiring/store_role.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/log.h"
#include "memory/ageing/move_gate.h"
#include "memory/hot/hot_store.h"
#include "memory/ops/tier_gauges.h"
#include "memory/rank/hot_keyword.h"
#include "memory/warm/warm_store.h"

namespace asahi::memory {
namespace {

HotOptions options_of(const std::string& folder, const MemoryConfig& config, const Clock& clock,
                      telemetry::Registry& metrics) {
  HotOptions options;
  options.engine.folder = folder;
  options.engine.group_commit = std::chrono::milliseconds(config.hot.group_commit_ms);
  options.engine.clock = &clock;
  options.engine.looked_for_duplicates = duplicate_times(metrics);
  options.engine.make_keyword = [&clock] { return rank::make_keyword_index(clock); };
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
  if (stats.opened.torn_bytes != 0 || stats.opened.damaged_records != 0) {
    logger.warning("a tier was not closed in order", {{"tier", tier_name(tier)},
                                                      {"cut_bytes", stats.opened.torn_bytes},
                                                      {"damaged", stats.opened.damaged_records}});
  }
  return store;
}

Result<std::unique_ptr<HotStore>> open_hot(const MemoryConfig& config, const Clock& clock,
                                           telemetry::Registry& metrics) {
  return told(HotStore::open(options_of(config.hot.path, config, clock, metrics)), Tier::kHot);
}

Result<std::unique_ptr<WarmStore>> open_warm(const MemoryConfig& config, const Clock& clock,
                                             telemetry::Registry& metrics) {
  return told(WarmStore::open(options_of(config.warm.path, config, clock, metrics)), Tier::kWarm);
}

}  // namespace

Result<StorePair> open_stores(const MemoryConfig& config, const Clock& clock,
                              telemetry::Registry& metrics) {
  StorePair stores;
  ASAHI_TRY(auto hot, open_hot(config, clock, metrics));
  stores.pressed = [store = hot.get()] { return store->pressed(); };
  stores.engine = &hot->engine();
  ASAHI_TRY(auto warm, open_warm(config, clock, metrics));
  stores.engines = {{"hot", [store = hot.get()] { return store->engine_stats(); }},
                    {"warm", [store = warm.get()] { return store->engine_stats(); }}};
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
