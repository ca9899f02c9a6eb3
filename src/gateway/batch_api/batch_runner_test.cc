#include "gateway/batch_api/batch_runner.h"

#include <gtest/gtest.h>

#include <future>

#include "gateway/batch_api/caller.h"
#include "gateway/migrations/migrations.h"
#include "gateway/testing/loop.h"
#include "gateway/testing/temp_folder.h"
#include "net/event.h"
#include "storage/sql/migrations.h"

namespace asahi::gateway {
namespace {

using namespace std::chrono_literals;
namespace status = batch_status;

struct BatchRunnerTest : ::testing::Test {
  BatchRunnerTest() {
    auto opened = sql::open_database({.url = "sqlite:///test.db", .data_dir = folder.path()});
    EXPECT_TRUE(opened);
    database = std::move(*opened);
    EXPECT_TRUE(sql::Migrator(*database, migrations()).upgrade());
    store = std::make_unique<BatchStore>(*database, &ring, system_clock());
    runner = std::make_unique<BatchRunner>(BatchRunner::Parts{
        .config = config,
        .store = *store,
        .endpoints = {{.url = "/v1/chat/completions",
                       .check = nullptr,
                       .answer = [this](http::Context& context) { return hang(context); }}},
        .loops = loops.pool(),
        .clock = system_clock(),
        .vendor = nullptr,
        .worker = "node_1"});
  }
  ~BatchRunnerTest() override {
    runner.reset();
    loops.pool().stop();
  }

  /// The answer of a vendor that says nothing.
  Aw<http::Response> hang(http::Context& context) {
    net::Event cancelled(context.loop);
    const auto subscription = context.cancel.on_cancel([&cancelled] { cancelled.set(); });
    if (asked.fetch_add(1) == 0) first_asked.set_value();
    co_await cancelled.wait();
    co_return http::Response::text(499, "");
  }
  template <class Make>
  void ok(Make make) {
    const auto done = loops.wait_for(std::move(make));
    ASSERT_TRUE(done) << done.error().message;
  }
  /// A batch whose rows wait for their answers.
  void add_batch(const std::string& id) {
    Batch batch;
    batch.id = id;
    batch.org_id = "acme";
    batch.user_id = "u1";
    batch.caller = caller_json({});
    batch.endpoint = "/v1/chat/completions";
    batch.input_file_id = "file-1";
    batch.status = status::kInProgress;
    batch.created_at = store->now();
    batch.expires_at = store->now() + 86'400'000;
    ok([&] { return store->add_batch(batch, 10); });
    ok([&] {
      return store->add_rows(batch, {{.line = 1, .custom_id = "r1", .body = R"({"n":1})"}});
    });
  }
  void look() {
    loops.wait_for([this]() -> Aw<int> {
      co_await runner->look();
      co_return 0;
    });
  }
  std::size_t due() {
    auto batches = loops.wait_for([this] { return store->claim("node_2", 5, 30'000); });
    return batches ? batches->size() : 0;
  }

  testing::TempFolder folder;
  BatchApiConfig config;
  identity::Live<KeyRing> ring;
  testing::Loops loops{2};
  std::unique_ptr<sql::Database> database;
  std::unique_ptr<BatchStore> store;
  std::atomic<int> asked{0};
  std::promise<void> first_asked;
  std::unique_ptr<BatchRunner> runner;
};

TEST_F(BatchRunnerTest, StopCutsTheRowsUnderWayAndGivesTheirBatchesBack) {
  add_batch("batch_1");
  add_batch("batch_2");
  look();
  ASSERT_EQ(first_asked.get_future().wait_for(10s), std::future_status::ready);
  auto stopped = std::async(std::launch::async, [this] { runner->stop(1h); });
  ASSERT_EQ(stopped.wait_for(10s), std::future_status::ready);
  EXPECT_EQ(runner->running(), 0);
  EXPECT_EQ(due(), 2U);
}

TEST_F(BatchRunnerTest, StopsWhereNothingIsUnderWay) {
  look();
  runner->stop();
  runner->stop();
}

TEST_F(BatchRunnerTest, BeginsNoTurnAfterTheStop) {
  add_batch("batch_1");
  runner->stop();
  look();
  EXPECT_EQ(runner->running(), 0);
  EXPECT_EQ(asked, 0);
  EXPECT_EQ(due(), 1U);
}

}  // namespace
}  // namespace asahi::gateway
