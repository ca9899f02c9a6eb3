// Streams that tell the truth: what a client sees when a vendor breaks off.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/dispatch/dispatcher.h"
#include "gateway/testing/dispatch.h"

namespace asahi::gateway {
namespace {

using namespace std::chrono_literals;
using testing::bad_request;
using testing::Batches;
using testing::cut_stream;
using ::testing::ElementsAre;
using testing::event;
using testing::EventKind;
using testing::Events;
using ::testing::HasSubstr;
using testing::Pending;
using testing::server_error;
using testing::the_end;
using testing::timeout_error;
using testing::usage_event;
using testing::used;

llm::StreamEvent text(std::string words) { return event(EventKind::kText, std::move(words)); }

/// What became of a stream: all that the client got, and how it ended.
struct Seen {
  std::string text;
  std::string reasoning;
  std::vector<EventKind> kinds;
  int raw_frames = 0;
  bool whole = false;  ///< the end mark came
  std::optional<Error> error;
  bool opened = false;
  DispatchReport report;
};

class DispatcherStreamTest : public testing::DispatchTest {
 protected:
  std::unique_ptr<Pending<Seen>> start_stream(const std::vector<std::string>& models) {
    return std::make_unique<Pending<Seen>>(
        loops_,
        [this, plan = plan_of(models),
         &dispatcher = dispatcher()](CancelSource& cancel) -> Aw<Seen> {
          Seen seen;
          auto opened = co_await dispatcher.open(call(plan, &cancel), seen.report);
          if (!opened) {
            seen.error = opened.error();
            co_return seen;
          }
          seen.opened = true;
          for (;;) {
            auto events = co_await (*opened)->next();
            if (!events) seen.error = events.error();
            if (!events || events->empty()) break;
            for (const llm::StreamEvent& one : *events) {
              seen.kinds.push_back(one.kind);
              if (one.kind == EventKind::kText) seen.text += one.text;
              if (one.kind == EventKind::kReasoning) seen.reasoning += one.text;
              if (one.kind == EventKind::kDone) seen.whole = true;
              if (one.has_raw) ++seen.raw_frames;
            }
          }
          seen.report = (*opened)->report();
          co_return seen;
        });
  }
  Seen stream(const std::vector<std::string>& models = {"small", "mid"}) {
    return start_stream(models)->get();
  }
};

TEST_F(DispatcherStreamTest, RelaysAWholeAnswerAsItCame) {
  llm::StreamEvent framed = text("Hello ");
  framed.has_raw = true;
  framed.raw = "{...}";
  vendors_["north"].stream({{event(EventKind::kStart)}, {framed}, {text("world")}, the_end()});
  const Seen seen = stream();
  EXPECT_EQ(seen.text, "Hello world");
  EXPECT_TRUE(seen.whole);
  EXPECT_FALSE(seen.error);
  EXPECT_EQ(seen.raw_frames, 1);
  EXPECT_TRUE(vendors_["north"].calls()[0].request.stream);
}

TEST_F(DispatcherStreamTest, MayTakeTheRequestsTimeButNotFallSilent) {
  options_.attempt_timeout = 30s;
  vendors_["north"].stream({{text("Hello")}, the_end()});
  ASSERT_TRUE(stream().whole);
  EXPECT_EQ(vendors_["north"].calls()[0].deadline, context_.deadline);
  EXPECT_EQ(vendors_["north"].calls()[0].idle_timeout, 30s);
}

// ---- before the first text

TEST_F(DispatcherStreamTest, GoesOnWithTheNextModelWhenTheFirstRefuses) {
  options_.retry.max_attempts = 1;
  vendors_["north"].fail(server_error());
  vendors_["east"].stream({{text("Hello")}, the_end()});
  const Seen seen = stream();
  EXPECT_EQ(seen.text, "Hello");
  EXPECT_TRUE(seen.report.fallback);
  EXPECT_EQ(seen.report.model->name, "mid");
}

TEST_F(DispatcherStreamTest, HasAStatusForWhatFailsBeforeTheFirstEvent) {
  options_.retry.max_attempts = 1;
  vendors_["north"].stream({}, bad_request());
  const Seen seen = stream();
  EXPECT_FALSE(seen.opened);
  ASSERT_TRUE(seen.error);
  EXPECT_EQ(seen.error->code, Errc::kInvalidArgument);
  EXPECT_EQ(calls_of("east"), 0U);
}

TEST_F(DispatcherStreamTest, StartsAgainUnnoticedWhenCutBeforeTheFirstText) {
  options_.retry.max_attempts = 1;
  vendors_["north"].stream({{event(EventKind::kStart)}}, cut_stream());
  vendors_["east"].stream({{event(EventKind::kStart)}, {text("Hello")}, the_end()});
  const Seen seen = stream();
  EXPECT_EQ(seen.text, "Hello");
  EXPECT_TRUE(seen.whole);
  EXPECT_EQ(std::ranges::count(seen.kinds, EventKind::kStart), 1) << "one answer has one start";
  EXPECT_TRUE(seen.report.fallback);
  EXPECT_EQ(seen.report.retries, 1);
  ASSERT_EQ(calls_of("east"), 1U);
  EXPECT_EQ(vendors_["east"].calls()[0].request.messages.size(), 1U) << "nothing to continue";
  EXPECT_EQ(vendors_["north"].abandoned_streams(), 0);
}

TEST_F(DispatcherStreamTest, AsksTheSameModelAgainWhenThereIsNoOtherAndNothingWasShown) {
  vendors_["north"].stream({{event(EventKind::kStart)}}, cut_stream());
  vendors_["north"].stream({{event(EventKind::kStart)}, {text("Hello")}, the_end()});
  const Seen seen = stream({"small"});
  EXPECT_EQ(seen.text, "Hello");
  EXPECT_TRUE(seen.whole);
  EXPECT_FALSE(seen.report.fallback);
}

// ---- after the first text

TEST_F(DispatcherStreamTest, ContinuesOnTheNextModelWithWhatWasSaid) {
  vendors_["north"].stream({{text("The capital ")}, {text("of France")}}, cut_stream());
  vendors_["east"].stream({{event(EventKind::kStart)}, {text(" is Paris.")}, the_end()});
  const Seen seen = stream();
  EXPECT_EQ(seen.text, "The capital of France is Paris.");
  EXPECT_TRUE(seen.whole);
  const auto& messages = vendors_["east"].calls()[0].request.messages;
  ASSERT_EQ(messages.size(), 3U);
  EXPECT_EQ(messages[1].role, llm::Role::kAssistant);
  EXPECT_EQ(messages[1].text(), "The capital of France");
  EXPECT_EQ(messages[2].role, llm::Role::kUser);
  EXPECT_THAT(messages[2].text(), HasSubstr("Continue it exactly where it stops"));
  EXPECT_TRUE(vendors_["east"].calls()[0].request.messages_changed);
  EXPECT_THAT(seen.report.hops, ElementsAre(HasSubstr("mid-stream")));
}

TEST_F(DispatcherStreamTest, RepeatsNothingWhenTheNextModelStartsOver) {
  vendors_["north"].stream({{text("The capital of France")}}, cut_stream());
  vendors_["east"].stream(
      {{text("The capital")}, {text(" of France is")}, {text(" Paris.")}, the_end()});
  EXPECT_EQ(stream().text, "The capital of France is Paris.");
}

TEST_F(DispatcherStreamTest, RepeatsNothingWhenTheNextModelStepsBack) {
  vendors_["north"].stream({{text("one two three four")}}, cut_stream());
  vendors_["east"].stream({{text("three four five")}, the_end()});
  EXPECT_EQ(stream().text, "one two three four five");
}

TEST_F(DispatcherStreamTest, ShowsTheHeldBackRestWhenTheContinuationIsShort) {
  vendors_["north"].stream({{text("A long beginning. ")}}, cut_stream());
  vendors_["east"].stream({{text("A long story.")}, the_end()});
  EXPECT_EQ(stream().text, "A long beginning. A long story.");
}

TEST_F(DispatcherStreamTest, BuildsFramesFromMeaningAfterARestart) {
  vendors_["north"].stream({{text("The capital ")}}, cut_stream());
  llm::StreamEvent framed = text("of France");
  framed.has_raw = true;
  framed.raw = "{the second vendor's ids}";
  vendors_["east"].stream({{framed}, {event(EventKind::kOther)}, the_end()});
  const Seen seen = stream();
  EXPECT_EQ(seen.raw_frames, 0);
  EXPECT_EQ(std::ranges::count(seen.kinds, EventKind::kOther), 0);
}

TEST_F(DispatcherStreamTest, ContinuesWhenAVendorFallsSilent) {
  vendors_["north"].stream({{text("The capital ")}}, timeout_error());
  vendors_["east"].stream({{text("of France")}, the_end()});
  EXPECT_EQ(stream().text, "The capital of France");
  EXPECT_THAT(failed_, ElementsAre("north"));
}

TEST_F(DispatcherStreamTest, ContinuesAContinuationWithAllThatWasShown) {
  vendors_["north"].stream({{text("one two ")}}, cut_stream());
  vendors_["east"].stream({{text("three four ")}}, cut_stream());
  vendors_["south"].stream({{text("five")}, the_end()});
  const Seen seen = stream({"small", "mid", "big"});
  EXPECT_EQ(seen.text, "one two three four five");
  const auto& messages = vendors_["south"].calls()[0].request.messages;
  ASSERT_EQ(messages.size(), 3U) << "one request to continue, not two";
  EXPECT_EQ(messages[1].text(), "one two three four ");
}

TEST_F(DispatcherStreamTest, EndsInTheVendorsErrorWhenTextIsNotToBeRestarted) {
  options_.restart_partial = false;
  vendors_["north"].stream({{text("The capital ")}}, cut_stream());
  const Seen seen = stream();
  EXPECT_EQ(seen.text, "The capital ");
  EXPECT_FALSE(seen.whole);
  ASSERT_TRUE(seen.error);
  EXPECT_EQ(seen.error->reason, "stream_cut");
  EXPECT_EQ(calls_of("east"), 0U);
}

TEST_F(DispatcherStreamTest, EndsInAnErrorWhenNoOtherModelIsLeft) {
  vendors_["north"].stream({{text("The capital ")}}, cut_stream());
  const Seen seen = stream({"small"});
  EXPECT_FALSE(seen.whole);
  EXPECT_EQ(seen.error->reason, "stream_cut");
  EXPECT_EQ(calls_of("north"), 1U);
}

TEST_F(DispatcherStreamTest, EndsInTheFirstErrorWhenNoOtherModelCanGoOn) {
  options_.retry.max_attempts = 1;
  vendors_["north"].stream({{text("The capital ")}}, cut_stream());
  vendors_["east"].fail(server_error());
  const Seen seen = stream();
  EXPECT_FALSE(seen.whole);
  EXPECT_EQ(seen.error->reason, "stream_cut");
}

TEST_F(DispatcherStreamTest, NeverJoinsTwoHalvesOfAToolCall) {
  llm::StreamEvent begin = event(EventKind::kToolCallStart);
  begin.tool_name = "weather";
  vendors_["north"].stream({{begin}, {event(EventKind::kToolCallDelta, "{\"city\":")}},
                           cut_stream());
  const Seen seen = stream();
  EXPECT_FALSE(seen.whole);
  EXPECT_EQ(seen.error->reason, "stream_cut");
  EXPECT_EQ(calls_of("east"), 0U);
}

TEST_F(DispatcherStreamTest, ShowsOneTrainOfThoughtOnly) {
  vendors_["north"].stream({{event(EventKind::kReasoning, "Let me think. ")}}, cut_stream());
  vendors_["east"].stream(
      {{event(EventKind::kReasoning, "Quite another idea. ")}, {text("Paris.")}, the_end()});
  const Seen seen = stream();
  EXPECT_EQ(seen.reasoning, "Let me think. ");
  EXPECT_EQ(seen.text, "Paris.");
}

TEST_F(DispatcherStreamTest, FailsBeforeItBeginsWhenOnlyOpeningFramesCame) {
  breaker_failures(100);
  for (int i = 0; i < 10; ++i) {
    vendors_["north"].stream({{event(EventKind::kStart)}}, cut_stream());
  }
  const Seen seen = stream({"small"});
  ASSERT_TRUE(seen.error);
  EXPECT_EQ(seen.error->reason, "service_unavailable")
      << "so that the client gets a status instead of a broken stream";
}

TEST_F(DispatcherStreamTest, StartsAgainThreeTimesAtMost) {
  breaker_failures(100);
  for (int i = 0; i < 10; ++i) {
    // More than the opening frames that are held back: the stream counts as begun.
    vendors_["north"].stream({{event(EventKind::kStart)},
                              {event(EventKind::kOther)},
                              {event(EventKind::kOther)},
                              {event(EventKind::kOther)},
                              {event(EventKind::kOther)}},
                             cut_stream());
  }
  const Seen seen = stream({"small"});
  EXPECT_FALSE(seen.whole);
  EXPECT_EQ(seen.error->reason, "stream_cut");
  EXPECT_EQ(calls_of("north"), 4U);
}

TEST_F(DispatcherStreamTest, PassesOnWhatTheCallerGotWrongEvenWhenItComesLate) {
  vendors_["north"].stream({{event(EventKind::kStart)}}, bad_request());
  const Seen seen = stream();
  ASSERT_TRUE(seen.error);
  EXPECT_EQ(seen.error->code, Errc::kInvalidArgument);
  EXPECT_EQ(calls_of("east"), 0U) << "another vendor would say the same";
  EXPECT_TRUE(failed_.empty());
}

TEST_F(DispatcherStreamTest, StopsWhenTheClientLeaves) {
  vendors_["north"].stream({{text("The capital ")}, the_end()});
  vendors_["north"].hold();
  auto pending = start_stream({"small", "mid"});
  ASSERT_TRUE(loops_.until([&] { return vendors_["north"].calls().size() == 1; }));
  pending->leave();
  const Seen seen = pending->get();
  EXPECT_EQ(seen.error->code, Errc::kCancelled);
  EXPECT_TRUE(vendors_["north"].calls()[0].cancelled);
  EXPECT_EQ(vendors_["north"].abandoned_streams(), 1) << "its connection is closed, not read on";
  EXPECT_EQ(calls_of("east"), 0U);
}

// ---- what broken answers cost

TEST_F(DispatcherStreamTest, CountsTheTokensOfABrokenAnswer) {
  vendors_["north"].stream({{usage_event(used(100, 3))}, {text("one two three four ")}},
                           cut_stream());
  vendors_["east"].stream({{text("five")}, the_end(used(120, 1))});
  const Seen seen = stream();
  ASSERT_EQ(seen.report.wasted.size(), 1U);
  EXPECT_EQ(seen.report.wasted[0].first->name, "small");
  EXPECT_EQ(seen.report.wasted[0].second.input, 100);
  EXPECT_EQ(seen.report.wasted[0].second.output, 5) << "four words seen, more than reported";
}

TEST_F(DispatcherStreamTest, CountsWhatWasReceivedOfAnAnswerThatNobodyReplaces) {
  vendors_["north"].stream({{text("one two three four ")}}, cut_stream());
  const Seen seen = stream({"small"});
  ASSERT_TRUE(seen.error);
  ASSERT_EQ(seen.report.wasted.size(), 1U) << "it was paid for all the same";
  EXPECT_EQ(seen.report.wasted[0].second.output, 5);
  EXPECT_GT(seen.report.wasted[0].second.input, 0);
}

TEST_F(DispatcherStreamTest, CountsWhatAClientThatLeftHadReceived) {
  vendors_["north"].stream({{text("one two three four ")}, the_end()});
  vendors_["north"].hold();
  auto pending = start_stream({"small"});
  ASSERT_TRUE(loops_.until([&] { return vendors_["north"].calls().size() == 1; }));
  pending->leave();
  const Seen seen = pending->get();
  ASSERT_EQ(seen.report.wasted.size(), 1U);
  EXPECT_EQ(seen.report.wasted[0].second.output, 5);
}

}  // namespace
}  // namespace asahi::gateway
