#include "memory/wiring/store_role.h"

#include <fmt/format.h>

#include "base/log.h"
#include "memory/hot/hot_store.h"
#include "memory/rank/hot_keyword.h"

namespace asahi::memory {

Result<std::unique_ptr<Store>> open_hot_tier(const MemoryConfig& config, const Clock& clock) {
  HotOptions options;
  options.engine.folder = config.hot.path;
  options.engine.group_commit = std::chrono::milliseconds(config.hot.group_commit_ms);
  options.engine.clock = &clock;
  options.engine.make_keyword = [&clock] { return rank::make_keyword_index(clock); };
  ASAHI_TRY(auto opened, HotStore::open(std::move(options)));
  const hot::OpenReport report = opened->engine_stats().opened;
  if (report.torn_bytes != 0 || report.damaged_records != 0) {
    Logger("memory").warning(
        "the hot tier was not closed in order",
        {{"cut_bytes", report.torn_bytes}, {"damaged", report.damaged_records}});
  }
  return opened;
}

StoreRole::StoreRole(Parts parts, remote::StoreSecrets secrets, std::unique_ptr<Store> store)
    : metrics_(parts.metrics),
      store_(std::move(store)),
      api_(*store_, parts.clock, parts.metrics,
           {.secrets = std::move(secrets),
            .snapshot_folder = parts.config.data_path + "/snapshots"}) {}

Result<std::unique_ptr<StoreRole>> StoreRole::hot(Parts parts) {
  const auto& stores = parts.config.stores;
  remote::StoreSecrets secrets{.current = stores.secret, .previous = stores.secret_previous};
  if (auto ok = remote::check_secrets(secrets); !ok) return std::unexpected(ok.error());
  if (secrets.current.empty() && !remote::is_loopback(parts.config.api.host)) {
    return fail_field("memory.stores.secret",
                      fmt::format("a store that listens on {} needs AKOSHA_STORE_SECRET; 'akosha "
                                  "secrets generate' prints one",
                                  parts.config.api.host));
  }
  ASAHI_TRY(auto store, open_hot_tier(parts.config, parts.clock));
  return std::make_unique<StoreRole>(parts, std::move(secrets), std::move(store));
}

std::vector<Dependency> StoreRole::dependencies() {
  return {{.name = std::string(tier_name(store_->tier())), .check = [this]() -> Task<void> {
             ASAHI_CO_TRY([[maybe_unused]] const TierStats stats, co_await store_->stats(""));
             co_return Result<void>{};
           }}};
}

Aw<void> StoreRole::measure() {
  const auto stats = co_await store_->stats("");
  if (!stats) co_return;
  const std::string tier(tier_name(store_->tier()));
  metrics_
      .gauge(fmt::format("akosha_{}_store_size_bytes", tier), "Bytes that the tier takes on disk")
      .set(static_cast<double>(stats->bytes));
  metrics_.gauge(fmt::format("akosha_{}_store_record_count", tier), "Memories of the tier")
      .set(static_cast<double>(stats->records));
}

}  // namespace asahi::memory
