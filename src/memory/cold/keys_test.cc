#include "memory/cold/keys.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "memory/cold/key_filter.h"

namespace asahi::memory::cold {
namespace {

ObjectName sample() {
  return {.tenant = "org_1",
          .system_id = "agent-7",
          .day = std::chrono::year(2026) / 3 / 9,
          .written = parse_rfc3339("2026-11-22T10:20:30Z").value(),
          .shard = 17,
          .sequence = 4};
}

TEST(ColdKeys, NameTenantSystemDayAndBatch) {
  const std::string key = object_key(sample());
  EXPECT_EQ(key, "org_1/conversations/agent-7/2026/03/09/batch_20261122_102030_017_000004.parquet");
  EXPECT_EQ(parse_object_key(key).value(), sample());
  EXPECT_TRUE(key.starts_with(tenant_prefix("org_1")));
}

TEST(ColdKeys, KeepTenantsApartWhateverTheirNames) {
  ObjectName name = sample();
  for (const std::string tenant : {"../up", "a/b", "ü", "a%2Fb", "."}) {
    name.tenant = tenant;
    const std::string key = object_key(name);
    EXPECT_EQ(parse_object_key(key).value().tenant, tenant);
    EXPECT_EQ(key.find(".."), std::string::npos);
    EXPECT_EQ(std::ranges::count(key, '/'), 6) << key;
  }
  EXPECT_NE(tenant_prefix("a/b"), tenant_prefix("a%2Fb"));
}

TEST(ColdKeys, RefuseWhatIsNotTheirs) {
  const std::string key = object_key(sample());
  for (const std::string& wrong :
       {std::string(), std::string("x"), key + "x", "x/" + key, key.substr(1, 30),
        std::string(
            "org_1/conversations/agent-7/2026/13/09/batch_20261122_102030_017_000004.parquet"),
        std::string("org_1/conversations/a.b/2026/03/09/batch_20261122_102030_017_000004.parquet"),
        std::string(
            "org_1/conversations/agent-7/2026/03/09/batch_20261122_992030_017_000004.parquet"),
        std::string(
            "%4/conversations/agent-7/2026/03/09/batch_20261122_102030_017_000004.parquet")})
    EXPECT_FALSE(parse_object_key(wrong)) << wrong;
}

TEST(ColdKeys, PlaceSystemsInShards) {
  // printf agent-7 | sha256sum: the first four bytes, modulo 256, are the fourth.
  EXPECT_LT(shard_of("agent-7", 256), 256U);
  EXPECT_EQ(shard_of("agent-7", 1), 0U);
  EXPECT_EQ(shard_of("", 256), 0x42U);  // e3b0c442…
}

TEST(KeyFilterTest, DeniesNothingThatIsThereAndMostOfTheRest) {
  KeyFilter filter(10'000);
  for (int i = 0; i < 10'000; ++i) filter.add("id-" + std::to_string(i));
  const std::string bits = filter.take();
  EXPECT_EQ(bits.size(), 12'500U);
  int passed = 0;
  for (int i = 0; i < 20'000; ++i) {
    const bool may = KeyFilter::may_hold(bits, "id-" + std::to_string(i));
    if (i < 10'000) {
      ASSERT_TRUE(may) << i;
    } else {
      passed += may;
    }
  }
  EXPECT_LT(passed, 200);  // 2 %; 1 % is expected
  EXPECT_TRUE(KeyFilter::may_hold("", "anything"));
}

}  // namespace
}  // namespace asahi::memory::cold
