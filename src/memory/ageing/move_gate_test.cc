#include "memory/ageing/move_gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "memory/ageing/testing/hooked_store.h"
#include "memory/testing/memory_store.h"
#include "memory/testing/on_loop.h"
#include "net/event.h"

namespace asahi::memory::ageing {
namespace {

using namespace std::chrono_literals;
using ageing_testing::HookedStore;

class MoveGateTest : public ::testing::Test {
 protected:
  void open(GateOptions options = {}) {
    auto hooked = std::make_unique<HookedStore>(rows_);
    hooked_ = hooked.get();
    gate_ = std::make_unique<MoveGate>(std::move(hooked), clock_, options);
    for (const char* id : {"a", "b"}) {
      Memory one;
      one.key = {"org", "agent", id};
      one.content = one.key.conversation_id + " says something";
      one.content_hash = sha256(one.content);
      one.timestamp = Clock::Time{1h};
      auto stored =
          on_.wait<std::vector<UpsertOutcome>>([&, one]() -> Task<std::vector<UpsertOutcome>> {
            std::vector<Memory> batch{one};
            co_return co_await gate_->upsert_batch(std::move(batch), {});
          });
      ASSERT_TRUE(stored);
    }
  }
  std::vector<Eligible> scan(std::size_t limit) {
    return on_
        .wait<std::vector<Eligible>>([&, limit]() -> Task<std::vector<Eligible>> {
          co_return co_await gate_->scan_eligible({.before = Clock::Time{2h}, .limit = limit});
        })
        .value();
  }
  /// Begins an erasure; its end.
  std::future<Result<std::uint64_t>> erase(const std::string& id) {
    auto promise = std::make_shared<std::promise<Result<std::uint64_t>>>();
    auto ended = promise->get_future();
    on_.loop().spawn("erasure", [this, id, promise]() -> Aw<void> {
      std::vector<Key> keys{{"org", "agent", id}};
      promise->set_value(co_await gate_->delete_batch(std::move(keys)));
    });
    return ended;
  }
  std::uint64_t end_move(const Eligible& row, bool moved) {
    return on_
        .wait<std::uint64_t>([&, moved]() -> Task<std::uint64_t> {
          std::vector<std::pair<Key, Digest>> rows{
              {row.memory.key, moved ? row.checksum : Digest{}}};
          co_return co_await gate_->delete_migrated(std::move(rows));
        })
        .value();
  }
  /// Everything that the loop had to do before now is done.
  void settle() {
    for (int i = 0; i < 3; ++i)
      (void)on_.wait<void>([]() -> Task<void> { co_return Result<void>{}; });
  }

  ManualClock clock_;
  testing::OnLoop on_;
  testing::MemoryStore rows_;
  HookedStore* hooked_ = nullptr;
  std::unique_ptr<MoveGate> gate_;
};

TEST_F(MoveGateTest, AnErasureWaitsForTheMoveOfItsRow) {
  open();
  const auto moving = scan(1);
  ASSERT_EQ(moving.size(), 1U);
  auto erased = erase("a");
  settle();
  EXPECT_EQ(erased.wait_for(0s), std::future_status::timeout);
  EXPECT_EQ(erase("b").get().value(), 1U) << "other rows do not wait";
  EXPECT_EQ(end_move(moving[0], true), 1U);
  EXPECT_EQ(erased.get().value(), 0U) << "it has moved: the next tier has it";
}

TEST_F(MoveGateTest, AMoveThatDidNotHappenLeavesTheRowToTheErasure) {
  open();
  const auto moving = scan(1);
  auto erased = erase("a");
  settle();
  EXPECT_EQ(end_move(moving[0], false), 0U);
  EXPECT_EQ(erased.get().value(), 1U);
  EXPECT_EQ(rows_.all().size(), 1U);
}

TEST_F(MoveGateTest, TheErasureOfASystemWaitsForItsMovingRows) {
  open();
  const auto moving = scan(2);
  auto promise = std::make_shared<std::promise<Result<std::uint64_t>>>();
  auto erased = promise->get_future();
  on_.loop().spawn("erasure", [this, promise]() -> Aw<void> {
    promise->set_value(co_await gate_->delete_system("org", "agent"));
  });
  settle();
  EXPECT_EQ(erased.wait_for(0s), std::future_status::timeout);
  EXPECT_EQ(end_move(moving[0], true), 1U);
  settle();
  EXPECT_EQ(erased.wait_for(0s), std::future_status::timeout) << "one still moves";
  EXPECT_EQ(end_move(moving[1], false), 0U);
  EXPECT_EQ(erased.get().value(), 1U);
}

TEST_F(MoveGateTest, AScanDoesNotTakeWhatIsBeingErased) {
  open();
  std::unique_ptr<net::Event> go;
  std::promise<void> begun;
  hooked_->before_delete = [&]() -> Aw<void> {
    go = std::make_unique<net::Event>(on_.loop());
    begun.set_value();
    co_await go->wait();
  };
  auto erased = erase("a");
  begun.get_future().wait();
  auto scanned = std::async(std::launch::async, [&] { return scan(10); });
  settle();
  on_.loop().post([&] { go->set(); });
  EXPECT_EQ(erased.get().value(), 1U);
  const auto rows = scanned.get();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].memory.key.conversation_id, "b");
  (void)on_.wait<void>([&]() -> Task<void> {
    go.reset();
    co_return Result<void>{};
  });
}

TEST_F(MoveGateTest, AnErasureGivesUpAfterItsPatience) {
  open({.patience = 30ms});
  const auto moving = scan(1);
  const auto erased = erase("a").get();
  ASSERT_FALSE(erased);
  EXPECT_EQ(erased.error().code, Errc::kUnavailable);
}

TEST_F(MoveGateTest, AMoverThatDiedHoldsItsRowsForItsLeaseOnly) {
  open({.lease = 60s});
  ASSERT_EQ(scan(1).size(), 1U);
  clock_.advance(61s);
  EXPECT_EQ(erase("a").get().value(), 1U);
}

}  // namespace
}  // namespace asahi::memory::ageing
