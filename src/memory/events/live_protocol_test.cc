#include "memory/events/live_protocol.h"

#include <gtest/gtest.h>

namespace asahi::memory {
namespace {

struct LiveProtocolTest : ::testing::Test {
  LiveProtocol make(int per_second = 100) {
    return {hub,
            clock,
            [this](const Reach& reach) { return hub.join(reach, [this] { ++woken; }); },
            {.connection_id = "ws_1", .server = "akosha test", .messages_per_second = per_second}};
  }
  static json::object one(const LiveProtocol::Actions& actions) {
    EXPECT_EQ(actions.frames.size(), 1U);
    return actions.frames.empty() ? json::object{}
                                  : json::parse(actions.frames.front()).as_object();
  }
  static std::string code(const LiveProtocol::Actions& actions) {
    const json::object frame = one(actions);
    return frame.contains("error_code") ? std::string(frame.at("error_code").as_string()) : "none";
  }
  ManualClock clock;
  Hub hub{clock};
  int woken = 0;
};

TEST_F(LiveProtocolTest, WelcomesAndTellsOfSubscribedChannels) {
  LiveProtocol live = make();
  const json::object welcome = one(live.start(Listener{Reach::whole("acme"), true}));
  EXPECT_EQ(welcome.at("event"), "session.created");
  EXPECT_EQ(welcome.at("data").at("connection_id"), "ws_1");
  EXPECT_EQ(welcome.at("data").at("authenticated"), true);
  const json::object told = one(live.receive(
      R"({"id":"7","type":"request","event":"subscribe","data":{"channel":"metrics"}})"));
  EXPECT_EQ(told.at("type"), "response");
  EXPECT_EQ(told.at("correlation_id"), "7");
  EXPECT_EQ(told.at("data").at("channel"), "metrics");
  hub.publish("acme", "metrics", "aggregation.completed", {{"record_count", 2}});
  hub.publish("other", "metrics", "aggregation.completed", {{"record_count", 9}});
  EXPECT_EQ(woken, 1);
  const auto frames = live.events();
  ASSERT_EQ(frames.size(), 1U);
  const json::object event = json::parse(frames[0]).as_object();
  EXPECT_EQ(event.at("type"), "event");
  EXPECT_EQ(event.at("room"), "metrics");
  EXPECT_EQ(event.at("data").at("record_count"), 2);
}

TEST_F(LiveProtocolTest, TakesATokenFirstAndNothingElse) {
  LiveProtocol live = make();
  EXPECT_EQ(one(live.start(std::nullopt)).at("data").at("authenticated"), false);
  const auto asked =
      live.receive(R"({"id":"1","type":"request","event":"auth","data":{"token":"t0"}})");
  EXPECT_EQ(asked.authenticate, "t0");
  const auto done = live.authenticated(Listener{Reach::whole("acme"), true});
  EXPECT_EQ(one(done).at("correlation_id"), "1");
  EXPECT_FALSE(done.close);

  LiveProtocol hasty = make();
  (void)hasty.start(std::nullopt);
  const auto refused =
      hasty.receive(R"({"type":"request","event":"subscribe","data":{"channel":"metrics"}})");
  EXPECT_EQ(code(refused), "AUTH_REQUIRED");
  ASSERT_TRUE(refused.close);
  EXPECT_EQ(refused.close->first, 1008);

  LiveProtocol wrong = make();
  (void)wrong.start(std::nullopt);
  (void)wrong.receive(R"({"type":"request","event":"auth","data":{"token":"no"}})");
  const auto failed = wrong.authenticated(std::nullopt);
  EXPECT_EQ(code(failed), "AUTH_FAILED");
  EXPECT_EQ(failed.close->first, 1008);

  LiveProtocol silent = make();
  (void)silent.start(std::nullopt);
  EXPECT_EQ(code(silent.waited_too_long()), "AUTH_REQUIRED");
}

TEST_F(LiveProtocolTest, NamesWhatIsWrongWithAMessage) {
  LiveProtocol live = make();
  (void)live.start(Listener{Reach::whole("acme"), true});
  EXPECT_EQ(code(live.receive("{not json")), "DECODE_ERROR");
  EXPECT_EQ(code(live.receive("[1]")), "DECODE_ERROR");
  EXPECT_EQ(code(live.receive(R"({"type":"request","event":"drop_tables"})")), "UNKNOWN_REQUEST");
  EXPECT_EQ(code(live.receive(R"({"type":"shout"})")), "UNKNOWN_REQUEST");
  EXPECT_EQ(code(live.receive(R"({"type":"subscribe","room":"secrets"})")), "UNKNOWN_CHANNEL");
  EXPECT_EQ(one(live.receive(R"({"id":"p","type":"ping"})")).at("type"), "pong");
}

TEST_F(LiveProtocolTest, DeniesWhoMayNotSearch) {
  LiveProtocol live = make();
  (void)live.start(Listener{Reach::whole("acme"), false});
  EXPECT_EQ(code(live.receive(R"({"type":"subscribe","room":"metrics"})")), "FORBIDDEN");
  EXPECT_EQ(code(live.receive(R"({"type":"request","event":"get_anomalies"})")), "FORBIDDEN");
}

TEST_F(LiveProtocolTest, AnswersWithWhatWasFoundOfLate) {
  hub.publish("acme", "patterns:errors", "pattern.detected", {{"pattern_id", "p1"}});
  hub.publish("acme", "patterns:usage", "pattern.detected", {{"pattern_id", "p2"}});
  hub.publish("other", "patterns:errors", "pattern.detected", {{"pattern_id", "p3"}});
  LiveProtocol live = make();
  (void)live.start(Listener{Reach::whole("acme"), true});
  const auto all = one(live.receive(R"({"type":"request","event":"get_patterns"})"));
  EXPECT_EQ(all.at("data").at("patterns").as_array().size(), 2U);
  const auto some = one(
      live.receive(R"({"type":"request","event":"get_patterns","data":{"category":"errors"}})"));
  ASSERT_EQ(some.at("data").at("patterns").as_array().size(), 1U);
  EXPECT_EQ(some.at("data").at("patterns").at(0).at("pattern_id"), "p1");
}

TEST_F(LiveProtocolTest, ReadsSoManyMessagesASecondAndThenCloses) {
  LiveProtocol live = make(3);
  (void)live.start(Listener{Reach::whole("acme"), true});
  const std::string ping = R"({"type":"ping"})";
  for (int i = 0; i < 3; ++i) EXPECT_EQ(one(live.receive(ping)).at("type"), "pong");
  EXPECT_EQ(code(live.receive(ping)), "RATE_LIMITED");
  EXPECT_TRUE(live.receive(ping).frames.empty()) << "said once a second";
  clock.advance(std::chrono::seconds(1));
  EXPECT_EQ(one(live.receive(ping)).at("type"), "pong");
  std::optional<std::pair<std::uint16_t, std::string>> closed;
  for (int i = 0; i < 6 && !closed; ++i) closed = live.receive(ping).close;
  ASSERT_TRUE(closed);
  EXPECT_EQ(closed->first, 1008);
}

TEST_F(LiveProtocolTest, EndsWithItsCredential) {
  LiveProtocol live = make();
  (void)live.start(Listener{Reach::whole("acme"), true});
  (void)live.receive(R"({"type":"subscribe","room":"metrics"})");
  const auto over = live.expired();
  EXPECT_EQ(code(over), "AUTH_FAILED");
  EXPECT_TRUE(over.close);
  hub.publish("acme", "metrics", "x", {});
  EXPECT_TRUE(live.events().empty());
}

}  // namespace
}  // namespace asahi::memory
