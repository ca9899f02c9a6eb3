// What every batch buffer does, in this process and on Redis.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "gateway/batching/memory_buffer.h"
#include "gateway/batching/redis_buffer.h"
#include "net/loop.h"
#include "storage/cache/redis/url.h"
#include "storage/cache/testing/on_loop.h"
#include "storage/cache/testing/redis_server.h"

namespace asahi::gateway {
namespace {

using namespace std::chrono_literals;
using cache_testing::in_parallel;
using cache_testing::on_loop;
using cache_testing::RedisServer;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

BatchItem item(std::string id, std::chrono::milliseconds wait = 60'000ms,
               std::string group = "faq:small:acme:0") {
  BatchItem made;
  made.id = std::move(id);
  made.origin = "worker-1";
  made.group = std::move(group);
  made.org = "acme";
  made.model = "small";
  made.system = "Be brief.";
  made.prompt = "What is \"a fox\"?\n<<x:1>> Füchse";
  made.temperature = 0.25;
  made.max_tokens = 100;
  made.wait = wait;
  return made;
}

std::vector<std::string> ids(const std::vector<BatchItem>& items) {
  std::vector<std::string> out;
  for (const BatchItem& one : items) out.push_back(one.id);
  return out;
}

struct RedisParts {
  static std::shared_ptr<cache::RedisClients> clients(net::LoopPool& loops,
                                                      const std::string& url) {
    cache::RedisOptions options;
    options.timeout = 10s;  // a busy machine is not what is tested here
    options.endpoint = *cache::parse_redis_url(url);
    return cache::make_redis_clients(loops, options);
  }
};

class BatchBufferContract : public ::testing::TestWithParam<const char*> {
 protected:
  static void TearDownTestSuite() { server_.reset(); }
  void SetUp() override {
    const bool redis = std::string_view(GetParam()) == "redis";
    if (redis && !cache_testing::redis_available()) GTEST_SKIP() << cache_testing::kNoRedis;
    loops_.start();
    if (!redis) {
      buffer_ = std::make_unique<MemoryBatchBuffer>(50, clock_);
      return;
    }
    if (server_ == nullptr) server_ = std::make_unique<RedisServer>();
    server_->command({"FLUSHALL"});
    buffer_ = std::make_unique<RedisBatchBuffer>(
        RedisBatchBuffer::Options{.worker = "worker-1", .max_items = 50},
        RedisParts::clients(loops_, server_->url()));
  }

  template <class Body>
  auto await(Body body) {
    auto done = on_loop(loops_.at(0), std::move(body));
    EXPECT_TRUE(done) << (done ? "" : done.error().message);
    return done;
  }
  void push(BatchItem one) {
    await([&] { return buffer_->push(one); });
  }
  std::vector<BatchItem> take(std::size_t most, std::string group = "faq:small:acme:0") {
    return await([&] { return buffer_->take(group, most); }).value_or(std::vector<BatchItem>{});
  }
  std::vector<GroupState> groups() {
    return await([&] { return buffer_->groups(); }).value_or(std::vector<GroupState>{});
  }
  std::vector<BatchReply> finish(const std::vector<BatchItem>& items) {
    std::vector<BatchBuffer::Finished> finished;
    for (const BatchItem& one : items) {
      BatchReply reply;
      reply.id = one.id;
      reply.answered = true;
      reply.text = "answer to " + one.id;
      finished.push_back({one, reply});
    }
    return await([&] { return buffer_->finish(finished); }).value_or(std::vector<BatchReply>{});
  }
  void pass(std::chrono::milliseconds time) {
    if (buffer_->backend() == "memory") {
      clock_.advance(time);
    } else {
      std::this_thread::sleep_for(time);  // the server's own clock counts
    }
  }

  static inline std::unique_ptr<RedisServer> server_;
  ManualClock clock_;
  net::LoopPool loops_{2};
  std::unique_ptr<BatchBuffer> buffer_;
};

TEST_P(BatchBufferContract, GivesItemsOutInTheirOrderAsTheyCameIn) {
  for (const char* id : {"a", "b", "c"}) push(item(id));
  const auto taken = take(2);
  EXPECT_THAT(ids(taken), ElementsAre("a", "b"));
  EXPECT_THAT(ids(take(10)), ElementsAre("c"));
  EXPECT_THAT(ids(take(10)), IsEmpty());
  ASSERT_EQ(taken.size(), 2U);
  const BatchItem sent = item("a");
  EXPECT_EQ(taken[0].prompt, sent.prompt);
  EXPECT_EQ(taken[0].system, sent.system);
  EXPECT_EQ(taken[0].temperature, sent.temperature);
  EXPECT_EQ(taken[0].top_p, std::nullopt);
  EXPECT_EQ(taken[0].max_tokens, 100);
  EXPECT_EQ(taken[0].wait, sent.wait);
  EXPECT_EQ(taken[0].org, "acme");
}

TEST_P(BatchBufferContract, RefusesAnIdThatIsInThereAlready) {
  push(item("a"));
  auto again = on_loop(loops_.at(0), [&] { return buffer_->push(item("a")); });
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Errc::kConflict);
  const auto taken = take(1);
  again = on_loop(loops_.at(0), [&] { return buffer_->push(item("a")); });
  EXPECT_FALSE(again) << "also while it is being worked on";
  finish(taken);
  push(item("a"));
}

TEST_P(BatchBufferContract, RefusesWhatDoesNotFit) {
  for (int i = 0; i < 50; ++i) push(item(std::to_string(i)));
  auto more = on_loop(loops_.at(0), [&] { return buffer_->push(item("one more")); });
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, Errc::kTooLarge);
}

TEST_P(BatchBufferContract, TellsWhatWaitsForHowLong) {
  EXPECT_THAT(groups(), IsEmpty());
  push(item("a", 60'000ms));
  pass(60ms);
  push(item("b", 1'000ms));
  push(item("c", 5'000ms, "faq:small:rival:0"));
  auto states = groups();
  std::ranges::sort(states, {}, &GroupState::group);
  ASSERT_EQ(states.size(), 2U);
  EXPECT_EQ(states[0].size, 2U);
  EXPECT_GE(states[0].oldest, 60ms);
  EXPECT_LE(states[0].left, 1'000ms);
  EXPECT_GT(states[0].left, -30'000ms);
  EXPECT_EQ(states[1].group, "faq:small:rival:0");
  EXPECT_EQ(states[1].size, 1U);
  EXPECT_GE(take(10)[0].age, 60ms);
  EXPECT_EQ(groups().size(), 1U) << "what is taken does not wait";
}

TEST_P(BatchBufferContract, TakesBackOnlyWhatNobodyHasTaken) {
  push(item("a"));
  push(item("b"));
  EXPECT_EQ(await([&] { return buffer_->remove("faq:small:acme:0", "a"); }), true);
  EXPECT_EQ(await([&] { return buffer_->remove("faq:small:acme:0", "a"); }), false);
  EXPECT_THAT(ids(take(10)), ElementsAre("b"));
  EXPECT_EQ(await([&] { return buffer_->remove("faq:small:acme:0", "b"); }), false);
  EXPECT_EQ(await([&] { return buffer_->remove("none", "b"); }), false);
}

TEST_P(BatchBufferContract, HandsBackTheRepliesOfThisWorkersCallers) {
  push(item("a"));
  push(item("b"));
  const auto replies = finish(take(10));
  ASSERT_EQ(replies.size(), 2U);
  EXPECT_EQ(replies[0].text, "answer to a");
  EXPECT_THAT(await([&] { return buffer_->collect(); }).value(), IsEmpty());
  EXPECT_EQ(await([&] { return buffer_->maintain(); }), 0U);
}

TEST_P(BatchBufferContract, GivesEveryItemToOneTakerOnly) {
  for (int i = 0; i < 40; ++i) push(item(std::to_string(i)));
  std::mutex mutex;
  std::multiset<std::string> seen;
  in_parallel(loops_, 8, [&](std::size_t) -> Aw<void> {
    for (;;) {
      auto taken = co_await buffer_->take("faq:small:acme:0", 3);
      EXPECT_TRUE(taken);
      if (!taken || taken->empty()) co_return;
      const std::scoped_lock lock(mutex);
      for (const BatchItem& one : *taken) seen.insert(one.id);
    }
  });
  EXPECT_EQ(seen.size(), 40U);
  EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(), 40U);
}

INSTANTIATE_TEST_SUITE_P(Backends, BatchBufferContract, ::testing::Values("memory", "redis"),
                         [](const auto& info) { return std::string(info.param); });

// ---- several workers

class RedisBatchWorkers : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!cache_testing::redis_available()) GTEST_SKIP() << cache_testing::kNoRedis;
    server_ = std::make_unique<RedisServer>();
    loops_.start();
  }
  std::unique_ptr<RedisBatchBuffer> worker(const std::string& name,
                                           std::chrono::milliseconds abandoned_after = 200ms) {
    return std::make_unique<RedisBatchBuffer>(
        RedisBatchBuffer::Options{.worker = name, .abandoned_after = abandoned_after},
        RedisParts::clients(loops_, server_->url()));
  }
  template <class Body>
  auto await(Body body) {
    auto done = on_loop(loops_.at(0), std::move(body));
    EXPECT_TRUE(done) << (done ? "" : done.error().message);
    return done;
  }

  std::unique_ptr<RedisServer> server_;
  net::LoopPool loops_{1};
  static constexpr const char* kGroup = "faq:small:acme:0";
};

TEST_F(RedisBatchWorkers, AnswersFindTheirWayToTheWorkerThatWaits) {
  const auto one = worker("worker-1"), two = worker("worker-2");
  await([&] { return one->push(item("a")); });
  const auto taken = await([&] { return two->take(kGroup, 10); }).value();
  ASSERT_EQ(taken.size(), 1U);
  BatchReply reply;
  reply.id = "a";
  reply.answered = true;
  reply.text = "A \"fox\".";
  reply.size = 3;
  reply.usage = {.input = 40, .cached_input = 2, .output = 7, .reasoning_output = 1};
  reply.cost = {1'234'567};
  reply.mixed_owners = true;
  EXPECT_THAT(await([&] { return two->finish({{taken[0], reply}}); }).value(), IsEmpty());
  const auto got = await([&] { return one->collect(); }).value();
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].text, reply.text);
  EXPECT_EQ(got[0].usage, reply.usage);
  EXPECT_EQ(got[0].cost, reply.cost);
  EXPECT_TRUE(got[0].answered && got[0].mixed_owners);
  EXPECT_THAT(await([&] { return one->collect(); }).value(), IsEmpty()) << "told once";
  EXPECT_EQ(server_->command({"XLEN", "asahi:batch:{faq:small:acme:0}"}).integer, 0);
}

TEST_F(RedisBatchWorkers, CallersOfAWorkerThatFellSilentGoAlone) {
  const auto one = worker("worker-1"), three = worker("worker-3");
  await([&] { return one->push(item("a")); });
  {
    const auto crashed = worker("worker-2");
    ASSERT_EQ(await([&] { return crashed->take(kGroup, 10); })->size(), 1U);
  }
  EXPECT_EQ(await([&] { return three->maintain(); }), 0U) << "it may still be at work";
  std::this_thread::sleep_for(250ms);
  EXPECT_EQ(await([&] { return three->maintain(); }), 1U);
  const auto told = await([&] { return one->collect(); }).value();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].id, "a");
  EXPECT_FALSE(told[0].answered);
  EXPECT_EQ(await([&] { return three->maintain(); }), 0U);
}

TEST_F(RedisBatchWorkers, AWorkerAtWorkKeepsWhatItHasTaken) {
  // Long enough for a busy machine; in sum the item lies for longer than that.
  constexpr auto kSilence = 2'000ms;
  const auto one = worker("worker-1"), two = worker("worker-2", kSilence),
             three = worker("worker-3", kSilence);
  await([&] { return one->push(item("a")); });
  const auto taken = await([&] { return two->take(kGroup, 10); }).value();
  for (int i = 0; i < 4; ++i) {
    std::this_thread::sleep_for(700ms);
    EXPECT_EQ(await([&] { return two->maintain(); }).value_or(9), 0U);
    EXPECT_EQ(await([&] { return three->maintain(); }).value_or(9), 0U);
  }
  EXPECT_THAT(ids(taken), ElementsAre("a"));
}

TEST_F(RedisBatchWorkers, AnAnswerThatComesTooLateReachesNobody) {
  const auto one = worker("worker-1"), two = worker("worker-2"), three = worker("worker-3");
  await([&] { return one->push(item("a")); });
  const auto taken = await([&] { return two->take(kGroup, 10); }).value();
  std::this_thread::sleep_for(250ms);
  EXPECT_EQ(await([&] { return three->maintain(); }), 1U);
  BatchReply reply;
  reply.id = "a";
  reply.answered = true;
  await([&] { return two->finish({{taken[0], reply}}); });
  const auto told = await([&] { return one->collect(); }).value();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_FALSE(told[0].answered) << "its caller went alone already, and must not be told twice";
}

TEST_F(RedisBatchWorkers, WhatACrashedWorkerPutInIsTakenByAnother) {
  {
    const auto crashed = worker("worker-1");
    await([&] { return crashed->push(item("a", 0ms)); });
  }
  const auto two = worker("worker-2");
  const auto states = await([&] { return two->groups(); }).value();
  ASSERT_EQ(states.size(), 1U);
  EXPECT_LE(states[0].left, 0ms) << "due";
  EXPECT_THAT(ids(await([&] { return two->take(kGroup, 10); }).value()), ElementsAre("a"));
}

TEST_F(RedisBatchWorkers, NothingStaysInRedisForever) {
  const auto one = worker("worker-1");
  await([&] { return one->push(item("a")); });
  const auto keys = server_->command({"KEYS", "asahi:batch:{*"});
  ASSERT_EQ(keys.items.size(), 2U);
  for (const auto& key : keys.items)
    EXPECT_GT(server_->command({"PTTL", key.text}).integer, 0) << key.text;
}

TEST_F(RedisBatchWorkers, WithoutRedisEverythingFailsAtOnce) {
  const auto one = worker("worker-1");
  await([&] { return one->push(item("a")); });
  server_->stop();
  for (int i = 0; i < 2; ++i) {
    const auto pushed = on_loop(loops_.at(0), [&] { return one->push(item("b")); });
    EXPECT_FALSE(pushed);
  }
  EXPECT_FALSE(on_loop(loops_.at(0), [&] { return one->groups(); }));
}

}  // namespace
}  // namespace asahi::gateway
