#include <fmt/format.h>

#include <tuple>

#include "base/json_out.h"
#include "memory/http/routes.h"
#include "memory/ingest/intake.h"
#include "memory/ingest/ledger.h"
#include "memory/ingest/push.h"
#include "memory/ingest/scan_requests.h"
#include "memory/ingest/worker.h"
#include "memory/outside/orchestrator.h"
#include "net/http/query_params.h"

namespace asahi::memory {
namespace {

constexpr std::size_t kMaxBody = 100 << 20;
constexpr std::size_t kJobsShown = 10;

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

void write_item(const PushedItem& item, JsonOut& out) {
  out.open_object().member("index", static_cast<std::int64_t>(item.index));
  if (!item.key.conversation_id.empty()) {
    out.member("system_id", item.key.system_id);
    out.member("conversation_id", item.key.conversation_id);
  }
  if (item.outcome) out.member("outcome", outcome_name(*item.outcome));
  if (item.bad) {
    out.key("error").open_object();
    out.member("field", item.bad->field).member("message", item.bad->detail).close_object();
  }
  out.close_object();
}

/// Text rather than a tree: a batch tells of each of its memories.
http::Response push_reply(const PushReply& reply) {
  constexpr std::size_t kAround = 512, kItem = 128;
  std::string body;
  body.reserve(kAround + kItem * reply.items.size());
  JsonOut out(body);
  out.open_object().member("status", reply.status).member("upload_id", reply.upload_id);
  out.member("counts", json::value(counts_json(reply.counts)));
  out.member("stored_at", format_rfc3339(reply.stored_at));
  if (!reply.items.empty()) {
    out.key("items").open_array();
    for (const PushedItem& item : reply.items) write_item(item, out);
    out.close_array();
  }
  if (reply.bad_items != "[]") out.key("bad_items").raw(reply.bad_items);
  out.close_object();
  return http::Response::json(200, std::move(body));
}

PushCaller caller_of(const http::Context& context) {
  return {.reach = reach_of(context), .method = "http_push", .deadline = context.deadline};
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
  const Reach reach = reach_of(context);
  query.tenant = reach.tenant();
  query.systems_allowed = reach.systems();
  query.system_id = request.query_param("system_id").value_or("");
  if (!query.system_id.empty()) {
    if (auto ok = reach.check(query.system_id); !ok) co_return std::unexpected(ok.error());
  }
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
  const Reach reach = reach_of(context);
  UploadId id{reach.tenant(), std::string(context.path_param("system_id")),
              std::string(context.path_param("upload_id"))};
  if (auto ok = check_system_id(id.system_id); !ok) return std::unexpected(ok.error());
  if (auto ok = reach.check(id.system_id); !ok) return std::unexpected(ok.error());
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
  std::string system;
  if (const json::value* named = body.if_contains("source_system");
      named != nullptr && !named->is_null()) {
    if (!named->is_string()) co_return fail_field("source_system", "must be a system's id");
    system = std::string(named->get_string());
    if (auto ok = check_system_id(system); !ok)
      co_return fail_field("source_system", ok.error().message);
  }
  if (auto ok = check_scan(reach_of(context), system); !ok) co_return std::unexpected(ok.error());
  if (parts.worker == nullptr && parts.scans == nullptr)
    co_return fail(Errc::kUnavailable, "this process takes no uploads from the bucket");
  if (parts.worker != nullptr && !parts.has_bucket)
    co_return fail(Errc::kUnavailable,
                   "no bucket is configured: set memory.ingestion.bucket, or push");
  std::string id;
  if (parts.worker != nullptr) {
    id = parts.worker->trigger(priority, system);
  } else {
    ASAHI_CO_TRY(id, co_await parts.scans->ask(priority, system));
  }
  co_return json_reply(
      202, {{"status", parts.worker != nullptr ? "triggered" : "queued"},
            {"job_id", std::move(id)},
            {"source_system", system.empty() ? json::value(nullptr) : json::value(system)},
            {"priority", priority_name(priority)}});
}

json::object job_json(const ScanJob& job) {
  return {
      {"job_id", job.id},
      {"state", state_name(job.state)},
      {"source_system", job.system_id.empty() ? json::value(nullptr) : json::value(job.system_id)},
      {"priority", priority_name(job.priority)},
      {"asked_at", format_rfc3339(job.asked_at)},
      {"ended_at", time_json(job.ended_at)},
      {"discovered", job.discovered},
      {"error", job.error.empty() ? json::value(nullptr) : json::value(job.error)}};
}

Task<http::Response> status(const RouteParts& parts, http::Context& context) {
  const Reach reach = reach_of(context);
  ASAHI_CO_TRY(const Ledger::Totals totals,
               co_await parts.ledger->totals(reach.tenant(), reach.systems()));
  json::object states;
  for (const auto& [state, count] : totals.states) states[state_name(state)] = count;
  json::object body{{"queue_size", totals.queued()},
                    {"in_work", totals.in_work()},
                    {"uploads", std::move(states)},
                    {"bucket", parts.has_bucket},
                    {"timestamp", format_rfc3339(parts.clock.now())}};
  for (auto& [name, value] : orchestrator_json(parts.orchestrator.status())) body[name] = value;
  if (parts.worker != nullptr) {
    const IngestWorker::Status now = parts.worker->status();
    body["workers"] = now.uploads_in_work;
    body["pushes_in_flight"] = now.pushes_in_flight;
    body["paused"] = now.paused.empty() ? json::value(nullptr) : json::value(now.paused);
    body["last_scan"] = time_json(now.last_scan);
    json::array jobs;
    for (const ScanJob& job : parts.worker->jobs().latest(kJobsShown)) {
      if (reach.is_whole() || (!job.system_id.empty() && reach.has(job.system_id)))
        jobs.push_back(job_json(job));
    }
    body["jobs"] = std::move(jobs);
  }
  co_return json_reply(200, body);
}

}  // namespace

Result<void> check_scan(const Reach& reach, std::string_view system) {
  if (!system.empty()) return reach.check(system, "source_system");
  return reach.check_whole("a look at all uploads (no source_system)");
}

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
