#include "memory/wiring/ageing_role.h"

#include <utility>

#include "net/blocking.h"

namespace asahi::memory {

Result<std::unique_ptr<AgeingRole>> AgeingRole::make(Parts parts) {
  if (parts.config.stores.warm_url.empty())
    return fail_field("memory.stores.warm_url", "memories age to a warm store; name it");
  ASAHI_TRY(StorePair stores, connect_stores(parts.config, parts.loops, parts.clock));
  std::unique_ptr<AgeingRole> role(new AgeingRole(parts.loops, parts.shared_cache));
  role->dependencies_ = std::move(stores.hot_dependencies);
  ASAHI_TRY(role->tiers_, Tiers::open({parts.config, parts.loops, parts.database, parts.metrics,
                                       parts.clock, role->work_, false, stores.remote_warm},
                                      std::move(stores.hot), std::move(stores.warm)));
  role->tiers_->make_ageing(role->epochs_);
  std::vector<Store*> tiers = {&role->tiers_->hot(), role->tiers_->warm()};
  if (role->tiers_->cold() != nullptr) tiers.push_back(role->tiers_->cold());
  ASAHI_TRY(role->backups_, Backups::open({.config = parts.config,
                                           .stores = std::move(tiers),
                                           .database = parts.database,
                                           .loop = parts.loops.at(0),
                                           .metrics = parts.metrics,
                                           .clock = parts.clock,
                                           .version = std::move(parts.version)}));
  return role;
}

void AgeingRole::start() {
  tiers_->start();
  tiers_->start_replicas();
  backups_->start_replicas();
  backups_->keeper().follow_schedule();
}

void AgeingRole::stop(std::chrono::milliseconds grace) {
  tiers_->stop(grace);
  backups_->stop();
}

Result<void> AgeingRole::age_once() {
  tiers_->start_replicas();
  return net::run_sync<Result<void>>(
      loops_.at(0), [this]() -> Aw<Result<void>> { return tiers_->ageing().age(); });
}

std::vector<Dependency> AgeingRole::dependencies() {
  std::vector<Dependency> all = dependencies_;
  all.push_back(answers(*tiers_->warm()));
  return all;
}

}  // namespace asahi::memory
