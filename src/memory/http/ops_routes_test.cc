#include "memory/http/ops_routes.h"

#include <gtest/gtest.h>

namespace asahi::memory {
namespace {

struct MetricsJson : ::testing::Test {
  void SetUp() override {
    registry.counter("akosha_x_total", "Things.", {{"system_id", "a"}, {"status", "ok"}}).add(2);
    registry.counter("akosha_x_total", "Things.", {{"system_id", "b"}, {"status", "ok"}}).add(3);
    registry.histogram("akosha_y_seconds", "Time.", {1, 5}, {{"system_id", "a"}}).observe(0.5);
    registry.histogram("akosha_y_seconds", "Time.", {1, 5}, {{"system_id", "b"}}).observe(3);
    registry.counter("asahi_other_total", "Another module's.").add();
  }
  telemetry::Registry registry;
};

TEST_F(MetricsJson, AddsUpWhatNamesSystems) {
  const json::object told = metrics_json(registry.collect(), false);
  EXPECT_EQ(told.size(), 2U) << "the memory's own families only";
  const json::array& series = told.at("akosha_x_total").at("series").as_array();
  ASSERT_EQ(series.size(), 1U);
  EXPECT_EQ(series[0].at("value").to_number<double>(), 5);
  EXPECT_EQ(series[0].at("labels").at("status"), "ok");
  EXPECT_EQ(series[0].at("labels").as_object().size(), 1U);
  const json::value& times = told.at("akosha_y_seconds").at("series").at(0);
  EXPECT_EQ(times.at("count"), 2);
  EXPECT_EQ(times.at("sum"), 3.5);
  EXPECT_EQ(times.at("buckets").at("1"), 1);
  EXPECT_EQ(times.at("buckets").at("+Inf"), 2);
  EXPECT_EQ(json::serialize(told).find("system_id"), std::string::npos);
}

TEST_F(MetricsJson, TellsTheOperatorOfEachSystem) {
  const json::object told = metrics_json(registry.collect(), true);
  EXPECT_EQ(told.at("akosha_x_total").at("series").as_array().size(), 2U);
}

}  // namespace
}  // namespace asahi::memory
