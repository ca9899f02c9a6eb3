#include "memory/ageing/find.h"

#include <gtest/gtest.h>

#include <functional>
#include <utility>

#include "memory/model/forwarding_store.h"
#include "memory/testing/memory_store.h"
#include "memory/testing/on_loop.h"

namespace asahi::memory::ageing {
namespace {

/// Lets something happen right after it was asked.
class Asked final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Task<std::vector<std::optional<Memory>>> get(std::vector<Key> keys) override {
    auto found = co_await ForwardingStore::get(std::move(keys));
    if (then) co_await std::exchange(then, {})();
    co_return found;
  }
  std::function<Aw<void>()> then;
};

class FindTest : public ::testing::Test {
 protected:
  FindTest() {
    memory_.key = {"acme", "desk", "1"};
    memory_.content = "The lamp is blue.";
    memory_.content_hash = sha256(memory_.content);
  }
  void put(Store& store) {
    ASSERT_TRUE(on_.wait<std::vector<UpsertOutcome>>(
        [&] { return store.upsert_batch({memory_}, {.deduplicate = false}); }));
  }
  /// As a way up or down does: there first, then no more here.
  Aw<void> move(Store& from, Store& to) {
    (void)co_await to.upsert_batch({memory_}, {.deduplicate = false});
    (void)co_await from.delete_batch({memory_.key});
  }
  std::optional<Tier> found() {
    const auto answer =
        on_.wait<std::optional<Found>>([&] { return find({&hot_, &warm_, &cold_}, memory_.key); });
    EXPECT_TRUE(answer);
    if (!answer || !*answer) return std::nullopt;
    EXPECT_EQ((*answer)->memory.content, memory_.content);
    return (*answer)->tier;
  }

  testing::OnLoop on_;
  Memory memory_;
  testing::MemoryStore hot_rows_, warm_rows_{Tier::kWarm}, cold_{Tier::kCold};
  Asked hot_{hot_rows_}, warm_{warm_rows_};
};

TEST_F(FindTest, AsksTheHottestFirst) {
  EXPECT_EQ(found(), std::nullopt);
  put(cold_);
  EXPECT_EQ(found(), Tier::kCold);
  put(hot_);
  EXPECT_EQ(found(), Tier::kHot);
}

TEST_F(FindTest, MeetsAMemoryThatGoesUpOrDownMeanwhile) {
  put(warm_);
  hot_.then = [this] { return move(warm_, hot_); };
  EXPECT_EQ(found(), Tier::kHot);
  hot_.then = [this] { return move(hot_, warm_); };
  EXPECT_EQ(found(), Tier::kHot) << "where it was when it was asked";
  warm_.then = [this] { return move(warm_, cold_); };
  EXPECT_EQ(found(), Tier::kWarm);
  EXPECT_EQ(found(), Tier::kCold);
}

}  // namespace
}  // namespace asahi::memory::ageing
