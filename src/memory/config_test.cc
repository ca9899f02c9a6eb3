#include "memory/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace asahi::memory {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Variables = std::map<std::string, std::string, std::less<>>;

struct Loaded {
  MemoryConfig config;
  std::vector<config::Fault> faults;
};

Loaded load(std::string yaml, Variables environment = {}) {
  config::Binder binder({.environment = std::move(environment),
                         .yaml_path = "config.yaml",
                         .yaml_text = std::move(yaml)});
  Loaded loaded;
  bind(binder, loaded.config, "/data");
  loaded.faults = binder.finish();
  return loaded;
}

/// What is wrong with the cold tier's settings.
std::string fault_of_cold(const std::string& settings) {
  const Loaded loaded = load("memory: {cold: {" + settings + "}}");
  return loaded.faults.empty() ? "" : loaded.faults.front().path + " " + loaded.faults.front().rule;
}

TEST(MemoryConfig, AClassThatTheProviderDoesNotHaveIsRefusedWithThoseItHas) {
  EXPECT_THAT(fault_of_cold("backend: s3, archive_class: Cool"),
              HasSubstr("memory.cold.archive_class must be one of STANDARD, STANDARD_IA"));
  EXPECT_THAT(fault_of_cold("backend: azure, archive_class: GLACIER_IR"),
              HasSubstr("Hot, Cool, Cold, none"));
  EXPECT_THAT(fault_of_cold("backend: gcs, archive_class: coldline"), HasSubstr("COLDLINE"));
  EXPECT_THAT(fault_of_cold("backend: s3, archive_class: DEEP_ARCHIVE"), HasSubstr("read at once"));
}

TEST(MemoryConfig, AClassThatCannotBeKnownOrIsNotUsedIsTaken) {
  EXPECT_EQ(fault_of_cold("backend: s3, archive_class: GLACIER_IR"), "");
  EXPECT_EQ(fault_of_cold("backend: azure, archive_class: none"), "");
  EXPECT_EQ(fault_of_cold("backend: s3, endpoint: 'http://127.0.0.1:9', archive_class: FROSTY"),
            "");
  EXPECT_EQ(fault_of_cold("backend: local, archive_class: FROSTY"), "");
}

TEST(MemoryConfig, AccessRulesAreOffAndTheirNumbersMustFitOneAnother) {
  const Loaded usual = load("");
  EXPECT_THAT(usual.faults, IsEmpty());
  EXPECT_FALSE(usual.config.aging.access_rules.enabled);
  EXPECT_EQ(usual.config.aging.access_rules.promote_hits, 10);
  EXPECT_EQ(usual.config.aging.access_rules.demote_hits, 2);
  const Loaded set = load("", {{"AKOSHA__AGING__ACCESS_RULES__ENABLED", "true"},
                               {"AKOSHA__AGING__ACCESS_RULES__WINDOW_DAYS", "14"}});
  EXPECT_TRUE(set.config.aging.access_rules.enabled);
  EXPECT_EQ(set.config.aging.access_rules.window_days, 14);
  const Loaded wrong = load("memory: {aging: {access_rules: {promote_hits: 3, demote_hits: 3}}}");
  ASSERT_EQ(wrong.faults.size(), 1U);
  EXPECT_EQ(wrong.faults[0].path, "memory.aging.access_rules.demote_hits");
}

}  // namespace
}  // namespace asahi::memory
