// The client and the store on a Redis cluster of three primaries.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "storage/cache/redis_store.h"
#include "storage/cache/testing/on_loop.h"
#include "storage/cache/testing/redis_server.h"

namespace asahi::cache {
namespace {

using namespace std::chrono_literals;
using cache_testing::in_parallel;
using cache_testing::on_loop;
using cache_testing::RedisCluster;

Bytes bytes(std::string text) { return std::make_shared<const std::string>(std::move(text)); }

class RedisClusterTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!cache_testing::redis_available()) GTEST_SKIP() << cache_testing::kNoRedis;
    cluster_ = std::make_unique<RedisCluster>();
    loops_.start();
    RedisOptions options;
    options.endpoint = *parse_redis_url(cluster_->url());
    options.timeout = 2s;
    clients_ = make_redis_clients(loops_, options);
    store_ = std::make_unique<RedisStore>(clients_);
  }
  template <class Body>
  auto await(Body body) {
    return on_loop(loops_.at(0), std::move(body));
  }
  Result<Reply> command(std::vector<std::string> args) {
    return await([&] { return clients_->at(0).command(args); });
  }

  std::unique_ptr<RedisCluster> cluster_;
  net::LoopPool loops_{2};
  std::shared_ptr<RedisClients> clients_;
  std::unique_ptr<RedisStore> store_;
};

TEST_F(RedisClusterTest, SpreadsKeysAndFindsThemAgain) {
  // The very first commands meet a client that does not know yet that this is a cluster.
  in_parallel(loops_, 300, [&](std::size_t i) -> Aw<void> {
    const auto stored = co_await store_->set(fmt::format("p:{}", i), bytes(std::to_string(i)), 1h);
    EXPECT_TRUE(stored) << stored.error().message;
  });
  for (std::size_t i = 0; i < cluster_->size(); ++i) {
    EXPECT_GT(cluster_->node(i).command({"DBSIZE"}).integer, 50);
  }
  in_parallel(loops_, 300, [&](std::size_t i) -> Aw<void> {
    const auto found = co_await store_->get(fmt::format("p:{}", i));
    EXPECT_TRUE(found && *found && ***found == std::to_string(i));
  });
  EXPECT_EQ(await([&] { return store_->stats(); })->entries, 300u);

  std::set<std::string> seen;
  ASSERT_TRUE(await([&] {
    return store_->scan("p:", [&](std::vector<Entry> entries) {
      for (const Entry& entry : entries) seen.insert(entry.key);
      return true;
    });
  }));
  EXPECT_EQ(seen.size(), 300u);

  std::vector<std::string> some;
  for (int i = 0; i < 100; ++i) some.push_back(fmt::format("p:{}", i));
  EXPECT_EQ(*await([&] { return store_->erase(some); }), 100u);
  EXPECT_EQ(*await([&] { return store_->erase_prefix("p:"); }), 200u);
  EXPECT_EQ(await([&] { return store_->stats(); })->entries, 0u);
}

TEST_F(RedisClusterTest, RunsScriptsWhereTheirKeysAre) {
  for (int i = 0; i < 30; ++i) {
    const auto sum = await([&] { return store_->add(fmt::format("n{}", i), 7, 1h); });
    ASSERT_TRUE(sum) << sum.error().message;
    EXPECT_EQ(*sum, 7);
  }
  const Script script("return redis.call('MGET', KEYS[1], KEYS[2])");
  ASSERT_TRUE(command({"SET", "{org}:a", "1"}));
  ASSERT_TRUE(command({"SET", "{org}:b", "2"}));
  const auto both = await([&] { return clients_->at(0).eval(script, {"{org}:a", "{org}:b"}, {}); });
  ASSERT_TRUE(both) << both.error().message;
  EXPECT_EQ(both->items[1].text, "2");
  const auto apart = await([&] { return clients_->at(0).eval(script, {"a", "b"}, {}); });
  EXPECT_EQ(apart.error().reason, "CROSSSLOT");
}

TEST_F(RedisClusterTest, FollowsAMovedSlot) {
  const std::uint16_t slot = key_slot("foo");  // 12182: the third node
  ASSERT_TRUE(command({"SET", "foo", "before"}));
  cluster_->move_slot(slot, 2, 0);
  const auto reply = command({"GET", "foo"});
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->text, "before");
  EXPECT_EQ(cluster_->node(0).command({"GET", "foo"}).text, "before");
}

TEST_F(RedisClusterTest, AsksTheTargetWhileASlotMoves) {
  ASSERT_TRUE(command({"SET", "foo", "old"}));
  const auto id = [&](std::size_t node) {
    return cluster_->node(node).command({"CLUSTER", "MYID"}).text;
  };
  const std::string slot = std::to_string(key_slot("foo"));
  cluster_->node(0).command({"CLUSTER", "SETSLOT", slot, "IMPORTING", id(2)});
  cluster_->node(2).command({"CLUSTER", "SETSLOT", slot, "MIGRATING", id(0)});
  // A key of the slot that is not at its old place: only ASKING reaches the new one.
  const auto stored = command({"SET", "{foo}2", "new"});
  ASSERT_TRUE(stored) << stored.error().message;
  EXPECT_EQ(command({"GET", "{foo}2"})->text, "new");
  EXPECT_EQ(command({"GET", "foo"})->text, "old");
}

TEST_F(RedisClusterTest, AMissingNodeCostsItsSlotsOnly) {
  ASSERT_TRUE(command({"SET", "foo", "v"}));  // third node
  ASSERT_TRUE(command({"SET", "b", "v"}));    // first node
  EXPECT_EQ(key_slot("b") / 5462, 0);
  cluster_->node(2).stop();
  const auto lost = command({"GET", "foo"});
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, Errc::kUnavailable);
  EXPECT_EQ(command({"GET", "b"})->text, "v");
}

}  // namespace
}  // namespace asahi::cache
