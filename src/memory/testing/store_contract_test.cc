// What every tier does alike: the store in plain maps, hot, warm and cold; compiled once more, for
// hot in PostgreSQL.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <limits>

#include "memory/ageing/rules.h"
#include "memory/cold/store.h"
#include "memory/hot/hot_store.h"
#include "memory/pgvector/store.h"
#include "memory/placement/sharded_store.h"
#include "memory/swap/testing/moving_tier.h"
#include "memory/testing/memory_store.h"
#include "memory/testing/on_loop.h"
#include "memory/testing/remote_pair.h"
#include "memory/warm/warm_store.h"
#include "storage/columnar/private_folder.h"
#include "storage/object/folder_store.h"
#ifdef ASAHI_CONTRACT_PGVECTOR
#include "storage/sql/testing/pgvector_server.h"
#endif

namespace asahi::memory::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;
using Outcome = UpsertOutcome;

/// kPgVector: the hot tier in PostgreSQL; kRemote: the hot tier behind the internal store API;
/// kSharded: over two nodes; kCopying, kWindow: on its way to another backend (with PostgreSQL:
/// from files into it).
enum class Kind { kMemory, kHot, kWarm, kCold, kRemote, kSharded, kPgVector, kCopying, kWindow };

class StoreContract : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
#ifdef ASAHI_CONTRACT_PGVECTOR
    const auto url = sql::testing::PgVectorServer::url();
    if (!url) GTEST_SKIP() << url.error().message;
    open_postgres(*url);
#endif
    open();
  }
  void TearDown() override { close(); }

  void close() {
    store_.reset();
    if (moving_ != nullptr) moving_->close();
    pair_.reset();
    inner_.reset();
    tier_.reset();
  }
  /// Opens it, or opens it again as the next process would.
  void open() {
    if (GetParam() == Kind::kMemory && store_ != nullptr) return;
    close();
    HotOptions options;
    options.engine.folder = folder_.path() + "/rows";
    options.engine.clock = &clock_;
    switch (GetParam()) {
      case Kind::kMemory:
        store_ = std::make_unique<MemoryStore>(Tier::kWarm);
        break;
      case Kind::kHot:
        store_ = HotStore::open(std::move(options)).value();
        break;
      case Kind::kRemote:
        inner_ = HotStore::open(std::move(options)).value();
        pair_ = std::make_unique<RemotePair>(on_.loops(), *inner_, clock_);
        store_ = pair_->connect(pair_->options());
        break;
      case Kind::kSharded:
        store_ = open_nodes(options);
        break;
      case Kind::kWarm:
        store_ = WarmStore::open(std::move(options)).value();
        break;
      case Kind::kCold:
        objects_ = object::FolderStore::open(folder_.path() + "/objects").value();
        catalogue_ = std::make_unique<cold::FileCatalogue>(folder_.path() + "/catalogue");
        tier_ = cold::ColdTier::open(*objects_, *catalogue_, clock_, {}).value();
        store_ = std::make_unique<cold::ColdStore>(*tier_, 2, 16);
        break;
      case Kind::kPgVector:
        store_ = PgVectorStore::open(postgres_, {.dimensions = 3, .clock = &clock_}).value();
        break;
      case Kind::kCopying:
      case Kind::kWindow:
        open_moving();
        break;
    }
  }
  void open_moving() {
    if (moving_ == nullptr) {
      ASSERT_TRUE(sql::Migrator(*moves_, swap::migrations()).upgrade());
      moving_ = std::make_unique<swap::testing::MovingTier>(on_, *moves_, clock_, folder_.path());
      if (postgres_ != nullptr) {
        moving_->open_new = [this](const swap::Place& place) -> Result<swap::SharedBackend> {
          auto backend = std::make_shared<swap::Backend>();
          auto store = PgVectorStore::open(postgres_, {.dimensions = 3, .clock = &clock_}).value();
          backend->place = place;
          backend->feed = feed_of(*store, {}, on_.loops());
          backend->store = std::move(store);
          return backend;
        };
      }
    }
    if (GetParam() == Kind::kCopying) moving_->failures = 1'000'000;  // it does not get on
    const auto opened = moving_->open();
    ASSERT_TRUE(opened) << opened.error().message;
    if (moving_->phase().empty()) {
      const auto begun = moving_->begin();
      ASSERT_TRUE(begun) << begun.error().message;
    }
    if (GetParam() == Kind::kWindow) {
      ASSERT_TRUE(moving_->reads_new()) << moving_->reason();
    } else {
      moving_->faults->writes = true;
    }
    store_ = std::shared_ptr<Store>(std::shared_ptr<void>(), &moving_->store());
  }
#ifdef ASAHI_CONTRACT_PGVECTOR
  void open_postgres(const std::string& url) {
    postgres_ = sql::open_database({.url = url, .pool_size = 1}).value();
    ASSERT_TRUE(postgres_->query_blocking({"DROP SCHEMA IF EXISTS akosha CASCADE", {}}));
  }
#endif
  static std::unique_ptr<Store> open_nodes(const HotOptions& options) {
    std::vector<ShardedStore::Part> parts;
    for (const char* name : {"a", "b"}) {
      HotOptions own = options;
      own.engine.folder += name;
      parts.push_back({.name = name, .store = HotStore::open(std::move(own)).value()});
    }
    return ShardedStore::make(Placement::make({{"a"}, {"b"}}).value(), std::nullopt,
                              std::move(parts), {})
        .value();
  }
  Result<std::vector<Outcome>> upsert(std::vector<Memory> memories,
                                      UpsertOptions options = {.deduplicate = false}) {
    return on_.wait<std::vector<Outcome>>([&]() -> Task<std::vector<Outcome>> {
      co_return co_await store_->upsert_batch(memories, options);
    });
  }
  std::optional<Memory> get(const std::string& id, const std::string& tenant = "org") {
    auto got = on_.wait<std::vector<std::optional<Memory>>>(
        [&]() -> Task<std::vector<std::optional<Memory>>> {
          std::vector<Key> keys{{tenant, "agent", id}};
          co_return co_await store_->get(std::move(keys));
        });
    EXPECT_TRUE(got) << got.error().message;
    return got ? got->front() : std::nullopt;
  }
  std::optional<Digest> checksum(const std::string& id) {
    return on_
        .wait<std::vector<std::optional<Digest>>>(
            [&]() -> Task<std::vector<std::optional<Digest>>> {
              std::vector<Key> keys{{"org", "agent", id}};
              co_return co_await store_->checksum(std::move(keys));
            })
        .value()
        .front();
  }
  StorePage search(StoreQuery query) {
    query.tenant = "org";
    auto page =
        on_.wait<StorePage>([&]() -> Task<StorePage> { co_return co_await store_->search(query); });
    EXPECT_TRUE(page) << page.error().message;
    return page ? *std::move(page) : StorePage{};
  }
  std::vector<std::string> found(StoreQuery query) {
    std::vector<std::string> out;
    for (const StoreHit& hit : search(std::move(query)).hits) {
      EXPECT_EQ(hit.tier, store_->tier());
      out.push_back(hit.key.conversation_id);
    }
    return out;
  }
  Result<std::uint64_t> erase(std::vector<Key> keys) {
    return on_.wait<std::uint64_t>(
        [&]() -> Task<std::uint64_t> { co_return co_await store_->delete_batch(keys); });
  }
  std::vector<Eligible> eligible(Clock::Time before, std::size_t limit) {
    return scan({.before = before, .limit = limit});
  }
  std::vector<Eligible> scan(ScanQuery wanted) {
    return on_
        .wait<std::vector<Eligible>>([&]() -> Task<std::vector<Eligible>> {
          co_return co_await store_->scan_eligible(wanted);
        })
        .value();
  }
  /// Ids of what a scan takes.
  std::vector<std::string> scanned(ScanQuery wanted) {
    std::vector<std::string> ids;
    for (const Eligible& row : scan(std::move(wanted)))
      ids.push_back(row.memory.key.conversation_id);
    return ids;
  }
  Result<std::uint64_t> replace(std::vector<NewVector> rows) {
    return on_.wait<std::uint64_t>(
        [&]() -> Task<std::uint64_t> { co_return co_await store_->replace_vectors(rows); });
  }
  std::map<std::string, std::uint64_t> models(const std::string& tenant) {
    using Models = std::map<std::string, std::uint64_t>;
    return on_.wait<Models>([&]() -> Task<Models> { return store_->models(tenant); }).value();
  }
  std::uint64_t end_move(std::vector<std::pair<Key, Digest>> rows) {
    return on_
        .wait<std::uint64_t>(
            [&]() -> Task<std::uint64_t> { co_return co_await store_->delete_migrated(rows); })
        .value();
  }
  TierStats stats(const std::string& tenant) {
    return on_.wait<TierStats>([&]() -> Task<TierStats> { return store_->stats(tenant); }).value();
  }

  Memory memory(const std::string& id, const std::string& text, int hour = 0,
                std::vector<float> vector = {}) {
    Memory out;
    out.key = {"org", "agent", id};
    out.content = text;
    out.content_hash = sha256(text);
    out.embedding = std::move(vector);
    if (!out.embedding.empty()) out.embedding_model = "m";
    out.timestamp = start_ + std::chrono::hours(hour);
    out.uploaded_at = out.timestamp + 1s;
    out.metadata = R"({"project":"apollo","tags":["red"]})";
    out.fingerprint.fill(3);
    return out;
  }
  /// As the tier gives it back.
  Memory kept(Memory memory) const {
    return GetParam() == Kind::kWarm || GetParam() == Kind::kCold ? cold::as_kept(memory) : memory;
  }

  const columnar::PrivateFolder folder_ = columnar::PrivateFolder::make("").value();
  const Clock::Time start_ = parse_rfc3339("2026-03-01T12:00:00Z").value();
  ManualClock clock_{parse_rfc3339("2026-11-22T10:00:00Z").value()};
  OnLoop on_;
  std::unique_ptr<object::FolderStore> objects_;
  std::unique_ptr<cold::Catalogue> catalogue_;
  std::unique_ptr<cold::ColdTier> tier_;
  std::shared_ptr<sql::Database> postgres_;
  std::unique_ptr<Store> inner_;  ///< that which is far away
  std::unique_ptr<RemotePair> pair_;
  std::unique_ptr<sql::Database> moves_ = sql::open_database({.url = "sqlite://:memory:"}).value();
  std::unique_ptr<swap::testing::MovingTier> moving_;
  std::shared_ptr<Store> store_;
};

TEST_P(StoreContract, GivesBackWhatItTookAlsoAfterARestart) {
  const Memory one = memory("a", "one thing", 0, {0.6F, -0.79F, 0.1F});
  Memory two = memory("b", "another thing", 30);
  two.near_duplicate_of = one.key;
  EXPECT_THAT(upsert({one, two}).value(), ElementsAre(Outcome::kStored, Outcome::kStored));
  open();
  EXPECT_EQ(get("a"), kept(one));
  EXPECT_EQ(get("b"), two);
  EXPECT_EQ(checksum("a"), row_checksum(kept(one)));
  EXPECT_EQ(checksum("c"), std::nullopt);
  EXPECT_EQ(get("a", "another"), std::nullopt);
  const TierStats all = stats("org");
  EXPECT_EQ(all.records, 2U);
  EXPECT_GT(all.bytes, 0U);
  EXPECT_EQ(all.oldest, one.timestamp);
  EXPECT_EQ(all.newest, two.timestamp);
  EXPECT_EQ(stats("").records, 2U);
  EXPECT_EQ(stats("another").records, 0U);
}

TEST_P(StoreContract, WhatItKeepsItKeepsTheSameWhenItComesAgain) {
  const Memory once = kept(memory("a", "one thing", 0, {0.6F, -0.79F, 0.1F}));
  ASSERT_TRUE(upsert({once}));
  EXPECT_EQ(get("a"), once) << "rows keep their checksum on their way through the tiers";
}

TEST_P(StoreContract, OfTwoVersionsTheNewerCounts) {
  ASSERT_TRUE(upsert({memory("a", "first", 2)}));
  EXPECT_THAT(upsert({memory("a", "first", 9)}).value(), ElementsAre(Outcome::kUnchanged));
  EXPECT_THAT(upsert({memory("a", "before", 1)}).value(), ElementsAre(Outcome::kOlder));
  EXPECT_THAT(upsert({memory("a", "after", 3)}).value(), ElementsAre(Outcome::kReplaced));
  open();
  EXPECT_EQ(get("a")->content, "after");
  EXPECT_EQ(stats("org").records, 1U);
  EXPECT_THAT(found({.mode = SearchMode::kKeyword, .text = "first"}), ElementsAre());
}

TEST_P(StoreContract, ErasedIsErasedAlsoAfterARestart) {
  ASSERT_TRUE(upsert({memory("a", "one"), memory("b", "two"), memory("c", "three")}));
  EXPECT_EQ(erase({memory("a", "").key, memory("z", "").key}).value(), 1U);
  EXPECT_EQ(erase({memory("a", "").key}).value(), 0U);
  open();
  EXPECT_EQ(get("a"), std::nullopt);
  EXPECT_THAT(found({}), UnorderedElementsAre("b", "c"));
  EXPECT_EQ(on_.wait<std::uint64_t>([&]() -> Task<std::uint64_t> {
                 co_return co_await store_->delete_system("org", "agent");
               })
                .value(),
            2U);
  open();
  EXPECT_THAT(found({}), ElementsAre());
  EXPECT_EQ(stats("org").records, 0U);
  ASSERT_TRUE(upsert({memory("a", "one")}));
  EXPECT_THAT(found({}), ElementsAre("a")) << "it can be told again";
}

TEST_P(StoreContract, SearchesByWordsVectorsAndTime) {
  ASSERT_TRUE(upsert({memory("a", "the database migration failed", 1, {1, 0, 0}),
                      memory("b", "lunch was good", 2, {0, 1, 0}),
                      memory("c", "migration of birds", 3, {0.8F, 0.6F, 0})}));
  EXPECT_THAT(found({.mode = SearchMode::kKeyword, .text = "database migration"}),
              ElementsAre("a", "c"));
  StoreQuery near{.mode = SearchMode::kSemantic, .embedding = {0, 1, 0}, .embedding_model = "m"};
  EXPECT_THAT(found(near), ElementsAre("b", "c", "a"));
  near.threshold = 0.5F;
  const StorePage page = search(near);
  ASSERT_EQ(page.hits.size(), 2U);
  EXPECT_NEAR(*page.hits[1].similarity, 0.6, 0.01);
  EXPECT_FALSE(page.partial);
  near.embedding_model = "n";
  EXPECT_THAT(found(near), ElementsAre());
  EXPECT_THAT(found({}), ElementsAre("c", "b", "a"));
  EXPECT_THAT(found({.filter = {.start = start_ + 2h, .end = start_ + 3h}}), ElementsAre("b"));
  EXPECT_THAT(found({.filter = {.metadata = {{"project", "gemini"}}}}), ElementsAre());
  const StorePage counted =
      search({.limit = 1, .facets = {"tier", "tags", "date", "date:week", "date:month"}});
  EXPECT_EQ(counted.hits.size(), 1U);
  EXPECT_EQ(counted.total, 3U);
  EXPECT_EQ(counted.facets.at("tags").at("red"), 3U);
  for (const auto& [facet, unit] :
       {std::pair("date", DateUnit::kDay), std::pair("date:week", DateUnit::kWeek),
        std::pair("date:month", DateUnit::kMonth)}) {
    std::uint64_t sum = 0;
    for (const auto& [value, count] : counted.facets.at(facet)) sum += count;
    EXPECT_EQ(sum, 3U) << facet;
    EXPECT_TRUE(counted.facets.at(facet).contains(date_text(start_, unit))) << facet;
  }
  EXPECT_EQ(counted.facets.at("tier").at(std::string(tier_name(store_->tier()))), 3U);
}

TEST_P(StoreContract, RefusesWhatIsNoVector) {
  const auto refused =
      upsert({memory("a", "one", 0, {std::numeric_limits<float>::quiet_NaN(), 1, 0})});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kInvalidArgument);
  EXPECT_THAT(refused.error().field, ::testing::HasSubstr("embedding"));
  EXPECT_EQ(get("a"), std::nullopt);
}

TEST_P(StoreContract, AgeingTakesARowOnceAndDeletesItOnlyUnchanged) {
  if (GetParam() == Kind::kCold) GTEST_SKIP() << "nothing ages further";
  ASSERT_TRUE(upsert({memory("1", "old", 0), memory("2", "older", -5), memory("3", "new", 50)}));
  const Clock::Time before = start_ + 1h;
  const auto due = eligible(before, 10);
  ASSERT_EQ(due.size(), 2U);
  EXPECT_EQ(due[0].memory.key.conversation_id, "2");
  EXPECT_EQ(due[0].checksum, row_checksum(*get("2")));
  EXPECT_TRUE(eligible(before, 10).empty());
  EXPECT_EQ(end_move({{due[0].memory.key, Digest{}}}), 0U);
  EXPECT_EQ(eligible(before, 10).size(), 1U) << "what did not move can be taken again";
  ASSERT_TRUE(upsert({memory("1", "changed", 1)}));
  EXPECT_EQ(end_move({{due[0].memory.key, due[0].checksum}, {due[1].memory.key, due[1].checksum}}),
            1U);
  open();
  EXPECT_THAT(found({}), UnorderedElementsAre("1", "3"));
}

TEST_P(StoreContract, AScanTakesOneTenantsRowsOrNamedOnes) {
  if (GetParam() == Kind::kCold) GTEST_SKIP() << "nothing ages further";
  Memory theirs = memory("t", "another tenant's");
  theirs.key.tenant = "their";
  ASSERT_TRUE(
      upsert({memory("1", "one", 2), memory("2", "two", 1), memory("3", "three", 3), theirs}));
  EXPECT_THAT(scanned({.tenant = "nobody"}), ElementsAre());
  EXPECT_THAT(scanned({.tenant = "their"}), ElementsAre("t"));
  const Key one = memory("1", "").key, three = memory("3", "").key;
  EXPECT_THAT(scanned({.tenant = "their", .keys = {one}}), ElementsAre());
  EXPECT_THAT(scanned({.before = start_ + 3h, .keys = {three, one, one, memory("no", "").key}}),
              ElementsAre("1"));
  EXPECT_THAT(scanned({.limit = 10, .tenant = "org"}), ElementsAre("2", "3"))
      << "what a scan took is not taken again";
}

TEST_P(StoreContract, RowsGetVectorsOfAnotherModelAndStayWhatTheyAre) {
  if (GetParam() == Kind::kCold) GTEST_SKIP() << "cold rows keep their vectors";
  Memory old = memory("a", "the first text", 1, {1, 0, 0});
  Memory near = memory("b", "the second text", 2, {0, 1, 0});
  near.near_duplicate_of = old.key;
  Memory none = memory("c", "the third text", 3);
  Memory now = memory("d", "the fourth text", 4, {0, 0, 1});
  now.embedding_model = "n";
  ASSERT_TRUE(upsert({old, near, none, now}));
  EXPECT_THAT(models("org"),
              ElementsAre(std::pair("", 1U), std::pair("m", 2U), std::pair("n", 1U)));
  auto due = scan({.tenant = "org", .without_model = "n"});
  ASSERT_EQ(due.size(), 3U);
  std::vector<NewVector> fresh;
  for (const Eligible& row : due)
    fresh.push_back({row.memory.key, row.checksum, {0.6F, 0.8F, 0, 0}, "o"});
  // Of another width than those of its model.
  auto wrong = fresh;
  for (NewVector& row : wrong) row.model = "n";
  if (GetParam() != Kind::kMemory && GetParam() != Kind::kPgVector)
    EXPECT_EQ(replace(wrong).error().code, Errc::kInvalidArgument);
  fresh[2].checksum.fill(0xff);
  EXPECT_EQ(replace(fresh).value(), 2U);
  EXPECT_EQ(replace(fresh).value(), 0U) << "they are not what was scanned any more";
  open();
  EXPECT_THAT(models("org"),
              ElementsAre(std::pair("", 1U), std::pair("n", 1U), std::pair("o", 2U)));
  EXPECT_THAT(models("nobody"), ElementsAre());
  for (Memory* row : {&old, &near}) {
    row->embedding = {0.6F, 0.8F, 0, 0};
    row->embedding_model = "o";
    EXPECT_EQ(get(row->key.conversation_id), kept(*row));
  }
  StoreQuery query{
      .mode = SearchMode::kSemantic, .embedding = {0.6F, 0.8F, 0, 0}, .embedding_model = "o"};
  EXPECT_THAT(found(query), UnorderedElementsAre("a", "b"));
  EXPECT_THAT(
      found({.mode = SearchMode::kSemantic, .embedding = {1, 0, 0}, .embedding_model = "m"}),
      ElementsAre());
  EXPECT_THAT(found({.mode = SearchMode::kKeyword, .text = "text"}),
              UnorderedElementsAre("a", "b", "c", "d"));
}

TEST_P(StoreContract, DuplicatesFollowTheRowThatGetsAnotherVector) {
  if (GetParam() == Kind::kMemory || GetParam() == Kind::kWarm || GetParam() == Kind::kCold ||
      GetParam() == Kind::kSharded) {
    GTEST_SKIP() << "only a hot tier has duplicates";
  }
  const UpsertOptions once{.deduplicate = true};
  ASSERT_TRUE(upsert({memory("a", "said twice", 1, {1, 0, 0})}, once));
  EXPECT_THAT(upsert({memory("b", "said twice", 2, {1, 0, 0})}, once).value(),
              ElementsAre(Outcome::kDuplicate));
  const std::string before = get("a")->metadata;
  EXPECT_THAT(before, ::testing::HasSubstr("seen_in"));
  const auto due = scan({.without_model = "o"});
  ASSERT_EQ(due.size(), 1U);
  EXPECT_EQ(replace({{due[0].memory.key, due[0].checksum, {0, 1, 0}, "o"}}).value(), 1U);
  open();
  EXPECT_EQ(get("a")->metadata, before);
  EXPECT_EQ(get("b")->embedding_model, "o");
  EXPECT_EQ(get("b")->timestamp, start_ + 2h);
  EXPECT_EQ(stats("org").records, 1U);
  EXPECT_EQ(erase({memory("a", "").key}).value(), 1U);
  EXPECT_EQ(get("b")->content, "said twice");
}

std::string kind_name(const ::testing::TestParamInfo<Kind>& info) {
  constexpr std::array kNames = {"memory",  "hot",      "warm",    "cold",  "remote",
                                 "sharded", "pgvector", "copying", "window"};
  return kNames[static_cast<std::size_t>(info.param)];
}

#ifdef ASAHI_CONTRACT_PGVECTOR
INSTANTIATE_TEST_SUITE_P(PgVector, StoreContract, ::testing::Values(Kind::kPgVector, Kind::kWindow),
                         kind_name);
#else
INSTANTIATE_TEST_SUITE_P(Tiers, StoreContract,
                         ::testing::Values(Kind::kMemory, Kind::kHot, Kind::kWarm, Kind::kCold,
                                           Kind::kRemote, Kind::kSharded, Kind::kCopying,
                                           Kind::kWindow),
                         kind_name);
#endif

}  // namespace
}  // namespace asahi::memory::testing
