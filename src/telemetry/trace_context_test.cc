#include "telemetry/trace_context.h"

#include <gtest/gtest.h>

#include <string>

#include "telemetry/spans.h"

namespace asahi::telemetry {
namespace {

using namespace std::chrono_literals;

constexpr const char* kHeader = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(Traceparent, IsReadAndWrittenBack) {
  const auto context = parse_traceparent(kHeader);
  ASSERT_TRUE(context);
  EXPECT_EQ(context->trace_high, 0x4bf92f3577b34da6U);
  EXPECT_EQ(context->trace_low, 0xa3ce929d0e0e4736U);
  EXPECT_EQ(context->span, 0x00f067aa0ba902b7U);
  EXPECT_TRUE(context->sampled);
  EXPECT_EQ(make_traceparent(*context), kHeader);
  EXPECT_EQ(trace_id_text(*context), "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(span_id_text(context->span), "00f067aa0ba902b7");
}

TEST(Traceparent, OfLaterVersionsIsReadAsFarAsItIsAlike) {
  const auto later =
      parse_traceparent("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03-what-comes-later");
  ASSERT_TRUE(later);
  EXPECT_TRUE(later->sampled);
  EXPECT_EQ(make_traceparent(*later), kHeader) << "what goes on is of the version spoken here";
}

TEST(Traceparent, ThatIsMalformedIsNone) {
  for (const char* wrong : {
           "", "00",
           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",       // no flags
           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",  // 00 ends there
           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-011",   // the same
           "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",   // no dash behind flags
           "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",    // forbidden version
           "0g-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",    // no hex
           "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",    // upper case
           "00-00000000000000000000000000000000-00f067aa0ba902b7-01",    // no trace
           "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",    // no span
           "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",    // other marks
           "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",    // a mark at another place
           " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",   // a blank before
           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0 ",    // flags
       }) {
    EXPECT_FALSE(parse_traceparent(wrong)) << wrong;
  }
}

TEST(TraceId, IsReadFromItsText) {
  const auto id = parse_trace_id("4bf92f3577b34da6a3ce929d0e0e4736");
  ASSERT_TRUE(id);
  EXPECT_EQ(trace_id_text(*id), "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_FALSE(parse_trace_id("req_3f9c2a61b0de"));
  EXPECT_FALSE(parse_trace_id(std::string(32, '0')));
}

TEST(Tracestate, IsPassedOnWhole) {
  EXPECT_EQ(clean_tracestate("congo=t61rcWkgMzE, rojo=00f067aa0ba902b7"),
            "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7");
  EXPECT_EQ(clean_tracestate("1a-2f@foo=bar1, ,\tb*/_-=x y"), "1a-2f@foo=bar1,b*/_-=x y");
  EXPECT_EQ(clean_tracestate(""), "");
}

TEST(Tracestate, ThatIsMalformedIsLeftOut) {
  for (const char* wrong : {"noequals", "Upper=1", "=1", "a=", "a=b=c", "1a=b", "a@=b", "a@1b=c",
                            "a=\x01", "a=caf\xc3\xa9"}) {
    EXPECT_EQ(clean_tracestate(std::string("ok=1,") + wrong), "") << wrong;
  }
  std::string many;
  for (int i = 0; i < 33; ++i) many += "k" + std::to_string(i) + "=v,";
  EXPECT_EQ(clean_tracestate(many), "");
}

TEST(Tracestate, KeepsItsFirstMembersWhenItIsTooLong) {
  const std::string member = "a=" + std::string(253, 'x');
  EXPECT_EQ(clean_tracestate(member + ",b" + member + ",c=1"), member + ",b" + member);
}

TEST(Sampler, FollowsTheParentWhereThereIsOne) {
  const auto sampler = Sampler::make("parentbased_traceidratio", 0);
  ASSERT_TRUE(sampler);
  TraceContext parent = *parse_traceparent(kHeader);
  EXPECT_TRUE(sampler->decide(&parent, parent.trace_low));
  parent.sampled = false;
  EXPECT_FALSE(Sampler::make("parentbased_always_on", 1)->decide(&parent, parent.trace_low));
  EXPECT_FALSE(sampler->decide(nullptr, 1));
}

TEST(Sampler, MayHaveItsOwnWill) {
  TraceContext parent = *parse_traceparent(kHeader);
  EXPECT_FALSE(Sampler::make("traceidratio", 0)->decide(&parent, parent.trace_low));
  EXPECT_FALSE(Sampler::make("always_off", 1)->decide(&parent, parent.trace_low));
  parent.sampled = false;
  EXPECT_TRUE(Sampler::make("always_on", 0)->decide(&parent, parent.trace_low));
  EXPECT_FALSE(Sampler::make("sometimes", 0.5));
}

TEST(Sampler, TakesAboutItsShareByTheTraceId) {
  const auto tenth = Sampler::make("parentbased_traceidratio", 0.1);
  const auto whole = Sampler::make("parentbased_traceidratio", 1);
  int taken = 0;
  std::uint64_t id = 0x9E3779B97F4A7C15U;
  for (int i = 0; i < 100'000; ++i) {
    id = id * 6364136223846793005U + 1442695040888963407U;
    taken += tenth->decide(nullptr, id) ? 1 : 0;
    EXPECT_TRUE(whole->decide(nullptr, id));
  }
  EXPECT_NEAR(taken, 10'000, 500);
  EXPECT_TRUE(whole->decide(nullptr, ~std::uint64_t{0}));
}

TEST(SpanList, KeepsTimesSinceTheRoot) {
  const SpanList::Time start{1h};
  SpanList spans(start, 7);
  const auto first = spans.begin(1, SpanList::kRoot, start + 10us);
  const auto inside = spans.begin(2, first, start + 15us);
  spans.end(inside, start + 20us);
  spans.mark(inside, 3);
  spans.end(first, start + 30us);
  spans.end(first, start + 40us);
  spans.end_all(start + 50us);
  ASSERT_EQ(spans.size(), 3);
  EXPECT_EQ(spans[0].what, 7);
  EXPECT_EQ(spans[0].end_ns, 50'000);
  EXPECT_EQ(spans[1].begin_ns, 10'000);
  EXPECT_EQ(spans[1].end_ns, 30'000) << "the first end counts";
  EXPECT_EQ(spans[2].parent, first);
  EXPECT_EQ(spans[2].mark, 3);
}

TEST(SpanList, IsFullAtItsSizeAndDoesNothingThen) {
  SpanList spans({}, 0);
  for (int i = 1; i < SpanList::kMost; ++i) EXPECT_EQ(spans.begin(1, 0, {}), i);
  const auto none = spans.begin(1, 0, {});
  EXPECT_EQ(none, SpanList::kNone);
  spans.end(none, {});
  spans.mark(none, 1);
  EXPECT_EQ(spans.size(), SpanList::kMost);
}

TEST(SpanList, TakesATimeBeforeTheRootForTheRoots) {
  SpanList spans(SpanList::Time{1h}, 0);
  const auto early = spans.begin(1, 0, SpanList::Time{30min});
  EXPECT_EQ(spans[early].begin_ns, 0);
}

}  // namespace
}  // namespace asahi::telemetry
