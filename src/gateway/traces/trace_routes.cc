#include "gateway/traces/trace_routes.h"

#include <fmt/format.h>

#include <charconv>
#include <mutex>

#include "base/ids.h"
#include "gateway/http/admin_routes.h"
#include "gateway/http/errors.h"
#include "gateway/traces/trace_json.h"
#include "identity/principal.h"
#include "net/http/query_params.h"
#include "net/sse/parser.h"

namespace asahi::gateway {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t kMostRows = 200;
constexpr std::size_t kUsualRows = 50;
/// Of one look of a live stream.
constexpr std::size_t kMostNews = 100;
constexpr std::chrono::seconds kKeepAlive{15};
/// A live stream ends so long before its request's time is over: it shall end, not break.
constexpr std::chrono::seconds kBeforeDeadline{2};

/// Live streams at a time: each is a connection that looks every so often.
class Seats {
 public:
  static constexpr int kMost = 256, kMostPerOrg = 32;

  /// Null: there is none.
  static std::shared_ptr<void> take(const std::shared_ptr<Seats>& seats, const std::string& org) {
    {
      const std::scoped_lock lock(seats->mutex_);
      if (seats->taken_ >= kMost || seats->by_org_[org] >= kMostPerOrg) return nullptr;
      ++seats->taken_;
      ++seats->by_org_[org];
    }
    return {seats.get(), [seats, org](void*) {
              const std::scoped_lock lock(seats->mutex_);
              --seats->taken_;
              if (--seats->by_org_[org] == 0) seats->by_org_.erase(org);
            }};
  }

 private:
  std::mutex mutex_;
  int taken_ = 0;
  std::unordered_map<std::string, int> by_org_;
};

struct State {
  TraceRouteParts parts;
  /// Positions of another process's memory say nothing here.
  std::string life = random_id("", 8);
  std::shared_ptr<Seats> seats = std::make_shared<Seats>();

  std::string mark(std::uint64_t position) const { return fmt::format("{}-{}", life, position); }
  /// Empty for a text that is no mark, or another life's.
  std::optional<std::uint64_t> position(std::string_view mark) const {
    if (mark.size() <= life.size() + 1 || !mark.starts_with(life) || mark[life.size()] != '-')
      return std::nullopt;
    mark.remove_prefix(life.size() + 1);
    std::uint64_t value = 0;
    const auto [end, wrong] = std::from_chars(mark.data(), mark.data() + mark.size(), value);
    if (wrong != std::errc{} || end != mark.data() + mark.size()) return std::nullopt;
    return value;
  }
};
using Shared = std::shared_ptr<const State>;

const std::string& org_of(const http::Context& context) {
  return identity::principal_of(context).org_id;
}

Result<TraceStore::Filter> filter_of(const http::Context& context) {
  TraceStore::Filter filter;
  if (const auto status = context.request.query_param("status")) {
    if (*status != "ok" && *status != "error")
      return fail_field("status", "status must be ok or error");
    filter.failed = *status == "error";
  }
  filter.model = context.request.query_param("model").value_or("");
  if (const auto text = context.request.query_param("min_latency_ms")) {
    const auto [end, wrong] =
        std::from_chars(text->data(), text->data() + text->size(), filter.min_latency_ms);
    if (wrong != std::errc{} || end != text->data() + text->size() ||
        !(filter.min_latency_ms >= 0 && filter.min_latency_ms <= 1e9))
      return fail_field("min_latency_ms", "min_latency_ms must be a number of milliseconds");
  }
  return filter;
}

Result<http::Response> list(const State& state, const http::Context& context) {
  ASAHI_TRY(const TraceStore::Filter filter, filter_of(context));
  ASAHI_TRY(const std::int64_t limit,
            http::QueryParams(context.request).integer("limit", kUsualRows, 1, kMostRows));
  std::uint64_t before = std::numeric_limits<std::uint64_t>::max();
  if (const auto cursor = context.request.query_param("cursor")) {
    const auto position = state.position(*cursor);
    if (!position)
      return fail_field("cursor",
                        "this cursor is none of this process; begin again without a cursor");
    before = *position;
  }
  TraceStore::Page page;
  if (state.parts.store != nullptr)
    page =
        state.parts.store->newest(org_of(context), filter, static_cast<std::size_t>(limit), before);
  std::string body = R"({"traces":[)";
  for (const TraceStore::Record& record : page.records) append_summary(body, *record);
  body += fmt::format(R"(],"count":{},"next_cursor":)", page.records.size());
  body += page.more ? '"' + state.mark(page.records.back()->position) + '"' : "null";
  body += fmt::format(R"(,"kept":{},"enabled":{}}})", page.kept, state.parts.store != nullptr);
  return http::Response::json(200, std::move(body));
}

Result<http::Response> show(const State& state, const http::Context& context) {
  const std::string_view id = context.path_param("id");
  std::vector<TraceStore::Record> found;
  if (state.parts.store != nullptr) found = state.parts.store->find(org_of(context), id);
  if (found.empty()) {
    return fail(Errc::kNotFound,
                "no call with this trace id or request id is remembered: only the last ones are, "
                "in the process that answered them");
  }
  std::vector<std::string> others;
  for (const TraceStore::Record& record : found) {
    if (record != found.front()) others.push_back(record->event.request_id);
  }
  return http::Response::json(200, trace_body(*found.front(), others));
}

Task<void> follow(Shared state, std::string org, TraceStore::Filter filter, std::uint64_t after,
                  std::size_t replay, http::Context& context, http::BodyWriter& writer,
                  std::shared_ptr<void> seat) {
  const TraceStore& store = *state->parts.store;
  std::string bytes = "retry: 1000\n\n";
  if (replay > 0) {
    const TraceStore::Page page = store.newest(org, filter, replay);
    for (auto record = page.records.rbegin(); record != page.records.rend(); ++record) {
      std::string data;
      append_summary(data, **record);
      bytes += fmt::format("id: {}\n", state->mark((*record)->position));
      sse::append_event(bytes, "trace", data);
      after = std::max(after, (*record)->position);
    }
  }
  auto spoke = steady_clock::now();
  for (;;) {
    const TraceStore::News news = store.after(org, filter, kMostNews, after);
    after = news.last;
    if (news.missed > 0)
      sse::append_event(bytes, "gap", fmt::format(R"({{"missed":{}}})", news.missed));
    for (const TraceStore::Record& record : news.records) {
      std::string data;
      append_summary(data, *record);
      bytes += fmt::format("id: {}\n", state->mark(record->position));
      sse::append_event(bytes, "trace", data);
    }
    const auto now = steady_clock::now();
    if (bytes.empty() && now - spoke >= kKeepAlive) bytes = ":\n\n";
    if (!bytes.empty()) {
      auto written = co_await writer.write(std::exchange(bytes, {}));
      if (!written) co_return written;
      spoke = now;
    }
    if (state->parts.draining || now + kBeforeDeadline >= context.deadline) break;
    if (!co_await context.loop.sleep_for(state->parts.look, &context.cancel))
      co_return fail(Errc::kCancelled, "the client went away");
  }
  seat.reset();
  co_return Result<void>{};
}

Result<http::Response> live(const Shared& state, http::Context& context) {
  ASAHI_TRY(TraceStore::Filter filter, filter_of(context));
  ASAHI_TRY(std::int64_t replay,
            http::QueryParams(context.request).integer("replay", 0, 0, kMostRows));
  if (state->parts.store == nullptr) {
    return fail(Errc::kNotFound, "calls are not remembered here: observability.live_traces is off");
  }
  const std::string& org = org_of(context);
  auto seat = Seats::take(state->seats, org);
  if (seat == nullptr) {
    auto full = fail(Errc::kRateLimited,
                     fmt::format("at most {} live streams of an organisation are served at a time",
                                 Seats::kMostPerOrg));
    full.error().retry_after = std::chrono::seconds(10);
    return full;
  }
  std::uint64_t after = state->parts.store->last(org);
  if (const auto position = state->position(context.request.headers.get("last-event-id"))) {
    after = *position;
    replay = 0;
  }
  http::Response response;
  response.headers.add("Content-Type", "text/event-stream; charset=utf-8");
  response.headers.add("Cache-Control", "no-cache");
  response.headers.add("X-Accel-Buffering", "no");
  response.stream = [state, org, filter = std::move(filter), after,
                     replay = static_cast<std::size_t>(replay), &context,
                     seat = std::move(seat)](http::BodyWriter& writer) mutable {
    return follow(state, org, filter, after, replay, context, writer, std::move(seat));
  };
  return response;
}

}  // namespace

void add_trace_routes(http::Router& router, TraceRouteParts parts) {
  const auto state = std::make_shared<const State>(State{.parts = parts});
  const auto answer = [](http::Context& context, Result<http::Response> made) -> http::Response {
    return made ? *std::move(made) : native_error(made.error(), context);
  };
  add_both(router, http::Method::kGet, "/traces", "view_metrics",
           [state, answer](http::Context& context) -> Aw<http::Response> {
             co_return answer(context, list(*state, context));
           });
  add_both(router, http::Method::kGet, "/traces/live", "view_metrics",
           [state, answer](http::Context& context) -> Aw<http::Response> {
             co_return answer(context, live(state, context));
           });
  add_both(router, http::Method::kGet, "/traces/{id}", "view_metrics",
           [state, answer](http::Context& context) -> Aw<http::Response> {
             co_return answer(context, show(*state, context));
           });
}

}  // namespace asahi::gateway
