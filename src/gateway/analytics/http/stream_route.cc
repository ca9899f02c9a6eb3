#include <fmt/format.h>

#include <algorithm>

#include "gateway/analytics/compute/rounding.h"
#include "gateway/analytics/http/handlers.h"
#include "gateway/analytics/http/params.h"
#include "net/sse/parser.h"

namespace asahi::gateway::analytics {
namespace {

using Steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::int64_t kShortest = 50, kLongest = 60'000;  // of an interval, ms

std::string summary_json(const EventFeed::Summary& summary, Clock::Time now) {
  const Sums& sums = summary.sums;
  json::object models;
  for (const auto& [model, count] : summary.requests_by_model) models[model] = count;
  return write_json(json::object{
      {"from", format_rfc3339(summary.from)},
      {"to", format_rfc3339(now)},
      {"requests", sums.requests},
      {"errors", sums.errors},
      {"cost", shown_dollars(sums.cost)},
      {"savings", shown_dollars(sums.total_savings())},
      {"hits_by_tier",
       {{"1", sums.hits_by_tier[1]}, {"2", sums.hits_by_tier[2]}, {"3", sums.hits_by_tier[3]}}},
      {"hits", sums.hits()},
      {"p50_latency_ms", rounded(sums.latency.percentile(50), 2)},
      {"input_tokens", sums.input_tokens},
      {"output_tokens", sums.output_tokens},
      {"by_model", std::move(models)}});
}

/// What one watcher is sent, until it leaves or the feed closes.
Task<void> tell(std::shared_ptr<EventFeed::Client> client, http::Context& context,
                const Clock& clock, milliseconds interval, milliseconds silence,
                http::BodyWriter& writer) {
  const auto leaving = context.cancel.on_cancel([raw = client.get()] { raw->news().set(); });
  const bool summaries = interval.count() > 0;
  // Browsers come back by themselves after so many milliseconds.
  std::string bytes = "retry: 3000\n: connected\n\n";
  auto next_summary = Steady::now() + interval;
  auto keep_alive = Steady::now() + silence;
  for (;;) {
    if (!bytes.empty()) {
      auto written = co_await writer.write(std::exchange(bytes, {}));
      if (!written) co_return std::unexpected(std::move(written.error()));
      keep_alive = Steady::now() + silence;
    }
    const auto deadline =
        context.loop.at(summaries ? std::min(next_summary, keep_alive) : keep_alive,
                        [raw = client.get()] { raw->news().set(); });
    co_await client->news().wait();
    if (context.cancel.cancelled()) co_return fail(Errc::kCancelled, "the client went away");
    const auto now = Steady::now();
    if (!summaries || now >= next_summary || client->closed()) {
      const EventFeed::News news = client->take();
      for (const auto& event : news.events) sse::append_event(bytes, "inference", *event);
      if (news.dropped > 0) {
        sse::append_event(bytes, "dropped", fmt::format("{{\"count\":{}}}", news.dropped));
      }
      if (summaries) {
        if (news.summary.sums.requests > 0)
          sse::append_event(bytes, "summary", summary_json(news.summary, clock.now()));
        // From now on, so that one who reads slowly gets no burst of what it missed.
        next_summary = std::max(next_summary + interval, now);
      }
      if (news.closed) {
        sse::append_event(bytes, "bye", "{}");
        co_return co_await writer.write(std::move(bytes));
      }
    }
    if (bytes.empty() && now >= keep_alive) bytes = ": keep-alive\n\n";
  }
}

}  // namespace

Task<http::Response> get_stream(const AnalyticsParts& parts, http::Context& context) {
  const Params params(context.request);
  EventFeed::Wish wish;
  ASAHI_CO_TRY(const std::int64_t interval, params.integer("aggregate", 0, kShortest, kLongest));
  ASAHI_CO_TRY(wish.sample, params.number("sample", 1, 0, 1));
  ASAHI_CO_TRY(wish.model, params.text("model", 255));
  if (wish.sample <= 0) {
    co_return fail_field("sample", "sample is 0; it must be above 0, up to 1");
  }
  wish.org_id = org_of(context);
  wish.summaries = interval > 0;
  ASAHI_CO_TRY(std::shared_ptr<EventFeed::Client> client,
               parts.feed.join(std::move(wish), context.loop));
  // It goes on for as long as somebody watches.
  context.deadline = Steady::time_point::max();
  http::Response response;
  response.headers.add("Content-Type", "text/event-stream; charset=utf-8");
  response.headers.add("Cache-Control", "no-store");
  response.headers.add("X-Accel-Buffering", "no");
  response.stream = [client = std::move(client), &context, &clock = parts.clock,
                     interval = milliseconds(interval),
                     silence = parts.stream_keep_alive](http::BodyWriter& writer) {
    return tell(client, context, clock, interval, silence, writer);
  };
  co_return response;
}

}  // namespace asahi::gateway::analytics
