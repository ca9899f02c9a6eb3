// What every Store does, run over the one in this process and the one on Redis.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <set>
#include <thread>

#include "storage/cache/open_store.h"
#include "storage/cache/testing/on_loop.h"
#include "storage/cache/testing/redis_server.h"

namespace asahi::cache {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using cache_testing::in_parallel;
using cache_testing::on_loop;
using cache_testing::RedisServer;

/// Long enough to be seen alive on a busy machine; Redis runs on real time.
constexpr std::chrono::milliseconds kShort{250};

enum class Backend { kMemory, kRedis };

Bytes bytes(std::string text) { return std::make_shared<const std::string>(std::move(text)); }

class StoreContract : public testing::TestWithParam<Backend> {
 protected:
  static void TearDownTestSuite() { server_.reset(); }

  void SetUp() override {
    StoreOptions options;
    if (GetParam() == Backend::kRedis) {
      if (!cache_testing::redis_available()) GTEST_SKIP() << cache_testing::kNoRedis;
      if (server_ == nullptr) server_ = std::make_unique<RedisServer>();
      server_->command({"FLUSHALL"});
      options.url = server_->url();
      options.redis.timeout = 10s;  // a busy machine is not what is tested here
    }
    loops_.start();
    auto store = open_store(options, loops_, clock_);
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
  }

  /// Lets an entry's time to live pass.
  void expire(const std::string& key) {
    if (GetParam() == Backend::kMemory) {
      clock_.advance(1h);
      return;
    }
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (get(key) && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  }

  template <class Body>
  auto await(Body body) {
    return on_loop(loops_.at(0), std::move(body));
  }
  void set(const std::string& key, const std::string& value, std::chrono::milliseconds ttl = 0ms) {
    const auto done = await([&] { return store_->set(key, bytes(value), ttl); });
    EXPECT_TRUE(done) << done.error().message;
  }
  std::optional<std::string> get(const std::string& key) {
    const auto found = await([&] { return store_->get(key); });
    EXPECT_TRUE(found) << found.error().message;
    if (!found || !*found) return std::nullopt;
    return ***found;
  }
  std::int64_t add(const std::string& key, std::int64_t by, std::chrono::milliseconds ttl = 0ms) {
    const auto sum = await([&] { return store_->add(key, by, ttl); });
    EXPECT_TRUE(sum) << sum.error().message;
    return sum.value_or(-1);
  }
  std::multiset<std::string> scan(const std::string& prefix) {
    std::multiset<std::string> keys;
    const auto done = await([&] {
      return store_->scan(prefix, [&](std::vector<Entry> entries) {
        for (const Entry& entry : entries) keys.insert(entry.key);
        return true;
      });
    });
    EXPECT_TRUE(done) << done.error().message;
    return keys;
  }

  static inline std::unique_ptr<RedisServer> server_;
  ManualClock clock_;
  net::LoopPool loops_{2};
  std::unique_ptr<Store> store_;
};

TEST_P(StoreContract, GivesBackWhatWasSet) {
  EXPECT_EQ(get("k"), std::nullopt);
  set("k", "one");
  EXPECT_EQ(get("k"), "one");
  set("k", "two");
  EXPECT_EQ(get("k"), "two");
  EXPECT_EQ(get("K"), std::nullopt);
}

TEST_P(StoreContract, NamesItsBackendAndAnswersPing) {
  EXPECT_EQ(store_->backend(), GetParam() == Backend::kMemory ? "memory" : "redis");
  EXPECT_TRUE(await([&] { return store_->ping(); }));
}

TEST_P(StoreContract, TryGetAgreesWithGetOrDeclines) {
  set("k", "v");
  const auto now = store_->try_get("k");
  EXPECT_EQ(now.has_value(), GetParam() == Backend::kMemory);
  if (now) EXPECT_EQ(***now, "v");
}

TEST_P(StoreContract, KeepsAnyBytesInKeysAndValues) {
  std::string all;
  for (int c = 0; c < 256; ++c) all.push_back(static_cast<char>(c));
  set(all, all);
  EXPECT_EQ(get(all), all);
  set("k", "a\r\nb\0c"s);
  EXPECT_EQ(get("k"), "a\r\nb\0c"s);
}

TEST_P(StoreContract, AnEmptyValueIsAHit) {
  set("k", "");
  EXPECT_EQ(get("k"), "");
}

TEST_P(StoreContract, AnEmptyKeyIsAKey) {
  set("", "v");
  EXPECT_EQ(get(""), "v");
  EXPECT_EQ(*await([&] { return store_->erase({""}); }), 1u);
}

TEST_P(StoreContract, KeepsValuesOfAMebibyte) {
  std::string value(1 << 20, 'x');
  std::minstd_rand random(1);
  for (char& c : value) c = static_cast<char>(random());
  set("k", value);
  EXPECT_TRUE(get("k") == value);
}

TEST_P(StoreContract, ForgetsAfterTheTimeToLive) {
  set("short", "v", kShort);
  set("long", "v", 24h);
  set("forever", "v");
  EXPECT_EQ(get("short"), "v");
  expire("short");
  EXPECT_EQ(get("short"), std::nullopt);
  EXPECT_EQ(get("long"), "v");
  EXPECT_EQ(get("forever"), "v");
}

TEST_P(StoreContract, SettingAgainSetsTheTimeToLiveAnew) {
  set("k", "v", kShort);
  set("k", "w");
  set("mark", "v", kShort);
  expire("mark");
  EXPECT_EQ(get("k"), "w");
}

TEST_P(StoreContract, RefusesANegativeTimeToLiveAndAMissingValue) {
  const auto negative = await([&] { return store_->set("k", bytes("v"), -1ms); });
  ASSERT_FALSE(negative);
  EXPECT_EQ(negative.error().code, Errc::kInvalidArgument);
  EXPECT_FALSE(await([&] { return store_->set("k", nullptr, 0ms); }));
  EXPECT_FALSE(await([&] { return store_->add("k", 1, -1ms); }));
  EXPECT_FALSE(
      await([&] { return store_->set("k", bytes("v"), std::chrono::milliseconds::max()); }));
  EXPECT_EQ(get("k"), std::nullopt);
}

TEST_P(StoreContract, SetIfAbsentStoresOnce) {
  EXPECT_TRUE(*await([&] { return store_->set_if_absent("k", bytes("first"), kShort); }));
  EXPECT_FALSE(*await([&] { return store_->set_if_absent("k", bytes("second"), 0ms); }));
  EXPECT_EQ(get("k"), "first");
  expire("k");
  EXPECT_TRUE(*await([&] { return store_->set_if_absent("k", bytes("third"), 0ms); }));
  EXPECT_EQ(get("k"), "third");
}

TEST_P(StoreContract, OneOfManyRacingSetIfAbsentWins) {
  std::atomic<int> won = 0;
  in_parallel(loops_, 200, [&](std::size_t i) -> Aw<void> {
    const auto stored = co_await store_->set_if_absent("k", bytes(std::to_string(i)), 1h);
    won += stored && *stored;
  });
  EXPECT_EQ(won, 1);
}

TEST_P(StoreContract, EraseCountsWhatExisted) {
  set("a", "v");
  set("b", "v");
  EXPECT_EQ(*await([&] { return store_->erase({"a", "b", "c"}); }), 2u);
  EXPECT_EQ(get("a"), std::nullopt);
  EXPECT_EQ(*await([&] { return store_->erase({"a"}); }), 0u);
  EXPECT_EQ(*await([&] { return store_->erase({}); }), 0u);
}

TEST_P(StoreContract, AddCountsFromZeroInBothDirections) {
  EXPECT_EQ(add("n", 5), 5);
  EXPECT_EQ(add("n", -7), -2);
  EXPECT_EQ(get("n"), "-2");
  set("m", "40");
  EXPECT_EQ(add("m", 2), 42);
  EXPECT_EQ(add("big", INT64_MAX - 1), INT64_MAX - 1);  // no detour through a double
  EXPECT_EQ(add("big", 1), INT64_MAX);
}

TEST_P(StoreContract, AddGivesItsTimeToLiveToANewCounterOnly) {
  EXPECT_EQ(add("n", 1, kShort), 1);
  EXPECT_EQ(add("n", 1, 24h), 2);
  expire("n");
  EXPECT_EQ(get("n"), std::nullopt);
  set("old", "1");
  EXPECT_EQ(add("old", 1, kShort), 2);
  set("mark", "v", kShort);
  expire("mark");
  EXPECT_EQ(get("old"), "2");
}

TEST_P(StoreContract, AddRefusesWhatIsNoCounterAndWhatOverflows) {
  set("text", "abc");
  const auto text = await([&] { return store_->add("text", 1, 0ms); });
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, Errc::kInvalidArgument);
  EXPECT_EQ(get("text"), "abc");
  EXPECT_EQ(add("n", INT64_MAX), INT64_MAX);
  const auto over = await([&] { return store_->add("n", 1, 0ms); });
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().code, Errc::kInvalidArgument);
  EXPECT_EQ(add("n", 0), INT64_MAX);
}

TEST_P(StoreContract, RacingAddsLoseNothing) {
  in_parallel(loops_, 500, [&](std::size_t) -> Aw<void> {
    const auto sum = co_await store_->add("n", 2, 1h);
    EXPECT_TRUE(sum);
  });
  EXPECT_EQ(add("n", 0), 1000);
}

TEST_P(StoreContract, AThousandParallelGetsEachReceiveTheirOwn) {
  in_parallel(loops_, 1000, [&](std::size_t i) -> Aw<void> {
    const std::string key = fmt::format("key{}", i);
    const auto stored = co_await store_->set(key, bytes(key), 1h);
    EXPECT_TRUE(stored);
  });
  in_parallel(loops_, 1000, [&](std::size_t i) -> Aw<void> {
    const auto found = co_await store_->get(fmt::format("key{}", i));
    EXPECT_TRUE(found && *found && ***found == fmt::format("key{}", i));
  });
}

TEST_P(StoreContract, ScanHandsOverThePrefixOnly) {
  std::multiset<std::string> expected;
  for (int i = 0; i < 1500; ++i) {
    set(fmt::format("p:{}", i), "v");
    expected.insert(fmt::format("p:{}", i));
  }
  set("q:1", "v");
  set("p", "v");
  EXPECT_EQ(scan("p:"), expected);
  EXPECT_EQ(scan("").size(), 1502u);
  EXPECT_EQ(scan("none").size(), 0u);
}

TEST_P(StoreContract, ScanGivesValuesAndTheTimeLeft) {
  set("p:a", "1", 1h);
  set("p:b", "2");
  std::map<std::string, Entry> seen;
  ASSERT_TRUE(await([&] {
    return store_->scan("p:", [&](std::vector<Entry> entries) {
      for (Entry& entry : entries) seen.emplace(entry.key, entry);
      return true;
    });
  }));
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(*seen["p:a"].value, "1");
  EXPECT_GT(seen["p:a"].ttl_left.value(), 59min);
  EXPECT_LE(seen["p:a"].ttl_left.value(), 1h);
  EXPECT_EQ(seen["p:b"].ttl_left, std::nullopt);
}

TEST_P(StoreContract, ScanStopsWhenToldTo) {
  for (int i = 0; i < 3000; ++i) set(fmt::format("p:{}", i), "v");
  int batches = 0;
  ASSERT_TRUE(
      await([&] { return store_->scan("p:", [&](std::vector<Entry>) { return ++batches < 2; }); }));
  EXPECT_EQ(batches, 2);
}

TEST_P(StoreContract, PrefixesAreTakenLiterally) {
  const std::string literal = "a*?[b-c]^\\{}:";
  set(literal + "1", "v");
  set(literal + "*", "v");
  set("aXXb:1", "v");
  set("a*?b^\\{}:1", "v");
  EXPECT_EQ(scan(literal).size(), 2u);
  EXPECT_EQ(*await([&] { return store_->erase_prefix("a*?["); }), 2u);
  EXPECT_EQ(get("aXXb:1"), "v");
  EXPECT_EQ(*await([&] { return store_->erase_prefix("*"); }), 0u);
  EXPECT_EQ(scan("").size(), 2u);
}

TEST_P(StoreContract, ErasePrefixErasesManyAndNothingElse) {
  in_parallel(loops_, 2500, [&](std::size_t i) -> Aw<void> {
    const auto stored = co_await store_->set(fmt::format("p:{}", i), bytes("v"), 0ms);
    EXPECT_TRUE(stored);
  });
  set("q", "v");
  EXPECT_EQ(*await([&] { return store_->erase_prefix("p:"); }), 2500u);
  EXPECT_EQ(scan("").size(), 1u);
}

TEST_P(StoreContract, StatsCountEntries) {
  set("a", "1234");
  set("b", "1234");
  const auto stats = await([&] { return store_->stats(); });
  ASSERT_TRUE(stats) << stats.error().message;
  EXPECT_EQ(stats->entries, 2u);
  EXPECT_EQ(stats->bytes, GetParam() == Backend::kMemory ? 10u : 0u);
  EXPECT_EQ(stats->evictions, 0u);
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreContract, testing::Values(Backend::kMemory, Backend::kRedis),
                         [](const auto& info) {
                           return info.param == Backend::kMemory ? "Memory" : "Redis";
                         });

TEST(OpenStore, NamesWhatIsWrongWithTheUrl) {
  net::LoopPool loops(1);
  const auto store = open_store({.url = "redis://h:port"}, loops, system_clock());
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Errc::kInvalidArgument);
  EXPECT_TRUE(store.error().message.contains("the port"));
}

}  // namespace
}  // namespace asahi::cache
