#include "server/exporters.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "net/testing/raw_socket.h"

namespace asahi::server {
namespace {

using namespace std::chrono_literals;
using net_testing::RawListener;
using net_testing::RawSocket;
using testing::HasSubstr;

constexpr std::string_view kTaken = "HTTP/1.1 204 No Content\r\n\r\n";

struct ExportersTest : testing::Test {
  ExportersTest() {
    loops.start();
    config.influx_url = fmt::format("http://127.0.0.1:{}", receiver.port());
    config.export_timeout_seconds = 60;  // what waits for its end would be noticed
    metrics.counter("asahi_seen_total", "Seen").add();
  }
  ~ExportersTest() override {
    exporters.reset();
    loops.stop();
  }

  void start() {
    auto made = MetricExporters::make(
        {config, "asahi", "node-1", loops, clients, metrics, [] {}, system_clock()});
    ASSERT_TRUE(made) << made.error().message;
    exporters = std::move(*made);
    exporters->start();
  }
  std::future<void> stop() {
    return std::async(std::launch::async, [this] { exporters->stop(); });
  }

  RawListener receiver;
  gateway::ExportConfig config;
  telemetry::Registry metrics;
  net::LoopPool loops{1};
  net::PerLoop<http::Client> clients{
      loops,
      [](net::Loop& loop) { return std::make_unique<http::Client>(loop, http::ClientOptions{}); }};
  std::unique_ptr<MetricExporters> exporters;
};

TEST_F(ExportersTest, StopSendsWhatHappenedSinceTheLastSnapshot) {
  config.collection_interval_seconds = 3'600;
  start();
  auto stopped = stop();
  RawSocket socket = receiver.accept();
  EXPECT_THAT(socket.receive_until("asahi_seen_total"), HasSubstr("asahi_seen_total"));
  EXPECT_EQ(stopped.wait_for(0s), std::future_status::timeout);
  socket.send(kTaken);
  stopped.get();
}

TEST_F(ExportersTest, StopCutsADeliveryThatHangs) {
  config.collection_interval_seconds = 0.001;
  start();
  RawSocket socket = receiver.accept();
  socket.receive_until("\r\n\r\n");
  auto stopped = stop();
  ASSERT_EQ(stopped.wait_for(10s), std::future_status::ready);
  EXPECT_TRUE(socket.closed_by_peer());
}

TEST_F(ExportersTest, StopsTwiceAndBeforeItHasBegun) {
  start();
  receiver.close();
  exporters->stop();
  exporters->stop();
  exporters.reset();
  start();
}

}  // namespace
}  // namespace asahi::server
