#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "memory/knowledge/graph_questions.h"
#include "memory/knowledge/knowledge.h"
#include "memory/knowledge/series_questions.h"
#include "memory/testing/knowledge_fixture.h"

namespace asahi::memory::knowledge {
namespace {

using ::testing::HasSubstr;

class Questions : public testing::KnowledgeContract {
 protected:
  Result<json::object> ask(Question question, const json::object& arguments) {
    return question(knowledge_ ? *knowledge_ : begun(), Reach::whole("acme"), arguments);
  }
  void TearDown() override {
    knowledge_.reset();
    KnowledgeContract::TearDown();
  }
  Knowledge& begun() {
    knowledge_ = std::make_unique<Knowledge>(*db_, clock_, metrics_, GraphStore::Options{},
                                             Knowledge::Options{});
    return *knowledge_;
  }

  telemetry::Registry metrics_;
  std::unique_ptr<Knowledge> knowledge_;
};

TEST_P(Questions, ATimeSeriesIsOfAYearAtMostHoweverFarItsEndsAreApart) {
  for (const char* start : {"1678-01-01T00:00:00Z", "1970-01-01T00:00:00Z"}) {
    const auto answer =
        ask(timeseries,
            {{"metric_name", "latency"}, {"start", start}, {"end", "2261-01-01T00:00:00Z"}});
    ASSERT_FALSE(answer) << start;
    EXPECT_EQ(answer.error().field, "start");
    EXPECT_THAT(answer.error().message, HasSubstr("at most 366 days apart"));
  }
}

TEST_P(Questions, TheFirstMomentOfTheClockIsNotNow) {
  ASSERT_TRUE(graph_->learn(std::vector<TenantStatement>{
      {"acme",
       {.source = {"buddy", "m1"},
        .facts = {{.from = "user:ana",
                   .to = "project:apollo",
                   .type = "worked_on",
                   .valid_from = clock_.now() - std::chrono::hours(1)}}}}}));
  const auto now = ask(components, {});
  ASSERT_TRUE(now) << now.error().message;
  EXPECT_EQ(now->at("total_components"), 1);
  const auto then = ask(components, {{"as_of", "1970-01-01T00:00:00Z"}});
  ASSERT_TRUE(then) << then.error().message;
  EXPECT_NE(then->at("total_components"), 1);
}

INSTANTIATE_TEST_SUITE_P(Engines, Questions, ::testing::ValuesIn(sql::testing::all_engines()),
                         sql::testing::engine_name);

}  // namespace
}  // namespace asahi::memory::knowledge
