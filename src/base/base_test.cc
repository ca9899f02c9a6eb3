#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <set>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/ids.h"
#include "base/money.h"
#include "base/result.h"

namespace asahi {
namespace {

TEST(Clock, RefusesTimesThatItsNanosecondsDoNotReach) {
  for (const char* far : {"2999-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "1677-12-31T00:00:00Z"}) {
    const auto time = parse_rfc3339(far);
    ASSERT_FALSE(time) << far;
    EXPECT_NE(time.error().message.find("1678 to 2261"), std::string::npos);
  }
  EXPECT_TRUE(parse_rfc3339("2261-12-31T23:59:59Z"));
}

TEST(Clock, WritesAndReadsRfc3339) {
  auto time = parse_rfc3339("2026-11-21T10:00:00.123Z");
  ASSERT_TRUE(time);
  EXPECT_EQ(format_rfc3339(*time), "2026-11-21T10:00:00.123Z");
  EXPECT_EQ(format_rfc3339(parse_rfc3339("2026-11-21T12:30:00+02:30").value()),
            "2026-11-21T10:00:00.000Z");
  for (const char* bad :
       {"", "2026-11-21", "2026-13-01T00:00:00Z", "2026-11-21T10:00:00", "2026-11-21T10:00:00Zx"}) {
    EXPECT_FALSE(parse_rfc3339(bad)) << bad;
  }
}

TEST(Money, SumsExactlyAndRoundsOnceWhenShown) {
  CostSum sum;
  sum.add(1, TokenPrice::per_1k(0.000075));
  sum.add(3, TokenPrice{18'750});
  EXPECT_EQ(sum.total().nanos, 131);  // 75,000 + 56,250 pico-dollars = 131.25 nano-dollars
  EXPECT_EQ(to_decimal(NanoUsd{-1'500'000'001}), "-1.500000001");
  EXPECT_EQ(shown_dollars(NanoUsd{1'500}), 0.000002);
  EXPECT_EQ(parse_nano_usd("0.0000000015").value().nanos, 2);
  EXPECT_EQ(parse_nano_usd("12.5").value().nanos, 12'500'000'000);
  EXPECT_EQ(parse_nano_usd("-3").value().nanos, -3'000'000'000);
  for (const char* bad : {"", ".", "1e3", "1.2.3", "abc", "NaN"})
    EXPECT_FALSE(parse_nano_usd(bad)) << bad;
}

TEST(Ids, HaveTheirPublishedShapesAndDiffer) {
  std::set<std::string> seen;
  for (int i = 0; i < 10'000; ++i) seen.insert(random_id("req_", 12));
  EXPECT_EQ(seen.size(), 10'000U);
  EXPECT_EQ(seen.begin()->size(), 16U);
  const auto now = system_clock().now();
  const std::string first = make_ulid(now);
  const std::string second = make_ulid(now);
  EXPECT_EQ(first.size(), 26U);
  EXPECT_LT(first, second);
  EXPECT_TRUE(is_valid_request_id("req_abc-123"));
  EXPECT_FALSE(is_valid_request_id("has space"));
  EXPECT_FALSE(is_valid_request_id(std::string(25, 'a')));
  EXPECT_FALSE(is_valid_request_id(""));
}

TEST(Hash, AgreesWithPublishedVectors) {
  EXPECT_EQ(to_hex(sha256("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(to_hex(md5("abc")), "900150983cd24fb0d6963f7d28e17f72");
  EXPECT_EQ(base64_encode("hello"), "aGVsbG8=");
}

TEST(Hash, KeyedDigestDependsOnKeyAndOnPartBoundaries) {
  Digest128 key{};
  const auto base = keyed_digest(key, {"ab", "c"});
  EXPECT_EQ(base, keyed_digest(key, {"ab", "c"}));
  EXPECT_NE(base, keyed_digest(key, {"a", "bc"}));
  key[3] = 1;
  EXPECT_NE(base, keyed_digest(key, {"ab", "c"}));
}

TEST(CancelSource, RunsSubscribersOnceAndForgetsDroppedOnes) {
  CancelSource source;
  int kept = 0, dropped = 0;
  auto one = source.on_cancel([&] { ++kept; });
  {
    auto two = source.on_cancel([&] { ++dropped; });
  }
  source.cancel();
  source.cancel();
  EXPECT_EQ(kept, 1);
  EXPECT_EQ(dropped, 0);
  auto late = source.on_cancel([&] { ++kept; });
  EXPECT_EQ(kept, 2);
}

TEST(CancelSource, MayComeToItsEndInsideACallback) {
  auto source = std::make_unique<CancelSource>();
  int ran = 0;
  CancelSource::Subscription first;
  first = source->on_cancel([&] {
    ++ran;
    first.reset();
    source.reset();  // the request is over, and everything of it goes
  });
  source->cancel();
  EXPECT_EQ(ran, 1);
  EXPECT_EQ(source, nullptr);
}

TEST(CancelSource, AllowsACallbackToDropItsNeighbour) {
  CancelSource source;
  CancelSource::Subscription second;
  int runs = 0;
  auto first = source.on_cancel([&] { second.reset(); });
  second = source.on_cancel([&] { ++runs; });
  source.cancel();
  EXPECT_EQ(runs, 0);
}

Result<int> half(int value) {
  if (value % 2 != 0) return fail_field("value", "must be even");
  return value / 2;
}
Result<int> quarter(int value) {
  ASAHI_TRY(const int once, half(value));
  ASAHI_TRY(const int twice, half(once));
  return twice;
}

TEST(Try, ReturnsTheFirstError) {
  EXPECT_EQ(quarter(8).value(), 2);
  EXPECT_EQ(quarter(6).error().field, "value");
}

TEST(Money, SumsBeyondItsRangeStayAtItsEnd) {
  const NanoUsd most{std::numeric_limits<std::int64_t>::max()},
      least{std::numeric_limits<std::int64_t>::min()};
  EXPECT_EQ(most + NanoUsd{1}, most);
  EXPECT_EQ(least - NanoUsd{1}, least);
  EXPECT_EQ(NanoUsd{1} - least, most);
  EXPECT_EQ(least + NanoUsd{-1}, least);
  EXPECT_EQ(most - most, NanoUsd{0});
}

TEST(Money, IsShownWithSixDigitsRoundedAwayFromZero) {
  for (const auto& [nanos, text] : {std::pair<std::int64_t, const char*>{0, "0.000000"},
                                    {499, "0.000000"},
                                    {-499, "0.000000"},
                                    {500, "0.000001"},
                                    {-42'000, "-0.000042"},
                                    {1'999'999'500, "2.000000"},
                                    {-12'000'000'000, "-12.000000"}}) {
    std::string out;
    append_shown(out, NanoUsd{nanos});
    EXPECT_EQ(out, text) << nanos;
  }
}

}  // namespace
}  // namespace asahi
