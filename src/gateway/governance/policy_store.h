#pragma once

#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"
#include "base/task.h"
#include "gateway/governance/compliance.h"
#include "gateway/governance/policy.h"
#include "identity/limits/budget_ledger.h"
#include "storage/sql/database.h"

namespace asahi::gateway {

/// An organisation's policy and compliance profile as the hot path reads them: one immutable
/// snapshot with what follows from both.
struct OrgRules {
  bool has_policy = false;
  OrgPolicy policy;
  bool has_profile = false;
  ComplianceProfile profile;

  std::string residency;        ///< of the policy, else of the profile
  ComplianceDuties duties;      ///< what the profile's frameworks demand of a request
  bool audit_required = false;  ///< policy or frameworks
  std::string account;          ///< of the budgets: "org/<id>"
};
/// Made from the same policy and profile.
bool same_rules(const OrgRules& one, const OrgRules& other);
std::shared_ptr<const OrgRules> make_rules(std::string org, std::optional<OrgPolicy> policy,
                                           std::optional<ComplianceProfile> profile);

/// Policies and profiles of all organisations: tables `org_policies` and `compliance_profiles`
/// behind a cache in the process. A change takes effect here at once and elsewhere as soon as
/// `invalidate` is called there; at the latest after 60 s. Thread-safe.
class PolicyStore {
 public:
  struct Options {
    std::chrono::milliseconds max_age{60'000};
    std::size_t max_orgs = 100'000;
    /// Tells the other replicas that an organisation's rules changed (channel asahi:invalidate).
    /// May be null. Called on the loop that saved; must not block.
    std::function<void(const std::string& org)> publish;
  };
  /// `database` and `clock` outlive the store.
  PolicyStore(Options options, sql::Database& database, const Clock& clock);

  /// From memory; null: not known or too old, use `get`. Takes one short lock.
  std::shared_ptr<const OrgRules> try_get(std::string_view org) const;
  /// What was read last, however old, unless it is known to have changed since.
  std::shared_ptr<const OrgRules> unless_changed(std::string_view org) const;
  /// What was read last, however old; null: nothing was.
  std::shared_ptr<const OrgRules> last_known(std::string_view org) const;
  /// From memory or the database. While the database is away the last known rules hold on.
  /// Errors: unavailable, timeout when nothing is known.
  Task<std::shared_ptr<const OrgRules>> get(std::string org);

  /// A miss is an empty optional. Always from the database.
  Task<std::optional<OrgPolicy>> policy(std::string org);
  Task<std::optional<ComplianceProfile>> profile(std::string org);
  struct Saved {
    OrgPolicy policy;
    std::optional<OrgPolicy> before;
  };
  /// Reads, changes and writes a policy in one transaction, so that no concurrent change is lost;
  /// `change` gets null when there is none and runs on a database thread, perhaps more than once.
  /// Durable, and in force in this process, when it returns. Errors: those of `change`.
  Task<Saved> change(std::string org, std::string by,
                     std::function<Result<OrgPolicy>(const OrgPolicy*)> change);
  /// True: there was none before.
  Task<bool> save(ComplianceProfile profile);
  /// Every profile there is, for the retention job.
  Task<std::vector<ComplianceProfile>> profiles();

  /// Forgets an organisation's rules, or all when `org` is empty (a subscription was interrupted).
  void invalidate(std::string_view org);

 private:
  struct Entry {
    std::shared_ptr<const OrgRules> rules;
    Clock::Steady read_at;
    Clock::Steady refresh_at;  ///< from then on one caller after the other reads again
    bool stale = false;        ///< invalidated: only good while the database is away
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<std::string, Entry, Hash, std::equal_to<>> entries;
    std::uint64_t changes =
        0;  ///< counts invalidations: a slower read must not bring old rules back
  };
  Shard& shard(std::string_view org) const { return shards_[Hash{}(org) % shards_.size()]; }
  void changed(const std::string& org);
  /// The database is away: what is known holds a little longer, so that calls do not wait for it
  /// one after the other. Null: nothing is known.
  std::shared_ptr<const OrgRules> prolong(std::string_view org);

  Options options_;
  sql::Database& database_;
  const Clock& clock_;
  mutable std::array<Shard, 16> shards_;
};

}  // namespace asahi::gateway
