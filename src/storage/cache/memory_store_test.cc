#include "storage/cache/memory_store.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "storage/cache/testing/on_loop.h"

namespace asahi::cache {
namespace {

using namespace std::chrono_literals;
using cache_testing::on_loop;

Bytes bytes(std::string text) { return std::make_shared<const std::string>(std::move(text)); }

class MemoryStoreTest : public testing::Test {
 protected:
  MemoryStoreTest() { loops_.start(); }

  void open(MemoryOptions options) { store_ = std::make_unique<MemoryStore>(options, clock_); }
  Result<void> set(const std::string& key, const std::string& value,
                   std::chrono::milliseconds ttl = 0ms) {
    return on_loop(loops_.at(0), [&] { return store_->set(key, bytes(value), ttl); });
  }
  bool holds(std::string_view key) { return store_->try_get(key)->has_value(); }
  Stats stats() {
    return *on_loop(loops_.at(0), [&] { return store_->stats(); });
  }

  ManualClock clock_;
  net::LoopPool loops_{1};
  std::unique_ptr<MemoryStore> store_;
};

TEST_F(MemoryStoreTest, EvictsTheLeastRecentlyUsedBeyondItsEntries) {
  open({.max_entries = 3});
  for (const char* const key : {"a", "b", "c"}) ASSERT_TRUE(set(key, "v"));
  EXPECT_TRUE(holds("a"));  // used again: now b is the oldest
  ASSERT_TRUE(set("d", "v"));
  EXPECT_TRUE(holds("a"));
  EXPECT_FALSE(holds("b"));
  EXPECT_TRUE(holds("c"));
  EXPECT_TRUE(holds("d"));
  EXPECT_EQ(stats().entries, 3u);
  EXPECT_EQ(stats().evictions, 1u);
}

TEST_F(MemoryStoreTest, EvictsBeyondItsBytes) {
  open({.max_entries = 1000, .max_bytes = 100});
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(set(fmt::format("{:04}", i), std::string(16, 'x')));
  EXPECT_EQ(stats().entries, 5u);
  EXPECT_EQ(stats().bytes, 100u);
  EXPECT_FALSE(holds("0004"));
  EXPECT_TRUE(holds("0005"));
  ASSERT_TRUE(set("0009", std::string(96, 'x')));  // growing an entry counts as well
  EXPECT_EQ(stats().entries, 1u);
}

TEST_F(MemoryStoreTest, RefusesAnEntryThatCannotFitAndKeepsTheOthers) {
  open({.max_bytes = 100});
  ASSERT_TRUE(set("a", "v"));
  const auto refused = set("b", std::string(100, 'x'));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kTooLarge);
  EXPECT_TRUE(holds("a"));
}

TEST_F(MemoryStoreTest, CountsTheReadsOfAnEntryUntilItIsReplaced) {
  open({});
  ASSERT_TRUE(set("a", "v"));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(holds("a"));
  const auto hits = [&] {
    std::optional<std::uint64_t> counted;
    auto scanned = on_loop(loops_.at(0), [&] {
      return store_->scan("a", [&](const std::vector<Entry>& entries) {
        if (!entries.empty()) counted = entries.front().hits;
        return true;
      });
    });
    EXPECT_TRUE(scanned);
    return counted;
  };
  EXPECT_EQ(hits(), 3u);
  ASSERT_TRUE(set("a", "w"));
  EXPECT_EQ(hits(), 0u);
}

TEST_F(MemoryStoreTest, HoldsBothBoundsWithManyShards) {
  open({.max_entries = 10'000, .max_bytes = 200'000});
  const int stored = on_loop(loops_.at(0), [&]() -> Aw<int> {
    int ok = 0;
    for (int i = 0; i < 20'000; ++i) {
      auto set = co_await store_->set(fmt::format("key-{:06}", i), bytes("0123456789"), 0ms);
      ok += set.has_value();
    }
    co_return ok;
  });
  EXPECT_EQ(stored, 20'000);
  EXPECT_EQ(stats().entries, 10'000u);
  EXPECT_EQ(stats().bytes, 200'000u);
  int recent = 0;
  for (int i = 19'000; i < 20'000; ++i) recent += holds(fmt::format("key-{:06}", i));
  EXPECT_GE(recent, 990);
}

TEST_F(MemoryStoreTest, AnswersWithoutSuspending) {
  open({});
  ASSERT_TRUE(set("k", "v"));
  const auto hit = store_->try_get("k");
  ASSERT_TRUE(hit && *hit);
  EXPECT_EQ(***hit, "v");
  const auto miss = store_->try_get("other");
  ASSERT_TRUE(miss);
  EXPECT_FALSE(*miss);
}

TEST_F(MemoryStoreTest, AHitSharesTheStoredBytesAndOutlivesTheEntry) {
  open({.max_entries = 1});
  const Bytes value = bytes("v");
  ASSERT_TRUE(on_loop(loops_.at(0), [&] { return store_->set("k", value, 0ms); }));
  const Bytes hit = **store_->try_get("k");
  EXPECT_EQ(hit.get(), value.get());
  ASSERT_TRUE(set("other", "w"));
  EXPECT_FALSE(holds("k"));
  EXPECT_EQ(*hit, "v");
}

TEST_F(MemoryStoreTest, DropsAnExpiredEntryWhenItIsAskedFor) {
  open({});
  ASSERT_TRUE(set("k", "v", 1s));
  clock_.advance(999ms);
  EXPECT_TRUE(holds("k"));  // and this hit does not prolong it
  clock_.advance(1ms);
  EXPECT_EQ(stats().entries, 1u);
  EXPECT_FALSE(holds("k"));
  EXPECT_EQ(stats().entries, 0u);
  EXPECT_EQ(stats().bytes, 0u);
}

TEST_F(MemoryStoreTest, SweepsExpiredEntriesOnly) {
  open({});
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(set(fmt::format("short{}", i), "v", 1s));
  ASSERT_TRUE(set("long", "v", 1h));
  ASSERT_TRUE(set("forever", "v"));
  clock_.advance(2s);
  EXPECT_EQ(*on_loop(loops_.at(0), [&] { return store_->sweep(); }), 100u);
  EXPECT_EQ(stats().entries, 2u);
  EXPECT_EQ(stats().evictions, 0u);  // expiry is not for lack of room
}

TEST_F(MemoryStoreTest, AnExpiredEntryIsNeitherErasedNorInTheWay) {
  open({});
  ASSERT_TRUE(set("k", "v", 1s));
  ASSERT_TRUE(set("p:k", "v", 1s));
  clock_.advance(2s);
  EXPECT_EQ(*on_loop(loops_.at(0), [&] { return store_->erase({"k"}); }), 0u);
  EXPECT_EQ(*on_loop(loops_.at(0), [&] { return store_->erase_prefix("p:"); }), 0u);
  ASSERT_TRUE(set("n", "5", 1s));
  clock_.advance(2s);
  EXPECT_EQ(*on_loop(loops_.at(0), [&] { return store_->add("n", 2, 0ms); }), 2);
}

TEST_F(MemoryStoreTest, ScanTellsTheTimeLeft) {
  open({});
  ASSERT_TRUE(set("p:a", "v", 10s));
  ASSERT_TRUE(set("p:b", "v"));
  ASSERT_TRUE(set("p:gone", "v", 1s));
  clock_.advance(4s);
  std::map<std::string, std::optional<std::chrono::milliseconds>> seen;
  ASSERT_TRUE(on_loop(loops_.at(0), [&] {
    return store_->scan("p:", [&](std::vector<Entry> entries) {
      for (const Entry& entry : entries) seen[entry.key] = entry.ttl_left;
      return true;
    });
  }));
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen["p:a"], 6s);
  EXPECT_EQ(seen["p:b"], std::nullopt);
}

}  // namespace
}  // namespace asahi::cache
