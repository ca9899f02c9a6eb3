#include "base/in_flight.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <thread>

namespace asahi {
namespace {

using std::chrono::steady_clock;

TEST(InFlight, CountsWhatLives) {
  InFlight work;
  EXPECT_EQ(work.count(), 0U);
  std::optional<InFlight::Mark> first(std::in_place, work);
  const InFlight::Mark second(work);
  EXPECT_EQ(work.count(), 2U);
  first.reset();
  EXPECT_EQ(work.count(), 1U);
}

TEST(InFlight, SaysWhetherAllHasEndedInTime) {
  InFlight work;
  EXPECT_TRUE(work.wait_until(steady_clock::now()));
  const InFlight::Mark mark(work);
  EXPECT_FALSE(work.wait_until(steady_clock::now()));
}

TEST(InFlight, ItMayBeDeletedAsSoonAsNothingIsLeft) {
  for (int round = 0; round < 200; ++round) {
    auto work = std::make_unique<InFlight>();
    std::atomic<bool> begun{false};
    std::thread other([&work, &begun] {
      const InFlight::Mark mark(*work);
      begun = true;
    });
    while (!begun) std::this_thread::yield();
    work->wait();
    work.reset();  // AddressSanitizer would see a mark that still looks at it
    other.join();
  }
}

}  // namespace
}  // namespace asahi
