#include "memory/fitness/analyzer.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "memory/testing/on_loop.h"
#include "net/event.h"

namespace asahi::memory::fitness {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

/// Components that answer as they are told; a table that may be away.
class AnalyzerTest : public ::testing::Test {
 protected:
  void make(std::vector<Component> components, Analyzer::Options options = {}) {
    components_ = components;
    analyzer_ = std::make_unique<Analyzer>(
        Analyzer::Parts{
            .components = std::move(components),
            .ask = [this](std::size_t which, json::object arguments) -> Task<json::object> {
              ++asked_[components_[which].name];
              last_ = arguments;
              if (held_ != nullptr) co_await held_->wait();
              const auto rows = rows_.find(components_[which].name);
              if (rows == rows_.end()) co_return fail(Errc::kTimeout, "no answer in time");
              co_return json::object{{"structuredContent", json::parse(rows->second)}};
            },
            .write = [this](std::vector<Written> figures) -> Task<void> {
              ++writes_;
              if (away_) co_return fail(Errc::kUnavailable, "the database is away");
              for (Written& one : figures)
                written_[one.tenant + " " + one.figure.path()] = one.figure;
              co_return Result<void>{};
            },
            .claim = [this](Clock::Time, std::chrono::milliseconds) -> Task<bool> {
              co_return mine_;
            },
            .sweep = [this](Clock::Time) -> Task<std::uint64_t> {
              ++swept_;
              co_return std::uint64_t{0};
            },
            .metrics = metrics_,
            .clock = clock_},
        options);
  }
  static std::string row(std::string_view selector, double latency_ms, bool good = true) {
    return fmt::format(R"({{"selector":"{}","latency_ms":{},"outcome":"{}","task_class":"quick"}})",
                       selector, latency_ms, good ? "success" : "failure");
  }
  Analyzer::Round round(std::optional<std::string> tenant = {}) {
    return net::run_sync<Analyzer::Round>(loop_.loop(),
                                          [&] { return analyzer_->run_round(tenant); });
  }
  void tick() {
    net::run_sync<bool>(loop_.loop(), [&]() -> Aw<bool> {
      co_await analyzer_->tick();
      co_return true;
    });
  }
  double counted(const char* family, telemetry::Labels labels) {
    return metrics_.counter(family, "", std::move(labels)).value();
  }
  std::vector<std::string> paths() {
    std::vector<std::string> out;
    for (const auto& [path, figure] : written_) out.push_back(path);
    return out;
  }

  ManualClock clock_;
  testing::OnLoop loop_;
  telemetry::Registry metrics_;
  std::vector<Component> components_;
  std::map<std::string, std::string> rows_;
  std::map<std::string, int> asked_;
  std::map<std::string, Figure> written_;
  json::object last_;
  net::Event* held_ = nullptr;
  bool away_ = false, mine_ = true;
  int writes_ = 0, swept_ = 0;
  std::unique_ptr<Analyzer> analyzer_;
};

TEST_F(AnalyzerTest, AsksForAllClassesOfTheLastHourAndWritesWhatComesOfIt) {
  make({{"one", "acme", "agents"}, {"two", "acme", "agents"}});
  rows_["one"] = "[" + row("gpt-5", 10) + "," + row("gpt-5", 30, false) + "]";
  rows_["two"] = "[" + row("gpt-5", 20) + "]";
  const Analyzer::Round done = round();
  EXPECT_EQ(asked_["one"], 5);
  EXPECT_EQ(last_.at("system_id"), "agents");
  EXPECT_EQ(last_.at("task_class"), "documentation");
  EXPECT_EQ(last_.at("start_time").as_string(), format_rfc3339(clock_.now() - minutes(60)));
  ASSERT_THAT(paths(), ElementsAre("acme routing_fitness/quick/gpt_5"));
  const Figure& figure = written_.begin()->second;
  EXPECT_NEAR(figure.failure_rate, 1.0 / 3, 1e-9);
  EXPECT_EQ(figure.p99_latency_ms, 30);
  EXPECT_EQ(figure.samples, 3U);
  EXPECT_EQ(figure.components, 2U);
  EXPECT_EQ(done.written, 1U);
  EXPECT_EQ(counted("akosha_fitness_polls_total", {{"component", "one"}, {"outcome", "success"}}),
            5);
}

TEST_F(AnalyzerTest, OrganisationsHaveTheirOwnComponents) {
  make({{"one", "acme", "a"}, {"two", "rival", "a"}});
  rows_["one"] = "[" + row("x", 1) + "]";
  rows_["two"] = "[" + row("y", 1) + "]";
  EXPECT_EQ(round("acme").polled, 1U);
  EXPECT_EQ(asked_["two"], 0);
  round();
  EXPECT_THAT(paths(), UnorderedElementsAre("acme routing_fitness/quick/x",
                                            "rival routing_fitness/quick/y"));
  const json::object seen = analyzer_->status("acme");
  ASSERT_EQ(seen.at("components").as_array().size(), 1U);
  EXPECT_EQ(seen.at("components").at(0).at("name"), "one");
  EXPECT_FALSE(analyzer_->status("nobody").at("enabled").as_bool());
}

TEST_F(AnalyzerTest, OneThatIsAwayHoldsUpNobodyAndIsLeftAloneAfterFiveTimes) {
  make({{"away", "acme", "a"}, {"there", "acme", "a"}});
  rows_["there"] = "[" + row("x", 1) + "]";
  for (int i = 0; i < 8; ++i) {
    const Analyzer::Round done = round();
    EXPECT_EQ(done.failed, 1U);
    EXPECT_EQ(done.samples, 1U);
  }
  EXPECT_EQ(asked_["away"], 5) << "then its breaker is open";
  EXPECT_EQ(counted("akosha_fitness_polls_total", {{"component", "away"}, {"outcome", "rejected"}}),
            3);
  EXPECT_EQ(analyzer_->status("acme").at("components").at(0).at("circuit"), "open");
  EXPECT_EQ(analyzer_->status("acme").at("components").at(0).at("error"), "timeout");
  clock_.advance(seconds(61));
  rows_["away"] = "[]";
  EXPECT_EQ(round().failed, 0U) << "it is tried again after a minute";
  EXPECT_EQ(analyzer_->circuits().at(0).first, "fitness:away");
}

TEST_F(AnalyzerTest, NonsenseIsAFailureOrCounted) {
  make({{"one", "acme", "a"}});
  rows_["one"] = R"({"colour":"blue"})";
  EXPECT_EQ(round().failed, 1U);
  EXPECT_THAT(paths(), IsEmpty());
  rows_["one"] = "[7," + row("x", 1) + "]";
  const Analyzer::Round done = round();
  EXPECT_EQ(done.samples, 1U);
  EXPECT_EQ(done.malformed, 5U) << "one of each class";
}

TEST_F(AnalyzerTest, WhatCannotBeWrittenWaitsAndIsDroppedAfterThreeTimes) {
  make({{"one", "acme", "a"}});
  rows_["one"] = "[" + row("x", 1) + "]";
  away_ = true;
  EXPECT_EQ(round().buffered, 1U);
  rows_["one"] = "[]";
  EXPECT_EQ(round().buffered, 1U);
  EXPECT_EQ(round().buffered, 0U) << "the third time";
  EXPECT_EQ(counted("akosha_fitness_writes_total", {{"outcome", "dropped"}}), 1);
  EXPECT_EQ(analyzer_->status("acme").at("dropped"), 1);
  rows_["one"] = "[" + row("x", 1) + "]";
  round();
  away_ = false;
  rows_["one"] = "[]";
  EXPECT_EQ(round().written, 1U) << "what waited is written when the table is there again";
  const int before = writes_;
  round();
  EXPECT_EQ(writes_, before) << "nothing is written where there is nothing";
}

TEST_F(AnalyzerTest, TheBufferIsBounded) {
  make({{"one", "acme", "a"}}, {.most_buffered = 2});
  rows_["one"] = "[" + row("x", 1) + "," + row("y", 1) + "," + row("z", 1) + "]";
  away_ = true;
  EXPECT_EQ(round().buffered, 2U);
  EXPECT_EQ(counted("akosha_fitness_writes_total", {{"outcome", "dropped"}}), 1);
}

TEST_F(AnalyzerTest, OneRoundAtATime) {
  make({{"one", "acme", "a"}});
  rows_["one"] = "[]";
  net::Event hold(loop_.loop());
  held_ = &hold;
  const bool second = net::run_sync<bool>(loop_.loop(), [&]() -> Aw<bool> {
    net::Event ended(loop_.loop());
    loop_.loop().spawn("first", [&]() -> Aw<void> {
      EXPECT_TRUE((co_await analyzer_->run_round(std::nullopt)).ran);
      ended.set();
    });
    while (asked_["one"] == 0) co_await loop_.loop().sleep_for(std::chrono::milliseconds(1));
    const bool ran = (co_await analyzer_->run_round(std::nullopt)).ran;
    held_ = nullptr;
    hold.set();
    co_await ended.wait();
    co_return ran;
  });
  EXPECT_FALSE(second);
  EXPECT_TRUE(round().ran);
}

TEST_F(AnalyzerTest, OneProcessOfManyAsksAndWithoutComponentsNobodyDoes) {
  make({{"one", "acme", "a"}});
  rows_["one"] = "[]";
  mine_ = false;
  tick();
  EXPECT_EQ(asked_["one"], 0);
  mine_ = true;
  tick();
  EXPECT_EQ(asked_["one"], 5);
  make({});
  tick();
  EXPECT_EQ(asked_["one"], 5);
  EXPECT_EQ(swept_, 3) << "the house is kept anyway";
}

}  // namespace
}  // namespace asahi::memory::fitness
