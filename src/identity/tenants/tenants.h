#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/task.h"
#include "identity/keys/invalidation.h"
#include "identity/principal.h"
#include "storage/sql/database.h"

namespace asahi::identity {

/// An organisation that uses the installation (table `tenants`, spec §5.1).
struct Tenant {
  std::string org_id;  ///< 1 to 255 of [A-Za-z0-9._-]
  std::string name;
  std::string plan = "starter";
  json::object settings;
  std::vector<std::string> compliance_frameworks;
  std::string data_residency;  ///< us, eu, ap or empty
  bool active = true;
  Clock::Time created_at{};
};

/// What requests need to know of their organisation.
struct OrgState {
  bool known = false;
  bool active = true;
  /// The plan that binds: the tenant's, or that of TenantsOptions for organisations without a row.
  std::optional<Plan> plan;
};

/// What PATCH /tenants/{org} may change; empty members stay as they are.
struct TenantChange {
  std::optional<std::string> name, plan, data_residency;
  std::optional<bool> active;
};

struct TenantsOptions {
  /// The plan of organisations that nobody registered: starter where authentication is required
  /// (R32), else none binds.
  std::optional<Plan> default_plan;
};

/// The organisations. Callable from any loop.
class Tenants {
 public:
  virtual ~Tenants() = default;
  /// `only_first`: fails with forbidden when there is a tenant already. Errors: conflict (taken),
  /// invalid_argument.
  virtual Task<Tenant> create(Tenant tenant, bool only_first = false) = 0;
  /// Errors: not_found with reason "organization_not_found".
  virtual Task<Tenant> get(std::string org_id) = 0;
  virtual Task<std::vector<Tenant>> list(std::int64_t limit, std::int64_t offset) = 0;
  virtual Task<Tenant> update(std::string org_id, TenantChange change) = 0;
  /// Removes the row; keys and users are the caller's matter.
  virtual Task<void> remove(std::string org_id) = 0;
  /// Remembered for up to 60 s in this process, and dropped at once when an invalidation comes;
  /// empty: use `state`.
  virtual std::optional<OrgState> try_state(std::string_view org_id) = 0;
  virtual Task<OrgState> state(std::string org_id) = 0;
};

/// `database`, `invalidation` and `clock` outlive it; listens to `invalidation`.
std::unique_ptr<Tenants> make_tenants(TenantsOptions options, sql::Database& database,
                                      Invalidation& invalidation, const Clock& clock);

/// "Acme, Inc." -> "acme-inc": an organisation's id from its name; at most 48 characters, "org"
/// when nothing is left.
std::string slug_of(std::string_view name);

}  // namespace asahi::identity
