#include "gateway/cache/single_flight.h"

#include <gtest/gtest.h>

#include <vector>

#include "gateway/testing/loop.h"
#include "net/event.h"

namespace asahi::gateway {
namespace {

using testing::Loops;
using testing::Pending;
using Flights = SingleFlight<std::string>;

/// A call that waits until the test lets it end; counts how often it was made and cancelled.
class SingleFlightTest : public ::testing::Test {
 protected:
  using Value = std::shared_ptr<const std::string>;

  Flights::Call call(std::string text = "answer") {
    return [this, text](CancelSource& cancel) -> Task<Value> {
      ++made_;
      const auto subscription = cancel.on_cancel([this] { gate_.set(); });
      co_await gate_.wait();
      if (cancel.cancelled()) {
        ++cancelled_;
        co_return fail(Errc::kCancelled, "cancelled");
      }
      if (error_) co_return std::unexpected(*error_);
      if (throws_) throw std::runtime_error("a bug");
      co_return std::make_shared<const std::string>(text);
    };
  }
  std::unique_ptr<Pending<Flights::Shared>> ask(std::string key, std::size_t loop = 0) {
    return std::make_unique<Pending<Flights::Shared>>(
        loops_,
        [this, key](CancelSource& cancel) { return flights_.run(key, cancel, call("for " + key)); },
        loop);
  }
  bool waiting_for(int calls) {
    return loops_.until([&] { return made_ == calls; });
  }
  /// Whatever was posted before has run on every loop.
  void settle() {
    for (int round = 0; round < 3; ++round) {
      for (std::size_t i = 0; i < loops_.pool().size(); ++i) loops_.on([] {}, i);
    }
  }
  void finish() {
    loops_.on([this] { gate_.set(); });
  }

  Loops loops_{2};
  net::Event gate_{loops_.loop(0)};
  int made_ = 0, cancelled_ = 0;
  std::optional<Error> error_;
  bool throws_ = false;
  Flights flights_;
};

TEST_F(SingleFlightTest, GivesAllWhoAskMeanwhileTheAnswerOfOneCall) {
  auto leader = ask("k");
  ASSERT_TRUE(waiting_for(1));
  auto follower = ask("k");
  auto on_other_loop = ask("k", 1);
  settle();
  EXPECT_EQ(flights_.in_flight(), 1U);
  finish();
  const auto first = leader->get();
  const auto second = follower->get();
  const auto third = on_other_loop->get();
  ASSERT_TRUE(first.outcome && second.outcome && third.outcome);
  EXPECT_EQ(**first.outcome, "for k");
  EXPECT_EQ(*first.outcome, *second.outcome) << "the same object, not a copy";
  EXPECT_EQ(*first.outcome, *third.outcome);
  EXPECT_TRUE(first.leader);
  EXPECT_FALSE(second.leader);
  EXPECT_FALSE(third.leader);
  EXPECT_EQ(loops_.on([&] { return made_; }), 1);
}

TEST_F(SingleFlightTest, KeepsDifferentKeysApart) {
  auto one = ask("one");
  ASSERT_TRUE(waiting_for(1));
  finish();
  EXPECT_EQ(**one->get().outcome, "for one");
  auto two = ask("two");
  ASSERT_TRUE(waiting_for(2));
  finish();
  EXPECT_EQ(**two->get().outcome, "for two");
}

TEST_F(SingleFlightTest, StartsAnewOnceTheAnswerIsThere) {
  auto first = ask("k");
  ASSERT_TRUE(waiting_for(1));
  finish();
  ASSERT_TRUE(first->get().outcome);
  EXPECT_EQ(flights_.in_flight(), 0U) << "nothing is kept: that is the cache's work";
  auto later = ask("k");
  ASSERT_TRUE(waiting_for(2));
  finish();
  EXPECT_TRUE(later->get().leader);
}

TEST_F(SingleFlightTest, TellsFollowersOfTheLeadersFailureAndRemembersNothing) {
  error_ = Error{.code = Errc::kUnavailable, .message = "no vendor answered"};
  auto leader = ask("k");
  ASSERT_TRUE(waiting_for(1));
  auto follower = ask("k");
  settle();
  finish();
  EXPECT_EQ(leader->get().outcome.error().message, "no vendor answered");
  const auto shared = follower->get();
  EXPECT_EQ(shared.outcome.error().code, Errc::kUnavailable);
  EXPECT_FALSE(shared.leader);
  EXPECT_EQ(loops_.on([&] { return made_; }), 1) << "a failure is not tried again per follower";
  EXPECT_EQ(flights_.in_flight(), 0U);
}

TEST_F(SingleFlightTest, LetsTheCallGoOnForFollowersWhenTheLeaderLeaves) {
  auto leader = ask("k");
  ASSERT_TRUE(waiting_for(1));
  auto follower = ask("k", 1);
  settle();
  leader->leave();
  EXPECT_EQ(leader->get().outcome.error().code, Errc::kCancelled) << "at once, not when it is done";
  settle();
  EXPECT_EQ(loops_.on([&] { return cancelled_; }), 0);
  finish();
  const auto shared = follower->get();
  ASSERT_TRUE(shared.outcome);
  EXPECT_EQ(**shared.outcome, "for k");
  EXPECT_EQ(loops_.on([&] { return made_; }), 1);
}

TEST_F(SingleFlightTest, LetsAFollowerLeaveWithoutHarmToTheOthers) {
  auto leader = ask("k");
  ASSERT_TRUE(waiting_for(1));
  auto follower = ask("k", 1);
  settle();
  follower->leave();
  EXPECT_EQ(follower->get().outcome.error().code, Errc::kCancelled);
  finish();
  EXPECT_TRUE(leader->get().outcome);
}

TEST_F(SingleFlightTest, CancelsTheCallWhenTheLastWhoWaitedLeft) {
  auto leader = ask("k");
  ASSERT_TRUE(waiting_for(1));
  auto follower = ask("k", 1);
  settle();
  leader->leave();
  follower->leave();
  EXPECT_TRUE(loops_.until([&] { return cancelled_ == 1; }));
  EXPECT_EQ(flights_.in_flight(), 0U);
}

TEST_F(SingleFlightTest, NobodyJoinsACallThatIsBeingCancelled) {
  auto first = ask("k");
  ASSERT_TRUE(waiting_for(1));
  first->leave();
  auto second = ask("k");
  ASSERT_TRUE(waiting_for(2));
  finish();
  const auto shared = second->get();
  EXPECT_TRUE(shared.leader);
  ASSERT_TRUE(shared.outcome);
}

TEST_F(SingleFlightTest, MakesNoCallForAClientThatIsGoneAlready) {
  Pending<Flights::Shared> gone(loops_, [this](CancelSource&) -> Aw<Flights::Shared> {
    CancelSource left;
    left.cancel();
    co_return co_await flights_.run("k", left, call());
  });
  EXPECT_EQ(gone.get().outcome.error().code, Errc::kCancelled);
  settle();
  EXPECT_EQ(loops_.on([&] { return made_; }), 0);
  EXPECT_EQ(flights_.in_flight(), 0U);
}

TEST_F(SingleFlightTest, TurnsAnExceptionIntoAnInternalErrorForEverybody) {
  throws_ = true;
  auto leader = ask("k");
  ASSERT_TRUE(waiting_for(1));
  auto follower = ask("k", 1);
  settle();
  finish();
  EXPECT_EQ(leader->get().outcome.error().code, Errc::kInternal);
  EXPECT_EQ(follower->get().outcome.error().code, Errc::kInternal);
  EXPECT_EQ(flights_.in_flight(), 0U);
}

TEST_F(SingleFlightTest, HoldsNothingAfterManyCallsFromManyLoops) {
  constexpr int kCallers = 200;
  std::vector<std::unique_ptr<Pending<Flights::Shared>>> callers;
  for (int i = 0; i < kCallers; ++i) {
    callers.push_back(std::make_unique<Pending<Flights::Shared>>(
        loops_,
        [this, i](CancelSource& cancel) {
          return flights_.run(std::to_string(i % 7), cancel, [](CancelSource&) -> Task<Value> {
            (void)co_await net::Loop::current()->sleep_for(std::chrono::microseconds(50));
            co_return std::make_shared<const std::string>("x");
          });
        },
        static_cast<std::size_t>(i % 2)));
  }
  for (auto& caller : callers) EXPECT_TRUE(caller->get().outcome);
  settle();
  EXPECT_EQ(flights_.in_flight(), 0U);
}

}  // namespace
}  // namespace asahi::gateway
