#include "gateway/alerts/notifier.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <future>

#include "gateway/migrations/migrations.h"
#include "gateway/testing/loop.h"
#include "gateway/testing/temp_folder.h"
#include "net/testing/raw_socket.h"
#include "storage/sql/migrations.h"

namespace asahi::gateway::alerts {
namespace {

using namespace std::chrono_literals;
using net_testing::RawListener;
using net_testing::RawSocket;

struct NotifierTest : ::testing::Test {
  NotifierTest() {
    auto opened = sql::open_database({.url = "sqlite:///test.db", .data_dir = folder.path()});
    EXPECT_TRUE(opened);
    database = std::move(*opened);
    EXPECT_TRUE(sql::Migrator(*database, migrations()).upgrade());
    config.webhook_url = fmt::format("http://127.0.0.1:{}/alerts", receiver.port());
    config.check_seconds = 0.001;
    config.timeout_seconds = 3'600;  // what waits for its end would be noticed
    auto made = Notifier::make({config,
                                {.app = "asahi", .environment = "test", .node = "node-1"},
                                loops.pool(),
                                clients,
                                *database,
                                metrics,
                                system_clock(),
                                [](Facts& facts) { facts.events_written = false; }});
    EXPECT_TRUE(made) << made.error().message;
    notifier = std::move(*made);
  }
  ~NotifierTest() override {
    notifier.reset();
    loops.pool().stop();
  }

  testing::TempFolder folder;
  RawListener receiver;
  AlertsConfig config;
  telemetry::Registry metrics;
  testing::Loops loops;
  net::PerLoop<http::Client> clients{
      loops.pool(),
      [](net::Loop& loop) { return std::make_unique<http::Client>(loop, http::ClientOptions{}); }};
  std::unique_ptr<sql::Database> database;
  std::unique_ptr<Notifier> notifier;
};

TEST_F(NotifierTest, StopCutsADeliveryThatHangs) {
  notifier->start();
  RawSocket socket = receiver.accept();
  socket.receive_until("\r\n\r\n");
  notifier->stop();
  EXPECT_TRUE(socket.closed_by_peer());
}

TEST_F(NotifierTest, StopDoesNotWaitForTheNextAttemptOfADelivery) {
  notifier->start();
  receiver.accept().send(
      "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 300\r\nContent-Length: 0\r\n\r\n");
  auto stopped = std::async(std::launch::async, [this] { notifier->stop(); });
  EXPECT_EQ(stopped.wait_for(3s), std::future_status::ready);
}

TEST_F(NotifierTest, StopsWhereItNeverLooked) {
  notifier->stop();
  notifier->stop();
}

}  // namespace
}  // namespace asahi::gateway::alerts
