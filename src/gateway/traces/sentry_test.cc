// What is told to an error tracker, and what is not.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/log_observer.h"
#include "gateway/testing/loop.h"
#include "gateway/traces/fault_reporter.h"
#include "gateway/traces/request_notes.h"
#include "net/http/server.h"

namespace asahi::gateway {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

TEST(SentryDsn, IsTakenApart) {
  const auto dsn = parse_sentry_dsn("https://abc123@o1.ingest.sentry.example.com/42");
  ASSERT_TRUE(dsn) << dsn.error().message;
  EXPECT_EQ(dsn->origin.to_string(), "https://o1.ingest.sentry.example.com");
  EXPECT_EQ(dsn->target(), "/api/42/envelope/");
  EXPECT_THAT(dsn->auth(), HasSubstr("sentry_version=7, sentry_client=asahi/"));
  EXPECT_THAT(dsn->auth(), HasSubstr("sentry_key=abc123"));
  EXPECT_THAT(dsn->auth(), Not(HasSubstr("sentry_secret")));
}

TEST(SentryDsn, MayHaveASecretAPortAndAPath) {
  const auto dsn = parse_sentry_dsn("http://key:hush@localhost:9000/glitch/tip/7");
  ASSERT_TRUE(dsn) << dsn.error().message;
  EXPECT_EQ(dsn->origin.to_string(), "http://localhost:9000/glitch/tip");
  EXPECT_EQ(dsn->target(), "/api/7/envelope/");
  EXPECT_THAT(dsn->auth(), HasSubstr("sentry_secret=hush"));
}

TEST(SentryDsn, ThatCannotBeUsedIsRefusedWithoutRepeatingIt) {
  for (const char* wrong :
       {"", "abc123", "https://", "https://sentry.example.com/42", "https://@host/42",
        "https://ab c123@host/42", "https://abc123@host", "https://abc123@host/",
        "ftp://abc123@host/42", "https://abc123:@host/42", "https://abc123@/42",
        "https://abc123@host:0/42", "https://abc123@host/4?2", "https://host/abc123@x/42"}) {
    const auto dsn = parse_sentry_dsn(wrong);
    ASSERT_FALSE(dsn) << wrong;
    EXPECT_THAT(dsn.error().message, Not(HasSubstr("abc123")));
  }
}

TEST(SentryEvent, SaysWhatHappenedWhereAndInWhichRequest) {
  Fault fault;
  fault.type = "corrupt";
  fault.message = "row of jo@example.org, card 4111 1111 1111 1111";
  fault.logger = "requests";
  fault.transaction = "POST /infer";
  fault.request_id = "req_1";
  fault.trace = {1, 2, 0, false};
  fault.where = std::source_location::current();
  fault.tags = {{"org_id", "acme"}};
  fault.extra = {{"addresses", "192.168.1.77"}};
  const std::string text =
      sentry_event(fault, {.release = "asahi@1", .environment = "test", .server_name = "node_1"},
                   "0123456789abcdef0123456789abcdef", Clock::Time{1'700'000'000s});
  const auto parsed = parse_json(text);
  ASSERT_TRUE(parsed) << text;
  const json::object& event = parsed->get_object();
  EXPECT_EQ(event.at("release"), "asahi@1");
  EXPECT_EQ(event.at("environment"), "test");
  EXPECT_EQ(event.at("transaction"), "POST /infer");
  EXPECT_EQ(event.at("level"), "error");
  EXPECT_EQ(event.at("tags").at("request_id"), "req_1");
  EXPECT_EQ(event.at("contexts").at("trace").at("trace_id"), "00000000000000010000000000000002");
  const json::object& exception = event.at("exception").at("values").at(0).as_object();
  EXPECT_EQ(exception.at("type"), "corrupt");
  const json::object& frame = exception.at("stacktrace").at("frames").at(0).as_object();
  EXPECT_THAT(std::string(frame.at("filename").as_string()),
              HasSubstr("src/gateway/traces/sentry_test.cc"));
  EXPECT_GT(frame.at("lineno").as_int64(), 0);

  fault.given_up = std::source_location::current();
  const auto again = parse_json(sentry_event(fault, {}, "id", {}));
  ASSERT_TRUE(again);
  const json::array& frames =
      again->at("exception").at("values").at(0).at("stacktrace").at("frames").as_array();
  ASSERT_THAT(frames, SizeIs(2));
  EXPECT_EQ(frames[0].at("lineno"), std::int64_t{fault.given_up.line()}) << "outermost first";
  EXPECT_EQ(frames[1].at("lineno"), std::int64_t{fault.where.line()});
  for (const char* personal : {"jo@example.org", "4111", "192.168.1.77"})
    EXPECT_THAT(text, Not(HasSubstr(personal)));
}

TEST(SentryEvent, ToldAsAChainWhenItCameOfOthers) {
  Fault fault;
  fault.type = "a task failed";
  fault.message = "std::runtime_error: no answer";
  fault.causes = {"std::system_error: jo@example.org hung up", "the cable: was cut"};
  const auto event = parse_json(sentry_event(fault, {}, "id", {}));
  ASSERT_TRUE(event);
  const json::array& chain = event->at("exception").at("values").as_array();
  ASSERT_THAT(chain, SizeIs(3));
  EXPECT_EQ(chain[0].at("type"), "error");
  EXPECT_EQ(chain[0].at("value"), "the cable: was cut");
  EXPECT_EQ(chain[1].at("type"), "std::system_error");
  EXPECT_THAT(std::string(chain[1].at("value").as_string()), Not(HasSubstr("jo@")));
  EXPECT_EQ(chain[2].at("type"), "a task failed");
}

TEST(SentryEvent, OfHostileTextIsStillJson) {
  Fault fault;
  fault.type = std::string(10'000, 'x');
  fault.message = "\xff\xfe \"quotes\"\n\0 and more" + std::string(100'000, 'y');
  EXPECT_TRUE(parse_json(sentry_event(fault, {}, "id", {})));
  EXPECT_LT(sentry_event(fault, {}, "id", {}).size(), 10'000U);
}

TEST(SentryEnvelope, NamesTheLengthOfItsItem) {
  EXPECT_EQ(sentry_envelope("id", Clock::Time{1'700'000'000s}, "{\"a\":1}"),
            "{\"event_id\":\"id\",\"sent_at\":\"2023-11-14T22:13:20.000Z\"}\n"
            "{\"type\":\"event\",\"content_type\":\"application/json\",\"length\":7}\n"
            "{\"a\":1}\n");
}

/// A tracker on a real socket.
class FaultReporterTest : public ::testing::Test {
 protected:
  FaultReporterTest() {
    http::Router router;
    router.post("/api/7/envelope/", [this](http::Context& context) -> Aw<http::Response> {
      envelopes_.push_back(context.request.body);
      auth_ = context.request.headers.get("x-sentry-auth");
      http::Response response = http::Response::json(status_, "{}");
      if (status_ == 429) response.headers.add("Retry-After", "60");
      co_return response;
    });
    http::ServerOptions options;
    options.host = "127.0.0.1";
    options.port = 0;
    server_ = std::move(*http::Server::bind(loops_.pool(), std::move(options), std::move(router)));
    server_->start();
  }
  ~FaultReporterTest() override {
    observe_log(LogLevel::kError, {});
    if (reporter_ != nullptr) reporter_->stop(1s);
    server_->drain(0ms);
    loops_.pool().stop();
  }
  FaultReporter& reporter(double rate = 1) {
    if (reporter_ == nullptr) {
      FaultReporter::Options options;
      options.dsn = *parse_sentry_dsn(fmt::format("http://key@127.0.0.1:{}/7", server_->port()));
      options.settings = {.release = "asahi@1", .environment = "test", .server_name = "node_1"};
      options.sample_rate = rate;
      reporter_ = std::make_unique<FaultReporter>(std::move(options), loops_.loop(), client_,
                                                  metrics_, clock_);
    }
    return *reporter_;
  }
  static Fault fault(std::string type, std::string request_id = {}) {
    Fault made;
    made.type = std::move(type);
    made.logger = "test";
    made.request_id = std::move(request_id);
    return made;
  }
  /// All that arrived, once what waits has been sent.
  std::vector<std::string> arrived() {
    reporter_->stop(5s);
    return loops_.on([this] { return envelopes_; });
  }
  bool wait_for(std::size_t count) {
    return loops_.until([this, count] { return envelopes_.size() >= count; });
  }
  void answered(int status, const RequestNotes* notes, std::string request_id = "req_1") {
    http::Request request;
    request.method = http::Method::kPost;
    CancelSource cancel;
    http::Context context{.request = request, .loop = loops_.loop(), .cancel = cancel};
    context.request_id = std::move(request_id);
    context.route = "/infer";
    if (notes != nullptr) context.notes = std::make_shared<RequestNotes>(*notes);
    reporter().report_request(context, status);
  }

  testing::Loops loops_;
  http::Client client_{loops_.loop(), {}};
  telemetry::Registry metrics_;
  ManualClock clock_;
  std::vector<std::string> envelopes_;  ///< on the loop
  std::string auth_;
  int status_ = 200;
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<FaultReporter> reporter_;
};

TEST_F(FaultReporterTest, ReportsEachKindOnceAMinute) {
  reporter().report(fault("a"));
  reporter().report(fault("a"));
  reporter().report(fault("b"));
  ASSERT_TRUE(wait_for(2));
  clock_.advance(61s);
  reporter().report(fault("a"));
  EXPECT_THAT(arrived(), SizeIs(3));
  EXPECT_THAT(auth_, HasSubstr("sentry_key=key"));
}

TEST_F(FaultReporterTest, ReportsAShareButAllThatIsLost) {
  reporter(0).report(fault("a"));
  Fault lost = fault("events were lost");
  lost.level = LogLevel::kCritical;
  reporter().report(lost);
  const auto envelopes = arrived();
  ASSERT_THAT(envelopes, SizeIs(1));
  EXPECT_THAT(envelopes[0], HasSubstr("events were lost"));
  EXPECT_THAT(envelopes[0], HasSubstr(R"("level":"fatal")"));
}

TEST_F(FaultReporterTest, HoldsBackWhileTheTrackerWantsNoMore) {
  loops_.on([this] { status_ = 429; });
  reporter().report(fault("a"));
  ASSERT_TRUE(wait_for(1));
  ASSERT_TRUE(loops_.until([this] {
    return metrics_
               .counter("asahi_telemetry_dropped_total", "",
                        {{"sink", "sentry"}, {"reason", "not_taken"}})
               .value() == 1;
  }));
  reporter().report(fault("b"));
  clock_.advance(61s);
  reporter().report(fault("c"));
  const auto envelopes = arrived();
  ASSERT_THAT(envelopes, SizeIs(2));
  EXPECT_THAT(envelopes[1], HasSubstr(R"("type":"c")"));
}

TEST_F(FaultReporterTest, SeesErrorLinesOfTheLogWithTheirRequest) {
  FaultReporter& to = reporter();
  observe_log(LogLevel::kError, [&](LogLevel level, std::string_view logger,
                                    std::string_view message, std::span<const LogField> fields) {
    to.report_line(level, logger, message, fields);
  });
  const Logger logger("somewhere");
  logger.warning("not this", {{"error", "a"}});
  logger.error("a handler failed", {{"request_id", "req_9"},
                                    {"route", "/infer"},
                                    {"path", "/infer"},
                                    {"user_id", "jo"},
                                    {"error", "vector::_M_range_check"}});
  const auto envelopes = arrived();
  ASSERT_THAT(envelopes, SizeIs(1));
  EXPECT_THAT(envelopes[0],
              HasSubstr(R"("type":"a handler failed","value":"vector::_M_range_check")"));
  EXPECT_THAT(envelopes[0], HasSubstr(R"("transaction":"/infer")"));
  EXPECT_THAT(envelopes[0], HasSubstr(R"("request_id":"req_9")"));
  EXPECT_THAT(envelopes[0], Not(HasSubstr("jo")));
}

TEST_F(FaultReporterTest, ReportsRequestsThatFailedForAReasonOfOurOwn) {
  const auto failed = [](std::string code) {
    InferenceEvent event;
    event.error_code = std::move(code);
    event.org_id = "acme";
    const Error error{.code = Errc::kInternal, .message = "what it was"};
    return RequestNotes(event, &error);
  };
  const RequestNotes vendor = failed("service_unavailable"), store = failed("unavailable");
  answered(200, nullptr, "req_1");
  answered(404, nullptr, "req_2");
  answered(503, nullptr, "req_3");  // overload, shutting down
  answered(503, &vendor, "req_4");
  answered(502, nullptr, "req_5");
  answered(503, &store, "req_6");
  answered(500, nullptr, "req_7");
  answered(500, nullptr, "req_7");
  const auto envelopes = arrived();
  ASSERT_THAT(envelopes, SizeIs(2));
  EXPECT_THAT(envelopes[0], HasSubstr(R"("request_id":"req_6")"));
  EXPECT_THAT(envelopes[0], HasSubstr("what it was"));
  EXPECT_THAT(envelopes[0], HasSubstr("sentry_test.cc"));
  EXPECT_THAT(envelopes[1], HasSubstr(R"("request_id":"req_7")"));
}

TEST_F(FaultReporterTest, TellsARequestsExceptionOnce) {
  reporter().report(fault("a handler failed", "req_1"));
  answered(500, nullptr, "req_1");
  EXPECT_THAT(arrived(), SizeIs(1));
}

TEST_F(FaultReporterTest, DoesNotMindATrackerThatIsAway) {
  reporter();
  server_->drain(0ms);
  for (int i = 0; i < 1'000; ++i) reporter_->report(fault(fmt::format("kind {}", i)));
  reporter_->stop(2s);
  const double dropped = metrics_
                             .counter("asahi_telemetry_dropped_total", "",
                                      {{"sink", "sentry"}, {"reason", "queue_full"}})
                             .value();
  EXPECT_GT(dropped, 0) << "its queue is bounded";
}

}  // namespace
}  // namespace asahi::gateway
