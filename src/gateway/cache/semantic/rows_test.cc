// The semantic cache's rows: one contract over SQLite and PostgreSQL.
#include "gateway/cache/semantic/rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/cache/semantic/threshold.h"
#include "gateway/testing/loop.h"
#include "storage/sql/testing/database_test.h"

namespace asahi::gateway::semantic {
namespace {

using namespace std::chrono_literals;
using sql::testing::Engine;
using ::testing::ElementsAre;

constexpr std::string_view kEmbedder = "local-1/256";

class EntryRowsTest : public sql::testing::DatabaseTest {
 protected:
  void SetUp() override {
    if (!open_database(entries_migrations())) return;
    rows_.emplace(*db_);
  }
  EntryRow row(std::string id, std::string org = "acme") const {
    return {.org = std::move(org),
            .id = std::move(id),
            .embedder = std::string(kEmbedder),
            .query = "Wie heißt 'das'?\n\"x\"",
            .task = "faq",
            .context_digest = 0xfedcba9876543210,  // beyond 2^63
            .earlier = "Wer?\x1eWann?",
            .answer = "{\"a\":1}\nbody",
            .answer_digest = 0x8000000000000001,
            .vector = {},
            .evidence = EntryEvidence{}.encode(),
            .hits = 0,
            .created = clock_.now(),
            .expires = clock_.now() + 1h};
  }
  template <class... Entries>
  void put(Entries... entries) {
    std::vector<EntryRow> all{std::move(entries)...};
    const auto done = loops_.wait_for([&] { return rows_->put(all); });
    ASSERT_TRUE(done) << done.error().message;
  }
  EntryRows::Page after(std::int64_t last, std::size_t limit = 100) {
    auto page = loops_.wait_for(
        [&] { return rows_->after(last, std::string(kEmbedder), clock_.now(), limit); });
    EXPECT_TRUE(page) << page.error().message;
    return page ? *page : EntryRows::Page{};
  }
  static std::vector<std::string> ids(const std::vector<EntryRow>& entries) {
    std::vector<std::string> out;
    for (const EntryRow& entry : entries) out.push_back(entry.id);
    return out;
  }
  std::optional<EntryRow> get(std::string id, std::string org = "acme") {
    return *loops_.wait_for([&] { return rows_->get(org, id); });
  }
  Result<void> learn(EntryRows::Learned one) {
    std::vector<EntryRows::Learned> all(1, one);
    return loops_.wait_for([&] { return rows_->learn(all); });
  }

  ManualClock clock_;
  std::optional<EntryRows> rows_;
  testing::Loops loops_;
};
INSTANTIATE_TEST_SUITE_P(Engines, EntryRowsTest, ::testing::ValuesIn(sql::testing::all_engines()),
                         sql::testing::engine_name);

TEST_P(EntryRowsTest, GivesBackEveryField) {
  EntryRow entry = row("a");
  entry.vector = {0.5F, -0.25F, 1e-30F};
  entry.hits = 7;
  put(entry);
  const auto found = get("a");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->query, entry.query);
  EXPECT_EQ(found->task, "faq");
  EXPECT_EQ(found->context_digest, entry.context_digest);
  EXPECT_EQ(found->answer_digest, entry.answer_digest);
  EXPECT_EQ(found->earlier, entry.earlier);
  EXPECT_EQ(found->answer, entry.answer);
  EXPECT_EQ(found->vector, entry.vector);
  EXPECT_EQ(found->evidence, entry.evidence);
  EXPECT_EQ(found->hits, 7);
  EXPECT_EQ(format_rfc3339(found->created), format_rfc3339(entry.created));
  EXPECT_EQ(format_rfc3339(found->expires), format_rfc3339(entry.expires));
}

TEST_P(EntryRowsTest, TellsOrganisationsApart) {
  put(row("a", "acme"), row("a", "other"));
  ASSERT_TRUE(*loops_.wait_for([&] { return rows_->erase("acme", {"a"}); }) == 1);
  EXPECT_FALSE(get("a", "acme"));
  EXPECT_TRUE(get("a", "other"));
  EXPECT_FALSE(*loops_.wait_for([&] { return rows_->answer("acme", "a", clock_.now()); }));
  EXPECT_EQ(*loops_.wait_for([&] { return rows_->erase_all("acme"); }), 0);
  EXPECT_TRUE(get("a", "other"));
}

TEST_P(EntryRowsTest, ReadsOnFromWhereItWas) {
  put(row("a"), row("b"), row("c"));
  const auto first = after(0, 2);
  EXPECT_THAT(ids(first.entries), ElementsAre("a", "b"));
  EXPECT_TRUE(first.more);
  const auto second = after(first.last, 2);
  EXPECT_THAT(ids(second.entries), ElementsAre("c"));
  EXPECT_FALSE(second.more);
  // What is put again counts as new.
  put(row("a"));
  EXPECT_THAT(ids(after(second.last).entries), ElementsAre("a"));
}

TEST_P(EntryRowsTest, LeavesOutOtherEmbeddersAndWhatIsOver) {
  EntryRow foreign = row("foreign"), over = row("over");
  foreign.embedder = "openai/text-embedding-3-small/256";
  over.expires = clock_.now();
  put(foreign, over, row("good"));
  EXPECT_THAT(ids(after(0).entries), ElementsAre("good"));
  EXPECT_FALSE(*loops_.wait_for([&] { return rows_->answer("acme", "over", clock_.now()); }));
  EXPECT_EQ(*loops_.wait_for([&] { return rows_->count("acme", clock_.now()); }), 2);
}

TEST_P(EntryRowsTest, DeletesWhatIsOverOfOneOrAll) {
  put(row("a", "acme"), row("b", "other"));
  clock_.advance(2h);
  put(row("c", "acme"));
  EXPECT_EQ(*loops_.wait_for([&] { return rows_->erase_expired("acme", clock_.now()); }), 1);
  EXPECT_TRUE(get("b", "other"));
  EXPECT_EQ(*loops_.wait_for([&] { return rows_->sweep(clock_.now()); }), 1);
  EXPECT_FALSE(get("b", "other"));
  EXPECT_TRUE(get("c", "acme"));
}

TEST_P(EntryRowsTest, JoinsWhatTwoProcessesLearned) {
  put(row("a"));
  EntryEvidence mine, theirs;
  mine.add(0.9, true);
  theirs.add(0.95, false);
  theirs.report(1);
  theirs.report(1);
  ASSERT_TRUE(learn({"acme", "a", theirs.encode(), 2}));
  ASSERT_TRUE(learn({"acme", "a", mine.encode(), 3}));
  // Writing the same again adds no observation.
  ASSERT_TRUE(learn({"acme", "a", mine.encode(), 0}));
  const auto found = get("a");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->hits, 5);
  const auto both = EntryEvidence::decode(found->evidence);
  ASSERT_TRUE(both);
  EXPECT_TRUE(both->disabled());
  EXPECT_EQ(both->size(), 4U);
  EXPECT_EQ(both->wrong(), 3U);
  EXPECT_TRUE(learn({"acme", "gone", mine.encode(), 1})) << "an entry that is gone is no error";
}

TEST_P(EntryRowsTest, ListsNewestFirstByPages) {
  put(row("a"), row("b"), row("c"), row("x", "other"));
  const auto list = [&](std::string before, std::size_t limit) {
    return ids(*loops_.wait_for([&] { return rows_->list("acme", before, limit); }));
  };
  EXPECT_THAT(list("", 2), ElementsAre("c", "b"));
  EXPECT_THAT(list("b", 2), ElementsAre("a"));
}

TEST_P(EntryRowsTest, ExchangesKnowledgeOnlyForWhatItKnew) {
  const auto exchange = [&](std::string before, std::string text) {
    return *loops_.wait_for([&] {
      return rows_->exchange_knowledge("acme", std::string(kEmbedder), before, text, clock_.now());
    });
  };
  const auto now = [&] {
    return *loops_.wait_for([&] { return rows_->knowledge("acme", std::string(kEmbedder)); });
  };
  EXPECT_EQ(now(), "");
  EXPECT_TRUE(exchange("", "one"));
  EXPECT_FALSE(exchange("", "two")) << "another was first";
  EXPECT_FALSE(exchange("none", "two"));
  EXPECT_EQ(now(), "one");
  EXPECT_TRUE(exchange("one", "two"));
  EXPECT_EQ(now(), "two");
}

TEST_P(EntryRowsTest, LeavesOutARowThatCannotBeRead) {
  put(row("a"), row("b"));
  ASSERT_TRUE(db_->query_blocking(
      {"UPDATE semantic_entries SET vector = ? WHERE entry_id = ?", {sql::Blob{"xyz"}, "a"}}));
  EXPECT_THAT(ids(after(0).entries), ElementsAre("b"));
}

}  // namespace
}  // namespace asahi::gateway::semantic
