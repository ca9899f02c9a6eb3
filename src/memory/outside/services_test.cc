#include "memory/outside/services.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "memory/testing/on_loop.h"

namespace asahi::memory {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;

/// Services that answer from the given try on; time passes only while somebody sleeps.
class OutsideServicesTest : public ::testing::Test {
 protected:
  OutsideServices services(std::map<std::string, OutsideService, std::less<>> known = {}) {
    return OutsideServices({.known = std::move(known),
                            .ask = [this](OutsideService service) -> Task<void> {
                              ++asked_;
                              if (service.host == "down" || asked_ < answers_from_)
                                co_return fail(Errc::kUnavailable, "connection refused");
                              co_return Result<void>{};
                            },
                            .sleep = [this](std::chrono::nanoseconds time) -> Aw<void> {
                              pauses_.push_back(std::chrono::round<seconds>(time).count());
                              clock_.advance(time);
                              co_return;
                            },
                            .clock = clock_});
  }
  template <class T>
  T on_loop(std::function<Aw<T>()> work) {
    return net::run_sync<T>(loop_.loop(), std::move(work));
  }
  OutsideServices::Answer wait(OutsideService service, std::chrono::nanoseconds most) {
    const OutsideServices all = services();
    return on_loop<OutsideServices::Answer>([&] { return all.wait("buddy", service, most); });
  }

  ManualClock clock_;
  testing::OnLoop loop_;
  int asked_ = 0;
  int answers_from_ = 1;
  std::vector<std::int64_t> pauses_;
};

TEST_F(OutsideServicesTest, AServiceThatAnswersIsNotWaitedFor) {
  const auto answer = wait({}, seconds(30));
  EXPECT_TRUE(answer.report.healthy);
  EXPECT_EQ(answer.tries, 1);
  EXPECT_THAT(pauses_, ElementsAre());
}

TEST_F(OutsideServicesTest, IsAskedAgainAfterLongerAndLongerPauses) {
  answers_from_ = 7;
  const auto answer = wait({}, seconds(300));
  EXPECT_TRUE(answer.report.healthy);
  EXPECT_EQ(answer.tries, 7);
  EXPECT_THAT(pauses_, ElementsAre(1, 2, 4, 8, 16, 16));
  EXPECT_EQ(answer.waited, seconds(47));
}

TEST_F(OutsideServicesTest, NobodyWaitsLongerThanAsked) {
  const auto answer = wait({.host = "down"}, seconds(10));
  EXPECT_FALSE(answer.report.healthy);
  EXPECT_EQ(answer.report.error, "connection refused");
  EXPECT_THAT(pauses_, ElementsAre(1, 2, 4)) << "eight more would be beyond ten";
  EXPECT_EQ(answer.tries, 4);
}

TEST_F(OutsideServicesTest, AMissingServiceCountsOnlyWhereItIsRequired) {
  OutsideService down{.host = "down"};
  OutsideServices optional = services({{"mahavishnu", down}, {"session_buddy", {}}});
  auto report = on_loop<Health::Report>([&] { return optional.check_all(); });
  EXPECT_TRUE(report.ready());
  EXPECT_FALSE(report.whole());
  down.required = true;
  OutsideServices needed = services({{"mahavishnu", down}, {"session_buddy", {}}});
  report = on_loop<Health::Report>([&] { return needed.check_all(); });
  EXPECT_FALSE(report.ready());
}

}  // namespace
}  // namespace asahi::memory
