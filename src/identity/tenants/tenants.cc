#include "identity/tenants/tenants.h"

#include <fmt/format.h>

#include <algorithm>

#include "identity/keys/memo.h"
#include "identity/keys/sql_values.h"

namespace asahi::identity {
namespace {

using std::chrono::seconds;

constexpr seconds kRemembered{60};
constexpr std::string_view kColumns =
    "org_id, name, plan, settings, compliance_frameworks, data_residency, active, created_at";

std::unexpected<Error> no_such_org(const std::string& org_id) {
  auto failure = fail(Errc::kNotFound, fmt::format("no organisation '{}'", org_id));
  failure.error().reason = "organization_not_found";
  return failure;
}

Result<Tenant> read_tenant(const sql::Rows& rows, std::size_t row) {
  Tenant tenant;
  tenant.org_id = rows.text(row, "org_id");
  tenant.name = rows.text(row, "name");
  tenant.plan = rows.text(row, "plan");
  auto settings = parse_json(rows.text(row, "settings"));
  if (!settings || !settings->is_object())
    return fail(Errc::kCorrupt, "a tenant's settings are no JSON object");
  tenant.settings = std::move(settings->get_object());
  ASAHI_TRY(tenant.compliance_frameworks, read_list(rows, row, "compliance_frameworks"));
  tenant.data_residency = rows.text(row, "data_residency");
  tenant.active = rows.boolean(row, "active");
  ASAHI_TRY(tenant.created_at, read_time(rows, row, "created_at"));
  return tenant;
}

Result<void> check_name(const std::string& name) {
  if (name.empty() || name.size() > 255)
    return fail_field("name", "name must have 1 to 255 characters");
  return {};
}

Result<std::string> check_plan(const std::string& plan) {
  const auto found = find_plan(plan);
  if (!found) {
    return fail_field(
        "plan", fmt::format("plan is '{}'; it must be starter, professional or enterprise", plan));
  }
  return found->name;
}

Result<void> check_residency(const std::string& region) {
  if (region.empty() || region == "us" || region == "eu" || region == "ap") return {};
  return fail_field("data_residency",
                    fmt::format("data_residency is '{}'; it must be us, eu, ap or empty", region));
}

bool is_org_id(std::string_view id) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  return !id.empty() && id.size() <= 255 && std::ranges::all_of(id, allowed);
}

class SqlTenants final : public Tenants {
 public:
  SqlTenants(TenantsOptions options, sql::Database& database, Invalidation& invalidation,
             const Clock& clock)
      : options_(std::move(options)),
        database_(database),
        invalidation_(invalidation),
        clock_(clock),
        states_(20'000) {
    invalidation.listen([this](std::string_view kind, std::string_view id) {
      if (kind == "org") states_.erase(id);
      if (kind.empty()) states_.clear();
    });
  }

  Task<Tenant> create(Tenant tenant, bool only_first) override {
    if (!is_org_id(tenant.org_id)) {
      co_return fail_field("org_id", "org_id must have 1 to 255 letters, digits, '.', '_' or '-'");
    }
    if (auto ok = check_name(tenant.name); !ok) co_return std::unexpected(std::move(ok.error()));
    ASAHI_CO_TRY(tenant.plan, check_plan(tenant.plan));
    if (auto ok = check_residency(tenant.data_residency); !ok)
      co_return std::unexpected(std::move(ok.error()));
    tenant.created_at = clock_.now();
    const std::string org_id = tenant.org_id;
    auto done = co_await database_.transaction([tenant,
                                                only_first](sql::Session& session) -> Result<void> {
      if (only_first) {
        if (auto ok = lock_table(session); !ok) return ok;
        ASAHI_TRY(const sql::Rows any, session.query({"SELECT 1 AS one FROM tenants LIMIT 1", {}}));
        if (!any.empty()) {
          return fail(
              Errc::kForbidden,
              "sign-up is closed: this installation has an organisation already; ask its admin "
              "for an account, or the operator for an organisation");
        }
      }
      ASAHI_TRY(const sql::Rows rows,
                session.query(
                    {"INSERT INTO tenants (org_id, name, plan, settings, compliance_frameworks, "
                     "data_residency, active, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
                     "ON CONFLICT (org_id) DO NOTHING",
                     {tenant.org_id, tenant.name, tenant.plan, write_json(tenant.settings),
                      list_json(tenant.compliance_frameworks), text_or_null(tenant.data_residency),
                      std::int64_t{tenant.active}, format_rfc3339(tenant.created_at)}}));
      if (rows.affected() == 0) {
        return fail(Errc::kConflict,
                    fmt::format("there is an organisation '{}' already", tenant.org_id));
      }
      return {};
    });
    if (!done) co_return std::unexpected(std::move(done.error()));
    co_await invalidation_.publish("org", org_id);
    co_return tenant;
  }

  Task<Tenant> get(std::string org_id) override {
    ASAHI_CO_TRY(const sql::Rows rows,
                 co_await database_.query(
                     {fmt::format("SELECT {} FROM tenants WHERE org_id = ?", kColumns), {org_id}}));
    if (rows.empty()) co_return no_such_org(org_id);
    co_return read_tenant(rows, 0);
  }

  Task<std::vector<Tenant>> list(std::int64_t limit, std::int64_t offset) override {
    ASAHI_CO_TRY(
        const sql::Rows rows,
        co_await database_.query(
            {fmt::format("SELECT {} FROM tenants ORDER BY org_id LIMIT ? OFFSET ?", kColumns),
             {limit, offset}}));
    std::vector<Tenant> tenants;
    for (std::size_t row = 0; row < rows.size(); ++row) {
      ASAHI_CO_TRY(Tenant tenant, read_tenant(rows, row));
      tenants.push_back(std::move(tenant));
    }
    co_return tenants;
  }

  Task<Tenant> update(std::string org_id, TenantChange change) override {
    sql::Statement statement{"UPDATE tenants SET ", {}};
    const auto set = [&statement](std::string_view column, sql::Value value) {
      if (!statement.params.empty()) statement.sql += ", ";
      statement.sql += column;
      statement.sql += " = ?";
      statement.params.push_back(std::move(value));
    };
    if (change.name) {
      if (auto ok = check_name(*change.name); !ok) co_return std::unexpected(std::move(ok.error()));
      set("name", *change.name);
    }
    if (change.plan) {
      ASAHI_CO_TRY(std::string plan, check_plan(*change.plan));
      set("plan", std::move(plan));
    }
    if (change.data_residency) {
      if (auto ok = check_residency(*change.data_residency); !ok)
        co_return std::unexpected(std::move(ok.error()));
      set("data_residency", text_or_null(*change.data_residency));
    }
    if (change.active) set("active", std::int64_t{*change.active});
    if (statement.params.empty()) co_return co_await get(org_id);
    statement.sql += " WHERE org_id = ?";
    statement.params.emplace_back(org_id);
    ASAHI_CO_TRY(const sql::Rows rows, co_await database_.query(std::move(statement)));
    if (rows.affected() == 0) co_return no_such_org(org_id);
    co_await invalidation_.publish("org", org_id);
    co_return co_await get(org_id);
  }

  Task<void> remove(std::string org_id) override {
    ASAHI_CO_TRY(const sql::Rows rows,
                 co_await database_.query({"DELETE FROM tenants WHERE org_id = ?", {org_id}}));
    if (rows.affected() == 0) co_return no_such_org(org_id);
    co_await invalidation_.publish("org", org_id);
    co_return Result<void>{};
  }

  std::optional<OrgState> try_state(std::string_view org_id) override {
    return states_.find(org_id, clock_.steady_now());
  }

  Task<OrgState> state(std::string org_id) override {
    if (const auto known = try_state(org_id)) co_return *known;
    const std::uint64_t generation = states_.generation(org_id);
    ASAHI_CO_TRY(
        const sql::Rows rows,
        co_await database_.query({"SELECT plan, active FROM tenants WHERE org_id = ?", {org_id}}));
    OrgState state{.known = !rows.empty(), .active = true, .plan = options_.default_plan};
    if (state.known) {
      state.active = rows.boolean(0, "active");
      state.plan = find_plan(rows.text(0, "plan")).value_or(Plan{});
    }
    states_.put(org_id, state, clock_.steady_now() + kRemembered, generation);
    co_return state;
  }

 private:
  /// So that of two who found the first organisation at once one comes second. SQLite's
  /// transactions stand alone anyway.
  static Result<void> lock_table(sql::Session& session) {
    if (session.dialect() == sql::Dialect::kSqlite) return {};
    return session.script("LOCK TABLE tenants IN SHARE ROW EXCLUSIVE MODE");
  }

  const TenantsOptions options_;
  sql::Database& database_;
  Invalidation& invalidation_;
  const Clock& clock_;
  Memo<OrgState> states_;
};

}  // namespace

std::unique_ptr<Tenants> make_tenants(TenantsOptions options, sql::Database& database,
                                      Invalidation& invalidation, const Clock& clock) {
  return std::make_unique<SqlTenants>(std::move(options), database, invalidation, clock);
}

std::string slug_of(std::string_view name) {
  constexpr std::size_t kMost = 48;
  std::string slug;
  for (const char c : name) {
    if (slug.size() >= kMost) break;
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
      slug += c;
    } else if (c >= 'A' && c <= 'Z') {
      slug += static_cast<char>(c - 'A' + 'a');
    } else if (!slug.empty() && slug.back() != '-') {
      slug += '-';
    }
  }
  while (!slug.empty() && slug.back() == '-') slug.pop_back();
  return slug.empty() ? "org" : slug;
}

}  // namespace asahi::identity
