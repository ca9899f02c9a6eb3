#include "identity/audit/routes.h"

#include <fmt/format.h>

#include "base/log.h"
#include "identity/principal.h"
#include "net/http/query_params.h"
#include "net/http/server.h"

namespace asahi::identity {
namespace {

constexpr std::int64_t kExportPage = 200;
constexpr std::int64_t kMaxOffset = 1'000'000;
constexpr std::string_view kAccess = "view_audit_log";

struct Parts {
  AuditLog& log;
  const Clock& clock;
  http::ErrorWriter errors;
};

/// Whose log is asked for. Errors: not_found for a foreign one, as if it did not exist.
Result<std::string> asked_org(const http::Context& context) {
  const Principal& caller = principal_of(context);
  const auto asked = context.request.query_param("org_id");
  if (!asked || asked->empty() || *asked == caller.org_id) return caller.org_id;
  if (caller.may(Permission::kManageTenants)) return *asked;
  return fail(Errc::kNotFound, "there is no such organisation");
}

Result<AuditFilter> filter_of(const http::Context& context) {
  const http::QueryParams params(context.request);
  AuditFilter filter;
  ASAHI_TRY(filter.org_id, asked_org(context));
  ASAHI_TRY(filter.action, params.text("action", 100));
  ASAHI_TRY(filter.user_id, params.text("user_id", 255));
  ASAHI_TRY(filter.start, params.time("start_time"));
  ASAHI_TRY(filter.end, params.time("end_time"));
  if (filter.start && filter.end && *filter.end < *filter.start) {
    return fail_field("end_time", "end_time must not be before start_time");
  }
  return filter;
}

Aw<http::Response> list_entries(const Parts& parts, http::Context& context) {
  auto filter = filter_of(context);
  if (!filter) co_return parts.errors(filter.error(), context);
  const http::QueryParams params(context.request);
  const auto limit = params.integer("limit", 100, 1, AuditFilter::kMaxLimit);
  if (!limit) co_return parts.errors(limit.error(), context);
  const auto offset = params.integer("offset", 0, 0, kMaxOffset);
  if (!offset) co_return parts.errors(offset.error(), context);
  filter->limit = *limit;
  filter->offset = *offset;
  const auto entries = co_await parts.log.query(*filter);
  if (!entries) co_return parts.errors(entries.error(), context);
  std::string body = R"({"org_id":)";
  append_json_string(body, filter->org_id);
  body += fmt::format(R"(,"count":{},"entries":[)", entries->size());
  for (std::size_t i = 0; i < entries->size(); ++i) {
    if (i > 0) body += ',';
    body += write_json(audit_entry_json((*entries)[i]));
  }
  body += "]}";
  co_return http::Response::json(200, std::move(body));
}

/// Writes all entries of the filter, newest first, a page at a time.
Task<void> write_export(AuditLog& log, AuditFilter filter, bool csv, http::BodyWriter& writer) {
  filter.limit = kExportPage;
  bool first = true;
  std::string chunk = csv ? std::string(audit_csv_header()) : "[";
  while (true) {
    ASAHI_CO_TRY(const auto entries, co_await log.query(filter));
    for (const auto& entry : entries) {
      if (csv) {
        append_audit_csv(chunk, entry);
      } else {
        if (!first) chunk += ",\n";
        chunk += write_json(audit_entry_json(entry));
      }
      first = false;
      filter.before_seq = entry.seq;
    }
    const bool last = std::ssize(entries) < kExportPage;
    if (last && !csv) chunk += "]\n";
    if (!chunk.empty()) {
      if (auto written = co_await writer.write(std::move(chunk)); !written) co_return written;
    }
    chunk.clear();
    if (last) co_return Result<void>{};
  }
}

AuditEntry export_entry(const http::Context& context, const AuditFilter& filter,
                        std::string_view format) {
  const Principal& caller = principal_of(context);
  AuditEntry entry;
  entry.org_id = filter.org_id;
  entry.user_id = actor_of(caller);
  entry.action = "audit.export";
  entry.resource = "audit/" + filter.org_id;
  entry.details = {{"format", format}};
  entry.ip_address = context.request.remote_address;
  entry.user_agent = context.request.headers.get("User-Agent");
  entry.data_classification = "confidential";
  return entry;
}

Aw<http::Response> export_entries(const Parts& parts, http::Context& context) {
  const auto filter = filter_of(context);
  if (!filter) co_return parts.errors(filter.error(), context);
  const std::string format = context.request.query_param("format").value_or("json");
  if (format != "json" && format != "csv") {
    const auto wrong = fail_field("format", "format must be json or csv");
    co_return parts.errors(wrong.error(), context);
  }
  const bool csv = format == "csv";
  if (!parts.log.record(export_entry(context, *filter, format))) {
    const auto full = fail(Errc::kUnavailable, "the audit log takes no entry about this export");
    co_return parts.errors(full.error(), context);
  }
  http::Response response;
  response.headers.add("Content-Type", csv ? "text/csv; charset=utf-8" : "application/json");
  response.headers.add("Content-Disposition", fmt::format("attachment; filename=\"audit-{}.{}\"",
                                                          format_date(parts.clock.now()), format));
  response.headers.add("Cache-Control", "no-store");
  response.stream = [&log = parts.log, filter = *filter, csv](http::BodyWriter& writer) {
    return write_export(log, filter, csv, writer);
  };
  co_return response;
}

Aw<http::Response> verify_chain(const Parts& parts, http::Context& context) {
  const auto org = asked_org(context);
  if (!org) co_return parts.errors(org.error(), context);
  const auto checked = co_await parts.log.verify(*org);
  if (!checked) co_return parts.errors(checked.error(), context);
  const auto optional = [](const std::string& text) {
    return text.empty() ? json::value(nullptr) : json::value(text);
  };
  co_return http::Response::json(
      200, write_json(json::object{{"org_id", *org},
                                   {"valid", checked->valid},
                                   {"checked", checked->checked},
                                   {"first_bad_entry", optional(checked->first_bad_entry)},
                                   {"problem", optional(checked->problem)}}));
}

}  // namespace

void add_audit_routes(http::Router& router, AuditLog& log, const Clock& clock,
                      http::ErrorWriter errors) {
  if (!errors) errors = http::native_error;
  const Parts parts{log, clock, std::move(errors)};
  const auto add = [&](const std::string& path,
                       Aw<http::Response> (*handler)(const Parts&, http::Context&)) {
    for (const auto* prefix : {"", "/api/v1"}) {
      router.get(
          prefix + path,
          // The router owns this lambda, and with it the parts, for as long as requests run.
          [parts, handler](http::Context& context) { return handler(parts, context); }, kAccess);
    }
  };
  add("/governance/audit", list_entries);
  add("/governance/audit/export", export_entries);
  add("/governance/audit/verify", verify_chain);
  add("/org/audit-log", list_entries);
}

}  // namespace asahi::identity
