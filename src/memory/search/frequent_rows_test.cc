#include "memory/search/frequent_rows.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "memory/testing/on_loop.h"
#include "storage/sql/migrations.h"
#include "storage/sql/testing/database_test.h"

namespace asahi::memory {
namespace {

SearchRequest rich_request() {
  SearchRequest request;
  request.mode = SearchMode::kSemantic;
  request.text = "wo ist die Lampe \"blau\"?";
  request.embedding = {0.6F, -0.8F, 1e-7F};
  request.limit = 25;
  request.offset = 50;
  request.threshold = 0.7F;
  request.cold = true;
  request.warm = false;
  request.facets = {"tier", "date:week"};
  request.include_content = false;
  request.filter.system_ids = {"desk", "lab"};
  request.filter.systems_allowed = std::vector<std::string>{"desk"};
  request.filter.start = Clock::Time(std::chrono::nanoseconds(1'700'000'000'123'456'789));
  request.filter.metadata = {{"tags", "a"}, {"tags", "b"}, {"user_id", "ana"}};
  return request;
}

TEST(SearchText, ReadsBackAsTheSameSearch) {
  const SearchRequest request = rich_request();
  const auto read = parse_search_text(search_text(request));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->canonical(), request.canonical());
  EXPECT_EQ(read->limit, request.limit);
  EXPECT_EQ(read->offset, request.offset);
  const auto plain = parse_search_text(search_text(SearchRequest{}));
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->canonical(), SearchRequest{}.canonical());
}

TEST(SearchText, RightsStayRights) {
  SearchRequest request;
  request.filter.systems_allowed.emplace();
  const auto nothing = parse_search_text(search_text(request));
  ASSERT_TRUE(nothing);
  ASSERT_TRUE(nothing->filter.systems_allowed) << "may see no system is not may see all";
  EXPECT_TRUE(nothing->filter.systems_allowed->empty());
  std::string text = search_text(request);
  text.replace(text.find("\"allowed\""), 9, "\"forgot\"");
  EXPECT_FALSE(parse_search_text(text)) << "without its rights it is not asked at all";
}

TEST(SearchText, NonsenseIsRefused) {
  for (const char* text : {"", "[]", "{}", R"({"allowed": null, "metadata": [], "limit": 0})",
                           R"({"allowed": null, "metadata": [["a"]], "limit": 1})",
                           R"({"allowed": [1], "metadata": [], "limit": 1})",
                           R"({"allowed": null, "metadata": [], "mode": 9})"})
    EXPECT_FALSE(parse_search_text(text)) << text;
}

class FrequentRowsContract : public sql::testing::DatabaseTest {
 protected:
  void SetUp() override {
    if (!open_database({frequent_migration()})) return;
    rows_ = std::make_unique<FrequentRows>(*db_);
  }
  void add(const std::string& tenant, const std::string& text, std::uint64_t asks) {
    SearchRequest request;
    request.text = text;
    const auto added =
        loop_.wait<void>([&] { return rows_->add({{tenant, text, request, asks}}, clock_.now()); });
    ASSERT_TRUE(added) << added.error().message;
  }
  std::string loaded(std::size_t of_tenant = 10) {
    auto found = loop_.wait<std::vector<FrequentSearch>>(
        [&] { return rows_->load(of_tenant, clock_.now()); });
    if (!found) return found.error().message;
    std::string text;
    for (const FrequentSearch& one : *found)
      text += fmt::format("{}/{} {}; ", one.tenant, one.request.text, one.asks);
    return text;
  }
  std::unique_ptr<FrequentRows> rows_;
  testing::OnLoop loop_;
  ManualClock clock_;
};

TEST_P(FrequentRowsContract, CountsAddUpOverProcessesAndPeriods) {
  add("a", "lamp", 2);
  add("a", "lamp", 3);
  clock_.advance(std::chrono::hours(6));
  add("a", "lamp", 4);
  add("a", "door", 5);
  add("b", "lamp", 1);
  EXPECT_EQ(loaded(), "a/lamp 9; a/door 5; b/lamp 1; ");
  EXPECT_EQ(loaded(1), "a/lamp 9; b/lamp 1; ");
}

TEST_P(FrequentRowsContract, WhatIsADayOldIsNotLoadedAndGoes) {
  add("a", "lamp", 2);
  clock_.advance(std::chrono::hours(24));
  add("a", "door", 2);
  EXPECT_EQ(loaded(), "a/door 2; ");
  ASSERT_TRUE(loop_.wait<void>([&] { return rows_->sweep(clock_.now()); }));
  const auto left = db_->query_blocking({"SELECT COUNT(*) AS n FROM memory_frequent_searches", {}});
  EXPECT_EQ(left->integer(0, "n"), 1);
}

TEST_P(FrequentRowsContract, ATenantKeepsTheThousandThatItAsksMost) {
  std::vector<FrequentSearch> many;
  for (int i = 0; i < 1'010; ++i)
    many.push_back({"a", fmt::format("s{}", i), {}, i < 1'000 ? 3U : 2U});
  ASSERT_TRUE(loop_.wait<void>([&] { return rows_->add(many, clock_.now()); }));
  add("b", "mine", 2);
  ASSERT_TRUE(loop_.wait<void>([&] { return rows_->sweep(clock_.now()); }));
  const auto left = db_->query_blocking(
      {"SELECT COUNT(*) AS n, MIN(asks) AS least FROM memory_frequent_searches WHERE tenant = 'a'",
       {}});
  EXPECT_EQ(left->integer(0, "n"), 1'000);
  EXPECT_EQ(left->integer(0, "least"), 3);
  EXPECT_TRUE(loaded(1).ends_with("b/mine 2; "));
}

INSTANTIATE_TEST_SUITE_P(Engines, FrequentRowsContract,
                         ::testing::Values(sql::testing::Engine::kSqliteMemory,
                                           sql::testing::Engine::kPostgres),
                         [](const auto& info) {
                           return info.param == sql::testing::Engine::kPostgres ? "postgres"
                                                                                : "sqlite";
                         });

}  // namespace
}  // namespace asahi::memory
