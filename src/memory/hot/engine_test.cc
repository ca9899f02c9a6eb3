#include "memory/hot/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "memory/hot/hot_store.h"
#include "memory/hot/shingle_duplicates.h"
#include "memory/hot/testing/samples.h"
#include "net/blocking.h"

namespace asahi::memory::hot {
namespace {

using hot_testing::direction;
using hot_testing::eligible;
using hot_testing::erase;
using hot_testing::erase_migrated;
using hot_testing::erase_system;
using hot_testing::sample;
using hot_testing::seconds;
using hot_testing::TemporaryFolder;
using hot_testing::upsert;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;
using Outcome = UpsertOutcome;

std::unique_ptr<Engine> open_engine(EngineOptions options = {}) {
  auto engine = Engine::open(std::move(options));
  EXPECT_TRUE(engine) << engine.error().message;
  return engine ? std::move(*engine) : nullptr;
}
EngineOptions in(const TemporaryFolder& folder) {
  EngineOptions out;
  out.folder = folder.path();
  return out;
}
std::optional<Memory> get_one(const Engine& engine, const std::string& id,
                              const std::string& system = "agent") {
  return engine.get({{"acme", system, id}}).value()[0];
}
StoreQuery words(const std::string& text) {
  StoreQuery out;
  out.tenant = "acme";
  out.mode = SearchMode::kKeyword;
  out.text = text;
  return out;
}
std::vector<std::string> ids(const StorePage& page) {
  std::vector<std::string> out;
  for (const StoreHit& hit : page.hits) out.push_back(hit.key.conversation_id);
  return out;
}
/// A fingerprint that agrees with that of `base` but for the last `different` permutations.
Fingerprint fingerprint(std::uint32_t base, std::size_t different = 0) {
  Fingerprint out;
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = base * 1000 + static_cast<std::uint32_t>(i) + (i < different ? 1U << 20 : 0);
  }
  return out;
}

TEST(HotTier, AnswersWhatItWasGivenAlsoAfterAStart) {
  const TemporaryFolder folder;
  Memory memory = sample("one", "The deploy failed at 14:05.");
  memory.embedding = {0.6F, 0.8F, 1e-7F};
  memory.embedding_model = "local-1";
  memory.metadata = R"({"project":"web","tags":["ops"]})";
  memory.fingerprint = fingerprint(3);
  memory.near_duplicate_of = Key{"acme", "agent", "other"};
  {
    const auto engine = open_engine(in(folder));
    EXPECT_THAT(upsert(*engine, {memory}).value(), ElementsAre(Outcome::kStored));
    EXPECT_EQ(get_one(*engine, "one"), memory);
  }
  const auto engine = open_engine(in(folder));
  EXPECT_EQ(get_one(*engine, "one"), memory);
  EXPECT_EQ(engine->checksum({memory.key}).value()[0], row_checksum(memory));
  EXPECT_THAT(ids(engine->search(words("deploy")).value()), ElementsAre("one"));
  EXPECT_FALSE(get_one(*engine, "two"));
}

TEST(HotTier, KeepsVectorsBitByBitWhetherTheyAreHalvesOrNot) {
  const auto engine = open_engine();
  Memory halves = sample("h", "halves"), floats = sample("f", "floats"), odd = sample("o", "odd");
  halves.embedding = {0.5F, -0.25F, 0.125F, -0.0F, 1.0F, 0x1p-24F, 0.333251953125F, 2.0F};
  floats.embedding = {0.1F, -0.2F, 0.3F, 1e-30F, 1.0F, 0.7F, 0.6F, 0.5F};
  odd.embedding = {0.5F, 0.25F, 0.1F};
  halves.embedding_model = floats.embedding_model = "eight";
  odd.embedding_model = "three";
  ASSERT_TRUE(upsert(*engine, {halves, floats, odd}));
  for (const Memory& memory : {halves, floats, odd}) {
    EXPECT_EQ(get_one(*engine, memory.key.conversation_id), memory);
  }
}

TEST(HotTier, NewerTimesWinAndTheSameTwiceChangesNothing) {
  const auto engine = open_engine();
  EXPECT_THAT(upsert(*engine, {sample("a", "first", 10)}).value(), ElementsAre(Outcome::kStored));
  EXPECT_THAT(upsert(*engine, {sample("a", "first", 20)}).value(),
              ElementsAre(Outcome::kUnchanged));
  EXPECT_THAT(upsert(*engine, {sample("a", "older", 5)}).value(), ElementsAre(Outcome::kOlder));
  EXPECT_THAT(upsert(*engine, {sample("a", "same age", 10)}).value(), ElementsAre(Outcome::kOlder));
  EXPECT_THAT(upsert(*engine, {sample("a", "newer", 11)}).value(), ElementsAre(Outcome::kReplaced));
  EXPECT_EQ(get_one(*engine, "a")->content, "newer");
  EXPECT_THAT(ids(engine->search(words("first")).value()), SizeIs(0));
  EXPECT_THAT(ids(engine->search(words("newer")).value()), ElementsAre("a"));
  EXPECT_EQ(engine->stats("acme").records, 1U);
}

TEST(HotTier, OneBatchSeesItsOwnEarlierMemories) {
  const auto engine = open_engine();
  EXPECT_THAT(upsert(*engine, {sample("a", "x", 1), sample("a", "y", 2), sample("a", "y", 2),
                               sample("b", "y", 3), sample("a", "z", 1)})
                  .value(),
              ElementsAre(Outcome::kStored, Outcome::kReplaced, Outcome::kUnchanged,
                          Outcome::kDuplicate, Outcome::kOlder));
  EXPECT_EQ(engine->stats("acme").records, 1U);
  EXPECT_THAT(get_one(*engine, "a")->metadata, HasSubstr(R"("conversation_id":"b")"));
}

TEST(HotTier, ADuplicateIsNamedByItsOriginalAndOutlivesIt) {
  const TemporaryFolder folder;
  Memory copy = sample("copy", "the same words", 7, "other");
  copy.metadata = R"({"project":"theirs"})";
  {
    const auto engine = open_engine(in(folder));
    ASSERT_TRUE(upsert(*engine, {sample("original", "the same words", 5)}));
    EXPECT_THAT(upsert(*engine, {copy}).value(), ElementsAre(Outcome::kDuplicate));
    EXPECT_THAT(upsert(*engine, {copy}).value(), ElementsAre(Outcome::kDuplicate));
    EXPECT_THAT(upsert(*engine, {sample("third", "the same words")}).value(),
                ElementsAre(Outcome::kDuplicate));
    EXPECT_EQ(get_one(*engine, "original")->metadata,
              R"({"seen_in":[{"system_id":"other","conversation_id":"copy"},)"
              R"({"system_id":"agent","conversation_id":"third"}]})");
    EXPECT_EQ(get_one(*engine, "copy", "other"), copy);
    EXPECT_EQ(engine->stats("acme").records, 1U);
    EXPECT_EQ(erase(*engine, {{"acme", "agent", "original"}}).value(), 1U);
  }
  const auto engine = open_engine(in(folder));
  EXPECT_FALSE(get_one(*engine, "original"));
  EXPECT_EQ(engine->stats("acme").records, 1U);
  const auto page = engine->search(words("same words")).value();
  EXPECT_THAT(ids(page), ElementsAre("copy"));
  EXPECT_EQ(page.hits[0].metadata,
            R"({"project":"theirs","seen_in":[{"system_id":"agent","conversation_id":"third"}]})");
  // What was a duplicate changes by its own times.
  EXPECT_THAT(upsert(*engine, {sample("third", "other words", -1)}).value(),
              ElementsAre(Outcome::kOlder));
  EXPECT_THAT(upsert(*engine, {sample("third", "other words", 1)}).value(),
              ElementsAre(Outcome::kReplaced));
  EXPECT_THAT(get_one(*engine, "copy", "other")->metadata, R"({"project":"theirs"})");
}

TEST(HotTier, AnOriginalThatChangesLeavesItsWordsToTheDuplicate) {
  const auto engine = open_engine();
  ASSERT_TRUE(upsert(*engine, {sample("a", "said by both", 1), sample("b", "said by both", 2)}));
  EXPECT_THAT(upsert(*engine, {sample("a", "changed", 3)}).value(),
              ElementsAre(Outcome::kReplaced));
  EXPECT_THAT(ids(engine->search(words("both")).value()), ElementsAre("b"));
  EXPECT_EQ(get_one(*engine, "b"), sample("b", "said by both", 2));
}

TEST(HotTier, LinksOrSkipsNearDuplicates) {
  const auto engine = open_engine();
  Memory first = sample("first", "a long story"), second = sample("second", "a long story!");
  first.fingerprint = fingerprint(1);
  second.fingerprint = fingerprint(1, 12);  // 116 of 128: 0.906
  Memory unlike = sample("unlike", "a story");
  unlike.fingerprint = fingerprint(1, 40);
  ASSERT_TRUE(upsert(*engine, {first}));
  EXPECT_THAT(upsert(*engine, {second}, {.skip_near_duplicates = true}).value(),
              ElementsAre(Outcome::kNearDuplicate));
  EXPECT_FALSE(get_one(*engine, "second"));
  EXPECT_THAT(upsert(*engine, {second, unlike}).value(),
              ElementsAre(Outcome::kNearDuplicate, Outcome::kStored));
  EXPECT_EQ(get_one(*engine, "second")->near_duplicate_of, first.key);
  EXPECT_FALSE(get_one(*engine, "unlike")->near_duplicate_of);
  EXPECT_EQ(erase(*engine, {first.key, second.key}).value(), 2U);
  EXPECT_THAT(upsert(*engine, {second}).value(), ElementsAre(Outcome::kStored));
}

TEST(HotTier, ErasesASystemButNotWhatOthersSaid) {
  const TemporaryFolder folder;
  {
    const auto engine = open_engine(in(folder));
    ASSERT_TRUE(upsert(*engine, {sample("1", "one", 1, "gone"), sample("2", "two", 1, "gone"),
                                 sample("3", "two", 1, "kept"), sample("4", "four", 1, "kept"),
                                 sample("5", "four", 1, "gone")}));
    EXPECT_EQ(erase_system(*engine, "gone").value(), 3U);
    EXPECT_EQ(erase_system(*engine, "unknown").value(), 0U);
  }
  const auto engine = open_engine(in(folder));
  EXPECT_EQ(engine->stats("acme").records, 2U);
  EXPECT_EQ(get_one(*engine, "3", "kept"), sample("3", "two", 1, "kept"));
  EXPECT_EQ(get_one(*engine, "4", "kept"), sample("4", "four", 1, "kept"));
  for (const char* id : {"1", "2", "5"}) EXPECT_FALSE(get_one(*engine, id, "gone"));
}

TEST(HotTier, ARunThatAgesTakesRowsOnceAndOnlyIfTheyDidNotChange) {
  ManualClock clock;
  EngineOptions options;
  options.clock = &clock;
  const auto engine = open_engine(std::move(options));
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(upsert(*engine, {sample(std::to_string(i), "text " + std::to_string(i), i)}));
  }
  const auto first = eligible(*engine, seconds(4), 2).value();
  ASSERT_THAT(first, SizeIs(2));
  EXPECT_EQ(first[0].memory.key.conversation_id, "0");
  EXPECT_EQ(first[1].memory.key.conversation_id, "1");
  const auto second = eligible(*engine, seconds(4), 10).value();
  ASSERT_THAT(second, SizeIs(2));
  EXPECT_EQ(second[0].memory.key.conversation_id, "2");
  // A change takes the mark away, and keeps the row from going.
  ASSERT_TRUE(upsert(*engine, {sample("0", "changed", 1)}));
  ASSERT_TRUE(upsert(*engine, {sample("twin", "text 1", 9)}));
  EXPECT_THAT(eligible(*engine, seconds(4), 10).value(), SizeIs(2));
  EXPECT_EQ(erase_migrated(*engine, {{first[0].memory.key, first[0].checksum},
                                     {first[1].memory.key, first[1].checksum},
                                     {second[0].memory.key, second[0].checksum}})
                .value(),
            1U);
  EXPECT_TRUE(get_one(*engine, "0"));
  EXPECT_TRUE(get_one(*engine, "1"));
  EXPECT_FALSE(get_one(*engine, "2"));
  // A run that died does not hold its rows for ever.
  EXPECT_THAT(eligible(*engine, seconds(4), 10).value(), SizeIs(0));
  clock.advance(std::chrono::hours{4});
  EXPECT_THAT(eligible(*engine, seconds(4), 10).value(), SizeIs(3));
}

TEST(HotTier, DuplicatesGoAlongWithAMigratedRow) {
  const TemporaryFolder folder;
  {
    const auto engine = open_engine(in(folder));
    ASSERT_TRUE(upsert(*engine, {sample("a", "same", 1), sample("b", "same", 2)}));
    const auto rows = eligible(*engine, seconds(100), 10).value();
    ASSERT_THAT(rows, SizeIs(1));
    EXPECT_THAT(rows[0].memory.metadata, HasSubstr("seen_in"));
    EXPECT_EQ(erase_migrated(*engine, {{rows[0].memory.key, rows[0].checksum}}).value(), 1U);
    EXPECT_EQ(engine->stats("acme").records, 0U);
    EXPECT_FALSE(get_one(*engine, "b"));
  }
  EXPECT_FALSE(get_one(*open_engine(in(folder)), "b"));
}

TEST(HotTier, TenantsShareNothing) {
  const auto engine = open_engine();
  Memory theirs = sample("a", "the same words");
  theirs.key.tenant = "umbrella";
  ASSERT_TRUE(upsert(*engine, {sample("a", "the same words")}));
  EXPECT_THAT(upsert(*engine, {theirs}).value(), ElementsAre(Outcome::kStored));
  EXPECT_EQ(erase(*engine, {theirs.key}).value(), 1U);
  EXPECT_TRUE(get_one(*engine, "a"));
  StoreQuery query = words("same");
  query.tenant = "umbrella";
  EXPECT_THAT(engine->search(query).value().hits, SizeIs(0));
}

TEST(HotTier, FindsTheNearestAlsoWhileTheGraphIsBehind) {
  EngineOptions options;
  options.vectors.exact_rows = 200;
  const auto engine = open_engine(std::move(options));
  std::vector<Memory> memories;
  for (std::uint64_t i = 0; i < 600; ++i) {
    Memory memory = sample(std::to_string(i), "text " + std::to_string(i));
    memory.embedding = direction(i, 32);
    memory.embedding_model = "m";
    memory.metadata = i % 10 == 0 ? R"({"project":"ten"})" : R"({"project":"else"})";
    memories.push_back(std::move(memory));
  }
  ASSERT_TRUE(upsert(*engine, memories));
  const auto check = [&] {
    for (std::uint64_t i = 0; i < 600; i += 7) {
      StoreQuery query;
      query.tenant = "acme";
      query.mode = SearchMode::kSemantic;
      query.embedding = direction(i, 32);
      query.embedding_model = "m";
      const auto page = engine->search(query).value();
      ASSERT_THAT(page.hits, SizeIs(10));
      ASSERT_EQ(page.hits[0].key.conversation_id, std::to_string(i));
      ASSERT_NEAR(*page.hits[0].similarity, 1, 1e-5);
      query.filter.metadata = {{"project", "ten"}};
      for (const StoreHit& hit : engine->search(query).value().hits) {
        ASSERT_TRUE(hit.key.conversation_id.ends_with('0'));
      }
      query.embedding_model = "another";
      ASSERT_THAT(engine->search(query).value().hits, SizeIs(0));
    }
  };
  check();
  engine->wait_until_linked();
  check();
  ASSERT_EQ(engine->engine_stats().unlinked, 0U);
  // What is replaced and erased is not found, linked or not.
  Memory moved = memories[7];
  moved.content = "moved";
  moved.content_hash = sha256("moved");
  moved.timestamp = seconds(50);
  moved.embedding = direction(9999, 32);
  ASSERT_TRUE(upsert(*engine, {moved}));
  ASSERT_TRUE(erase(*engine, {memories[14].key}));
  for (const bool linked : {false, true}) {
    if (linked) engine->wait_until_linked();
    StoreQuery query;
    query.tenant = "acme";
    query.embedding_model = "m";
    query.mode = SearchMode::kSemantic;
    query.embedding = direction(9999, 32);
    EXPECT_EQ(engine->search(query).value().hits[0].key, moved.key);
    query.embedding = direction(14, 32);
    query.threshold = 0.99F;
    EXPECT_THAT(engine->search(query).value().hits, SizeIs(0));
  }
}

TEST(HotTier, FiltersAndCountsFacets) {
  const auto engine = open_engine();
  Memory a = sample("a", "red apple", 0, "s1"), b = sample("b", "green apple", 86'400, "s2"),
         c = sample("c", "blue plum", 2 * 86'400, "s2");
  a.metadata = R"({"project":"fruit","tags":["x","y"],"topic":"colour","build":7})";
  b.metadata = R"({"project":["fruit","veg"],"tags":"y","language":"en"})";
  c.metadata = R"({"project":"veg","user_id":"u1","topic":"colour"})";
  ASSERT_TRUE(upsert(*engine, {a, b, c}));
  const auto found = [&](Filter filter) {
    StoreQuery query;
    query.tenant = "acme";
    query.filter = std::move(filter);
    auto got = ids(engine->search(query).value());
    std::ranges::sort(got);
    return got;
  };
  EXPECT_THAT(found({}), ElementsAre("a", "b", "c"));
  EXPECT_THAT(found({.system_ids = {"s2"}}), ElementsAre("b", "c"));
  EXPECT_THAT(found({.system_ids = {"s2"}, .systems_allowed = {{"s1"}}}), SizeIs(0));
  EXPECT_THAT(found({.systems_allowed = {{"s1"}}}), ElementsAre("a"));
  EXPECT_THAT(found({.start = seconds(1), .end = seconds(2 * 86'400)}), ElementsAre("b"));
  EXPECT_THAT(found({.metadata = {{"project", "fruit"}}}), ElementsAre("a", "b"));
  EXPECT_THAT(found({.metadata = {{"project", "veg"}, {"user_id", "u1"}}}), ElementsAre("c"));
  EXPECT_THAT(found({.metadata = {{"tags", "y"}}}), ElementsAre("a", "b"));
  EXPECT_THAT(found({.metadata = {{"tags", "x"}, {"tags", "y"}}}), ElementsAre("a"));
  EXPECT_THAT(found({.metadata = {{"topic", "colour"}}}), ElementsAre("a", "c"));
  EXPECT_THAT(found({.metadata = {{"build", "7"}}}), ElementsAre("a"));
  EXPECT_THAT(found({.metadata = {{"language", "de"}}}), SizeIs(0));
  StoreQuery query = words("apple");
  query.facets = {"system_id", "tags", "date", "tier", "project"};
  const auto page = engine->search(query).value();
  EXPECT_EQ(page.total, 2U);
  EXPECT_EQ(page.facets.at("system_id"),
            (std::map<std::string, std::uint64_t>{{"s1", 1}, {"s2", 1}}));
  EXPECT_EQ(page.facets.at("tags"), (std::map<std::string, std::uint64_t>{{"x", 1}, {"y", 2}}));
  EXPECT_THAT(page.facets.at("date"), SizeIs(2));
  EXPECT_EQ(page.facets.at("tier").at("hot"), 2U);
}

TEST(HotTier, FusesBothListsAndSaysWhy) {
  const auto engine = open_engine();
  std::vector<Memory> memories;
  for (std::uint64_t i = 0; i < 20; ++i) {
    Memory memory =
        sample(std::to_string(i), i == 3 ? "needle in hay" : "hay " + std::to_string(i));
    memory.embedding = direction(i, 16);
    memory.embedding_model = "m";
    memories.push_back(std::move(memory));
  }
  ASSERT_TRUE(upsert(*engine, memories));
  StoreQuery query = words("needle");
  query.mode = SearchMode::kHybrid;
  query.embedding = direction(3, 16);
  query.embedding_model = "m";
  const auto page = engine->search(query).value();
  EXPECT_EQ(page.hits[0].key.conversation_id, "3");
  EXPECT_EQ(page.hits[0].explanation.vector_rank, 1);
  EXPECT_EQ(page.hits[0].explanation.keyword_rank, 1);
  EXPECT_THAT(page.hits[0].explanation.matched_terms, ElementsAre("needl"));
  EXPECT_NEAR(page.hits[0].score, 2.0 / 61, 1e-9);
}

TEST(HotTier, RefusesVectorsOfAnotherWidthAndStoresNothingOfTheBatch) {
  const auto engine = open_engine();
  Memory two = sample("two", "two"), three = sample("three", "three");
  two.embedding = {1, 0};
  three.embedding = {1, 0, 0};
  two.embedding_model = three.embedding_model = "m";
  auto refused = upsert(*engine, {sample("x", "x"), two, three});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().field, "memories[2].embedding");
  ASSERT_TRUE(upsert(*engine, {two}));
  refused = upsert(*engine, {sample("y", "y"), three});
  ASSERT_FALSE(refused);
  EXPECT_EQ(engine->stats("acme").records, 1U);
}

/// Refuses everything while it is full.
class FullDisk final : public Disk {
 public:
  bool write_at(int file, std::string_view bytes, std::uint64_t offset) override {
    if (!full) return Disk::write_at(file, bytes, offset);
    Disk::write_at(file, bytes.substr(0, bytes.size() / 2), offset);
    errno = ENOSPC;
    return false;
  }
  std::atomic<bool> full{false};
};

TEST(HotTier, AFullDiskRefusesWritesAndAnswersSearches) {
  const TemporaryFolder folder;
  FullDisk disk;
  EngineOptions options = in(folder);
  options.log.disk = &disk;
  {
    const auto engine = open_engine(options);
    Memory kept = sample("kept", "kept words", 1);
    kept.fingerprint = fingerprint(1);
    ASSERT_TRUE(upsert(*engine, {kept, sample("copy", "kept words", 2)}));
    disk.full = true;
    Memory near = sample("near", "Kept  words", 1);
    near.fingerprint = fingerprint(1, 3);
    for (auto refused :
         {upsert(*engine, {near}), upsert(*engine, {sample("kept", "changed", 9)})}) {
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().code, Errc::kUnavailable);
    }
    EXPECT_EQ(erase(*engine, {kept.key}).error().code, Errc::kUnavailable);
    EXPECT_EQ(erase_system(*engine, "agent").error().code, Errc::kUnavailable);
    EXPECT_THAT(ids(engine->search(words("kept")).value()), ElementsAre("kept"));
    EXPECT_THAT(get_one(*engine, "kept")->metadata, HasSubstr("copy"));
    disk.full = false;
    EXPECT_THAT(upsert(*engine, {near}).value(), ElementsAre(Outcome::kNearDuplicate));
  }
  const auto engine = open_engine(in(folder));
  EXPECT_EQ(engine->stats("acme").records, 2U);
  EXPECT_EQ(get_one(*engine, "copy")->content, "kept words");
}

TEST(HotTier, SnapshotsAreStoresOfTheirOwn) {
  const TemporaryFolder folder, copy;
  const auto engine = open_engine(in(folder));
  ASSERT_TRUE(upsert(*engine, {sample("a", "before")}));
  ASSERT_TRUE(engine->copy_to(copy.path()));
  ASSERT_TRUE(upsert(*engine, {sample("a", "after", 9), sample("b", "new")}));
  const auto other = open_engine(in(copy));
  EXPECT_EQ(other->stats("acme").records, 1U);
  EXPECT_EQ(get_one(*other, "a"), sample("a", "before"));
}

TEST(HotTier, TellsItsObserverWhatWasCommitted) {
  std::vector<std::string> seen;
  EngineOptions options;
  options.observer = [&](std::span<const CommittedChange> changes) {
    for (const CommittedChange& change : changes) {
      seen.push_back((change.erased ? "-" : "+") + change.key.conversation_id +
                     (change.row ? ":" + std::string(change.row->content) : ""));
    }
  };
  const auto engine = open_engine(std::move(options));
  ASSERT_TRUE(upsert(*engine, {sample("a", "x"), sample("b", "x")}));
  ASSERT_TRUE(erase(*engine, {{"acme", "agent", "a"}}));
  EXPECT_THAT(seen, ElementsAre("+a:x", "+b:x", "-a"));
}

TEST(HotTier, TellsWhatWasWrittenSince) {
  const TemporaryFolder folder;
  const auto names = [](const WrittenPage& page) {
    std::vector<std::string> out;
    for (const Written& row : page.rows)
      out.push_back(row.memory.key.conversation_id + (row.duplicate ? " again" : ""));
    return out;
  };
  auto engine = open_engine(in(folder));
  EXPECT_EQ(engine->last_written(), 0U);
  EXPECT_FALSE(engine->wait_written(0, std::chrono::milliseconds{0}, {}));
  upsert(*engine, {sample("a", "one", 1), sample("b", "two", 2), sample("c", "three", 3)});
  upsert(*engine, {sample("d", "one", 4), sample("a", "one, mended", 5)});
  EXPECT_TRUE(engine->wait_written(0, std::chrono::milliseconds{0}, {}));
  const auto check = [&] {
    // "d" said what "a" said before, and now stands for itself.
    std::vector<std::string> all;
    std::uint64_t at = 0;
    while (at < engine->last_written()) {
      const WrittenPage page = engine->written_since(at, 2);
      ASSERT_GT(page.upto, at);
      ASSERT_LE(page.rows.size(), 2U);
      for (const std::string& name : names(page)) all.push_back(name);
      at = page.upto;
    }
    std::ranges::sort(all.begin() + 2, all.end());
    EXPECT_THAT(all, ElementsAre("b", "c", "a", "d")) << "each once, where it was written last";
    EXPECT_TRUE(engine->written_since(at, 10).rows.empty());
  };
  check();
  engine.reset();
  engine = open_engine(in(folder));
  check();  // by looking at all rows
  const std::uint64_t before = engine->last_written();
  hot_testing::erase(*engine, {{"acme", "agent", "b"}});
  EXPECT_GT(engine->last_written(), before) << "numbers are not given twice";
  EXPECT_THAT(names(engine->written_since(0, 1)), ElementsAre("c"));
  upsert(*engine, {sample("e", "three", 6)});
  EXPECT_THAT(names(engine->written_since(before, 10)), ElementsAre("e again"));
  EXPECT_THAT(engine->has({{"acme", "agent", "b"},
                           {"acme", "agent", "c"},
                           {"acme", "agent", "e"},
                           {"other", "agent", "c"}}),
              ElementsAre(false, true, true, false));
}

TEST(HotTier, SpaceStaysNearTheLiveDataAfterManySingleUpserts) {
  const TemporaryFolder folder;
  EngineOptions options = in(folder);
  options.log.segment_bytes = 64 << 10;
  options.log.smallest_segment = 16 << 10;
  {
    const auto engine = open_engine(options);
    for (int round = 0; round < 40; ++round) {
      std::vector<Memory> memories;
      for (int i = 0; i < 100; ++i) {
        memories.push_back(sample(std::to_string((i * 7 + round * 13) % 300),
                                  std::string(2000, 'x') + std::to_string(round * 100 + i),
                                  round * 100 + i));
      }
      ASSERT_TRUE(upsert(*engine, std::move(memories)));
    }
    engine->wait_until_compact();
    const auto stats = engine->engine_stats();
    EXPECT_GT(stats.compactions, 0U);
    EXPECT_LE(static_cast<double>(stats.file_bytes), 1.3 * static_cast<double>(stats.live_bytes));
    EXPECT_EQ(erase_system(*engine, "agent").value(), 300U);
    ASSERT_TRUE(upsert(*engine, {sample("only", "left")}));
    engine->wait_until_compact();
    EXPECT_LT(engine->engine_stats().file_bytes, 128U << 10);
  }
  const auto engine = open_engine(options);
  EXPECT_EQ(engine->stats("acme").records, 1U);
}

/// Takes its time between a commit and what readers see of it: compactions get between them.
class SlowToForget final : public NearDuplicates {
 public:
  void reserve(std::size_t count) override { within_.reserve(count); }
  void add(std::uint32_t slot, const Fingerprint& fingerprint) override {
    within_.add(slot, fingerprint);
  }
  void remove(std::uint32_t slot, const Fingerprint& fingerprint) override {
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
    within_.remove(slot, fingerprint);
  }
  void candidates(const Fingerprint& fingerprint, double threshold,
                  std::vector<std::uint32_t>& out) const override {
    within_.candidates(fingerprint, threshold, out);
  }
  double similarity(const Text& a, const Text& b) const override {
    return within_.similarity(a, b);
  }
  std::size_t bytes() const override { return within_.bytes(); }

 private:
  ShingleDuplicates within_;
};

TEST(HotTier, WhatWasErasedWhileFilesWereWrittenAnewStaysAway) {
  const TemporaryFolder folder;
  EngineOptions options = in(folder);
  options.log.segment_bytes = options.log.smallest_segment = 4 << 10;
  options.make_near_duplicates = [] { return std::make_unique<SlowToForget>(); };
  const auto engine = open_engine(options);
  options.make_near_duplicates = {};
  std::mt19937_64 random(5);
  std::vector<std::string> there;
  for (int round = 0; round < 40; ++round) {
    std::vector<Memory> memories;
    for (int i = 0; i < 10; ++i) {
      there.push_back(std::to_string(round * 10 + i));
      memories.push_back(sample(there.back(), std::string(300, 'x') + there.back()));
      memories.back().fingerprint = fingerprint(static_cast<std::uint32_t>(round * 10 + i) + 1);
    }
    ASSERT_TRUE(upsert(*engine, std::move(memories), {.deduplicate = false}));
    while (there.size() > 20) {
      std::swap(there[random() % there.size()], there.back());
      ASSERT_TRUE(erase(*engine, {{"acme", "agent", there.back()}}));
      there.pop_back();
    }
    const TemporaryFolder copy;
    ASSERT_TRUE(engine->copy_to(copy.path()));
    EngineOptions again = options;
    again.folder = copy.path();
    ASSERT_EQ(open_engine(again)->stats("acme").records, there.size()) << "in round " << round;
  }
  EXPECT_GT(engine->engine_stats().compactions, 0U);
}

TEST(HotStore, ServesItsInterfaceFromALoop) {
  net::LoopPool loops(1);
  loops.start();
  HotOptions options;
  const auto opened = HotStore::open(options);
  ASSERT_TRUE(opened);
  HotStore& store = **opened;
  const auto outcome = net::run_sync<Result<void>>(loops.at(0), [&]() -> Task<void> {
    ASAHI_CO_TRY(auto outcomes, co_await store.upsert_batch({sample("a", "hello there")}, {}));
    EXPECT_THAT(outcomes, ElementsAre(Outcome::kStored));
    ASAHI_CO_TRY(auto memories, co_await store.get({{"acme", "agent", "a"}, {"acme", "x", "y"}}));
    EXPECT_TRUE(memories[0]);
    EXPECT_FALSE(memories[1]);
    ASAHI_CO_TRY(auto page, co_await store.search(words("hello")));
    EXPECT_EQ(page.hits[0].text, "hello there");
    Memory bad = sample("a", "x");
    bad.embedding = {NAN};
    const auto refused = co_await store.upsert_batch({bad}, {});
    EXPECT_EQ(refused.error().field, "memories[0].embedding");
    ASAHI_CO_TRY(auto rows, co_await store.scan_eligible({.before = seconds(100), .limit = 5}));
    ASAHI_CO_TRY(auto gone,
                 co_await store.delete_migrated({{rows[0].memory.key, rows[0].checksum}}));
    EXPECT_EQ(gone, 1U);
    ASAHI_CO_TRY(auto stats, co_await store.stats("acme"));
    EXPECT_EQ(stats.records, 0U);
    co_return Result<void>{};
  });
  EXPECT_TRUE(outcome);
  loops.stop();
}

/// Whether any file below the folder has the text.
bool lies_in(const std::string& folder, const std::string& text) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    if (bytes.find(text) != std::string::npos) return true;
  }
  return false;
}

TEST(HotTier, WritesEverythingAnewWithTheKeyOfNowWhateverItWasWrittenWith) {
  const TemporaryFolder folder;
  const Digest256 first = sha256("first"), second = sha256("second");
  const auto with = [&](std::optional<Digest256> key, std::vector<Digest256> previous) {
    EngineOptions options = in(folder);
    options.checkpoint_rows = 1;
    options.log.key = key;
    options.log.previous_keys = std::move(previous);
    return options;
  };
  const auto put = [](Engine& engine, const std::string& id) {
    ASSERT_TRUE(upsert(engine, {sample(id, "The zanzibar contract of " + id)}));
  };
  {
    const auto engine = open_engine(with({}, {}));
    put(*engine, "plain");
  }
  EXPECT_TRUE(lies_in(folder.path(), "zanzibar")) << "in the log, and its words in a checkpoint";
  {
    const auto engine = open_engine(with(first, {}));
    put(*engine, "one");
    engine->wait_until_compact();
    EXPECT_EQ(engine->engine_stats().stale_segments, 0U);
    EXPECT_FALSE(lies_in(folder.path(), "zanzibar")) << "neither log nor checkpoint";
    EXPECT_THAT(ids(engine->search(words("zanzibar")).value()), SizeIs(2));
  }
  {
    const auto engine = open_engine(with(second, {first}));
    put(*engine, "two");
    engine->wait_until_compact();
    EXPECT_EQ(engine->engine_stats().stale_segments, 0U);
  }
  // The former key is not needed any more, and no good any more.
  EXPECT_EQ(Engine::open(with(first, {})).error().code, Errc::kInvalidArgument);
  {
    const auto engine = open_engine(with(second, {}));
    for (const char* id : {"plain", "one", "two"}) EXPECT_TRUE(get_one(*engine, id)) << id;
    EXPECT_FALSE(lies_in(folder.path(), "zanzibar"));
    // A copy of the store is as it is.
    const TemporaryFolder copy;
    ASSERT_TRUE(engine->copy_to(copy.path()));
    EXPECT_FALSE(lies_in(copy.path(), "zanzibar"));
  }
  // And back: no key, the former one to read with.
  const auto engine = open_engine(with({}, {second}));
  engine->wait_until_compact();
  EXPECT_EQ(engine->engine_stats().stale_segments, 0U);
  EXPECT_TRUE(get_one(*engine, "one"));
}

}  // namespace
}  // namespace asahi::memory::hot
