#include "memory/search/request.h"

#include <gtest/gtest.h>

namespace asahi::memory {
namespace {

const SearchLimits kLimits{
    .max_results = 100, .timeout = std::chrono::seconds{30}, .dimensions = 3};
const Reach kReach = Reach::whole("acme");

Result<SearchRequest> parse(std::string_view text) {
  return parse_search(json::parse(text).as_object(), kLimits, kReach);
}

TEST(SearchRequest, SaysNothingAndMeansTheUsual) {
  const auto request = parse("{}");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->limit, 10U);
  EXPECT_EQ(request->mode, SearchMode::kHybrid);
  EXPECT_TRUE(request->hot);
  EXPECT_TRUE(request->warm);
  EXPECT_FALSE(request->cold) << "cold only if asked";
  EXPECT_EQ(request->timeout, kLimits.timeout);
  EXPECT_TRUE(request->include_content);
}

struct Broken {
  const char* body;
  const char* field;
};

TEST(SearchRequest, NamesTheFieldThatBreaksItsRule) {
  for (const Broken& one : {
           Broken{R"({"query": ""})", "query"},
           Broken{R"({"query": 5})", "query"},
           Broken{R"({"query": "a\u0000b"})", "query"},
           Broken{R"({"embedding": [1, 2]})", "embedding"},
           Broken{R"({"embedding": [1, 2, "x"]})", "embedding"},
           Broken{R"({"embedding": [1, 2, 1e400]})", "embedding"},
           Broken{R"({"mode": "magic"})", "mode"},
           Broken{R"({"mode": "keyword", "embedding": [1, 0, 0]})", "mode"},
           Broken{R"({"limit": 0})", "limit"},
           Broken{R"({"limit": 101})", "limit"},
           Broken{R"({"limit": 1.5})", "limit"},
           Broken{R"({"threshold": 2})", "threshold"},
           Broken{R"({"timeout_ms": 30001})", "timeout_ms"},
           Broken{R"({"system_id": "../etc"})", "system_id"},
           Broken{R"({"start_time": "yesterday"})", "start_time"},
           Broken{R"({"start_time": "2026-02-01", "end_time": "2026-01-01"})", "end_time"},
           Broken{R"({"tiers": ["lukewarm"]})", "tiers"},
           Broken{R"({"facets": ["colour"]})", "facets"},
           Broken{R"({"facets": ["date:year"]})", "facets"},
           Broken{R"({"metadata": {"a": [1]}})", "metadata.a"},
           Broken{R"({"include_content": "yes"})", "include_content"},
           Broken{R"({"cursor": "!!"})", "cursor"},
           Broken{R"({"topk": 5})", "topk"},
       }) {
    const auto request = parse(one.body);
    ASSERT_FALSE(request) << one.body;
    EXPECT_EQ(request.error().field, one.field) << one.body;
  }
}

TEST(SearchRequest, CountsTheQueryInCharacters) {
  std::string longest;
  for (int i = 0; i < 1000; ++i) longest += "ä";
  EXPECT_TRUE(parse_search({{"query", longest}}, kLimits, kReach));
  EXPECT_FALSE(parse_search({{"query", longest + "ä"}}, kLimits, kReach));
}

TEST(SearchRequest, ScalesTheClientsVectorAndIgnoresOneWithoutDirection) {
  const auto request = parse(R"({"embedding": [3, 0, 4]})");
  ASSERT_TRUE(request);
  EXPECT_FLOAT_EQ(request->embedding[2], 0.8F);
  const auto zero = parse(R"({"embedding": [0, 0, 0]})");
  ASSERT_TRUE(zero);
  EXPECT_TRUE(zero->embedding.empty());
}

TEST(SearchRequest, TurnsFieldsIntoEqualities) {
  const auto request = parse(R"({"project": "apollo", "tags": ["a", "b"],
      "metadata": {"turn": 7, "done": true}, "start_time": "2026-01-01"})");
  ASSERT_TRUE(request);
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"project", "apollo"}, {"tags", "a"}, {"tags", "b"}, {"turn", "7"}, {"done", "true"}};
  EXPECT_EQ(request->filter.metadata, expected);
  EXPECT_EQ(format_rfc3339(*request->filter.start), "2026-01-01T00:00:00.000Z");
}

TEST(SearchRequest, IsTheSameInAnyOrderOfItsFilters) {
  EXPECT_EQ(parse(R"({"query": "x", "tags": ["a", "b"], "project": "p"})")->canonical(),
            parse(R"({"project": "p", "tags": ["b", "a"], "query": "x"})")->canonical());
  EXPECT_NE(parse(R"({"query": "x", "source": "ab"})")->canonical(),
            parse(R"({"query": "x", "project": "ab"})")->canonical());
}

TEST(SearchCursor, LeadsOnInItsOwnSearchOnly) {
  const auto first = parse(R"({"query": "x"})");
  const std::string cursor = make_cursor(*first, 10);
  const auto next = parse_search({{"query", "x"}, {"cursor", cursor}}, kLimits, kReach);
  ASSERT_TRUE(next) << next.error().message;
  EXPECT_EQ(next->offset, 10U);
  const auto other = parse_search({{"query", "y"}, {"cursor", cursor}}, kLimits, kReach);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().field, "cursor");
  EXPECT_FALSE(
      parse_search({{"query", "x"}, {"cursor", make_cursor(*first, 995)}}, kLimits, kReach))
      << "beyond the first 1,000";
}

TEST(SearchRequest, IsBoundedToTheSystemsOfWhoAsks) {
  const Reach some("acme", std::vector<std::string>{"a"});
  const auto request = parse_search({{"query", "x"}}, kLimits, some);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->filter.systems_allowed, std::vector<std::string>{"a"});
  EXPECT_NE(request->canonical(), parse_search({{"query", "x"}}, kLimits, kReach)->canonical())
      << "what is kept for one is not found for the other";
  const auto beyond = parse_search({{"query", "x"}, {"system_id", "b"}}, kLimits, some);
  ASSERT_FALSE(beyond);
  EXPECT_EQ(beyond.error().code, Errc::kForbidden);
  // A page goes on where it was, and for nobody else.
  const std::string cursor = make_cursor(*request, 10);
  EXPECT_TRUE(parse_search({{"query", "x"}, {"cursor", cursor}}, kLimits, some));
  EXPECT_FALSE(parse_search({{"query", "x"}, {"cursor", cursor}}, kLimits, kReach));
}

}  // namespace
}  // namespace asahi::memory
