#include "storage/stream/kafka_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "storage/stream/testing/mock_brokers.h"

namespace asahi::stream {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::MockBrokers;

class KafkaStreamTest : public ::testing::Test {
 protected:
  std::unique_ptr<MessageStream> open(KafkaOptions options = {}) {
    options.topic = "events";
    options.bootstrap_servers = brokers_.bootstrap_servers();
    auto stream = open_kafka(options, metrics_);
    if (!stream) throw std::runtime_error(stream.error().message);
    return std::move(*stream);
  }
  double delivered() { return metrics_.counter("asahi_event_stream_delivered_total", "").value(); }
  double dropped(const std::string& reason) {
    return metrics_.counter("asahi_event_stream_dropped_total", "", {{"reason", reason}}).value();
  }
  /// The library works on threads of its own.
  static bool soon(const std::function<bool()>& condition, seconds limit = seconds(20)) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(milliseconds(20));
    }
    return true;
  }

  MockBrokers brokers_;
  telemetry::Registry metrics_;
};

TEST_F(KafkaStreamTest, DeliversInOrderWithKeys) {
  auto stream = open();
  for (int i = 0; i < 100; ++i)
    ASSERT_TRUE(stream->offer("org-" + std::to_string(i % 2), "message " + std::to_string(i)));
  ASSERT_TRUE(stream->flush(seconds(20)));
  const auto all = brokers_.read("events", 100, seconds(20));
  ASSERT_EQ(all.size(), 100u);
  std::vector<std::string> of_one;
  for (const auto& message : all) {
    if (message.key == "org-1") of_one.push_back(message.value);
  }
  ASSERT_EQ(of_one.size(), 50u);
  for (std::size_t i = 0; i < of_one.size(); ++i)
    EXPECT_EQ(of_one[i], "message " + std::to_string(2 * i + 1));
  EXPECT_TRUE(soon([&] { return delivered() == 100; }));
}

TEST_F(KafkaStreamTest, RepeatsWhatABrokerRefusedForNow) {
  auto stream = open();
  ASSERT_TRUE(stream->offer("org", "first"));
  ASSERT_TRUE(stream->flush(seconds(20)));
  brokers_.refuse_next(2);
  ASSERT_TRUE(stream->offer("org", "second"));
  ASSERT_TRUE(stream->flush(seconds(20)));
  EXPECT_EQ(brokers_.read("events", 2, seconds(20)).size(), 2u);
  EXPECT_EQ(dropped("refused"), 0);
}

TEST_F(KafkaStreamTest, BoundsItsBufferWhileBrokersAreAwayAndFlowsAgain) {
  auto stream = open({.max_messages = 10});
  ASSERT_TRUE(stream->offer("org", "before"));
  ASSERT_TRUE(stream->flush(seconds(20)));
  brokers_.stop();
  int taken = 0;
  const auto started = std::chrono::steady_clock::now();
  for (int i = 0; i < 1'000; ++i) taken += stream->offer("org", "during") ? 1 : 0;
  EXPECT_LT(std::chrono::steady_clock::now() - started, seconds(1)) << "offer waited";
  EXPECT_EQ(taken, 10);
  EXPECT_EQ(dropped("buffer_full"), 990);
  brokers_.start();
  EXPECT_TRUE(soon([&] { return delivered() == 11; }, seconds(40)));
  EXPECT_TRUE(stream->offer("org", "after"));
  EXPECT_TRUE(stream->flush(seconds(20)));
}

TEST_F(KafkaStreamTest, GivesUpWhatNobodyTookInTime) {
  auto stream = open({.give_up = seconds(1)});
  brokers_.stop();
  ASSERT_TRUE(stream->offer("org", "late"));
  EXPECT_TRUE(soon([&] { return dropped("timeout") == 1; }));
}

TEST_F(KafkaStreamTest, StartsWithoutABroker) {
  brokers_.stop();
  auto stream = open();
  EXPECT_TRUE(stream->offer("org", "early"));
  brokers_.start();
  EXPECT_TRUE(soon([&] { return delivered() == 1; }, seconds(40)));
}

TEST(KafkaStream, RefusesSettingsWithoutRepeatingThem) {
  telemetry::Registry metrics;
  const auto bad = open_kafka({.topic = "events", .compression = "hunter2"}, metrics);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, Errc::kInvalidArgument);
  EXPECT_THAT(bad.error().message, ::testing::HasSubstr("compression.type"));
  EXPECT_THAT(bad.error().message, ::testing::Not(::testing::HasSubstr("hunter2")));
}

}  // namespace
}  // namespace asahi::stream
