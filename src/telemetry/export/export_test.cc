#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "telemetry/export/influx_lines.h"
#include "telemetry/export/remote_write.h"

namespace asahi::telemetry {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;
using testing::HasSubstr;

const Clock::Time kNow{std::chrono::milliseconds{1'700'000'000'123}};

TEST(InfluxLines, WritesOneLineAndSeries) {
  Registry registry;
  registry.counter("asahi_requests_total", "Requests.", {{"model", "gpt-4o"}, {"tier", "1"}})
      .add(3);
  registry.gauge("asahi_active", "Now.").set(0.5);
  Histogram& seconds = registry.histogram("asahi_seconds", "Time.", {0.005, 1});
  seconds.observe(0.001);
  seconds.observe(7);
  EXPECT_THAT(influx_lines(registry.collect(), {{"node", "n1"}}, kNow),
              ElementsAre("asahi_active,node=n1 gauge=0.5 1700000000123\n"
                          "asahi_requests_total,model=gpt-4o,tier=1,node=n1 counter=3 "
                          "1700000000123\n"
                          "asahi_seconds,node=n1 count=2,sum=7.001,0.005=1,1=1,+Inf=2 "
                          "1700000000123\n"));
}

TEST(InfluxLines, EscapesWhatWouldEndATag) {
  Registry registry;
  registry.counter("x_total", "X.", {{"model", "a b,c=d\"e\nf\\g\\"}, {"none", ""}, {"s", "\\"}})
      .add();
  EXPECT_THAT(influx_lines(registry.collect(), {}, kNow),
              ElementsAre("x_total,model=a\\ b\\,c\\=d\"e\\ f\\g counter=1 1700000000123\n"));
}

TEST(InfluxLines, LeavesOutWhatIsNoNumber) {
  Registry registry;
  registry.gauge("a_nan", "N.").set(NAN);
  registry.gauge("b_inf", "I.").set(INFINITY);
  registry.gauge("c_fine", "F.").set(-1e21);
  EXPECT_THAT(influx_lines(registry.collect(), {}, kNow),
              ElementsAre("c_fine gauge=-1e+21 1700000000123\n"));
  Registry nothing;
  nothing.gauge("a_nan", "N.").set(NAN);
  EXPECT_THAT(influx_lines(nothing.collect(), {}, kNow), ElementsAre());
  EXPECT_THAT(influx_lines({}, {}, kNow), ElementsAre());
}

TEST(InfluxLines, CutsLongSnapshotsIntoBodies) {
  Registry registry;
  for (int i = 0; i < 5; ++i) registry.counter("x_total", "X.", {{"i", std::to_string(i)}}).add(i);
  const auto bodies = influx_lines(registry.collect(), {}, kNow, 2);
  ASSERT_EQ(bodies.size(), 3u);
  for (std::size_t i = 0; i < 2; ++i) EXPECT_EQ(std::ranges::count(bodies[i], '\n'), 2);
  EXPECT_EQ(bodies[2], "x_total,i=4 counter=4 1700000000123\n");
}

TEST(RemoteWrite, WritesTheBytesOfItsSpecification) {
  Registry registry;
  registry.counter("a_total", "A.", {{"z", "1"}, {"Z", "2"}}).add(1.5);
  // Field 3, metadata: type 1 (counter), name, help. Field 1, a series: its labels sorted by name
  // ("Z" before "__name__" before "z"), then the sample: a double and milliseconds as a varint.
  const std::string metadata = "\x08\x01\x12\x07"s + "a_total" + "\x22\x02"s + "A.";
  const std::string labels = "\x0a\x06\x0a\x01Z\x12\x01"s + "2" +  //
                             "\x0a\x13\x0a\x08__name__\x12\x07"s + "a_total" +
                             "\x0a\x06\x0a\x01z\x12\x01"s + "1";
  const std::string sample =
      "\x12\x10\x09\x00\x00\x00\x00\x00\x00\xf8\x3f\x10\xfb\xd0\x95\xff\xbc\x31"s;
  const std::string series = labels + sample;
  const std::string expected = "\x1a"s + static_cast<char>(metadata.size()) + metadata + "\x0a" +
                               static_cast<char>(series.size()) + series;
  EXPECT_THAT(remote_write_requests(registry.collect(), {}, kNow), ElementsAre(expected));
}

TEST(RemoteWrite, WritesAHistogramAsItsSeries) {
  Registry registry;
  registry.histogram("h", "H.", {0.5}, {{"model", "m"}}).observe(1);
  const auto requests = remote_write_requests(registry.collect(), {{"instance", "n"}}, kNow);
  ASSERT_EQ(requests.size(), 1u);
  for (const char* part : {"h_bucket", "h_sum", "h_count", "+Inf", "0.5", "instance", "model"})
    EXPECT_THAT(requests[0], HasSubstr(part));
}

TEST(RemoteWrite, LetsASeriesKeepItsOwnLabel) {
  Registry registry;
  registry.gauge("g", "G.", {{"instance", "mine"}}).set(1);
  const auto requests = remote_write_requests(registry.collect(), {{"instance", "theirs"}}, kNow);
  EXPECT_THAT(requests[0], HasSubstr("mine"));
  EXPECT_THAT(requests[0], testing::Not(HasSubstr("theirs")));
}

TEST(RemoteWrite, CutsLongSnapshotsIntoRequests) {
  Registry registry;
  for (int i = 0; i < 5; ++i) registry.counter("x_total", "X.", {{"i", std::to_string(i)}}).add(i);
  EXPECT_EQ(remote_write_requests(registry.collect(), {}, kNow, 2).size(), 3u);
  EXPECT_EQ(remote_write_requests({}, {}, kNow).size(), 0u);
}

TEST(RemoteWrite, CompressesWithSnappysBlockFormat) {
  if (auto loaded = load_snappy(); !loaded) GTEST_SKIP() << loaded.error().message;
  // The length as a varint, then one literal of that many bytes less one.
  EXPECT_EQ(snappy_block("abc").value(), "\x03\x08"s + "abc");
  const auto long_one = snappy_block(std::string(100'000, 'x'));
  ASSERT_TRUE(long_one);
  EXPECT_LT(long_one->size(), 10'000u);
}

}  // namespace
}  // namespace asahi::telemetry
