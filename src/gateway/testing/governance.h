#pragma once
// What the gateway borrows from identity: real limits in memory, a ledger, an audit log and
// accounts that remember.

#include <memory>

#include "gateway/governance/testing/accounts_fake.h"
#include "identity/testing/fakes.h"

namespace asahi::gateway::testing {

/// All that a Gateway or a Governor borrows.
struct Borrowed {
  explicit Borrowed(const Clock& clock) : limiter(identity::make_memory_limiter(clock)) {}
  identity::testing::LedgerFake budgets;
  std::unique_ptr<identity::RateLimiter> limiter;
  identity::testing::AuditFake audit;
  AccountsFake accounts;
};

}  // namespace asahi::gateway::testing
