#pragma once

#include <vector>

#include "memory/ageing/move_gate.h"
#include "memory/model/forwarding_store.h"

namespace asahi::memory::ageing {

/// What ingestion writes to: the hot tier, which also knows what has moved on to the warm one. The
/// same memory told again is `unchanged` there as well, an older version `older`; a newer one goes
/// to the hot tier and takes the place of the warm row. (The cold tier is not asked: a look into
/// files per memory would hold ingestion up. What is there already is found when it ages again;
/// until then a search shows the hotter one.)
class Front final : public ForwardingStore {
 public:
  /// Both outlive it.
  Front(Store& hot, MoveGate& warm) : ForwardingStore(hot), warm_(warm) {}

  Task<std::vector<UpsertOutcome>> upsert_batch(std::vector<Memory> memories,
                                                UpsertOptions options) override;

 private:
  MoveGate& warm_;
};

}  // namespace asahi::memory::ageing
