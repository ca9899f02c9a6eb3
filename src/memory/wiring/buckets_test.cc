#include "memory/wiring/buckets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace asahi::memory {
namespace {

using ::testing::HasSubstr;
using Variables = std::map<std::string, std::string, std::less<>>;

MemoryConfig read(Variables variables) {
  config::Binder binder({.environment = std::move(variables)});
  MemoryConfig config;
  bind(binder, config, "data");
  return config;
}
/// Where the cold files of these settings lie, or why nowhere.
std::string cold_of(Variables variables) {
  const auto store = open_cold_bucket(read(std::move(variables)), "/tmp/asahi-buckets-test");
  return store ? (*store)->where() : store.error().message;
}

TEST(Buckets, TheColdOneIsItsBackends) {
  EXPECT_EQ(cold_of({{"AKOSHA_COLD_BACKEND", "s3"},
                     {"AKOSHA_COLD_BUCKET", "cold"},
                     {"AWS_ACCESS_KEY_ID", "id"},
                     {"AWS_SECRET_ACCESS_KEY", "secret"}}),
            "s3://cold/");
  EXPECT_EQ(cold_of({{"AKOSHA_COLD_BACKEND", "azure"},
                     {"AKOSHA_COLD_BUCKET", "cold"},
                     {"AKOSHA_COLD_ACCESS_KEY_ID", "account"},
                     {"AKOSHA_COLD_SECRET_ACCESS_KEY", "YWJj"}}),
            "azure://cold/");
  EXPECT_EQ(cold_of({{"AKOSHA_COLD_BACKEND", "azure"},
                     {"AKOSHA_COLD_BUCKET", "azure://cold/a"},
                     {"AZURE_STORAGE_ACCOUNT", "account"},
                     {"AZURE_STORAGE_SAS_TOKEN", "sv=1&sig=2"}}),
            "azure://cold/a/");
  EXPECT_EQ(cold_of({{"AKOSHA_COLD_BACKEND", "gcs"},
                     {"GCS_ACCESS_KEY_ID", "GOOG1E"},
                     {"GCS_SECRET_ACCESS_KEY", "secret"}}),
            "gs://akosha-cold-data/");
}

TEST(Buckets, AnotherProviderDoesNotGetAmazonsKeys) {
  const Variables amazon = {{"AKOSHA_COLD_BACKEND", "azure"},
                            {"AWS_ACCESS_KEY_ID", "id"},
                            {"AWS_SECRET_ACCESS_KEY", "secret"}};
  EXPECT_THAT(cold_of(amazon), HasSubstr("AZURE_STORAGE_ACCOUNT"));
  Variables both = amazon;
  both["AKOSHA_COLD_ACCESS_KEY_ID"] = "account";
  EXPECT_EQ(read(both).ingestion.access_key_id, "id") << "nor does S3 get the other's";
}

TEST(Buckets, OthersAreNamedByUrl) {
  const MemoryConfig config = read({{"AZURE_STORAGE_ACCOUNT", "account"},
                                    {"AZURE_STORAGE_KEY", "YWJj"},
                                    {"AKOSHA_INGEST_BUCKET", "azure://uploads"}});
  const auto store = open_bucket(config, config.ingestion.bucket);
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_EQ((*store)->where(), "azure://uploads/");
}

}  // namespace
}  // namespace asahi::memory
