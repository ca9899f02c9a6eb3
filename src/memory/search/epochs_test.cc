#include "memory/search/epochs.h"

#include <gtest/gtest.h>

#include "memory/testing/on_loop.h"
#include "net/blocking.h"

namespace asahi::memory {
namespace {

struct EpochsTest : ::testing::Test {
  std::string current(const std::string& tenant) {
    return net::run_sync<std::string>(on.loop(), [&]() { return epochs.current(tenant); });
  }
  void bump(const std::string& tenant) {
    net::run_sync<bool>(on.loop(), [&]() -> Aw<bool> {
      co_await epochs.bump(tenant);
      co_return true;
    });
  }
  testing::OnLoop on;
  Epochs epochs{nullptr};
};

TEST_F(EpochsTest, EachChangeGivesANumberThatWasNotThereBefore) {
  const std::string before = current("acme");
  EXPECT_EQ(current("acme"), before) << "asking changes nothing";
  bump("acme");
  const std::string after = current("acme");
  EXPECT_NE(after, before);
  bump("acme");
  EXPECT_NE(current("acme"), after);
}

TEST_F(EpochsTest, TakesNoMoreRoomHoweverManyTenantsCome) {
  static_assert(sizeof(Epochs) < (128 << 10), "all of it: nothing grows beside");
  net::run_sync<bool>(on.loop(), [&]() -> Aw<bool> {
    for (int i = 0; i < 20'000; ++i) co_await epochs.bump("tenant " + std::to_string(i));
    co_return true;
  });
  const std::string before = current("tenant 7");
  bump("tenant 7");
  EXPECT_NE(current("tenant 7"), before) << "sharing a place may forget, never miss a change";
}

}  // namespace
}  // namespace asahi::memory
