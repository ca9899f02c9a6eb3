#include "memory/knowledge/deriver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <utility>

#include "memory/testing/knowledge_fixture.h"

namespace asahi::memory::knowledge {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// A store in a map, that remembers in which order it was written.
class Shelf final : public MemoryFeed {
 public:
  explicit Shelf(std::string name = "hot") : name_(std::move(name)) {}
  Result<Place> place() override { return Place{name_, end()}; }
  std::uint64_t end() const { return next_ - 1; }
  bool wait(std::uint64_t since, std::chrono::milliseconds, std::stop_token) override {
    return end() > since;
  }
  Result<Page> after(std::uint64_t since, std::size_t limit) override {
    Page page{.upto = std::max(since, end()), .end = end()};
    for (const auto& [number, row] : rows_) {
      if (number <= since) continue;
      if (page.rows.size() == limit) break;
      page.rows.push_back(row);
      page.upto = number;
    }
    if (page.rows.size() < limit) page.upto = std::max(since, end());
    if (after_page) after_page();
    return page;
  }
  Result<std::vector<bool>> present(std::vector<Key> keys) override {
    std::vector<bool> out;
    for (const Key& key : keys) {
      out.push_back(std::ranges::any_of(
          rows_, [&](const auto& row) { return row.second.memory.key == key; }));
    }
    return out;
  }

  void put(Memory memory, bool duplicate = false) {
    erase(memory.key);
    rows_.emplace(next_++, Row{std::move(memory), duplicate});
  }
  void erase(const Key& key) {
    std::erase_if(rows_, [&](const auto& row) { return row.second.memory.key == key; });
  }
  void rename(std::string name) { name_ = std::move(name); }
  std::function<void()> after_page;

 private:
  std::string name_;
  std::map<std::uint64_t, Row> rows_;
  std::uint64_t next_ = 1;
};

class DeriverContract : public testing::KnowledgeContract {
 protected:
  std::unique_ptr<Deriver> deriver(MemoryFeed& feed) {
    return std::make_unique<Deriver>(
        Deriver::Parts{feed, *graph_, *series_, *db_, clock_, metrics_},
        Deriver::Options{.page = 3, .swept_at_once = 2});
  }
  void catch_up(Deriver& deriver) {
    for (int i = 0; i < 100; ++i) {
      const auto more = deriver.step();
      ASSERT_TRUE(more) << more.error().message;
      if (!*more) return;
    }
    FAIL() << "never comes to an end";
  }
  Memory memory(const std::string& id, const std::string& user, const std::string& project,
                const std::string& tenant = "acme") {
    return {.key = {tenant, "buddy", id},
            .content = "text " + id,
            .embedding = {0.6F, 0.8F},
            .timestamp = clock_.now() - std::chrono::hours(1),
            .uploaded_at = clock_.now(),
            .metadata = R"({"user_id":")" + user + R"(","project":")" + project + "\"}"};
  }
  double conversations() {
    const auto found = series_->read("acme", {.metric = "conversation_count",
                                              .from = clock_.now() - std::chrono::hours(24),
                                              .to = clock_.now()});
    double sum = 0;
    for (const auto& point : found.value().points) sum += point.value;
    return sum;
  }

  Shelf shelf_;
  telemetry::Registry metrics_;
};

TEST_P(DeriverContract, FollowsWhatIsWritten) {
  const auto follow = deriver(shelf_);
  for (int i = 0; i < 8; ++i) shelf_.put(memory("m" + std::to_string(i), "ana", "apollo"));
  catch_up(*follow);
  EXPECT_THAT(around(*graph_, "acme", "user:ana"), ElementsAre("worked_on project:apollo"));
  EXPECT_EQ(conversations(), 8);
  shelf_.put(memory("m0", "ana", "gemini"));
  catch_up(*follow);
  EXPECT_THAT(around(*graph_, "acme", "user:ana"),
              ElementsAre("worked_on project:apollo", "worked_on project:gemini"));
}

TEST_P(DeriverContract, ARestartGoesOnWhereItStopped) {
  shelf_.put(memory("m1", "ana", "apollo"));
  catch_up(*deriver(shelf_));
  const std::string before = all_of(*graph_, "acme");
  shelf_.put(memory("m2", "ben", "apollo"));
  graph_ = store();
  const auto restarted = deriver(shelf_);
  catch_up(*restarted);
  EXPECT_THAT(around(*graph_, "acme", "user:ben"), ElementsAre("worked_on project:apollo"));
  EXPECT_EQ(conversations(), 2) << "nothing is counted twice";
}

TEST_P(DeriverContract, WhatFailedIsDerivedAgain) {
  const auto follow = deriver(shelf_);
  catch_up(*follow);
  shelf_.put(memory("m1", "ana", "apollo"));
  ASSERT_TRUE(db_->query_blocking({"ALTER TABLE memory_graph_facts RENAME TO away", {}}));
  EXPECT_FALSE(follow->step());
  ASSERT_TRUE(db_->query_blocking({"ALTER TABLE away RENAME TO memory_graph_facts", {}}));
  catch_up(*follow);
  EXPECT_THAT(around(*graph_, "acme", "user:ana"), ElementsAre("worked_on project:apollo"));
  EXPECT_EQ(conversations(), 1);
}

TEST_P(DeriverContract, AStoreReadFromItsBeginningAgainIsNotCountedTwice) {
  for (int i = 0; i < 5; ++i) shelf_.put(memory("m" + std::to_string(i), "ana", "apollo"));
  catch_up(*deriver(shelf_));
  const std::string before = all_of(*graph_, "acme");
  Shelf restored;
  restored.put(memory("m0", "ana", "apollo"));
  restored.put(memory("m1", "ana", "apollo"));
  catch_up(*deriver(restored));
  restored.rename("another name");
  catch_up(*deriver(restored));
  restored.rename("hot");
  EXPECT_EQ(all_of(*graph_, "acme"), before);
  EXPECT_EQ(conversations(), 5);
  clock_.advance(std::chrono::seconds(1));
  restored.put(memory("m9", "ana", "apollo"));
  catch_up(*deriver(restored));
  EXPECT_EQ(conversations(), 6) << "what comes later counts";
}

TEST_P(DeriverContract, OfTwoThatDeriveTheSamePageOneWrites) {
  for (int i = 0; i < 6; ++i) shelf_.put(memory("m" + std::to_string(i), "ana", "apollo"));
  const auto one = deriver(shelf_);
  auto rows = store();
  Deriver other({shelf_, *rows, *series_, *db_, clock_, metrics_}, {.page = 3, .swept_at_once = 2});
  // Both know the place; the other one is faster while this one reads its page.
  ASSERT_TRUE(one->step());
  ASSERT_TRUE(other.step());
  shelf_.put(memory("m6", "ana", "apollo"));
  bool first = true;
  shelf_.after_page = [&] {
    if (std::exchange(first, false)) ASSERT_TRUE(other.step());
  };
  EXPECT_EQ(one->step().error().code, Errc::kConflict);
  catch_up(*one);
  catch_up(other);
  EXPECT_EQ(conversations(), 7) << "each is counted once";
}

TEST_P(DeriverContract, AStoreInThePlaceOfAnotherIsReadFromItsBeginning) {
  for (int i = 0; i < 5; ++i) shelf_.put(memory("m" + std::to_string(i), "ana", "apollo"));
  catch_up(*deriver(shelf_));
  Shelf fresh("hot_2");
  clock_.advance(std::chrono::seconds(1));
  fresh.put(memory("n1", "ben", "apollo"));
  catch_up(*deriver(fresh));
  EXPECT_THAT(around(*graph_, "acme", "user:ben"), ElementsAre("worked_on project:apollo"));
}

TEST_P(DeriverContract, ADuplicateStatesNothingOfItsOwnButIsCounted) {
  shelf_.put(memory("m1", "ana", "apollo"));
  shelf_.put(memory("m2", "ben", "apollo"), true);
  catch_up(*deriver(shelf_));
  EXPECT_THAT(around(*graph_, "acme", "user:ben"), IsEmpty());
  EXPECT_EQ(conversations(), 2);
}

TEST_P(DeriverContract, WhatIsErasedWhileItIsLearnedIsForgotten) {
  shelf_.put(memory("m1", "ana", "apollo"));
  shelf_.put(memory("m2", "ben", "apollo"));
  shelf_.after_page = [&] { shelf_.erase({"acme", "buddy", "m1"}); };
  catch_up(*deriver(shelf_));
  EXPECT_THAT(around(*graph_, "acme", "user:ana"), IsEmpty());
  EXPECT_THAT(around(*graph_, "acme", "user:ben"), SizeIs(1));
}

TEST_P(DeriverContract, ARoundFindsWhatIsGoneFromTheStores) {
  for (const char* tenant : {"acme", "beta"}) {
    for (int i = 0; i < 5; ++i)
      shelf_.put(memory("m" + std::to_string(i), "u" + std::to_string(i), "apollo", tenant));
  }
  const auto follow = deriver(shelf_);
  catch_up(*follow);
  shelf_.erase({"acme", "buddy", "m4"});
  shelf_.erase({"beta", "buddy", "m0"});
  int turns = 1;
  while (!follow->sweep().value()) ++turns;
  EXPECT_EQ(turns, 6) << "two sources at a time";
  EXPECT_THAT(around(*graph_, "acme", "user:u4"), IsEmpty());
  EXPECT_THAT(around(*graph_, "beta", "user:u0"), IsEmpty());
  EXPECT_THAT(around(*graph_, "acme", "user:u0"), SizeIs(1));
}

TEST_P(DeriverContract, RunsByItselfAndStops) {
  const auto follow = deriver(shelf_);
  shelf_.put(memory("m1", "ana", "apollo"));
  follow->start();
  for (int i = 0; i < 500 && around(*graph_, "acme", "user:ana").empty(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  follow->stop();
  EXPECT_THAT(around(*graph_, "acme", "user:ana"), SizeIs(1));
}

TEST_P(DeriverContract, WritingsThatDoNotEndKeepNothingFromBeingRemoved) {
  ASSERT_TRUE(
      series_->add("acme", {{"latency", {.at = clock_.now(), .value = 1, .system_id = "buddy"}}}));
  clock_.advance(std::chrono::hours(24 * 8));
  const auto kept = [this] {
    const auto rows = db_->query_blocking({"SELECT COUNT(*) AS n FROM memory_metric_points", {}});
    return rows ? rows->integer(0, "n") : -1;
  };
  ASSERT_EQ(kept(), 1);
  // Whenever a page is read, there is more already.
  int written = 0;
  shelf_.after_page = [&] {
    shelf_.put(memory("m" + std::to_string(++written % 3), "ana", "apollo"));
  };
  shelf_.put(memory("m0", "ana", "apollo"));
  const auto follow = deriver(shelf_);
  follow->start();
  for (int i = 0; i < 300 && kept() != 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  follow->stop();
  EXPECT_EQ(kept(), 0);
}

INSTANTIATE_TEST_SUITE_P(Engines, DeriverContract, ::testing::ValuesIn(sql::testing::all_engines()),
                         sql::testing::engine_name);

}  // namespace
}  // namespace asahi::memory::knowledge
