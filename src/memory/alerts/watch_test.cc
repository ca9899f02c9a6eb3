#include "memory/alerts/watch.h"

#include <gtest/gtest.h>

namespace asahi::memory {
namespace {

using series::AlertType;
using std::chrono::milliseconds;

struct Recorder final : AlertSink {
  void observe(std::string tenant, series::Observation observation) override {
    all.emplace_back(std::move(tenant), std::move(observation));
  }
  std::optional<double> value(const std::string& tenant, AlertType type) const {
    for (const auto& [of, one] : all) {
      if (of == tenant && one.type == type) return one.value;
    }
    return std::nullopt;
  }
  std::vector<std::pair<std::string, series::Observation>> all;
};

struct SearchWatchTest : ::testing::Test {
  void search(int count, milliseconds took, bool ok = true, const char* cache = "miss",
              const char* tenant = "acme") {
    for (int i = 0; i < count; ++i) watch.searched(tenant, SearchMode::kHybrid, cache, ok, took);
  }
  Recorder close() {
    Recorder recorder;
    watch.close_window(recorder);
    return recorder;
  }
  SearchWatch watch{2};
};

TEST_F(SearchWatchTest, MeasuresTheSlowestHundredthOfEachTenant) {
  search(980, milliseconds(10));
  search(20, milliseconds(2000));
  search(100, milliseconds(5), true, "miss", "other");
  const Recorder told = close();
  const double slow = told.value("acme", AlertType::kHighLatency).value();
  EXPECT_GE(slow, 2000);
  EXPECT_LE(slow, 2000 * 1.2);
  EXPECT_LT(told.value("other", AlertType::kHighLatency).value(), 7);
}

TEST_F(SearchWatchTest, SaysNothingOfAHandful) {
  search(19, milliseconds(9000), false);
  EXPECT_EQ(close().value("acme", AlertType::kHighLatency), std::nullopt);
  EXPECT_TRUE(close().all.empty()) << "and nothing of a window without searches";
}

TEST_F(SearchWatchTest, MeasuresTheShareOfTheCaches) {
  search(30, milliseconds(1), true, "l1");
  search(10, milliseconds(1), true, "l2");
  search(60, milliseconds(1), true, "miss");
  EXPECT_DOUBLE_EQ(close().value("acme", AlertType::kLowHitRate).value(), 0.4);
}

TEST_F(SearchWatchTest, ComparesFailuresWithWhatIsUsual) {
  search(15, milliseconds(1), false);
  EXPECT_DOUBLE_EQ(close().value("acme", AlertType::kSpikeInErrors).value(), 15);
  for (int i = 0; i < 60; ++i) {
    search(15, milliseconds(1), false);
    (void)close();
  }
  search(15, milliseconds(1), false);
  EXPECT_LT(close().value("acme", AlertType::kSpikeInErrors).value(), 1.1) << "it became usual";
}

TEST_F(SearchWatchTest, WatchesABoundedNumberOfTenants) {
  for (const char* tenant : {"a", "b", "c"}) search(20, milliseconds(1), true, "miss", tenant);
  EXPECT_EQ(close().value("c", AlertType::kHighLatency), std::nullopt);
  (void)close();  // a window without searches: a and b are forgotten
  (void)close();
  search(20, milliseconds(1), true, "miss", "c");
  EXPECT_TRUE(close().value("c", AlertType::kHighLatency));
}

}  // namespace
}  // namespace asahi::memory
