// What the hot tier in PostgreSQL does beyond the contract of all stores: duplicates, the order of
// writings, ageing, copies, and what it says where the extension is missing.
#include "memory/pgvector/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "memory/ageing/mover.h"
#include "memory/dedup/minhash.h"
#include "memory/hot/hot_store.h"
#include "memory/testing/memory_store.h"
#include "memory/testing/on_loop.h"
#include "memory/warm/warm_store.h"
#include "storage/columnar/private_folder.h"
#include "storage/sql/testing/pgvector_server.h"
#include "storage/sql/testing/postgres_server.h"

namespace asahi::memory::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using Outcome = UpsertOutcome;

class PgVector : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto url = sql::testing::PgVectorServer::url();
    if (!url) GTEST_SKIP() << url.error().message;
    // The server in WebAssembly has one session for all.
    database_ = sql::open_database({.url = *url, .pool_size = 1}).value();
    ASSERT_TRUE(database_->query_blocking({"DROP SCHEMA IF EXISTS akosha CASCADE", {}}));
    store_ = PgVectorStore::open(database_, {.dimensions = 3, .clock = &clock_}).value();
  }
  Memory memory(const std::string& system, const std::string& id, const std::string& text,
                int hour = 0) {
    Memory out;
    out.key = {"org", system, id};
    out.content = text;
    out.content_hash = sha256(text);
    out.fingerprint = dedup::fingerprint(text);
    out.timestamp = start_ + std::chrono::hours(hour);
    out.uploaded_at = out.timestamp;
    return out;
  }
  std::vector<Outcome> upsert(std::vector<Memory> memories, UpsertOptions options = {}) {
    auto done = on_.wait<std::vector<Outcome>>([&]() -> Task<std::vector<Outcome>> {
      co_return co_await store_->upsert_batch(memories, options);
    });
    EXPECT_TRUE(done) << done.error().message;
    return done.value_or(std::vector<Outcome>{});
  }
  std::optional<Memory> get(Store& store, const Key& key) {
    using Found = std::vector<std::optional<Memory>>;
    return on_
        .wait<Found>([&]() -> Task<Found> {
          std::vector<Key> keys{key};
          co_return co_await store.get(std::move(keys));
        })
        .value()
        .front();
  }
  std::optional<Memory> get(const std::string& system, const std::string& id) {
    return get(*store_, {"org", system, id});
  }
  StorePage search(StoreQuery query) {
    query.tenant = "org";
    auto page = on_.wait<StorePage>([&]() -> Task<StorePage> { return store_->search(query); });
    EXPECT_TRUE(page) << page.error().message;
    return page.value_or(StorePage{});
  }
  std::uint64_t erase(const std::string& system, const std::string& id) {
    return on_
        .wait<std::uint64_t>([&]() -> Task<std::uint64_t> {
          std::vector<Key> keys{{"org", system, id}};
          co_return co_await store_->delete_batch(std::move(keys));
        })
        .value();
  }
  std::uint64_t records() {
    return on_.wait<TierStats>([&]() -> Task<TierStats> { return store_->stats("org"); })
        .value()
        .records;
  }

  const Clock::Time start_ = parse_rfc3339("2026-03-01T12:00:00Z").value();
  ManualClock clock_{parse_rfc3339("2026-11-22T10:00:00Z").value()};
  OnLoop on_;
  std::shared_ptr<sql::Database> database_;
  std::unique_ptr<PgVectorStore> store_;
};

TEST_F(PgVector, KeepsADuplicateBesideWhatItRepeatsAndGivesItTheOthersPlace) {
  EXPECT_THAT(upsert({memory("a", "1", "the same words"), memory("b", "2", "the same words")}),
              ElementsAre(Outcome::kStored, Outcome::kDuplicate));
  EXPECT_EQ(records(), 1U);
  EXPECT_THAT(search({}).hits, SizeIs(1));
  EXPECT_EQ(get("b", "2")->content, "the same words");
  EXPECT_EQ(get("a", "1")->metadata,
            R"({"seen_in":[{"system_id" : "b", "conversation_id" : "2"}]})");
  EXPECT_EQ(erase("a", "1"), 1U);
  EXPECT_EQ(records(), 1U) << "what the other system told stays";
  EXPECT_EQ(search({}).hits.at(0).key.system_id, "b");
  EXPECT_EQ(get("b", "2")->metadata, "{}");
}

TEST_F(PgVector, LinksWhatIsNearlyTheSameOrLeavesItOut) {
  const std::string text =
      "We moved the billing database to the new cluster on Tuesday night and nobody noticed, "
      "which is what we had hoped for after the trouble of the spring release in the north.";
  EXPECT_THAT(upsert({memory("a", "1", text), memory("a", "2", text + " Good.")}),
              ElementsAre(Outcome::kStored, Outcome::kNearDuplicate));
  EXPECT_EQ(get("a", "2")->near_duplicate_of, (Key{"org", "a", "1"}));
  EXPECT_THAT(upsert({memory("a", "3", text + " Fine.")}, {.skip_near_duplicates = true}),
              ElementsAre(Outcome::kNearDuplicate));
  EXPECT_EQ(get("a", "3"), std::nullopt);
  EXPECT_THAT(upsert({memory("a", "4", "lunch was good today")}), ElementsAre(Outcome::kStored));
}

TEST_F(PgVector, TellsWhatWasWrittenInItsOrder) {
  upsert({memory("a", "1", "one"), memory("a", "2", "two")});
  const std::string name = store_->feed_name().value();
  const std::uint64_t middle = store_->last_written().value();
  upsert({memory("a", "3", "three"), memory("a", "1", "one again", 1)});
  const auto written = store_->written_since(middle, 10).value();
  ASSERT_THAT(written, SizeIs(2));
  EXPECT_EQ(written[0].memory.key.conversation_id, "3");
  EXPECT_EQ(written[1].memory.content, "one again");
  EXPECT_THAT(store_->written_since(0, 10).value(), SizeIs(3)) << "a row stands where it is last";
  EXPECT_EQ(PgVectorStore::open(database_, {.dimensions = 3}).value()->feed_name(), name);
}

TEST_F(PgVector, KeepsContentsThatPostgresHasNoTextFor) {
  const std::string odd("before\0after", 12);
  upsert({memory("a", "1", odd)});
  EXPECT_EQ(get("a", "1")->content, odd);
  EXPECT_THAT(search({.mode = SearchMode::kKeyword, .text = "after"}).hits, SizeIs(1));
}

TEST_F(PgVector, FindsByWordsAndVectorsTogetherWithFiltersAndFacets) {
  Memory one = memory("a", "1", "the database migration failed on Monday", 1);
  one.embedding = {1, 0, 0};
  Memory two = memory("b", "2", "the migration of databases by Ann", 2);
  two.embedding = {0, 1, 0};
  Memory three = memory("b", "3", "lunch", 3);
  three.embedding = {0.6F, 0.8F, 0};
  one.embedding_model = two.embedding_model = three.embedding_model = "m";
  two.metadata = three.metadata = R"({"project":"apollo","tags":["x","y"]})";
  upsert({one, two, three});
  StoreQuery query{.text = "database migration", .embedding = {0, 1, 0}, .embedding_model = "m"};
  const StorePage page = search(query);
  ASSERT_THAT(page.hits, SizeIs(3));
  EXPECT_EQ(page.hits[0].key.conversation_id, "2") << "near, and with both words";
  EXPECT_NEAR(*page.hits[0].similarity, 1, 1e-6);
  EXPECT_THAT(page.hits[0].explanation.matched_terms, SizeIs(2));
  query.filter.metadata = {{"project", "apollo"}, {"tags", "y"}};
  query.filter.systems_allowed = std::vector<std::string>{"b"};
  query.facets = {"system_id", "tags"};
  const StorePage some = search(query);
  EXPECT_THAT(some.hits, SizeIs(2));
  EXPECT_EQ(some.facets.at("system_id"), (std::map<std::string, std::uint64_t>{{"b", 2}}));
  EXPECT_EQ(some.facets.at("tags"), (std::map<std::string, std::uint64_t>{{"x", 2}, {"y", 2}}));
  query.filter.systems_allowed = std::vector<std::string>{};
  EXPECT_THAT(search(query).hits, SizeIs(0)) << "who may see no system sees nothing";
}

TEST_F(PgVector, VectorsAreFoundByTheIndexOfCosines) {
  std::vector<Memory> memories;
  for (int i = 0; i < 300; ++i) {
    memories.push_back(memory("a", std::to_string(i), "memory " + std::to_string(i), i));
    const auto angle = static_cast<float>(i) * 0.005F;
    memories.back().embedding = {std::cos(angle), std::sin(angle), 0};
    memories.back().embedding_model = "m";
  }
  upsert(memories, {.deduplicate = false});
  // So few rows would be looked at one by one.
  const auto plan_by = [&](const std::string& how) {
    for (const char* way : {"enable_seqscan", "enable_bitmapscan", "enable_sort"}) {
      const auto set =
          database_->query_blocking({"SELECT set_config(?, ?, false)", {std::string(way), how}});
      ASSERT_TRUE(set) << set.error().message;
    }
  };
  plan_by("off");
  const StorePage page = search({.mode = SearchMode::kSemantic,
                                 .embedding = {std::cos(0.5F), std::sin(0.5F), 0},
                                 .embedding_model = "m",
                                 .limit = 5});
  ASSERT_THAT(page.hits, SizeIs(5));
  EXPECT_EQ(page.hits[0].key.conversation_id, "100");
  ASSERT_TRUE(database_->query_blocking({"SELECT pg_stat_force_next_flush()", {}}));
  const auto used = database_->query_blocking(
      {"SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'conversations_hnsw_3'",
       {}});
  plan_by("on");
  ASSERT_TRUE(used && used->size() == 1);
  EXPECT_GT(used->integer(0, "idx_scan"), 0);
}

TEST_F(PgVector, ItsMemoriesAgeIntoTheWarmTier) {
  const columnar::PrivateFolder folder = columnar::PrivateFolder::make("").value();
  HotOptions options;
  options.engine.folder = folder.path() + "/warm";
  const auto warm = WarmStore::open(std::move(options)).value();
  std::vector<Memory> memories;
  for (int i = 0; i < 40; ++i) {
    memories.push_back(memory("a", std::to_string(i), "memory number " + std::to_string(i), i));
    memories.back().embedding = {1, static_cast<float>(i), 0.5F};
    memories.back().embedding_model = "m";
  }
  upsert(memories, {.deduplicate = false});
  EXPECT_THAT(upsert({memory("b", "copy", "memory number 0", 39)}),
              ElementsAre(Outcome::kDuplicate));
  boost::asio::thread_pool work(1);
  ageing::Mover mover(*store_, *warm, work);
  std::uint64_t moved = 0;
  for (;;) {
    const auto batch = on_.wait<ageing::Moved>(
        [&]() -> Task<ageing::Moved> { return mover.batch({.before = start_ + 30h, .limit = 7}); });
    ASSERT_TRUE(batch) << batch.error().message;
    EXPECT_EQ(batch->errors, 0U);
    moved += batch->moved;
    if (batch->scanned == 0) break;
  }
  EXPECT_EQ(moved, 30U);
  EXPECT_EQ(records(), 10U);
  EXPECT_EQ(get("a", "0"), std::nullopt);
  const auto below = get(*warm, {"org", "a", "0"});
  ASSERT_TRUE(below);
  EXPECT_THAT(below->metadata, HasSubstr("copy")) << "what repeats it goes along by name";
  EXPECT_EQ(get("b", "copy"), std::nullopt);
  work.join();
}

TEST_F(PgVector, AMarkOfARunThatDiedIsTakenAgainAfterThreeHours) {
  upsert({memory("a", "1", "old")});
  const auto due = [&] {
    return on_
        .wait<std::vector<Eligible>>([&]() -> Task<std::vector<Eligible>> {
          return store_->scan_eligible({.before = start_ + 1h, .limit = 10});
        })
        .value()
        .size();
  };
  EXPECT_EQ(due(), 1U);
  EXPECT_EQ(due(), 0U);
  clock_.advance(3h + 1s);
  EXPECT_EQ(due(), 1U);
}

TEST_F(PgVector, ACopyIsAFolderOfTheEmbeddedHotTier) {
  upsert({memory("a", "1", "the same"), memory("b", "2", "the same"), memory("a", "3", "other")});
  const columnar::PrivateFolder folder = columnar::PrivateFolder::make("").value();
  ASSERT_TRUE(
      on_.wait<std::vector<HeldFile>>([&] { return store_->snapshot(folder.path() + "/c", {}); }));
  HotOptions options;
  options.engine.folder = folder.path() + "/c";
  const auto copy = HotStore::open(std::move(options)).value();
  EXPECT_EQ(get(*copy, {"org", "a", "3"}), get("a", "3"));
  EXPECT_TRUE(get(*copy, {"org", "b", "2"}));
  EXPECT_EQ(on_.wait<TierStats>([&]() -> Task<TierStats> { return copy->stats("org"); })->records,
            2U);
}

TEST(PgVectorStart, SaysWhatToInstallWhereTheExtensionIsMissing) {
  const auto server = sql::testing::PostgresServer::shared();
  if (!server) GTEST_SKIP() << server.error().message;
  const std::string url = (*server)->url((*server)->create_database().value());
  std::shared_ptr<sql::Database> database = sql::open_database({.url = url}).value();
  const auto store = PgVectorStore::open(database, {});
  if (store) GTEST_SKIP() << "this machine's PostgreSQL has pgvector";
  EXPECT_EQ(store.error().code, Errc::kUnavailable);
  EXPECT_THAT(store.error().message, HasSubstr("apt-get install postgresql-NN-pgvector"));
  EXPECT_THAT(store.error().message, HasSubstr("CREATE EXTENSION vector"));
}

TEST(PgVectorStart, WantsAPostgres) {
  std::shared_ptr<sql::Database> database =
      sql::open_database({.url = "sqlite://:memory:"}).value();
  const auto store = PgVectorStore::open(database, {});
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().field, "memory.hot.pg_url");
}

}  // namespace
}  // namespace asahi::memory::testing
