#include "memory/wiring/roles.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "memory/wiring/hot_nodes.h"

namespace asahi::memory {
namespace {

constexpr std::uint16_t kPublic = 8000, kMetrics = 8000, kIngestion = 8001, kHot = 8002,
                        kWarm = 8003, kLite = 8682;

constexpr std::array<Role, 7> kRoles = {{
    {.component = Component::kAll,
     .name = "all",
     .about = "everything in one process",
     .api_port = kLite,
     .metrics_port = kLite,
     .ingests = true,
     .queries = true},
    {.component = Component::kIngestionWorker,
     .name = "ingestion_worker",
     .about = "takes uploads and pushes in",
     .api_port = kIngestion,
     .metrics_port = kMetrics,
     .ingests = true},
    {.component = Component::kQueryServer,
     .name = "query_server",
     .about = "answers REST and MCP",
     .api_port = kPublic,
     .metrics_port = kPublic,
     .queries = true},
    {.component = Component::kHotStore,
     .name = "hot_store",
     .about = "keeps the hot tier",
     .api_port = kHot,
     .metrics_port = kMetrics,
     .keeps_store = true},
    {.component = Component::kWarmStore,
     .name = "warm_store",
     .about = "keeps the warm tier",
     .api_port = kWarm,
     .metrics_port = kMetrics,
     .keeps_store = true},
    {.component = Component::kAgingService,
     .name = "aging_service",
     .about = "moves memories to the next tier",
     .api_port = 0,
     .metrics_port = kMetrics},
    {.component = Component::kMetricsExporter,
     .name = "metrics_exporter",
     .about = "measures the fleet",
     .api_port = 0,
     .metrics_port = kMetrics},
}};

}  // namespace

std::span<const Role> roles() { return kRoles; }

const Role& role_of(Component component) { return kRoles[static_cast<std::size_t>(component)]; }

std::optional<Component> parse_component(std::string_view name) {
  const auto found = std::ranges::find(kRoles, name, &Role::name);
  if (found == kRoles.end()) return std::nullopt;
  return found->component;
}

std::string component_names() {
  std::string names;
  for (const Role& role : kRoles)
    names += fmt::format("{}{}", names.empty() ? "" : ", ", role.name);
  return names;
}

Result<StorePlaces> store_places(const MemoryConfig& config) {
  const auto& stores = config.stores;
  remote::StoreSecrets secrets{.current = stores.secret, .previous = stores.secret_previous};
  if (auto ok = remote::check_secrets(secrets); !ok) return std::unexpected(ok.error());
  ASAHI_TRY(HotList hot, parse_hot_list("memory.stores.hot_url", stores.hot_url, secrets));
  StorePlaces places{.secrets = std::move(secrets),
                     .ca_file = stores.ca_file,
                     .hot_before = {},
                     .warm = {},
                     .hot = std::move(hot)};
  if (!stores.hot_url_previous.empty()) {
    ASAHI_TRY(places.hot_before, parse_hot_list("memory.stores.hot_url_previous",
                                                stores.hot_url_previous, places.secrets));
  }
  if (!stores.warm_url.empty()) {
    ASAHI_TRY(places.warm,
              remote::store_origin("memory.stores.warm_url", stores.warm_url, places.secrets));
  }
  return places;
}

std::unique_ptr<remote::RemoteStore> connect_store(Tier tier, const http::Origin& origin,
                                                   const StorePlaces& places, net::LoopPool& loops,
                                                   const Clock& clock) {
  remote::RemoteStore::Options options;
  options.tier = tier;
  options.origin = origin;
  options.secrets = places.secrets;
  options.ca_file = places.ca_file;
  return std::make_unique<remote::RemoteStore>(loops, clock, std::move(options));
}

Result<StorePair> connect_stores(const MemoryConfig& config, net::LoopPool& loops,
                                 const Clock& clock) {
  ASAHI_TRY(const StorePlaces places, store_places(config));
  StorePair stores;
  ASAHI_TRY(HotNodes nodes, connect_hot(config, places, loops, clock));
  stores.hot = std::move(nodes.store);
  stores.hot_dependencies = std::move(nodes.dependencies);
  stores.remote_hot = std::move(nodes.stores);
  // A batch goes to all nodes that have a part of it: the slowest sets the pace.
  stores.pressed = [all = stores.remote_hot] {
    return std::ranges::any_of(all, &remote::RemoteStore::pressed);
  };
  if (!places.warm) return stores;
  auto warm = connect_store(Tier::kWarm, *places.warm, places, loops, clock);
  stores.remote_warm = warm.get();
  stores.warm = std::move(warm);
  return stores;
}

Dependency answers(Store& store) {
  return {std::string(tier_name(store.tier())), true, [&store]() -> Task<void> {
            ASAHI_CO_TRY([[maybe_unused]] const TierStats stats, co_await store.stats(""));
            co_return Result<void>{};
          }};
}

}  // namespace asahi::memory
