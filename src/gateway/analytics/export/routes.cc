#include "gateway/analytics/export/routes.h"

#include <fmt/format.h>

#include <atomic>
#include <charconv>
#include <memory>

#include "gateway/analytics/export/event_export.h"
#include "gateway/http/admin_routes.h"
#include "gateway/http/audit_note.h"
#include "gateway/http/errors.h"
#include "identity/principal.h"

namespace asahi::gateway {
namespace {

using analytics::ExportFormat;
using analytics::ExportQuery;

/// Each keeps a page in memory and the table busy.
constexpr int kMostAtATime = 4;
constexpr std::size_t kLongestFilter = 255;

struct Exports {
  explicit Exports(ExportParts given) : parts(given) {}
  ExportParts parts;
  std::atomic<int> running{0};
  boost::asio::thread_pool text{1};
};

/// A place among those that run.
class Place {
 public:
  explicit Place(std::shared_ptr<Exports> exports) : exports_(std::move(exports)) {
    granted_ = exports_->running.fetch_add(1) < kMostAtATime;
  }
  Place(Place&& other) noexcept = default;
  Place& operator=(Place&&) = delete;
  ~Place() {
    if (exports_ != nullptr) exports_->running.fetch_sub(1);
  }
  bool granted() const { return granted_; }
  Exports& exports() const { return *exports_; }

 private:
  std::shared_ptr<Exports> exports_;
  bool granted_ = false;
};

/// A time, or a day: its beginning, for `to` its end.
Result<std::optional<Clock::Time>> time_of(const http::Request& request, std::string_view name,
                                           bool end) {
  constexpr std::size_t kDay = 10;
  const auto text = request.query_param(name);
  if (!text || text->empty()) return std::nullopt;
  const bool day = text->size() == kDay;
  const auto time = parse_rfc3339(day ? *text + "T00:00:00Z" : *text);
  if (!time) {
    return fail_field(std::string(name),
                      fmt::format("{} must be a day such as 2026-11-22 or a time such as "
                                  "2026-11-22T10:00:00Z",
                                  name));
  }
  return day && end ? *time + std::chrono::days(1) : *time;
}

Result<std::optional<bool>> flag_of(const http::Request& request, std::string_view name) {
  const auto text = request.query_param(name);
  if (!text || text->empty()) return std::nullopt;
  if (*text == "true") return true;
  if (*text == "false") return false;
  return fail_field(std::string(name), fmt::format("{} must be true or false", name));
}

Result<ExportQuery> read_query(const http::Context& context, const Clock& clock) {
  const http::Request& request = context.request;
  ExportQuery query;
  query.org_id = identity::principal_of(context).org_id;
  const std::string format = request.query_param("format").value_or("csv");
  if (format != "csv" && format != "ndjson")
    return fail_field("format", "format must be csv or ndjson");
  query.format = format == "csv" ? ExportFormat::kCsv : ExportFormat::kNdjson;
  ASAHI_TRY(query.from, time_of(request, "from", false));
  ASAHI_TRY(query.to, time_of(request, "to", true));
  // What comes in meanwhile is for the next export; this one has an end.
  if (!query.to || *query.to > clock.now()) query.to = clock.now();
  if (query.from && *query.from >= *query.to)
    return fail_field("from", "from must be before to, and not in the future");
  for (auto [name, field] : {std::pair{"model", &query.model},
                             {"task_type", &query.task_type},
                             {"user", &query.user_id},
                             {"api_key", &query.api_key_prefix},
                             {"provider", &query.provider},
                             {"error", &query.error_code}}) {
    *field = request.query_param(name).value_or("");
    if (field->size() > kLongestFilter)
      return fail_field(name, fmt::format("{} has at most {} bytes", name, kLongestFilter));
  }
  if (query.error_code == "true" || query.error_code == "false") {
    query.failed = query.error_code == "true";
    query.error_code.clear();
  }
  ASAHI_TRY(query.cache_hit, flag_of(request, "cache_hit"));
  if (const auto tier = request.query_param("tier"); tier && !tier->empty()) {
    if (tier->size() != 1 || (*tier)[0] < '0' || (*tier)[0] > '3')
      return fail_field("tier", "tier must be 0, 1, 2 or 3");
    query.cache_tier = (*tier)[0] - '0';
  }
  return query;
}

Aw<http::Response> get_export(std::shared_ptr<Exports> shared, http::Context& context) {
  const Clock& clock = shared->parts.clock;
  auto query = read_query(context, clock);
  if (!query) co_return native_error(query.error(), context);
  Place place(shared);
  if (!place.granted()) {
    auto refused =
        fail(Errc::kRateLimited,
             fmt::format("{} exports are running; try again when one has ended", kMostAtATime));
    refused.error().retry_after = std::chrono::seconds(30);
    co_return native_error(refused.error(), context);
  }
  const bool csv = query->format == ExportFormat::kCsv;
  const std::string_view format = csv ? "csv" : "ndjson";
  co_await note(shared->parts.audit,
                audit_entry(context, query->org_id, "analytics.export", "events/" + query->org_id,
                            {{"format", format},
                             {"from", query->from ? format_rfc3339(*query->from) : ""},
                             {"to", format_rfc3339(*query->to)}}));
  http::Response response;
  response.headers.add("Content-Type", csv ? "text/csv; charset=utf-8" : "application/x-ndjson");
  response.headers.add("Content-Disposition", fmt::format("attachment; filename=\"events-{}.{}\"",
                                                          format_date(clock.now()), format));
  response.headers.add("Cache-Control", "no-store");
  // Ten million rows take longer than any request; a client that stops reading is cut off by the
  // time for one write.
  context.deadline = std::chrono::steady_clock::time_point::max();
  response.stream = [place = std::move(place), query = *std::move(query),
                     &cancel = context.cancel](http::BodyWriter& writer) -> Task<void> {
    return analytics::export_events(place.exports().parts.database, place.exports().text, query,
                                    writer, [&cancel] { return cancel.cancelled(); });
  };
  co_return response;
}

}  // namespace

void add_export_routes(http::Router& router, ExportParts parts) {
  const auto shared = std::make_shared<Exports>(parts);
  add_both(router, http::Method::kGet, "/analytics/export", "view_cost",
           [shared](http::Context& context) { return get_export(shared, context); });
}

}  // namespace asahi::gateway
