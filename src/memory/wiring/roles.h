#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "memory/config.h"
#include "memory/hot/engine.h"
#include "memory/model/store.h"
#include "memory/ops/health.h"
#include "memory/placement/placement.h"
#include "memory/remote/remote_store.h"
#include "memory/swap/mover.h"
#include "net/loop.h"

/// Which part of the memory a process is, and what of the module that part needs.
namespace asahi::memory {

/// Spec §2.1; AKOSHA_COMPONENT.
enum class Component : std::uint8_t {
  kAll,
  kIngestionWorker,
  kQueryServer,
  kHotStore,
  kWarmStore,
  kAgingService,
  kMetricsExporter,
};

struct Role {
  Component component;
  std::string_view name;
  std::string_view about;
  std::uint16_t api_port;      ///< unless configured; 0: it serves nothing but its metrics
  std::uint16_t metrics_port;  ///< unless configured; the same: both on one listener
  bool keeps_store = false;    ///< the only writer of a tier; serves the internal store API
  bool ingests = false;        ///< takes uploads from the bucket
  bool queries = false;        ///< searches, MCP, everything public
  bool has_users() const { return ingests || queries; }
};
std::span<const Role> roles();
const Role& role_of(Component component);
std::optional<Component> parse_component(std::string_view name);
/// "all, ingestion_worker, …".
std::string component_names();

/// Where a role that keeps no store of its own finds those of others: settings as origins and
/// secrets. Errors: invalid_argument naming the setting.
struct HotAddress {
  Node node;
  http::Origin origin;
};
/// The nodes of the hot tier, one at least.
struct HotList {
  std::vector<HotAddress> addresses;
  Placement placement;
};
struct StorePlaces {
  remote::StoreSecrets secrets;
  std::string ca_file;
  std::optional<HotList> hot_before;  ///< where memories may lie still; nothing: as `hot`
  std::optional<http::Origin> warm;   ///< nothing: there is none
  HotList hot;
};
Result<StorePlaces> store_places(const MemoryConfig& config);
std::unique_ptr<remote::RemoteStore> connect_store(Tier tier, const http::Origin& origin,
                                                   const StorePlaces& places, net::LoopPool& loops,
                                                   const Clock& clock);

/// The tiers that are kept as rows.
struct StorePair {
  std::unique_ptr<Store> hot;
  std::unique_ptr<Store> warm;  ///< null: there is none
  /// The hot tier's log or index is behind, or it said so of late.
  std::function<bool()> pressed;
  /// What tiers of this process tell of their indexes, by tier.
  std::vector<std::pair<std::string, std::function<hot::EngineStats()>>> engines;
  swap::SwapStore* own_hot = nullptr;  ///< the hot tier of this process; null: elsewhere
  std::optional<swap::Move> move;      ///< of it to another backend, that goes on or was the last
  swap::Mover::Open open_backend;      ///< for further moves
  /// Of the hot tier in other processes, for readiness; empty: ask the tier itself.
  std::vector<Dependency> hot_dependencies;
  /// The nodes of `hot`, and `warm`, where they are in other processes.
  std::vector<remote::RemoteStore*> remote_hot;
  remote::RemoteStore* remote_warm = nullptr;
};
/// Those of other processes. Ordinary thread, while the loops run. Errors: as store_places and
/// connect_hot.
Result<StorePair> connect_stores(const MemoryConfig& config, net::LoopPool& loops,
                                 const Clock& clock);

/// That a store answers; it outlives this.
Dependency answers(Store& store);

}  // namespace asahi::memory
