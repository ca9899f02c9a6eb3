#include "net/http/query_params.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asahi::http {
namespace {

using ::testing::HasSubstr;

/// The parameters of a request with this query.
struct Query {
  explicit Query(std::string query) { request.query = std::move(query); }
  Request request;
  QueryParams params{request};
};

std::string message_of(const auto& result) { return result ? "no error" : result.error().message; }

TEST(QueryParams, ReadsNumbersWithinTheirBounds) {
  EXPECT_EQ(Query("limit=7").params.integer("limit", 5, 1, 10).value(), 7);
  EXPECT_EQ(Query("").params.integer("limit", 5, 1, 10).value(), 5);
  EXPECT_EQ(Query("limit=").params.integer("limit", 5, 1, 10).value(), 5);
  EXPECT_EQ(Query("share=0.5").params.number("share", 0, 0, 1).value(), 0.5);
  for (const char* bad : {"0", "11", "1.5", "seven", "7x", "%20", "99999999999999999999"}) {
    const auto read = Query(std::string("limit=") + bad).params.integer("limit", 5, 1, 10);
    ASSERT_FALSE(read) << bad;
    EXPECT_EQ(read.error().field, "limit");
    EXPECT_THAT(read.error().message, HasSubstr("it must be a whole number from 1 to 10"));
  }
  EXPECT_FALSE(Query("share=nan").params.number("share", 0, 0, 1));
}

TEST(QueryParams, ReadsWordsTextsAndFlags) {
  EXPECT_EQ(Query("state=done").params.word("state", "", {"done", "failed"}).value(), "done");
  EXPECT_EQ(Query("").params.word("state", "all", {"done", "failed"}).value(), "all");
  EXPECT_EQ(message_of(Query("state=x").params.word("state", "", {"done", "failed"})),
            "state is 'x'; it must be one of done, failed");
  EXPECT_EQ(Query("user=an%C3%A9").params.text("user", 10).value(), "an\u00e9");
  for (const char* bad : {"a%07b", "%FF", "12345678901"})
    EXPECT_FALSE(Query(std::string("user=") + bad).params.text("user", 10)) << bad;
  EXPECT_EQ(Query("hit=1").params.flag("hit").value(), true);
  EXPECT_EQ(Query("hit=false").params.flag("hit").value(), false);
  EXPECT_EQ(Query("").params.flag("hit").value(), std::nullopt);
  EXPECT_FALSE(Query("hit=yes").params.flag("hit"));
}

TEST(QueryParams, ReadsTimesAndDates) {
  const auto time = parse_rfc3339("2026-11-22T10:00:00+01:00");
  ASSERT_TRUE(time);
  EXPECT_EQ(Query("from=2026-11-22T10:00:00%2B01:00").params.time("from").value(), *time);
  // A plus sign that nobody encoded.
  EXPECT_EQ(Query("from=2026-11-22T10:00:00+01:00").params.time("from").value(), *time);
  EXPECT_FALSE(Query("from=yesterday").params.time("from"));
  const auto day = parse_rfc3339("2026-11-22T00:00:00Z");
  ASSERT_TRUE(day);
  EXPECT_EQ(Query("to=2026-11-22").params.time_or_date("to", false).value(), *day);
  EXPECT_EQ(Query("to=2026-11-22").params.time_or_date("to", true).value(),
            *day + std::chrono::days(1));
  EXPECT_FALSE(Query("to=2026-13-22").params.time_or_date("to", true));
}

}  // namespace
}  // namespace asahi::http
