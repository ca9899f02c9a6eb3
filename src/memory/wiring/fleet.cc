#include "memory/wiring/fleet.h"

#include <fmt/format.h>

#include <map>

namespace asahi::memory {

Fleet::Fleet(Parts parts) : parts_(parts), ledger_(parts.database, parts.clock) {}

Result<std::unique_ptr<Fleet>> Fleet::make(Parts parts) {
  ASAHI_TRY(const StorePlaces places, store_places(parts.config));
  std::unique_ptr<Fleet> fleet(new Fleet(parts));
  const auto add = [&](Tier tier, const http::Origin& origin) {
    fleet->stores_.push_back(connect_store(tier, origin, places, parts.loops, parts.clock));
  };
  for (const HotAddress& address : places.hot.addresses) {
    add(Tier::kHot, address.origin);
    fleet->names_.push_back(address.node.name);
  }
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
  std::map<std::string_view, bool> all_answer;
  for (std::size_t i = 0; i < stores_.size(); ++i) {
    const std::string_view tier = tier_name(stores_[i]->tier());
    const bool answers = (co_await stores_[i]->ping()).has_value();
    const auto [at, first] = all_answer.try_emplace(tier, answers);
    at->second = at->second && answers;
    if (names_.size() > 1 && i < names_.size()) {
      parts_.metrics
          .gauge("akosha_hot_node_health_status", "1 while this one of several hot stores answers",
                 {{"node", names_[i]}})
          .set(answers ? 1 : 0);
    }
  }
  for (const auto& [tier, answer] : all_answer) {
    parts_.metrics
        .gauge(fmt::format("akosha_{}_store_health_status", tier), "1 while the store answers")
        .set(answer ? 1 : 0);
  }
}

}  // namespace asahi::memory
