#include <fmt/format.h>

#include <tuple>

#include "memory/http/routes.h"
#include "memory/ingest/intake.h"
#include "memory/ingest/ledger.h"
#include "memory/ingest/push.h"
#include "memory/ingest/scan_requests.h"
#include "memory/ingest/worker.h"
#include "net/http/query_params.h"

namespace asahi::memory {
namespace {

constexpr std::size_t kMaxBody = 100 << 20;

json::value time_json(const std::optional<Clock::Time>& time) {
  return time ? json::value(format_rfc3339(*time)) : json::value(nullptr);
}

json::object counts_json(const UploadCounts& counts) {
  return {{"items", counts.items},
          {"stored", counts.stored},
          {"replaced", counts.replaced},
          {"unchanged", counts.unchanged},
          {"older", counts.older},
          {"duplicates", counts.duplicates},
          {"near_duplicates", counts.near_duplicates},
          {"skipped", counts.skipped},
          {"errors", counts.errors},
          {"bytes", counts.bytes}};
}

/// JSON text of our own making.
json::value list_json(const std::string& text) {
  auto parsed = parse_json(text);
  return parsed ? std::move(*parsed) : json::value(json::array{});
}

json::object upload_json(const Upload& upload) {
  return {{"system_id", upload.id.system_id},
          {"upload_id", upload.id.upload_id},
          {"origin", origin_name(upload.origin)},
          {"state", state_name(upload.state)},
          {"priority", priority_name(upload.priority)},
          {"attempts", upload.attempts},
          {"counts", counts_json(upload.counts)},
          {"error", upload.error.empty() ? json::value(nullptr) : json::value(upload.error)},
          {"bad_items", list_json(upload.bad_items)},
          {"discovered_at", format_rfc3339(upload.discovered_at)},
          {"updated_at", format_rfc3339(upload.updated_at)},
          {"started_at", time_json(upload.started_at)},
          {"finished_at", time_json(upload.finished_at)}};
}

json::object item_json(const PushedItem& item) {
  json::object told{{"index", item.index}};
  if (!item.key.conversation_id.empty()) {
    told["system_id"] = item.key.system_id;
    told["conversation_id"] = item.key.conversation_id;
  }
  if (item.outcome) told["outcome"] = outcome_name(*item.outcome);
  if (item.bad)
    told["error"] = json::object{{"field", item.bad->field}, {"message", item.bad->detail}};
  return told;
}

http::Response push_reply(const PushReply& reply) {
  json::array items;
  for (const PushedItem& item : reply.items) items.push_back(item_json(item));
  json::object body{{"status", reply.status},
                    {"upload_id", reply.upload_id},
                    {"counts", counts_json(reply.counts)},
                    {"stored_at", format_rfc3339(reply.stored_at)}};
  if (!items.empty()) body["items"] = std::move(items);
  if (auto bad = list_json(reply.bad_items); !bad.get_array().empty()) body["bad_items"] = bad;
  return json_reply(200, body);
}

PushCaller caller_of(const http::Context& context) {
  return {.tenant = tenant_of(context),
          .systems_allowed = {},
          .method = "http_push",
          .deadline = context.deadline};
}

using PushCall = Task<PushReply> (Push::*)(PushCaller, std::string);

template <PushCall kCall>
Task<http::Response> push(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const PushReply reply,
               co_await (parts.push->*kCall)(caller_of(context), std::move(context.request.body)));
  co_return push_reply(reply);
}

Task<http::Response> list_uploads(const RouteParts& parts, http::Context& context) {
  const http::Request& request = context.request;
  UploadQuery query;
  query.tenant = tenant_of(context);
  query.system_id = request.query_param("system_id").value_or("");
  query.cursor = request.query_param("cursor").value_or("");
  if (const auto word = request.query_param("state"); word && !word->empty()) {
    const auto state = parse_state(*word);
    if (!state) co_return fail_field("state", fmt::format("'{}' is no state of an upload", *word));
    query.states.push_back(*state);
  }
  ASAHI_CO_TRY(const std::int64_t limit, http::QueryParams(request).integer("limit", 50, 1, 1000));
  query.limit = static_cast<std::size_t>(limit);
  ASAHI_CO_TRY(const UploadPage page, co_await parts.ledger->list(std::move(query)));
  json::array list;
  for (const Upload& upload : page.uploads) list.push_back(upload_json(upload));
  co_return json_reply(
      200, {{"uploads", std::move(list)},
            {"next_cursor", page.next.empty() ? json::value(nullptr) : json::value(page.next)}});
}

Result<UploadId> upload_of(const http::Context& context) {
  UploadId id{tenant_of(context), std::string(context.path_param("system_id")),
              std::string(context.path_param("upload_id"))};
  if (auto ok = check_system_id(id.system_id); !ok) return std::unexpected(ok.error());
  if (auto ok = check_upload_id(id.upload_id); !ok) return std::unexpected(ok.error());
  return id;
}

Task<http::Response> get_upload(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const UploadId id, upload_of(context));
  ASAHI_CO_TRY(const auto found, co_await parts.ledger->find(id));
  if (!found) {
    co_return fail(Errc::kNotFound,
                   fmt::format("no upload '{}' of the system '{}'", id.upload_id, id.system_id));
  }
  co_return json_reply(200, upload_json(*found));
}

Result<UploadPriority> priority_of(const json::object& body) {
  const json::value* word = body.if_contains("priority");
  if (word == nullptr || *word == "normal") return UploadPriority::kNormal;
  if (*word == "high") return UploadPriority::kHigh;
  return fail_field("priority",
                    fmt::format("{} is neither normal nor high", json::serialize(*word)));
}

Task<http::Response> retry_upload(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(UploadId id, upload_of(context));
  ASAHI_CO_TRY(const json::object body, body_of(context.request));
  ASAHI_CO_TRY(const UploadPriority priority, priority_of(body));
  ASAHI_CO_TRY(const Upload upload, co_await parts.ledger->retry(std::move(id), priority));
  if (parts.worker != nullptr) {
    parts.worker->trigger(priority);
  } else if (parts.scans != nullptr) {
    // Without it workers find the upload at their next look.
    std::ignore = co_await parts.scans->ask(priority);
  }
  co_return json_reply(202, upload_json(upload));
}

Task<http::Response> trigger(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const json::object body, body_of(context.request));
  ASAHI_CO_TRY(const UploadPriority priority, priority_of(body));
  if (parts.worker == nullptr && parts.scans != nullptr) {
    ASAHI_CO_TRY(std::string job, co_await parts.scans->ask(priority));
    co_return json_reply(
        202,
        {{"status", "queued"}, {"job_id", std::move(job)}, {"priority", priority_name(priority)}});
  }
  if (parts.worker == nullptr)
    co_return fail(Errc::kUnavailable, "this process takes no uploads from the bucket");
  if (!parts.has_bucket)
    co_return fail(Errc::kUnavailable,
                   "no bucket is configured: set memory.ingestion.bucket, or push");
  parts.worker->trigger(priority);
  co_return json_reply(202, {{"status", "triggered"}, {"priority", priority_name(priority)}});
}

Task<http::Response> status(const RouteParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const Ledger::Totals totals, co_await parts.ledger->totals(tenant_of(context)));
  json::object states;
  for (const auto& [state, count] : totals.states) states[state_name(state)] = count;
  json::object body{{"queue_size", totals.queued()},
                    {"in_work", totals.in_work()},
                    {"uploads", std::move(states)},
                    {"bucket", parts.has_bucket},
                    // There is no orchestrator to lean on: jobs run here (spec §3.10).
                    {"status", "normal"},
                    {"fallback_mode", false},
                    {"last_mahavishnu_contact", nullptr},
                    {"timestamp", format_rfc3339(parts.clock.now())}};
  if (parts.worker != nullptr) {
    const IngestWorker::Status now = parts.worker->status();
    body["workers"] = now.uploads_in_work;
    body["pushes_in_flight"] = now.pushes_in_flight;
    body["paused"] = now.paused.empty() ? json::value(nullptr) : json::value(now.paused);
    body["last_scan"] = time_json(now.last_scan);
  }
  co_return json_reply(200, body);
}

}  // namespace

void add_ingest_routes(const RouteAdder& routes) {
  using enum http::Method;
  routes.add(kPost, "/ingest/upload", "ingest:upload", push<&Push::upload>, kMaxBody);
  routes.add(kPost, "/memories", "ingest:upload", push<&Push::memory>);
  routes.add(kPost, "/memories/batch", "ingest:upload", push<&Push::memories>, kMaxBody);
  routes.add(kGet, "/uploads", "system:status", list_uploads);
  routes.add(kGet, "/uploads/{system_id}/{upload_id}", "system:status", get_upload);
  routes.add(kPost, "/uploads/{system_id}/{upload_id}/retry", "ingest:upload", retry_upload);
  routes.add(kPost, "/ingestion/trigger", "ingest:upload", trigger);
  routes.add(kGet, "/ingestion/status", "system:status", status);
}

}  // namespace asahi::memory
