#include "gateway/alerts/routes.h"

#include <fmt/format.h>

#include "gateway/http/admin_routes.h"
#include "gateway/http/audit_note.h"
#include "gateway/http/errors.h"
#include "identity/principal.h"
#include "net/http/query_params.h"

namespace asahi::gateway::alerts {
namespace {

using identity::Permission;
using Shared = std::shared_ptr<const RouteParts>;
using Body = Task<http::Response> (*)(const RouteParts& parts, http::Context& context);

constexpr std::int64_t kMostAlerts = 200, kUsualAlerts = 50;
constexpr std::size_t kMostId = 64;

void add(http::Router& router, const Shared& parts, http::Method method, const std::string& pattern,
         std::string_view access, Body body) {
  add_both(router, method, pattern, access,
           [parts, body](http::Context& context) -> Aw<http::Response> {
             auto reply = co_await body(*parts, context);
             if (!reply) co_return native_error(reply.error(), context);
             co_return std::move(*reply);
           });
}

http::Response reply(const json::object& body) {
  return http::Response::json(200, write_json(body));
}

View view_of(const http::Context& context) {
  const identity::Principal& caller = identity::principal_of(context);
  return {caller.org_id, caller.may(Permission::kManageTenants)};
}

Result<AlertQuery> read_query(const http::Context& context) {
  const http::Request& request = context.request;
  AlertQuery query{.view = view_of(context)};
  const http::QueryParams params(request);
  ASAHI_TRY(const std::string state, params.word("state", "", {"active", "resolved"}));
  if (!state.empty()) query.active = state == "active";
  if (const auto word = request.query_param("severity"); word && !word->empty()) {
    query.severity = parse_severity(*word);
    if (!query.severity)
      return fail_field("severity", "severity must be critical, high, medium or low");
  }
  ASAHI_TRY(const auto dismissed, params.flag("dismissed"));
  query.dismissed = dismissed.value_or(false);
  ASAHI_TRY(query.kind, params.text("kind", kMostId));
  ASAHI_TRY(query.before, params.text("before", kMostId));
  ASAHI_TRY(const auto limit, params.integer("limit", kUsualAlerts, 1, kMostAlerts));
  query.limit = static_cast<std::size_t>(limit);
  return query;
}

Task<http::Response> list(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(AlertQuery query, read_query(context));
  const bool all = query.view.installation;
  ASAHI_CO_TRY(const AlertPage page, co_await parts.notifier.store().list(std::move(query)));
  json::array alerts, channels;
  for (const Alert& alert : page.alerts) alerts.push_back(alert_json(alert));
  if (all) {
    for (const Channel channel : parts.notifier.channels())
      channels.emplace_back(json::string(to_string(channel)));
  }
  json::object active;
  for (const Severity severity :
       {Severity::kCritical, Severity::kHigh, Severity::kMedium, Severity::kLow}) {
    active[to_string(severity)] = page.active[static_cast<std::size_t>(severity)];
  }
  co_return reply({{"alerts", std::move(alerts)},
                   {"active", std::move(active)},
                   {"channels", std::move(channels)},
                   {"next", page.next.empty() ? json::value(nullptr) : json::value(page.next)}});
}

Task<http::Response> test(const RouteParts& parts, http::Context& context) {
  const identity::Principal& caller = identity::principal_of(context);
  const auto deliveries = co_await parts.notifier.test(actor_of(caller));
  json::array results;
  for (const Notifier::Delivery& delivery : deliveries) {
    const bool sent = delivery.outcome.has_value();
    results.push_back(
        {{"channel", to_string(delivery.channel)},
         {"delivered", sent},
         {"error", sent ? json::value(nullptr) : json::value(delivery.outcome.error().message)}});
  }
  json::object body{{"results", std::move(results)}};
  co_await note(parts.audit,
                audit_entry(context, caller.org_id, "alert.test", "alerts", json::object(body)));
  co_return reply(body);
}

Task<http::Response> mark(const RouteParts& parts, http::Context& context, Store::Mark how) {
  const identity::Principal& caller = identity::principal_of(context);
  ASAHI_CO_TRY(const Alert alert, co_await parts.notifier.store().mark(
                                      std::string(context.path_param("id")), view_of(context), how,
                                      actor_of(caller), parts.clock.now()));
  co_await note(parts.audit, audit_entry(context, caller.org_id,
                                         how == Store::Mark::kAcknowledged ? "alert.acknowledge"
                                                                           : "alert.dismiss",
                                         "alert/" + alert.id, {{"kind", alert.kind}}));
  co_return reply(alert_json(alert));
}

}  // namespace

void add_routes(http::Router& router, RouteParts parts) {
  const auto shared = std::make_shared<const RouteParts>(parts);
  using enum http::Method;
  add(router, shared, kGet, "/alerts", "view_metrics", list);
  add(router, shared, kPost, "/alerts/test", "manage_tenants", test);
  add(router, shared, kPost, "/alerts/{id}/acknowledge", "manage_policy",
      [](const RouteParts& own, http::Context& context) {
        return mark(own, context, Store::Mark::kAcknowledged);
      });
  add(router, shared, kPost, "/alerts/{id}/dismiss", "manage_policy",
      [](const RouteParts& own, http::Context& context) {
        return mark(own, context, Store::Mark::kDismissed);
      });
}

}  // namespace asahi::gateway::alerts
