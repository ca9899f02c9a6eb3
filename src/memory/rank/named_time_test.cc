#include "memory/rank/named_time.h"

#include <gtest/gtest.h>

#include "memory/rank/question.h"
#include "memory/text/tokenise.h"

namespace asahi::memory::rank {
namespace {

using namespace std::chrono_literals;

Clock::Time at(int year, unsigned month, unsigned day) {
  return Clock::Time(std::chrono::sys_days(std::chrono::year(year) / std::chrono::month(month) /
                                           std::chrono::day(day))) +
         std::chrono::hours(15);
}

std::optional<NamedTime> named(std::string_view question) {
  return named_time(text::plain_words(question), at(2023, 10, 20));
}

NamedTime date(std::optional<int> year, std::optional<unsigned> month,
               std::optional<unsigned> day = {}) {
  NamedTime out;
  out.year = year;
  out.month = month;
  out.day = day;
  return out;
}

TEST(NamedTime, ReadsDatesAsTheyAreWritten) {
  EXPECT_EQ(named("What did Jo see on October 13, 2023?"), date(2023, 10, 13));
  EXPECT_EQ(named("Who called on 13 October 2023?"), date(2023, 10, 13));
  EXPECT_EQ(named("on the 13th of October"), date({}, 10, 13));
  EXPECT_EQ(named("What happened in March 2023?"), date(2023, 3));
  EXPECT_EQ(named("What happened in May?"), date({}, 5));
  EXPECT_EQ(named("Errors since 2023-05-08"), date(2023, 5, 8));
  EXPECT_EQ(named("Trips in 2022"), date(2022, {}));
}

TEST(NamedTime, LeavesOtherWordsAlone) {
  EXPECT_EQ(named("What job may Maria pursue?"), std::nullopt);
  EXPECT_EQ(named("Who joined the march for peace?"), std::nullopt);
  EXPECT_EQ(named("Room 101 and 404"), std::nullopt);
  EXPECT_EQ(named(""), std::nullopt);
}

TEST(NamedTime, HoldsTheTimesItNames) {
  EXPECT_TRUE(date(2023, 10, 13).holds(at(2023, 10, 13)));
  EXPECT_FALSE(date(2023, 10, 13).holds(at(2023, 10, 14)));
  EXPECT_TRUE(date({}, 3).holds(at(1999, 3, 1)));
  EXPECT_FALSE(date(2023, {}).holds(at(2022, 12, 31)));
}

TEST(NamedTime, CountsBackFromNow) {
  EXPECT_TRUE(named("what did I do yesterday")->holds(at(2023, 10, 19)));
  EXPECT_FALSE(named("what did I do yesterday")->holds(at(2023, 10, 20)));
  EXPECT_TRUE(named("what broke last week")->holds(at(2023, 10, 10)));
  EXPECT_FALSE(named("what broke last week")->holds(at(2023, 10, 1)));
  EXPECT_TRUE(named("the talk three weeks ago")->holds(at(2023, 9, 28)));
  EXPECT_FALSE(named("the talk three weeks ago")->holds(at(2023, 10, 10)));
  EXPECT_TRUE(named("in the last 10 days")->holds(at(2023, 10, 11)));
}

TEST(ReadQuestion, SeesWhatIsAskedFor) {
  const Clock::Time now = at(2023, 10, 20);
  EXPECT_TRUE(read_question("When did Jo paint?", now).asks_when);
  EXPECT_TRUE(read_question("In what year did she move?", now).asks_when);
  EXPECT_FALSE(read_question("What does Jo do when it rains?", now).asks_when);
  EXPECT_EQ(read_question("What did Jo buy recently?", now).order, TimeOrder::kLatest);
  EXPECT_EQ(read_question("What was the first song?", now).order, TimeOrder::kFirst);
  EXPECT_EQ(read_question("What was the song?", now).order, TimeOrder::kAny);
}

}  // namespace
}  // namespace asahi::memory::rank
