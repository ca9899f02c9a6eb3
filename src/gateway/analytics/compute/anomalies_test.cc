#include "gateway/analytics/compute/anomalies.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "gateway/analytics/testing/events.h"

namespace asahi::gateway::analytics {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using testing::answered;
using testing::at;
using ::testing::ElementsAre;
using testing::failed;
using testing::hit;
using ::testing::IsEmpty;

const Clock::Time kEnd = at("2026-11-22T10:00:00Z");
const Clock::Time kRecent = kEnd - hours(1), kStart = kRecent - hours(24);

/// Minutes of a story.
class Story {
 public:
  void add(const InferenceEvent& event) {
    const auto minute = std::chrono::floor<minutes>(event.timestamp);
    sums_[minute].add(event);
  }
  /// `count` events, evenly over the hours.
  template <class Make>
  void over(Clock::Time from, int of_hours, int count, Make make) {
    const auto step = std::chrono::nanoseconds(hours(of_hours)) / count;
    for (int i = 0; i < count; ++i) add(make(from + step * i));
  }
  std::vector<Bucket> between(Clock::Time from, Clock::Time to) const {
    std::vector<Bucket> minutes;
    for (auto at = sums_.lower_bound(from); at != sums_.end() && at->first < to; ++at)
      minutes.push_back({.start = at->first, .key = {}, .sums = at->second});
    return minutes;
  }
  std::vector<Anomaly> found(Clock::Time end = kEnd) const {
    return anomalies(between(end - hours(25), end), end - hours(1));
  }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const Anomaly& anomaly : found()) {
      names.push_back(std::string(to_string(anomaly.type)) + (anomaly.critical ? "!" : ""));
    }
    return names;
  }

 private:
  std::map<Clock::Time, Sums> sums_;
};

auto costing(double dollars) {
  return [dollars](Clock::Time when) { return answered(when, dollars); };
}
auto taking(double ms) {
  return [ms](Clock::Time when) {
    InferenceEvent event = answered(when);
    event.latency_ms = ms;
    return event;
  };
}
auto rated(double quality) {
  return [quality](Clock::Time when) {
    InferenceEvent event = answered(when);
    event.quality_score = quality;
    return event;
  };
}

TEST(Anomalies, NothingIsNoAnomaly) { EXPECT_THAT(Story().found(), IsEmpty()); }

TEST(Anomalies, OneRequestIsNoAnomaly) {
  Story story;
  story.add(answered(kEnd - minutes(1)));
  EXPECT_THAT(story.names(), IsEmpty());
  Story broken;
  broken.add(failed(kEnd - minutes(1)));
  EXPECT_THAT(broken.names(), IsEmpty()) << "one failure of one may be chance";
}

TEST(Anomalies, ACostTwiceAsHighIsASpikeAndThreeTimesCritical) {
  for (const auto& [dollars, name] :
       {std::pair(0.019, ""), std::pair(0.0201, "cost_spike"), std::pair(0.031, "cost_spike!")}) {
    Story story;
    story.over(kStart, 24, 2'400, costing(0.01));
    story.over(kRecent, 1, 100, costing(dollars));
    const auto names = story.names();
    EXPECT_EQ(names.empty() ? "" : names.front(), name) << dollars;
  }
}

TEST(Anomalies, TellsWhatWasExpectedAndByHowMuchItDiffers) {
  Story story;
  story.over(kStart, 24, 2'400, costing(0.01));
  story.over(kRecent, 1, 100, costing(0.05));
  const auto found = story.found();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].current, 0.05);
  EXPECT_EQ(found[0].expected, 0.01);
  EXPECT_EQ(found[0].deviation_pct(), 400);
  EXPECT_EQ(metric_name(found[0].type), "cost_per_request");
  EXPECT_NE(found[0].message.find("5.0 times"), std::string::npos) << found[0].message;
}

TEST(Anomalies, OneVeryExpensiveMinuteIsNoSpike) {
  Story story;
  story.over(kStart, 24, 240, costing(0.01));
  story.over(kRecent, 1, 10, costing(0.01));
  story.add(answered(kEnd - minutes(7), 5));
  EXPECT_THAT(story.names(), IsEmpty());
}

TEST(Anomalies, LatencyTwiceAsHighIsASpike) {
  Story story;
  story.over(kStart, 24, 240, taking(500));
  story.over(kRecent, 1, 20, taking(1'100));
  EXPECT_THAT(story.names(), ElementsAre("latency_spike"));
  story.over(kRecent, 1, 30, taking(1'600));
  EXPECT_THAT(story.names(), ElementsAre("latency_spike!"));
}

TEST(Anomalies, LatencyNeedsFiveOldAndThreeNewSamples) {
  const auto names = [](int old, int recent) {
    Story story;
    if (old > 0) story.over(kStart, 24, old, taking(100));
    story.over(kRecent, 1, recent, taking(1'000));
    return story.names();
  };
  EXPECT_THAT(names(4, 3), IsEmpty());
  EXPECT_THAT(names(5, 2), IsEmpty());
  EXPECT_THAT(names(5, 3), ElementsAre("latency_spike!"));
}

TEST(Anomalies, AFewFailuresMoreThanUsualAreAnErrorRate) {
  Story story;
  story.over(kStart, 24, 2'400, costing(0.01));
  story.over(kRecent, 1, 97, costing(0.01));
  story.over(kRecent, 1, 3, [](Clock::Time when) { return failed(when); });
  EXPECT_THAT(story.names(), ElementsAre("error_rate"));
  story.over(kRecent, 1, 3, [](Clock::Time when) { return failed(when); });
  EXPECT_THAT(story.names(), ElementsAre("error_rate!")) << "more than 5 %";
}

TEST(Anomalies, FailuresThatLastStayAnErrorRate) {
  Story story;
  for (int hour = 0; hour < 25; ++hour) {
    story.over(kStart + hours(hour), 1, 970, costing(0.01));
    story.over(kStart + hours(hour), 1, 30, [](Clock::Time when) { return failed(when); });
  }
  EXPECT_THAT(story.names(), ElementsAre("error_rate"));
}

TEST(Anomalies, LessThanOnePercentOfFailuresIsNone) {
  Story story;
  story.over(kStart, 24, 24'000, costing(0.01));
  story.over(kRecent, 1, 1'000, costing(0.01));
  story.over(kRecent, 1, 9, [](Clock::Time when) { return failed(when); });
  EXPECT_THAT(story.names(), IsEmpty());
}

TEST(Anomalies, ACacheThatLosesHalfItsHitsHasDegraded) {
  const auto names = [](int hits_of_100) {
    Story story;
    story.over(kStart, 24, 1'200, [](Clock::Time when) { return hit(when); });
    story.over(kStart, 24, 1'200, costing(0.01));
    story.over(kRecent, 1, hits_of_100, [](Clock::Time when) { return hit(when); });
    story.over(kRecent, 1, 100 - hits_of_100, costing(0.01));
    return story.names();
  };
  EXPECT_THAT(names(30), IsEmpty());
  EXPECT_THAT(names(25), ElementsAre("cache_degradation"));
  EXPECT_THAT(names(10), ElementsAre("cache_degradation!"));
}

TEST(Anomalies, WithoutHistoryHalfOfTheLookupsShouldHit) {
  const auto names = [](int misses) {
    Story story;
    story.over(kRecent, 1, misses, costing(0.01));
    return story.names();
  };
  EXPECT_THAT(names(29), IsEmpty()) << "a cache that begins to fill";
  EXPECT_THAT(names(60), ElementsAre("cache_degradation"));
}

TEST(Anomalies, QualityThatFallsInTheLastQuarter) {
  const auto names = [](double late) {
    Story story;
    story.over(kStart, 19, 75, rated(4.5));
    story.over(kStart + hours(19), 6, 25, rated(late));
    return story.names();
  };
  EXPECT_THAT(names(4.2), IsEmpty());
  EXPECT_THAT(names(3.7), ElementsAre("quality_degradation"));
  EXPECT_THAT(names(3.0), ElementsAre("quality_degradation!"));
}

TEST(Anomalies, CriticalOnesComeFirst) {
  Story story;
  story.over(kStart, 24, 2'400, taking(500));
  story.over(kRecent, 1, 90, taking(1'200));
  story.over(kRecent, 1, 10, [](Clock::Time when) { return failed(when); });
  EXPECT_THAT(story.names(), ElementsAre("error_rate!", "latency_spike"));
}

/// One request of ordinary traffic: half of it hits, costs and latencies with long tails, models of
/// different quality, one failure in 200.
InferenceEvent ordinary(std::mt19937& random, Clock::Time when) {
  std::uniform_real_distribution<double> chance(0, 1);
  std::lognormal_distribution<double> tail(0, 0.8);
  if (chance(random) < 0.005) return failed(when);
  if (chance(random) < 0.5) {
    InferenceEvent event = hit(when, chance(random) < 0.7 ? 1 : 2);
    event.latency_ms = 2 * tail(random);
    return event;
  }
  const bool dear = chance(random) < 0.1;
  InferenceEvent event = answered(when, (dear ? 0.05 : 0.001) * tail(random));
  event.latency_ms = (dear ? 2'500 : 700) * tail(random);
  event.quality_score = chance(random) < 0.2 ? 3.4 : 4.5;
  return event;
}

TEST(Anomalies, NoneOnSteadyTrafficOfAnyLoad) {
  struct Load {
    double per_hour;
    int hours;
  };
  for (const Load& load : {Load{1, 500}, Load{5, 500}, Load{30, 300}, Load{300, 100},
                           Load{3'000, 40}, Load{15'000, 30}}) {
    for (unsigned seed = 1; seed <= 3; ++seed) {
      std::mt19937 random(seed);
      std::exponential_distribution<double> gap(load.per_hour);
      Story story;
      const Clock::Time begin = kStart;
      double hour = 0;
      while ((hour += gap(random)) < load.hours) {
        story.add(ordinary(
            random, begin + std::chrono::nanoseconds(static_cast<std::int64_t>(hour * 3'600e9))));
      }
      for (int end = 1; end <= load.hours; ++end) {
        for (const Anomaly& anomaly : story.found(begin + hours(end))) {
          ADD_FAILURE() << load.per_hour << " an hour, seed " << seed << ", hour " << end << ": "
                        << anomaly.message;
        }
      }
    }
  }
}

}  // namespace
}  // namespace asahi::gateway::analytics
