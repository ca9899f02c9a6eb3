#include <fmt/format.h>

#include "identity/http/route_support.h"

namespace asahi::identity {
namespace {

json::object tenant_json(const Tenant& tenant) {
  json::object body{{"org_id", tenant.org_id},
                    {"name", tenant.name},
                    {"plan", tenant.plan},
                    {"settings", tenant.settings},
                    {"compliance_frameworks", list_of(tenant.compliance_frameworks)},
                    {"data_residency", text_or_null_json(tenant.data_residency)},
                    {"active", tenant.active},
                    {"created_at", format_rfc3339(tenant.created_at)}};
  if (const auto plan = find_plan(tenant.plan)) {
    body["limits"] = json::object{{"requests_per_day", plan->requests_per_day},
                                  {"models", plan->models},
                                  {"users", plan->users}};
  }
  return body;
}

Task<http::Response> create_tenant(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const Fields fields, Fields::read(context.request));
  Tenant tenant;
  ASAHI_CO_TRY(tenant.name, fields.required_text("name"));
  ASAHI_CO_TRY(tenant.org_id, fields.text("org_id"));
  if (tenant.org_id.empty()) tenant.org_id = slug_of(tenant.name);
  ASAHI_CO_TRY(std::string plan, fields.text("plan"));
  if (!plan.empty()) tenant.plan = std::move(plan);
  ASAHI_CO_TRY(tenant.data_residency, fields.text("data_residency"));
  ASAHI_CO_TRY(tenant.compliance_frameworks, fields.texts("compliance_frameworks", 16));
  ASAHI_CO_TRY(const Tenant created, co_await parts.tenants.create(std::move(tenant)));
  co_await audit(parts, context, created.org_id, "tenant.create", "tenant/" + created.org_id,
                 {{"plan", created.plan}});
  co_return json_reply(201, tenant_json(created));
}

Task<http::Response> list_tenants(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const Page page, page_of(context.request));
  ASAHI_CO_TRY(const auto tenants, co_await parts.tenants.list(page.limit, page.offset));
  json::array rows;
  for (const Tenant& tenant : tenants) rows.push_back(tenant_json(tenant));
  co_return json_reply(200, {{"count", tenants.size()}, {"tenants", std::move(rows)}});
}

Task<http::Response> get_tenant(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const std::string org_id, org_for(principal_of(context), context.path_param("org")));
  ASAHI_CO_TRY(const Tenant tenant, co_await parts.tenants.get(org_id));
  co_return json_reply(200, tenant_json(tenant));
}

Task<http::Response> change_tenant(const RouteParts& parts, http::Context& context) {
  const std::string org_id(context.path_param("org"));
  ASAHI_CO_TRY(const Fields fields, Fields::read(context.request));
  TenantChange change;
  json::object details;
  for (const auto& [name, member] :
       {std::pair{"name", &TenantChange::name}, std::pair{"plan", &TenantChange::plan},
        std::pair{"data_residency", &TenantChange::data_residency}}) {
    if (!fields.has(name)) continue;
    ASAHI_CO_TRY(std::string value, fields.text(name));
    details[name] = value;
    change.*member = std::move(value);
  }
  ASAHI_CO_TRY(change.active, fields.boolean("active"));
  if (change.active) details["active"] = *change.active;
  if (details.empty()) {
    co_return fail(Errc::kInvalidArgument,
                   "nothing to change; give name, plan, data_residency or active");
  }
  ASAHI_CO_TRY(const Tenant tenant, co_await parts.tenants.update(org_id, std::move(change)));
  co_await audit(parts, context, org_id, "tenant.update", "tenant/" + org_id, std::move(details));
  co_return json_reply(200, tenant_json(tenant));
}

}  // namespace

void add_tenant_routes(http::Router& router, const SharedRouteParts& parts) {
  using enum http::Method;
  add_both(router, parts, kPost, "/tenants", "manage_tenants", create_tenant);
  add_both(router, parts, kGet, "/tenants", "manage_tenants", list_tenants);
  add_both(router, parts, kGet, "/tenants/{org}", "authenticated", get_tenant);
  add_both(router, parts, kPatch, "/tenants/{org}", "manage_tenants", change_tenant);
}

}  // namespace asahi::identity
