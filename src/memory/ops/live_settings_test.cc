#include "memory/ops/live_settings.h"

#include <gtest/gtest.h>

namespace asahi::memory {
namespace {

struct LiveSettingsTest : ::testing::Test {
  LiveSettingsTest() {
    config::Sources sources;
    sources.environment["AKOSHA_MAX_RESULTS"] = "200";
    sources.environment["AWS_SECRET_ACCESS_KEY"] = "very secret";
    config::Binder binder(std::move(sources));
    memory::bind(binder, config, "/data");
    EXPECT_TRUE(binder.finish().empty());
    effective = binder.effective();
    effective.push_back({"api.port", "8000", "default", ""});
  }
  LiveSettings live() {
    return {config, effective, [this](const MemoryConfig& fresh) { applied = fresh; }};
  }
  static std::string value_of(const json::object& shown, std::string_view path) {
    for (const json::value& one : shown.at("settings").as_array()) {
      if (one.at("path").as_string() == path) return std::string(one.at("value").as_string());
    }
    return "absent";
  }
  MemoryConfig config;
  std::vector<config::Binder::Effective> effective;
  std::optional<MemoryConfig> applied;
};

TEST_F(LiveSettingsTest, ShowsTheMemorysSettingsWithSecretsMasked) {
  const LiveSettings settings = live();
  const json::object all = settings.show(true);
  EXPECT_EQ(value_of(all, "memory.query.max_results"), "200");
  EXPECT_EQ(value_of(all, "memory.ingestion.secret_access_key"), "***");
  EXPECT_EQ(value_of(all, "api.port"), "absent");
  const json::object some = settings.show(false);
  EXPECT_EQ(value_of(some, "memory.hot.path"), "absent") << "where stores are is the operator's";
  EXPECT_EQ(value_of(some, "memory.query.max_results"), "200");
}

TEST_F(LiveSettingsTest, ChangesWhatCanChangeAndSaysFromWhatToWhat) {
  LiveSettings settings = live();
  const auto report =
      settings.change({{"memory.query.max_results", 50}, {"memory.cache.enabled", false}});
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->at("memory.query.max_results").at("from"), "200");
  EXPECT_EQ(report->at("memory.query.max_results").at("to"), "50");
  ASSERT_TRUE(applied);
  EXPECT_EQ(applied->query.max_results, 50U);
  EXPECT_FALSE(applied->cache.enabled);
  EXPECT_EQ(value_of(settings.show(true), "memory.query.max_results"), "50");
}

TEST_F(LiveSettingsTest, RefusesAllWhereOneBreaksItsRule) {
  LiveSettings settings = live();
  const auto beyond =
      settings.change({{"memory.query.timeout_seconds", 10}, {"memory.query.max_results", 5000}});
  ASSERT_FALSE(beyond);
  EXPECT_EQ(beyond.error().field, "memory.query.max_results");
  EXPECT_NE(beyond.error().message.find("1000"), std::string::npos) << beyond.error().message;
  const auto fixed = settings.change({{"memory.hot.path", "/elsewhere"}});
  ASSERT_FALSE(fixed);
  EXPECT_EQ(fixed.error().field, "memory.hot.path");
  EXPECT_FALSE(settings.change({{"memory.query.max_results", json::array{1}}}));
  EXPECT_FALSE(settings.change({}));
  EXPECT_FALSE(applied);
}

}  // namespace
}  // namespace asahi::memory
