#include "memory/wiring/fleet.h"

#include <fmt/format.h>

namespace asahi::memory {

Fleet::Fleet(Parts parts) : parts_(parts), ledger_(parts.database, parts.clock) {}

Result<std::unique_ptr<Fleet>> Fleet::make(Parts parts) {
  ASAHI_TRY(const StorePlaces places, store_places(parts.config));
  std::unique_ptr<Fleet> fleet(new Fleet(parts));
  const auto add = [&](Tier tier, const http::Origin& origin) {
    fleet->stores_.push_back(connect_store(tier, origin, places, parts.loops, parts.clock));
  };
  add(Tier::kHot, places.hot);
  if (places.warm) add(Tier::kWarm, *places.warm);
  return fleet;
}

std::vector<Dependency> Fleet::dependencies() {
  return {{.name = "ledger", .ask = [this]() -> Task<void> {
             ASAHI_CO_TRY([[maybe_unused]] const Ledger::Totals totals, co_await ledger_.queue());
             co_return Result<void>{};
           }}};
}

Aw<void> Fleet::measure() {
  if (const auto totals = co_await ledger_.queue()) {
    parts_.metrics
        .gauge("akosha_ingestion_backlog_count",
               "Uploads that wait or are in work, of all processes.")
        .set(static_cast<double>(totals->queued() + totals->in_work()));
    parts_.metrics.gauge("akosha_ingestion_workers", "Processes that hold leases.")
        .set(static_cast<double>(totals->workers));
  }
  for (const auto& store : stores_) {
    const bool answers = (co_await store->ping()).has_value();
    parts_.metrics
        .gauge(fmt::format("akosha_{}_store_health_status", tier_name(store->tier())),
               "1 while the store answers")
        .set(answers ? 1 : 0);
  }
}

}  // namespace asahi::memory
