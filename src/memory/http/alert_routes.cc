#include "memory/http/alert_routes.h"

#include <fmt/format.h>

#include <cmath>

#include "base/ids.h"
#include "identity/principal.h"
#include "net/http/query_params.h"

namespace asahi::memory {
namespace {

using series::AlertType;

struct Given {
  SharedRouteParts shared;
  AlertStore& store;
  Alerts& alerts;
};
using SharedGiven = std::shared_ptr<const Given>;

std::string type_names() {
  std::string all;
  for (std::size_t i = 0; i < series::kAlertTypes; ++i) {
    if (i > 0) all += ", ";
    all += series::to_string(static_cast<AlertType>(i));
  }
  return all;
}

Result<AlertType> type_of(std::string field, std::string_view name) {
  if (const auto type = series::alert_type_from(name)) return *type;
  return fail_field(std::move(field),
                    fmt::format("'{}' is none of {}", name.substr(0, 60), type_names()));
}

json::object thresholds_json(const Thresholds& thresholds) {
  json::object all;
  for (std::size_t i = 0; i < thresholds.size(); ++i) {
    all[series::to_string(static_cast<AlertType>(i))] =
        thresholds[i] ? json::value(*thresholds[i]) : json::value(nullptr);
  }
  return {{"thresholds", std::move(all)}};
}

Task<http::Response> get_thresholds(SharedGiven given, http::Context& context) {
  ASAHI_CO_TRY(const Thresholds all, co_await given->store.thresholds(reach_of(context).tenant()));
  co_return json_reply(200, thresholds_json(all));
}

Result<std::vector<AlertStore::Change>> changes_of(const json::object& body) {
  std::vector<AlertStore::Change> changes;
  for (const auto& [name, value] : body) {
    ASAHI_TRY(const AlertType type, type_of(std::string(name), name));
    AlertStore::Change change{.type = type, .threshold = std::nullopt};
    if (!value.is_null()) {
      boost::system::error_code error;
      const double number = value.is_number() ? value.to_number<double>(error) : NAN;
      const bool share = type == AlertType::kLowHitRate || type == AlertType::kStorageCapacity;
      if (!std::isfinite(number) || number <= 0 || (share && number > 1)) {
        return fail_field(std::string(name), share ? "a share above 0 and at most 1, or null: never"
                                                   : "a number above 0, or null: never");
      }
      change.threshold = number;
    }
    changes.push_back(change);
  }
  if (changes.empty())
    return fail(Errc::kInvalidArgument, "name at least one threshold: " + type_names());
  return changes;
}

Task<http::Response> put_thresholds(SharedGiven given, http::Context& context) {
  ASAHI_CO_TRY(const json::object body, body_of(context.request));
  ASAHI_CO_TRY(auto changes, changes_of(body));
  const std::string tenant = reach_of(context).tenant();
  auto set =
      co_await given->store.set_thresholds(tenant, std::move(changes), given->shared->clock.now());
  if (!set) co_return std::unexpected(set.error());
  given->alerts.forget(tenant);
  co_await note(*given->shared, context, "memory.alerts.thresholds", "memory/alerts", body);
  co_return co_await get_thresholds(given, context);
}

json::object webhook_json(const Webhook& webhook) {
  json::array types;
  for (const AlertType type : webhook.types) types.emplace_back(series::to_string(type));
  return {{"webhook_id", webhook.id},
          {"url", webhook.url},
          {"alert_types", std::move(types)},
          {"created_at", format_rfc3339(webhook.created_at)},
          {"created_by", webhook.created_by}};
}

Task<http::Response> list_webhooks(SharedGiven given, http::Context& context) {
  ASAHI_CO_TRY(const auto webhooks, co_await given->store.webhooks(reach_of(context).tenant()));
  json::array list;
  for (const Webhook& webhook : webhooks) list.push_back(webhook_json(webhook));
  co_return json_reply(200, {{"webhooks", std::move(list)}});
}

Result<Webhook> webhook_of(const json::object& body) {
  Webhook webhook{.id = random_id("whk_", 16), .url = {}, .types = {}, .created_by = {}};
  for (const auto& [name, value] : body) {
    if (name == "url" && value.is_string()) {
      webhook.url = std::string(value.get_string());
    } else if (name == "alert_types" && value.is_array() &&
               value.get_array().size() <= series::kAlertTypes) {
      for (const json::value& one : value.get_array()) {
        if (!one.is_string())
          return fail_field("alert_types", "a list of types of alerts; empty: all");
        ASAHI_TRY(const AlertType type, type_of("alert_types", one.get_string()));
        webhook.types.push_back(type);
      }
    } else {
      return fail_field(std::string(name).substr(0, 60),
                        "a webhook has a url (text) and alert_types (a list; empty: all)");
    }
  }
  if (webhook.url.empty()) return fail_field("url", "a webhook needs a url");
  return webhook;
}

Task<http::Response> add_webhook(SharedGiven given, http::Context& context) {
  ASAHI_CO_TRY(const json::object body, body_of(context.request));
  ASAHI_CO_TRY(Webhook webhook, webhook_of(body));
  if (auto ok = given->alerts.check_url(webhook.url); !ok) co_return std::unexpected(ok.error());
  const std::string tenant = reach_of(context).tenant();
  webhook.created_at = given->shared->clock.now();
  webhook.created_by = identity::actor_of(identity::principal_of(context));
  if (auto added = co_await given->store.add_webhook(tenant, webhook); !added)
    co_return std::unexpected(added.error());
  given->alerts.forget(tenant);
  co_await note(*given->shared, context, "memory.webhook.create", "webhook/" + webhook.id);
  co_return json_reply(201, webhook_json(webhook));
}

Task<http::Response> remove_webhook(SharedGiven given, http::Context& context) {
  std::string id(context.path_param("webhook_id"));
  if (id.empty()) id = context.request.query_param("webhook_id").value_or("");
  if (id.empty()) co_return fail_field("webhook_id", "say which: ?webhook_id=whk_…");
  const std::string tenant = reach_of(context).tenant();
  ASAHI_CO_TRY(const bool removed, co_await given->store.remove_webhook(tenant, id));
  if (!removed)
    co_return fail(Errc::kNotFound, fmt::format("there is no webhook '{}'", id.substr(0, 60)));
  given->alerts.forget(tenant);
  co_await note(*given->shared, context, "memory.webhook.delete", "webhook/" + id);
  co_return json_reply(200, {{"deleted", id}});
}

Task<http::Response> list_alerts(SharedGiven given, http::Context& context) {
  const http::Request& request = context.request;
  AlertQuery query;
  query.tenant = reach_of(context).tenant();
  ASAHI_CO_TRY(const std::int64_t limit, http::QueryParams(request).integer("limit", 50, 1, 500));
  query.limit = static_cast<std::size_t>(limit);
  query.before = request.query_param("cursor").value_or("");
  if (const auto name = request.query_param("alert_type"); name && !name->empty()) {
    ASAHI_CO_TRY(query.type, type_of("alert_type", *name));
  }
  if (const auto name = request.query_param("severity"); name && !name->empty()) {
    for (const auto one : {series::Severity::kInfo, series::Severity::kWarning,
                           series::Severity::kError, series::Severity::kCritical}) {
      if (series::to_string(one) == *name) query.severity = one;
    }
    if (!query.severity)
      co_return fail_field("severity", "severity is one of info, warning, error, critical");
  }
  ASAHI_CO_TRY(const auto past, co_await given->store.list(query));
  json::array list;
  for (const PastAlert& alert : past) {
    auto body = parse_json(alert.body);
    json::object one = body && body->is_object() ? std::move(body->get_object()) : json::object{};
    one["told"] = told_name(alert.told);
    list.push_back(std::move(one));
  }
  const bool more = past.size() == query.limit;
  co_return json_reply(
      200, {{"alerts", std::move(list)},
            {"next_cursor", more ? json::value(past.back().place) : json::value(nullptr)}});
}

}  // namespace

void add_alert_routes(const RouteAdder& routes, SharedRouteParts shared, AlertStore& store,
                      Alerts& alerts) {
  using enum http::Method;
  const auto given = std::make_shared<const Given>(Given{std::move(shared), store, alerts});
  const auto add = [&](http::Method method, std::string_view pattern,
                       Task<http::Response> (*body)(SharedGiven, http::Context&)) {
    routes.add_body(method, pattern, "admin:settings",
                    [given, body](http::Context& context) -> Task<http::Response> {
                      // They measure the organisation, and tell of any of its systems.
                      if (auto ok = reach_of(context).check_whole("an alert"); !ok)
                        co_return std::unexpected(ok.error());
                      co_return co_await body(given, context);
                    });
  };
  add(kGet, "/alerts/thresholds", get_thresholds);
  add(kPut, "/alerts/thresholds", put_thresholds);
  add(kGet, "/alerts/webhooks", list_webhooks);
  add(kPost, "/alerts/webhooks", add_webhook);
  add(kDelete, "/alerts/webhooks", remove_webhook);
  add(kDelete, "/alerts/webhooks/{webhook_id}", remove_webhook);
  add(kGet, "/alerts", list_alerts);
}

}  // namespace asahi::memory
