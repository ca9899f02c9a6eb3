#include "gateway/traces/trace_routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/testing/pipeline.h"
#include "gateway/traces/trace_record.h"

namespace asahi::gateway {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using testing::Reply;

std::shared_ptr<TraceRecord> record(std::string org, std::string request_id,
                                    std::string error = {}) {
  const CallTrace::Time start{1h};
  auto trace = std::make_shared<CallTrace>(start);
  trace->context = {0x4bf92f3577b34da6, 0xa3ce929d0e0e4736, 7, false};
  trace->dispatch = trace->spans.begin(static_cast<std::uint8_t>(Stage::kDispatch), 0, start + 1ms);
  trace->end_attempt(trace->begin_attempt("openai", "gpt-4o-mini", start + 2ms), nullptr,
                     start + 5ms);
  trace->spans.end_all(start + 6ms);
  InferenceEvent event;
  event.org_id = std::move(org);
  event.request_id = std::move(request_id);
  event.route = "/infer";
  event.model_selected = "gpt-4o-mini";
  event.error_code = std::move(error);
  event.trace = std::move(trace);
  return make_record(event);
}

class TraceRoutes : public ::testing::Test {
 protected:
  TraceRoutes() {
    add_trace_routes(router_, {.store = &store_, .draining = draining_, .look = 5ms});
  }
  Reply get(const std::string& target, const std::string& org = "acme",
            std::vector<std::pair<std::string, std::string>> headers = {}) {
    return testing::Pending<Reply>(
               loops_,
               [&](CancelSource& cancel) -> Aw<Reply> {
                 http::Request request;
                 request.method = http::Method::kGet;
                 request.path = target.substr(0, target.find('?'));
                 if (target.contains('?')) request.query = target.substr(target.find('?') + 1);
                 for (auto& [name, value] : headers) request.headers.add(name, value);
                 auto caller = std::make_shared<identity::Principal>();
                 caller->org_id = org;
                 http::Router::Match match = router_.match(request.method, request.path);
                 http::Context context{.request = request,
                                       .loop = loops_.loop(),
                                       .cancel = cancel,
                                       .deadline = std::chrono::steady_clock::now() + time_,
                                       .received = std::chrono::steady_clock::now(),
                                       .request_id = "req_1",
                                       .client_request_id = {},
                                       .path_params = match.params,
                                       .route = match.route->pattern,
                                       .caller = caller,
                                       .reply_headers = {}};
                 EXPECT_EQ(match.route->access, "view_metrics");
                 http::Response response = co_await match.route->handler(context);
                 Reply reply;
                 reply.status = response.status;
                 reply.body = response.body;
                 reply.headers = response.headers;
                 if (response.stream) {
                   reply.streamed = true;
                   testing::Reader reader(1'000);
                   auto delivered = co_await response.stream(reader);
                   if (!delivered) reply.broken = delivered.error();
                   reply.body = reader.text;
                 }
                 co_return reply;
               })
        .get();
  }

  testing::Loops loops_;
  TraceStore store_{{.kept_per_org = 10}};
  std::atomic<bool> draining_{false};
  std::chrono::milliseconds time_{60'000};
  http::Router router_;
};

TEST_F(TraceRoutes, ListThePagesOfTheCallersOrganisation) {
  for (const char* id : {"a", "b", "c"}) store_.add(record("acme", id));
  store_.add(record("other", "x"));
  const json::object first = get("/traces?limit=2").object();
  EXPECT_EQ(first.at("count"), 2);
  EXPECT_EQ(first.at("kept"), 3);
  EXPECT_EQ(first.at("enabled"), true);
  EXPECT_EQ(first.at("traces").at(0).at("request_id"), "c");
  EXPECT_EQ(first.at("traces").at(0).at("trace_id"), "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(first.at("traces").at(0).at("duration_ms"), 6);
  const std::string cursor(first.at("next_cursor").as_string());
  const json::object second = get("/traces?limit=2&cursor=" + cursor).object();
  EXPECT_EQ(second.at("count"), 1);
  EXPECT_TRUE(second.at("next_cursor").is_null());
  EXPECT_EQ(get("/traces", "nobody").object().at("count"), 0);
}

TEST_F(TraceRoutes, FilterAndRefuseWhatIsNoFilter) {
  store_.add(record("acme", "a"));
  store_.add(record("acme", "b", "timeout"));
  EXPECT_EQ(get("/traces?status=error").object().at("traces").at(0).at("error"), "timeout");
  EXPECT_EQ(get("/traces?status=ok&model=gpt-4o-mini&min_latency_ms=5.5").object().at("count"), 1);
  EXPECT_EQ(get("/traces?min_latency_ms=7").object().at("count"), 0);
  for (const char* wrong : {"limit=0", "limit=201", "limit=x", "status=bad", "min_latency_ms=-1",
                            "min_latency_ms=nan", "min_latency_ms=", "cursor=x", "cursor=1-2"})
    EXPECT_EQ(get(std::string("/traces?") + wrong).status, 400) << wrong;
}

TEST_F(TraceRoutes, ShowACallAsATree) {
  store_.add(record("acme", "a"));
  store_.add(record("acme", "b"));
  for (const char* id :
       {"/traces/4bf92f3577b34da6a3ce929d0e0e4736", "/traces/b", "/api/v1/traces/b"}) {
    const Reply reply = get(id);
    ASSERT_EQ(reply.status, 200) << id;
    const json::object trace = reply.object();
    EXPECT_EQ(trace.at("request_id"), "b");
    EXPECT_TRUE(trace.at("parent_span_id").is_null());
    const json::value& attempt = trace.at("root").at("children").at(0).at("children").at(0);
    EXPECT_EQ(attempt.at("name"), "chat gpt-4o-mini");
    EXPECT_EQ(attempt.at("stage"), "attempt");
    EXPECT_EQ(attempt.at("kind"), "client");
    EXPECT_EQ(attempt.at("offset_ms"), 2);
    EXPECT_EQ(attempt.at("duration_ms"), 3);
    EXPECT_EQ(attempt.at("attributes").at("gen_ai.provider.name"), "openai");
  }
  EXPECT_EQ(get("/traces/4bf92f3577b34da6a3ce929d0e0e4736").object().at("same_trace").at(0), "a");
}

TEST_F(TraceRoutes, DoNotKnowOtherOrganisationsCalls) {
  store_.add(record("acme", "a"));
  EXPECT_EQ(get("/traces/a", "other").status, 404);
  EXPECT_EQ(get("/traces/nothing").status, 404);
}

TEST_F(TraceRoutes, StreamCallsAsTheyEnd) {
  time_ = 2'500ms;  // half a second of stream
  store_.add(record("acme", "old"));
  loops_.loop().post([this] {
    // Once the stream has begun: its first look is over before this loop does anything else.
    loops_.loop().spawn("later", [this]() -> Aw<void> {
      co_await loops_.loop().sleep_for(30ms);
      store_.add(record("other", "foreign"));
      store_.add(record("acme", "new"));
    });
  });
  const Reply reply = get("/traces/live");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.headers.get("content-type"), "text/event-stream; charset=utf-8");
  const auto told = reply.events();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].event, "trace");
  EXPECT_THAT(told[0].data, HasSubstr(R"("request_id":"new")"));
  EXPECT_FALSE(told[0].id.empty());
}

TEST_F(TraceRoutes, GoOnBehindTheLastEventAClientHas) {
  time_ = 2'050ms;
  for (const char* id : {"a", "b", "c"}) store_.add(record("acme", id));
  const auto replayed = get("/traces/live?replay=2").events();
  ASSERT_EQ(replayed.size(), 2U);
  EXPECT_THAT(replayed[0].data, HasSubstr(R"("request_id":"b")"));
  for (int i = 0; i < 12; ++i) store_.add(record("acme", "more"));
  const auto further = get("/traces/live", "acme", {{"Last-Event-ID", replayed[1].id}}).events();
  ASSERT_EQ(further.size(), 11U);
  EXPECT_EQ(further[0].event, "gap");
  EXPECT_EQ(further[0].data, R"({"missed":2})");
}

TEST_F(TraceRoutes, EndStreamsProperlyBeforeTheirTimeIsOver) {
  time_ = 2'050ms;
  const auto reply = get("/traces/live");
  EXPECT_FALSE(reply.broken);
}

TEST_F(TraceRoutes, EndStreamsWhenTheServerDrains) {
  draining_ = true;
  EXPECT_FALSE(get("/traces/live").broken);
}

TEST_F(TraceRoutes, SayThatNothingIsRemembered) {
  http::Router off;
  add_trace_routes(off, {.store = nullptr, .draining = draining_});
  std::swap(router_, off);
  const json::object page = get("/traces").object();
  EXPECT_EQ(page.at("enabled"), false);
  EXPECT_EQ(page.at("count"), 0);
  EXPECT_EQ(get("/traces/a").status, 404);
  EXPECT_EQ(get("/traces/live").status, 404);
}

}  // namespace
}  // namespace asahi::gateway
