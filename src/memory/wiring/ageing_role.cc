#include "memory/wiring/ageing_role.h"

namespace asahi::memory {

Result<std::unique_ptr<AgeingRole>> AgeingRole::make(Parts parts) {
  if (parts.config.stores.warm_url.empty())
    return fail_field("memory.stores.warm_url", "memories age to a warm store; name it");
  ASAHI_TRY(StorePair stores, connect_stores(parts.config, parts.loops, parts.clock));
  std::unique_ptr<AgeingRole> role(new AgeingRole(parts.shared_cache));
  role->dependencies_ = std::move(stores.hot_dependencies);
  ASAHI_TRY(role->tiers_, Tiers::open({parts.config, parts.loops, parts.database, parts.metrics,
                                       parts.clock, role->work_, false},
                                      std::move(stores.hot), std::move(stores.warm)));
  role->tiers_->make_ageing(role->epochs_);
  return role;
}

std::vector<Dependency> AgeingRole::dependencies() {
  std::vector<Dependency> all = dependencies_;
  all.push_back(answers(*tiers_->warm()));
  return all;
}

}  // namespace asahi::memory
