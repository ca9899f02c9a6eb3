#include "memory/wiring/roles.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "memory/wiring/store_role.h"

namespace asahi::memory {
namespace {

using ::testing::HasSubstr;

TEST(Roles, AreThoseOfTheSpecificationOnItsPorts) {
  const auto port = [](std::string_view name) {
    const auto component = parse_component(name);
    return component ? role_of(*component).api_port : -1;
  };
  EXPECT_EQ(port("all"), 8682);
  EXPECT_EQ(port("query_server"), 8000);
  EXPECT_EQ(port("ingestion_worker"), 8001);
  EXPECT_EQ(port("hot_store"), 8002);
  EXPECT_EQ(port("warm_store"), 8003);
  EXPECT_EQ(port("aging_service"), 0);
  EXPECT_EQ(port("metrics_exporter"), 0);
  EXPECT_FALSE(parse_component("hot-store"));
  for (const Role& role : roles()) {
    EXPECT_EQ(&role_of(role.component), &role);
    EXPECT_EQ(role.metrics_port, role.component == Component::kAll ? 8682 : 8000) << role.name;
  }
}

TEST(StorePlaces, NamesTheSettingThatIsWrong) {
  MemoryConfig config;
  EXPECT_TRUE(store_places(config)) << "on this machine nothing needs to be said";
  config.stores.warm_url = "http://warm-store:8003";
  const auto open = store_places(config);
  ASSERT_FALSE(open);
  EXPECT_EQ(open.error().field, "memory.stores.warm_url");
  config.stores.secret = Secret("0123456789abcdef0123456789abcdef");
  const auto places = store_places(config);
  ASSERT_TRUE(places) << places.error().message;
  EXPECT_EQ(places->warm->port, 8003);
  config.stores.secret = Secret("short");
  EXPECT_EQ(store_places(config).error().field, "memory.stores.secret");
}

TEST(StoreRole, RefusesToListenBeyondThisMachineWithoutASecret) {
  MemoryConfig config;
  config.hot.path = ":memory:";
  config.api.host = "0.0.0.0";
  telemetry::Registry metrics;
  const auto refused = StoreRole::open(Tier::kHot, {config, system_clock(), metrics});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().field, "memory.stores.secret");
  EXPECT_THAT(refused.error().message, HasSubstr("0.0.0.0"));
  config.stores.secret = Secret("0123456789abcdef0123456789abcdef");
  EXPECT_TRUE(StoreRole::open(Tier::kHot, {config, system_clock(), metrics}));
}

}  // namespace
}  // namespace asahi::memory
