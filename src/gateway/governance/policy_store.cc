#include "gateway/governance/policy_store.h"

#include <fmt/format.h>

namespace asahi::gateway {
namespace {

constexpr std::string_view kSelectPolicy =
    "SELECT org_id, allowed_models, blocked_models, max_cost_per_day, max_cost_per_month, "
    "max_cost_per_request, "
    "max_requests_per_day, max_requests_per_month, default_quality_threshold, "
    "default_latency_budget_ms, "
    "require_audit_log, data_residency, rate_limit_per_minute, tokens_per_minute, per_user, "
    "per_model, "
    "cost_sensitivity, updated_at, updated_by FROM org_policies WHERE org_id = ?";

constexpr std::string_view kUpsertPolicy =
    "INSERT INTO org_policies (org_id, allowed_models, blocked_models, max_cost_per_day, "
    "max_cost_per_month, "
    "max_cost_per_request, max_requests_per_day, max_requests_per_month, "
    "default_quality_threshold, "
    "default_latency_budget_ms, require_audit_log, data_residency, rate_limit_per_minute, "
    "tokens_per_minute, per_user, "
    "per_model, cost_sensitivity, updated_at, updated_by) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (org_id) DO "
    "UPDATE SET "
    "allowed_models = excluded.allowed_models, blocked_models = excluded.blocked_models, "
    "max_cost_per_day = excluded.max_cost_per_day, max_cost_per_month = "
    "excluded.max_cost_per_month, "
    "max_cost_per_request = excluded.max_cost_per_request, max_requests_per_day = "
    "excluded.max_requests_per_day, "
    "max_requests_per_month = excluded.max_requests_per_month, "
    "default_quality_threshold = excluded.default_quality_threshold, "
    "default_latency_budget_ms = excluded.default_latency_budget_ms, require_audit_log = "
    "excluded.require_audit_log, "
    "data_residency = excluded.data_residency, rate_limit_per_minute = "
    "excluded.rate_limit_per_minute, "
    "tokens_per_minute = excluded.tokens_per_minute, per_user = excluded.per_user, per_model = "
    "excluded.per_model, "
    "cost_sensitivity = excluded.cost_sensitivity, updated_at = excluded.updated_at, updated_by = "
    "excluded.updated_by";

constexpr std::string_view kProfileColumns =
    "org_id, frameworks, data_residency, encryption_required, prompt_storage_allowed, "
    "retention_days, "
    "pii_detection_enabled, pii_action, baa_signed_at, assessed_at, impact_assessment, "
    "incident_contact, updated_at";

constexpr std::string_view kUpsertProfile =
    "INSERT INTO compliance_profiles (org_id, frameworks, data_residency, encryption_required, "
    "prompt_storage_allowed, "
    "retention_days, pii_detection_enabled, pii_action, baa_signed_at, assessed_at, "
    "impact_assessment, "
    "incident_contact, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT "
    "(org_id) DO UPDATE SET "
    "frameworks = excluded.frameworks, data_residency = excluded.data_residency, "
    "encryption_required = excluded.encryption_required, prompt_storage_allowed = "
    "excluded.prompt_storage_allowed, "
    "retention_days = excluded.retention_days, pii_detection_enabled = "
    "excluded.pii_detection_enabled, "
    "pii_action = excluded.pii_action, baa_signed_at = excluded.baa_signed_at, assessed_at = "
    "excluded.assessed_at, "
    "impact_assessment = excluded.impact_assessment, incident_contact = excluded.incident_contact, "
    "updated_at = excluded.updated_at";

sql::Value or_null(const std::string& text) {
  return text.empty() ? sql::Value{} : sql::Value{text};
}
sql::Value or_null(const std::optional<std::int64_t>& number) {
  return number ? sql::Value{*number} : sql::Value{};
}
sql::Value or_null(const std::optional<NanoUsd>& amount) {
  return amount ? sql::Value{to_decimal(*amount)} : sql::Value{};
}
sql::Value or_null(const std::optional<Clock::Time>& time) {
  return time ? sql::Value{format_rfc3339(*time)} : sql::Value{};
}
std::int64_t flag(bool on) { return on ? 1 : 0; }

/// The row as the JSON that `read_policy` takes: one reader for both, with the same checks.
json::value stored_json(const sql::Rows& rows, std::size_t row, std::string_view column) {
  auto parsed = parse_json(rows.text(row, column));
  return parsed ? std::move(*parsed) : json::value(nullptr);
}
json::value stored_text(const sql::Rows& rows, std::size_t row, std::string_view column) {
  if (rows.is_null(row, column)) return nullptr;
  return json::value(rows.text(row, column));
}
json::value stored_integer(const sql::Rows& rows, std::size_t row, std::string_view column) {
  if (rows.is_null(row, column)) return nullptr;
  return rows.integer(row, column);
}

std::optional<NanoUsd> stored_dollars(const sql::Rows& rows, std::size_t row,
                                      std::string_view column) {
  if (rows.is_null(row, column)) return std::nullopt;
  auto amount = parse_nano_usd(rows.text(row, column));
  return amount ? std::optional(*amount) : std::nullopt;
}

Clock::Time stored_time(const sql::Rows& rows, std::size_t row, std::string_view column) {
  auto time = parse_rfc3339(rows.text(row, column));
  return time ? *time : Clock::Time{};
}

std::unexpected<Error> unreadable(std::string_view table, const std::string& org,
                                  const Error& error) {
  return fail(Errc::kCorrupt,
              fmt::format("the row of '{}' in {} cannot be read: {}", org, table, error.message));
}

Result<OrgPolicy> policy_of(const sql::Rows& rows, std::size_t row) {
  const json::object stored{
      {"allowed_models", stored_json(rows, row, "allowed_models")},
      {"blocked_models", stored_json(rows, row, "blocked_models")},
      {"max_requests_per_day", stored_integer(rows, row, "max_requests_per_day")},
      {"max_requests_per_month", stored_integer(rows, row, "max_requests_per_month")},
      {"default_quality_threshold", rows.real(row, "default_quality_threshold")},
      {"default_latency_budget_ms", rows.integer(row, "default_latency_budget_ms")},
      {"require_audit_log", rows.boolean(row, "require_audit_log")},
      {"data_residency", stored_text(rows, row, "data_residency")},
      {"rate_limit_per_minute", stored_integer(rows, row, "rate_limit_per_minute")},
      {"tokens_per_minute", stored_integer(rows, row, "tokens_per_minute")},
      {"per_user", stored_json(rows, row, "per_user")},
      {"per_model", stored_json(rows, row, "per_model")},
      {"cost_sensitivity", stored_text(rows, row, "cost_sensitivity")}};
  const std::string org = rows.text(row, "org_id");
  auto policy = read_policy(stored);
  if (!policy) return unreadable("org_policies", org, policy.error());
  policy->org_id = org;
  policy->max_cost_per_day = stored_dollars(rows, row, "max_cost_per_day");
  policy->max_cost_per_month = stored_dollars(rows, row, "max_cost_per_month");
  policy->max_cost_per_request = stored_dollars(rows, row, "max_cost_per_request");
  policy->updated_at = stored_time(rows, row, "updated_at");
  policy->updated_by = rows.text(row, "updated_by");
  return policy;
}

Result<ComplianceProfile> profile_of(const sql::Rows& rows, std::size_t row) {
  const json::object stored{{"frameworks", stored_json(rows, row, "frameworks")},
                            {"data_residency", stored_text(rows, row, "data_residency")},
                            {"encryption_required", rows.boolean(row, "encryption_required")},
                            {"prompt_storage_allowed", rows.boolean(row, "prompt_storage_allowed")},
                            {"retention_days", rows.integer(row, "retention_days")},
                            {"pii_detection_enabled", rows.boolean(row, "pii_detection_enabled")},
                            {"pii_action", stored_text(rows, row, "pii_action")},
                            {"baa_signed_at", stored_text(rows, row, "baa_signed_at")},
                            {"assessed_at", stored_text(rows, row, "assessed_at")},
                            {"impact_assessment", stored_text(rows, row, "impact_assessment")},
                            {"incident_contact", stored_text(rows, row, "incident_contact")}};
  const std::string org = rows.text(row, "org_id");
  auto profile = read_profile(stored);
  if (!profile) return unreadable("compliance_profiles", org, profile.error());
  profile->org_id = org;
  profile->updated_at = stored_time(rows, row, "updated_at");
  return profile;
}

sql::Statement select_policy(const std::string& org) { return {std::string(kSelectPolicy), {org}}; }
sql::Statement select_profile(const std::string& org) {
  return {fmt::format("SELECT {} FROM compliance_profiles WHERE org_id = ?", kProfileColumns),
          {org}};
}

template <class T, class Read>
Result<std::optional<T>> first_row(const sql::Rows& rows, Read read) {
  if (rows.empty()) return std::optional<T>{};
  ASAHI_TRY(T value, read(rows, 0));
  return std::optional<T>(std::move(value));
}

std::string minutes_text(const MinuteLimits& limits) {
  json::object out;
  if (limits.requests_per_minute) out["requests_per_minute"] = *limits.requests_per_minute;
  if (limits.tokens_per_minute) out["tokens_per_minute"] = *limits.tokens_per_minute;
  return json::serialize(out);
}

sql::Statement upsert(const OrgPolicy& policy) {
  const auto list = [](const std::vector<std::string>& models) {
    return json::serialize(json::array(models.begin(), models.end()));
  };
  std::string per_model = "{";
  for (const auto& [name, limits] : policy.per_model) {
    if (per_model.size() > 1) per_model += ',';
    append_json_string(per_model, name);
    per_model += ':' + minutes_text(limits);
  }
  per_model += '}';
  return {std::string(kUpsertPolicy),
          {policy.org_id, list(policy.allowed_models), list(policy.blocked_models),
           or_null(policy.max_cost_per_day), or_null(policy.max_cost_per_month),
           or_null(policy.max_cost_per_request), or_null(policy.max_requests_per_day),
           or_null(policy.max_requests_per_month), policy.default_quality_threshold,
           std::int64_t{policy.default_latency_budget_ms}, flag(policy.require_audit_log),
           or_null(policy.data_residency), or_null(policy.rate_limit_per_minute),
           or_null(policy.tokens_per_minute), minutes_text(policy.per_user), per_model,
           or_null(policy.cost_sensitivity), format_rfc3339(policy.updated_at),
           or_null(policy.updated_by)}};
}

sql::Statement upsert(const ComplianceProfile& profile) {
  json::array frameworks;
  for (const Framework framework : profile.frameworks)
    frameworks.emplace_back(to_string(framework));
  return {std::string(kUpsertProfile),
          {profile.org_id, json::serialize(frameworks), or_null(profile.data_residency),
           flag(profile.encryption_required), flag(profile.prompt_storage_allowed),
           std::int64_t{profile.retention_days}, flag(profile.pii_detection_enabled),
           std::string(to_string(profile.pii_action)), or_null(profile.baa_signed_at),
           or_null(profile.assessed_at), or_null(profile.impact_assessment),
           or_null(profile.incident_contact), format_rfc3339(profile.updated_at)}};
}

}  // namespace

std::shared_ptr<const OrgRules> make_rules(std::string org, std::optional<OrgPolicy> policy,
                                           std::optional<ComplianceProfile> profile) {
  auto rules = std::make_shared<OrgRules>();
  rules->account = "org/" + org;
  rules->policy.org_id = rules->profile.org_id = std::move(org);
  if (policy) {
    rules->has_policy = true;
    rules->policy = std::move(*policy);
    rules->residency = rules->policy.data_residency;
    rules->audit_required = rules->policy.require_audit_log;
  }
  if (profile) {
    rules->has_profile = true;
    rules->profile = std::move(*profile);
    rules->duties = duties_of(rules->profile);
    if (rules->residency.empty()) rules->residency = rules->profile.data_residency;
    rules->audit_required = rules->audit_required || rules->duties.needs_audit;
  }
  return rules;
}

PolicyStore::PolicyStore(Options options, sql::Database& database, const Clock& clock)
    : options_(std::move(options)), database_(database), clock_(clock) {}

bool same_rules(const OrgRules& one, const OrgRules& other) {
  return one.has_policy == other.has_policy && one.policy == other.policy &&
         one.has_profile == other.has_profile && one.profile == other.profile;
}

std::shared_ptr<const OrgRules> PolicyStore::try_get(std::string_view org) const {
  Shard& part = shard(org);
  const auto now = clock_.steady_now();
  const std::scoped_lock lock(part.mutex);
  const auto found = part.entries.find(org);
  if (found == part.entries.end()) return nullptr;
  Entry& entry = found->second;
  if (entry.stale || now - entry.read_at >= options_.max_age) return nullptr;
  if (now >= entry.refresh_at) {
    // This caller reads again; the others go on meanwhile.
    entry.refresh_at = now + std::chrono::seconds(1);
    return nullptr;
  }
  return entry.rules;
}

std::shared_ptr<const OrgRules> PolicyStore::unless_changed(std::string_view org) const {
  Shard& part = shard(org);
  const std::scoped_lock lock(part.mutex);
  const auto found = part.entries.find(org);
  return found == part.entries.end() || found->second.stale ? nullptr : found->second.rules;
}

std::shared_ptr<const OrgRules> PolicyStore::last_known(std::string_view org) const {
  Shard& part = shard(org);
  const std::scoped_lock lock(part.mutex);
  const auto found = part.entries.find(org);
  return found == part.entries.end() ? nullptr : found->second.rules;
}

std::shared_ptr<const OrgRules> PolicyStore::prolong(std::string_view org) {
  constexpr auto kLonger = std::chrono::seconds(5);
  Shard& part = shard(org);
  const auto now = clock_.steady_now();
  const std::scoped_lock lock(part.mutex);
  const auto found = part.entries.find(org);
  if (found == part.entries.end()) return nullptr;
  Entry& entry = found->second;
  entry.read_at = now - options_.max_age + kLonger;
  entry.refresh_at = now + kLonger;
  entry.stale = false;
  return entry.rules;
}

Task<std::shared_ptr<const OrgRules>> PolicyStore::get(std::string org) {
  if (auto rules = try_get(org)) co_return rules;
  Shard& part = shard(org);
  std::uint64_t changes = 0;
  {
    const std::scoped_lock lock(part.mutex);
    changes = part.changes;
  }
  std::vector<sql::Statement> statements;
  statements.push_back(select_policy(org));
  statements.push_back(select_profile(org));
  auto rows = co_await database_.batch(std::move(statements));
  if (!rows) {
    if (auto rules = prolong(org)) co_return rules;
    co_return std::unexpected(std::move(rows.error()));
  }
  ASAHI_CO_TRY(auto policy, first_row<OrgPolicy>((*rows)[0], policy_of));
  ASAHI_CO_TRY(auto profile, first_row<ComplianceProfile>((*rows)[1], profile_of));
  auto rules = make_rules(org, std::move(policy), std::move(profile));
  const auto now = clock_.steady_now();
  const std::scoped_lock lock(part.mutex);
  // Rules that changed while they were read are for this call only.
  if (part.changes == changes) {
    if (part.entries.size() >= std::max<std::size_t>(1, options_.max_orgs / shards_.size()) &&
        !part.entries.contains(org)) {
      part.entries.erase(part.entries.begin());
    }
    Entry& entry = part.entries[org];
    // The same rules stay the same object: what others derived from them stays good.
    if (entry.rules && same_rules(*entry.rules, *rules)) {
      rules = entry.rules;
    }
    entry = {.rules = rules, .read_at = now, .refresh_at = now + options_.max_age * 9 / 10};
  }
  co_return rules;
}

Task<std::optional<OrgPolicy>> PolicyStore::policy(std::string org) {
  ASAHI_CO_TRY(const sql::Rows rows, co_await database_.query(select_policy(org)));
  co_return first_row<OrgPolicy>(rows, policy_of);
}

Task<std::optional<ComplianceProfile>> PolicyStore::profile(std::string org) {
  ASAHI_CO_TRY(const sql::Rows rows, co_await database_.query(select_profile(org)));
  co_return first_row<ComplianceProfile>(rows, profile_of);
}

Task<std::vector<ComplianceProfile>> PolicyStore::profiles() {
  sql::Statement statement{
      fmt::format("SELECT {} FROM compliance_profiles ORDER BY org_id", kProfileColumns), {}};
  ASAHI_CO_TRY(const sql::Rows rows, co_await database_.query(std::move(statement)));
  std::vector<ComplianceProfile> profiles;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    ASAHI_CO_TRY(ComplianceProfile profile, profile_of(rows, row));
    profiles.push_back(std::move(profile));
  }
  co_return profiles;
}

Task<PolicyStore::Saved> PolicyStore::change(
    std::string org, std::string by, std::function<Result<OrgPolicy>(const OrgPolicy*)> change) {
  auto saved = std::make_shared<Saved>();
  const Clock::Time now = clock_.now();
  auto done = co_await database_.transaction(
      [saved, org, by = std::move(by), now,
       change = std::move(change)](sql::Session& session) -> Result<void> {
        ASAHI_TRY(const sql::Rows rows, session.query(select_policy(org)));
        ASAHI_TRY(saved->before, first_row<OrgPolicy>(rows, policy_of));
        ASAHI_TRY(saved->policy, change(saved->before ? &*saved->before : nullptr));
        saved->policy.org_id = org;
        saved->policy.updated_at = now;
        saved->policy.updated_by = by;
        auto written = session.query(upsert(saved->policy));
        if (!written) return std::unexpected(std::move(written.error()));
        return {};
      });
  if (!done) co_return std::unexpected(std::move(done.error()));
  changed(org);
  co_return std::move(*saved);
}

Task<bool> PolicyStore::save(ComplianceProfile profile) {
  profile.updated_at = clock_.now();
  std::vector<sql::Statement> statements;
  statements.push_back(
      {"SELECT org_id FROM compliance_profiles WHERE org_id = ?", {profile.org_id}});
  statements.push_back(upsert(profile));
  ASAHI_CO_TRY(const auto rows, co_await database_.batch(std::move(statements)));
  changed(profile.org_id);
  co_return rows[0].empty();
}

void PolicyStore::changed(const std::string& org) {
  invalidate(org);
  if (options_.publish) options_.publish(org);
}

void PolicyStore::invalidate(std::string_view org) {
  if (!org.empty()) {
    Shard& part = shard(org);
    const std::scoped_lock lock(part.mutex);
    ++part.changes;
    if (const auto found = part.entries.find(org); found != part.entries.end())
      found->second.stale = true;
    return;
  }
  for (Shard& part : shards_) {
    const std::scoped_lock lock(part.mutex);
    ++part.changes;
    for (auto& [name, entry] : part.entries) entry.stale = true;
  }
}

}  // namespace asahi::gateway
