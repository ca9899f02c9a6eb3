#include "memory/testing/memory_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "memory/testing/remote_pair.h"
#include "net/blocking.h"

namespace asahi::memory::testing {
namespace {

using ::testing::ElementsAre;

/// In this process, or behind the internal store API: callers cannot tell.
enum class Place { kHere, kRemote };

class MemoryStoreTest : public ::testing::TestWithParam<Place> {
 protected:
  MemoryStoreTest() {
    loops_.start();
    if (GetParam() == Place::kHere) return;
    pair_ = std::make_unique<RemotePair>(loops_, rows_, clock_);
    remote_ = pair_->connect(pair_->options());
    store_ = remote_.get();
  }

  template <class T>
  T get(Task<T> task) {
    auto shared = std::make_shared<Task<T>>(std::move(task));
    auto outcome = net::run_sync<Result<T>>(loops_.at(0),
                                            [shared]() -> Task<T> { return std::move(*shared); });
    EXPECT_TRUE(outcome) << outcome.error().message;
    return outcome ? std::move(*outcome) : T{};
  }

  Memory memory(const std::string& id, const std::string& content, int hour = 0) {
    Memory out;
    out.key = {"acme", "agent", id};
    out.content = content;
    out.content_hash = sha256(content);
    out.timestamp = start_ + std::chrono::hours(hour);
    out.uploaded_at = start_;
    return out;
  }
  std::vector<UpsertOutcome> upsert(std::vector<Memory> memories, UpsertOptions options = {}) {
    return get(store_->upsert_batch(std::move(memories), options));
  }
  std::vector<std::string> found(StoreQuery query) {
    query.tenant = "acme";
    std::vector<std::string> ids;
    for (const StoreHit& hit : get(store_->search(std::move(query))).hits)
      ids.push_back(hit.key.conversation_id);
    return ids;
  }

  const Clock::Time start_{std::chrono::seconds{1'700'000'000}};
  ManualClock clock_;
  net::LoopPool loops_{1};
  MemoryStore rows_;
  std::unique_ptr<RemotePair> pair_;
  std::shared_ptr<remote::RemoteStore> remote_;
  Store* store_ = &rows_;
};

INSTANTIATE_TEST_SUITE_P(Stores, MemoryStoreTest, ::testing::Values(Place::kHere, Place::kRemote),
                         [](const auto& place) {
                           return place.param == Place::kHere ? "Here" : "Remote";
                         });

TEST_P(MemoryStoreTest, AddingTheSameMemoryTwiceChangesNothing) {
  EXPECT_THAT(upsert({memory("1", "hello"), memory("1", "hello", 1)}),
              ElementsAre(UpsertOutcome::kStored, UpsertOutcome::kUnchanged));
  EXPECT_EQ(rows_.all().size(), 1U);
}

TEST_P(MemoryStoreTest, OfChangedContentTheNewerWins) {
  upsert({memory("1", "first", 2)});
  EXPECT_THAT(upsert({memory("1", "before", 1), memory("1", "after", 3)}),
              ElementsAre(UpsertOutcome::kOlder, UpsertOutcome::kReplaced));
  EXPECT_EQ(rows_.all().front().content, "after");
  // What was replaced is no longer somebody's duplicate.
  EXPECT_THAT(upsert({memory("2", "first")}), ElementsAre(UpsertOutcome::kStored));
}

TEST_P(MemoryStoreTest, TheSameContentElsewhereIsSeenThere) {
  Memory other = memory("9", "hello");
  other.key.system_id = "second";
  EXPECT_THAT(upsert({memory("1", "hello"), other}),
              ElementsAre(UpsertOutcome::kStored, UpsertOutcome::kDuplicate));
  EXPECT_TRUE(rows_.all().front().metadata.contains("second/9")) << rows_.all().front().metadata;
  other.key.tenant = "others";
  EXPECT_THAT(upsert({other}), ElementsAre(UpsertOutcome::kStored));
}

TEST_P(MemoryStoreTest, NearDuplicatesAreLinkedOrSkipped) {
  Memory first = memory("1", "the deploy failed at noon");
  first.fingerprint.fill(7);
  Memory second = memory("2", "the deploy failed at noon!");
  second.fingerprint = first.fingerprint;
  second.fingerprint[0] = 8;
  EXPECT_THAT(upsert({first, second}),
              ElementsAre(UpsertOutcome::kStored, UpsertOutcome::kNearDuplicate));
  EXPECT_EQ(get(store_->get({second.key})).front()->near_duplicate_of, first.key);
  Memory third = memory("3", "the deploy failed at noon?");
  third.fingerprint = first.fingerprint;
  EXPECT_THAT(upsert({third}, {.skip_near_duplicates = true}),
              ElementsAre(UpsertOutcome::kNearDuplicate));
  EXPECT_EQ(rows_.all().size(), 2U);
}

TEST_P(MemoryStoreTest, SearchesByWordsVectorsBothOrTime) {
  Memory a = memory("a", "the database migration failed", 1);
  Memory b = memory("b", "lunch was good", 2);
  Memory c = memory("c", "migration of birds", 3);
  a.embedding = {1, 0};
  b.embedding = {0, 1};
  c.embedding = {0.8F, 0.6F};
  for (Memory* each : {&a, &b, &c}) each->embedding_model = "m";
  upsert({a, b, c});
  EXPECT_THAT(found({.mode = SearchMode::kKeyword, .text = "database migration"}),
              ElementsAre("a", "c"));
  EXPECT_THAT(found({.mode = SearchMode::kSemantic, .embedding = {0, 1}, .embedding_model = "m"}),
              ElementsAre("b", "c", "a"));
  EXPECT_THAT(found({.mode = SearchMode::kSemantic,
                     .embedding = {0, 1},
                     .embedding_model = "m",
                     .threshold = 0.5F}),
              ElementsAre("b", "c"));
  EXPECT_THAT(found({.text = "database", .embedding = {0.8F, 0.6F}, .embedding_model = "m"}),
              ElementsAre("a", "c", "b"));
  EXPECT_THAT(found({}), ElementsAre("c", "b", "a"));
  EXPECT_THAT(found({.mode = SearchMode::kSemantic, .embedding = {0, 1}, .embedding_model = "n"}),
              ElementsAre());
}

TEST_P(MemoryStoreTest, FiltersAndCountsFacets) {
  Memory a = memory("a", "one", 1);
  a.metadata = R"({"project":"x","tags":["red","blue"]})";
  Memory b = memory("b", "two", 30);
  b.metadata = R"({"project":"y","tags":["red"]})";
  upsert({a, b});
  EXPECT_THAT(found({.filter = {.metadata = {{"tags", "blue"}}}}), ElementsAre("a"));
  EXPECT_THAT(found({.filter = {.start = start_ + std::chrono::hours(2)}}), ElementsAre("b"));
  EXPECT_THAT(found({.filter = {.systems_allowed = std::vector<std::string>{}}}), ElementsAre());
  const StorePage page = get(store_->search({.tenant = "acme", .facets = {"tags", "date"}}));
  EXPECT_EQ(page.facets.at("tags").at("red"), 2U);
  EXPECT_EQ(page.facets.at("date").size(), 2U);
}

TEST_P(MemoryStoreTest, AgeingTakesARowOnceAndDeletesItOnlyUnchanged) {
  upsert({memory("1", "old", 0), memory("2", "older", -5), memory("3", "new", 50)});
  const auto due =
      get(store_->scan_eligible({.before = start_ + std::chrono::hours(1), .limit = 10}));
  ASSERT_EQ(due.size(), 2U);
  EXPECT_EQ(due[0].memory.key.conversation_id, "2");
  EXPECT_TRUE(
      get(store_->scan_eligible({.before = start_ + std::chrono::hours(1), .limit = 10})).empty());
  upsert({memory("1", "changed", 1)});
  EXPECT_EQ(get(store_->delete_migrated(
                {{due[0].memory.key, due[0].checksum}, {due[1].memory.key, due[1].checksum}})),
            1U);
  EXPECT_EQ(rows_.all().size(), 2U);
}

}  // namespace
}  // namespace asahi::memory::testing
