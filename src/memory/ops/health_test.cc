#include "memory/ops/health.h"

#include <gtest/gtest.h>

#include "net/blocking.h"
#include "net/loop.h"

namespace asahi::memory {
namespace {

struct HealthTest : ::testing::Test {
  void SetUp() override { loops.start(); }
  void TearDown() override { loops.stop(); }
  Health::Report look(Health& health) {
    return net::run_sync<Health::Report>(loops.at(0), [&] { return health.look(); });
  }
  Dependency answering(std::string name, bool required, int& asked, bool good) {
    return {std::move(name), required, [&asked, good]() -> Task<void> {
              ++asked;
              if (!good) co_return fail(Errc::kUnavailable, "away");
              co_return Result<void>{};
            }};
  }
  ManualClock clock;
  net::LoopPool loops{1};
};

TEST_F(HealthTest, IsReadyWithoutWhatIsOnlyWished) {
  int asked = 0;
  Health health({answering("database", true, asked, true), answering("redis", false, asked, false)},
                clock);
  const Health::Report report = look(health);
  EXPECT_TRUE(report.ready());
  EXPECT_FALSE(report.whole());
  const json::object told = health_json(report);
  EXPECT_EQ(told.at("status"), "degraded");
  EXPECT_EQ(told.at("dependencies").at("redis").at("status"), "unavailable");
  EXPECT_EQ(json::serialize(told).find("away"), std::string::npos)
      << "errors are not for strangers";
}

TEST_F(HealthTest, IsNotReadyWithoutWhatItNeedsAndAsksOnceASecond) {
  int asked = 0;
  Health health({answering("database", true, asked, false)}, clock);
  EXPECT_FALSE(look(health).ready());
  EXPECT_FALSE(look(health).ready());
  EXPECT_EQ(asked, 1);
  clock.advance(std::chrono::seconds(1));
  EXPECT_EQ(look(health).dependencies.front().error, "away");
  EXPECT_EQ(asked, 2);
}

TEST_F(HealthTest, DoesNotWaitForWhoNeverAnswers) {
  Health health({{"bucket", true,
                  []() -> Task<void> {
                    (void)co_await net::Loop::current()->sleep_for(std::chrono::seconds(1));
                    co_return Result<void>{};
                  }}},
                clock, std::chrono::milliseconds(30));
  const Health::Report report = look(health);
  EXPECT_FALSE(report.ready());
  EXPECT_EQ(report.dependencies.front().error, "no answer within 30 ms");
}

}  // namespace
}  // namespace asahi::memory
